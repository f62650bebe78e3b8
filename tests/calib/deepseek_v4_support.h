// DeepSeek-V4 models for tests.
#ifndef VERNIER_TESTS_CALIB_DEEPSEEK_V4_SUPPORT_H_
#define VERNIER_TESTS_CALIB_DEEPSEEK_V4_SUPPORT_H_

#include <cstdint>
#include <filesystem>

#include "checkpoint/families/deepseek_v4_config.h"
#include "tests/calib/model_support.h"

namespace vernier::calib {

inline const std::filesystem::path kTinyModel = kTestModels / "tiny-deepseek-v4";
inline const std::filesystem::path kMiniModel =
    std::filesystem::path(VERNIER_SOURCE_DIR) / "examples" / "mini-deepseek-v4";
inline const std::filesystem::path kMiniReference = kTestModels / "mini-deepseek-v4-reference";

struct TestModel : LoadedModel {
  TestModel(const std::filesystem::path& directory, at::ScalarType compute_dtype)
      : LoadedModel(directory, compute_dtype),
        config(checkpoint::ParseDeepseekV4Config(source.checkpoint.config())) {}

  checkpoint::DeepseekV4Config config;
};

// Perplexity of the example model on the first `windows` windows of val_ids, by the protocol of
// eval.json: exp of the mean negative log likelihood of a window's tokens but the first.
inline constexpr int64_t kEvalWindow = 512;
double MiniModelPerplexity(at::ScalarType compute_dtype, int64_t windows);

}  // namespace vernier::calib

#endif  // VERNIER_TESTS_CALIB_DEEPSEEK_V4_SUPPORT_H_
