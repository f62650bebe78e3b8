// Writes the checkpoints that tests make up.
#ifndef VERNIER_TESTS_SUPPORT_SYNTHETIC_CHECKPOINT_H_
#define VERNIER_TESTS_SUPPORT_SYNTHETIC_CHECKPOINT_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tests/support/test_tensors.h"

namespace vernier::testing {

// Writes one file. Tensors come out in PlanSafetensors' order.
void WriteSafetensors(const std::filesystem::path& path, const std::vector<TestTensor>& tensors);

// Writes config.json and the tensors, in the given order, spread evenly over `shards` files: for
// one shard model.safetensors without an index, else model-0000I-of-0000N.safetensors with an
// index. Creates `directory`.
void WriteCheckpoint(const std::filesystem::path& directory, const Json& config,
                     const std::vector<TestTensor>& tensors, int shards);

// Writes over bytes of a tensor of the checkpoint in `directory`, from `offset` in it on.
void Overwrite(const std::filesystem::path& directory, std::string_view tensor, uint64_t offset,
               std::span<const std::byte> bytes);

struct SyntheticOptions {
  int64_t layers = 4;
  int64_t experts = 8;     // at least 3
  int64_t hidden = 128;    // a multiple of 32
  int64_t moe_width = 64;  // a multiple of 32
  int64_t vocab = 256;
  int64_t mtp_layers = 1;
  int shards = 2;
  uint64_t seed = 1;
};

// config.json of the model that WriteSyntheticDeepseekV4 writes.
Json SyntheticDeepseekV4Config(const SyntheticOptions& options);

// Writes a random DeepSeek-V4 in the released layout: FP8 projections with E8M0 scales, MXFP4
// experts, two hash-routed layers, every kind of attention (ratios 0, 128, 4, 128, 4 ... by layer).
// Values are of the size of trained ones, so that a forward pass stays finite. Holds one tensor in
// memory at a time; the same options give the same bytes.
void WriteSyntheticDeepseekV4(const std::filesystem::path& directory,
                              const SyntheticOptions& options);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_SYNTHETIC_CHECKPOINT_H_
