// Runs whole models through the Decoder interface, all at once, and reads references.
#ifndef VERNIER_TESTS_CALIB_MODEL_SUPPORT_H_
#define VERNIER_TESTS_CALIB_MODEL_SUPPORT_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "calib/families/decoder.h"
#include "calib/tap.h"
#include "calib/tensor_loader.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

inline const std::filesystem::path kTestModels =
    std::filesystem::path(VERNIER_TEST_DATA) / "models";

// Folders in kTestModels that hold a checkpoint, sorted; and such a name as a part of a test's.
std::vector<std::string> TestModelNames();
std::string NameInTest(std::string model);

// Any model that is known.
struct LoadedModel {
  LoadedModel(const std::filesystem::path& directory, at::ScalarType compute_dtype,
              at::Device device = at::kCPU);

  checkpoint::SourceModel source;
  TensorLoader loader;
  std::unique_ptr<Decoder> decoder;
};

// Every F32, I64 and I32 tensor of a file.
std::map<std::string, at::Tensor> ReadTensors(const std::filesystem::path& file);

struct ModelOutput {
  std::vector<at::Tensor> hidden;  // behind each layer [B, S, ...]
  at::Tensor logits;               // [B, S, V]
};

// Runs `layer` with all routed experts on `hidden`; padding goes to no expert.
at::Tensor RunLayer(const Decoder& decoder, int64_t layer, const at::Tensor& hidden,
                    const TokenBatch& batch, int64_t query_chunk, Tap& tap);

// The same for a whole model.
ModelOutput RunModel(const Decoder& decoder, const TokenBatch& batch, int64_t query_chunk,
                     Tap& tap);
// Nothing observed.
ModelOutput RunModel(const Decoder& decoder, const TokenBatch& batch, int64_t query_chunk = 512);

// ||a - b|| / ||b||
double RelativeError(const at::Tensor& a, const at::Tensor& b);

// The largest of the relative errors of single positions of a [B, S, ...].
double WorstPositionError(const at::Tensor& a, const at::Tensor& b);

}  // namespace vernier::calib

#endif  // VERNIER_TESTS_CALIB_MODEL_SUPPORT_H_
