// A small DeepSeek-V4 with NVFP4 experts as an exporter would write it, to be corrupted by tests.
#ifndef VERNIER_TESTS_AUDIT_NVFP4_MODEL_H_
#define VERNIER_TESTS_AUDIT_NVFP4_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "tests/support/synthetic_checkpoint.h"

namespace vernier::audit {

// A checkpoint directory's content in memory.
struct ModelFiles {
  Json config;
  Json quant_config;  // hf_quant_config.json; null: not written
  std::vector<testing::TestTensor> tensors;

  testing::TestTensor& At(const std::string& name);
  void Remove(const std::string& name);
  // Both configurations' quantization fields, for changes that keep them in agreement.
  Json& Inline() { return config["quantization_config"]; }
  Json& Nested() { return quant_config["quantization"]; }
  void ListLayer(const std::string& module);
  void UnlistLayer(const std::string& module);

  void Write(const std::filesystem::path& directory) const;
};

// The released form: FP8 projections, MXFP4 experts; 3 layers, 4 experts, no MTP unless asked for.
ModelFiles MakeNativeModel(int64_t mtp_layers = 0);

// How experts become NVFP4.
enum class Conversion { kLossless, kMax };

// The released form with the routed experts of the main layers in NVFP4, w1 and w3 sharing scales.
ModelFiles MakeNvfp4Model(const ModelFiles& native, Conversion conversion = Conversion::kLossless);

// Replaces a weight, whatever it is, by a random one in NVFP4 of the same shape and lists it.
void QuantizeModule(ModelFiles* model, const std::string& module, float global_scale = 0.01f);

void SetFloat(testing::TestTensor* tensor, float value);

}  // namespace vernier::audit

#endif  // VERNIER_TESTS_AUDIT_NVFP4_MODEL_H_
