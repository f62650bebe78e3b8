// Runs a whole DeepSeek-V4 model through the Decoder interface, all at once, and reads references.
#ifndef VERNIER_TESTS_CALIB_DEEPSEEK_V4_SUPPORT_H_
#define VERNIER_TESTS_CALIB_DEEPSEEK_V4_SUPPORT_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "calib/families/decoder.h"
#include "calib/input_observer.h"
#include "calib/tensor_loader.h"
#include "checkpoint/families/deepseek_v4_config.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

inline const std::filesystem::path kTinyModel =
    std::filesystem::path(VERNIER_TEST_DATA) / "models" / "tiny-deepseek-v4";
inline const std::filesystem::path kMiniModel =
    std::filesystem::path(VERNIER_SOURCE_DIR) / "examples" / "mini-deepseek-v4";
inline const std::filesystem::path kMiniReference =
    std::filesystem::path(VERNIER_TEST_DATA) / "models" / "mini-deepseek-v4-reference";

struct TestModel {
  TestModel(const std::filesystem::path& directory, at::ScalarType compute_dtype);

  checkpoint::SourceModel source;
  checkpoint::DeepseekV4Config config;
  TensorLoader loader;
  std::unique_ptr<Decoder> decoder;
};

// Every F32, I64 and I32 tensor of a file.
std::map<std::string, at::Tensor> ReadTensors(const std::filesystem::path& file);

struct ModelOutput {
  std::vector<at::Tensor> hidden;  // behind each layer [B, S, n, D]
  at::Tensor logits;               // [B, S, V]
};

// Runs `layer` with all routed experts on `hidden`; padding goes to no expert.
at::Tensor RunLayer(const Decoder& decoder, int64_t layer, const at::Tensor& hidden,
                    const TokenBatch& batch, int64_t query_chunk, InputObserver& observer);

// The same for a whole model, nothing observed.
ModelOutput RunModel(const Decoder& decoder, const TokenBatch& batch, int64_t query_chunk = 512);

// Perplexity of the example model on the first `windows` windows of val_ids, by the protocol of
// eval.json: exp of the mean negative log likelihood of a window's tokens but the first.
inline constexpr int64_t kEvalWindow = 512;
double MiniModelPerplexity(at::ScalarType compute_dtype, int64_t windows);

// ||a - b|| / ||b||
double RelativeError(const at::Tensor& a, const at::Tensor& b);

}  // namespace vernier::calib

#endif  // VERNIER_TESTS_CALIB_DEEPSEEK_V4_SUPPORT_H_
