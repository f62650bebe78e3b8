// Checkpoints whose experts lie in one tensor a layer.
#ifndef VERNIER_TESTS_SUPPORT_STACKED_MODEL_H_
#define VERNIER_TESTS_SUPPORT_STACKED_MODEL_H_

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/source_model.h"
#include "checkpoint/stacks.h"

namespace vernier::testing {

// How X.experts.e.gate_proj and up_proj become X.experts.gate_up_proj, and down_proj one tensor.
struct StackForm {
  bool interleaved = false;
  bool transposed = false;
  bool blocks = false;  // X_blocks [E, N, K/32, 16] and X_scales, as gpt-oss has them

  std::array<checkpoint::StackRow, 2> Rows() const;
  std::string Name() const;  // of a test's parameter
};

inline constexpr std::array<StackForm, 4> kStackForms = {
    {{}, {.interleaved = true}, {.transposed = true}, {.interleaved = true, .transposed = true}}};

// Writes the checkpoint of `from` with its experts stacked.
void StackExperts(const std::filesystem::path& from, const std::filesystem::path& to,
                  const StackForm& form, int shards = 1);

// Opens such a checkpoint, its stacks split.
checkpoint::SourceModel OpenStacked(const std::filesystem::path& directory, const StackForm& form);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_STACKED_MODEL_H_
