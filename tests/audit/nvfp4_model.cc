#include "tests/audit/nvfp4_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <stdexcept>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "quantizers/mxfp4.h"
#include "quantizers/nvfp4.h"
#include "tests/support/temp_dir.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;
using testing::MakeTensor;
using testing::TestTensor;

constexpr float kInputScale = 0.005f;
constexpr int kShards = 2;

std::vector<uint8_t> BytesOf(const TestTensor& tensor) {
  std::vector<uint8_t> bytes(tensor.bytes.size());
  std::memcpy(bytes.data(), tensor.bytes.data(), bytes.size());
  return bytes;
}

struct Nvfp4Parts {
  std::vector<uint8_t> packed;
  std::vector<uint8_t> scales;
  float global_scale = 1;
};

void ReplaceByNvfp4(ModelFiles* model, const std::string& module, const Nvfp4Parts& parts,
                    int64_t rows) {
  const int64_t packed_columns = static_cast<int64_t>(parts.packed.size()) / rows;
  model->At(module + ".weight") =
      MakeTensor(module + ".weight", DType::kU8, {rows, packed_columns}, parts.packed);
  model->tensors.push_back(MakeTensor(module + ".weight_scale", DType::kF8E4M3,
                                      {rows, packed_columns / 8}, parts.scales));
  model->tensors.push_back(MakeTensor(module + ".weight_scale_2", DType::kF32, {},
                                      std::vector<float>{parts.global_scale}));
  model->tensors.push_back(
      MakeTensor(module + ".input_scale", DType::kF32, {}, std::vector<float>{kInputScale}));
}

Nvfp4Parts CastLossless(const ModelFiles& native, const std::string& module, int k_max) {
  ModelFiles source = native;
  const std::vector<uint8_t> packed = BytesOf(source.At(module + ".weight"));
  const std::vector<uint8_t> e8m0 = BytesOf(source.At(module + ".scale"));
  Nvfp4Parts parts{std::vector<uint8_t>(packed.size()), std::vector<uint8_t>(2 * e8m0.size()),
                   quantizers::LosslessGlobalScale(k_max)};
  quantizers::CastMxfp4ToNvfp4(packed, e8m0, quantizers::kMxfp4BlockSize, k_max, parts.packed,
                               parts.scales);
  return parts;
}

Nvfp4Parts Requantise(const ModelFiles& native, const std::string& module, float amax) {
  ModelFiles source = native;
  const std::vector<uint8_t> packed = BytesOf(source.At(module + ".weight"));
  const std::vector<uint8_t> e8m0 = BytesOf(source.At(module + ".scale"));
  std::vector<float> values(2 * packed.size());
  quantizers::DequantizeMxfp4(packed, e8m0, quantizers::kMxfp4BlockSize, values);
  Nvfp4Parts parts{std::vector<uint8_t>(packed.size()), std::vector<uint8_t>(2 * e8m0.size()),
                   quantizers::Nvfp4GlobalScale(amax)};
  quantizers::QuantizeNvfp4(values, quantizers::kNvfp4BlockSize,
                            {.global_scale = parts.global_scale}, parts.packed, parts.scales);
  return parts;
}

void AddQuantConfigs(ModelFiles* model, int64_t layers) {
  Json quantized_layers = Json::object();
  for (int64_t layer = 0; layer < layers; ++layer) {
    quantized_layers["layers." + std::to_string(layer) + ".ffn.experts"] = {{"quant_algo", "NVFP4"},
                                                                            {"group_size", 16}};
  }
  const Json exclusions = {"*.attn.*", "*.ffn.shared_experts.*", "head", "mtp.*"};
  const Json producer = {{"name", "modelopt"}, {"version", "test"}};
  Json& inline_config = model->Inline();
  inline_config["quant_algo"] = "MIXED_PRECISION";
  inline_config["moe_quant_algo"] = "NVFP4";
  inline_config["kv_cache_quant_algo"] = nullptr;
  inline_config["group_size"] = 16;
  inline_config["quantized_layers"] = quantized_layers;
  inline_config["ignore"] = exclusions;
  inline_config["producer"] = producer;
  model->quant_config = {{"producer", producer},
                         {"quantization",
                          {{"quant_algo", "MIXED_PRECISION"},
                           {"kv_cache_quant_algo", nullptr},
                           {"group_size", 16},
                           {"quantized_layers", quantized_layers},
                           {"exclude_modules", exclusions}}}};
}

}  // namespace

TestTensor& ModelFiles::At(const std::string& name) {
  for (TestTensor& tensor : tensors) {
    if (tensor.spec.name == name) return tensor;
  }
  throw std::out_of_range(name);
}

void ModelFiles::Remove(const std::string& name) {
  std::erase_if(tensors, [&](const TestTensor& tensor) { return tensor.spec.name == name; });
}

void ModelFiles::ListLayer(const std::string& module) {
  const Json entry = {{"quant_algo", "NVFP4"}, {"group_size", 16}};
  Inline()["quantized_layers"][module] = entry;
  Nested()["quantized_layers"][module] = entry;
}

void ModelFiles::UnlistLayer(const std::string& module) {
  Inline()["quantized_layers"].erase(module);
  Nested()["quantized_layers"].erase(module);
}

void ModelFiles::Write(const std::filesystem::path& directory) const {
  testing::WriteCheckpoint(directory, config, tensors, kShards);
  if (quant_config.is_null()) return;
  WriteFileAtomically(directory / "hf_quant_config.json", quant_config.dump(2));
}

ModelFiles MakeNativeModel(int64_t mtp_layers) {
  testing::SyntheticOptions options;
  options.layers = 3;
  options.experts = 4;
  options.hidden = 64;
  options.moe_width = 64;
  options.mtp_layers = mtp_layers;
  const testing::TempDir directory;
  testing::WriteSyntheticDeepseekV4(directory.path() / "model", options);
  const auto source = checkpoint::Checkpoint::Open(directory.path() / "model");
  ModelFiles files;
  files.config = source.config();
  for (size_t i = 0; i < source.tensors().size(); ++i) {
    const checkpoint::TensorInfo& info = source.tensor(i).info;
    TestTensor tensor{{info.name, info.dtype, info.shape}, {}};
    tensor.bytes.resize(info.Bytes());
    source.Read(i, 0, tensor.bytes);
    files.tensors.push_back(std::move(tensor));
  }
  return files;
}

ModelFiles MakeNvfp4Model(const ModelFiles& native, Conversion conversion) {
  constexpr int kExponentMax = -6;  // synthetic scales are 2^-7 and 2^-6
  const float amax = std::ldexp(6.0f, kExponentMax);
  ModelFiles model = native;
  const auto layers = native.config["num_hidden_layers"].get<int64_t>();
  for (const TestTensor& tensor : native.tensors) {
    const std::string& name = tensor.spec.name;
    const bool is_expert = name.starts_with("layers.") && name.ends_with(".weight") &&
                           name.find(".ffn.experts.") != std::string::npos;
    if (!is_expert) continue;
    const std::string module = name.substr(0, name.rfind('.'));
    const Nvfp4Parts parts = conversion == Conversion::kLossless
                                 ? CastLossless(native, module, kExponentMax)
                                 : Requantise(native, module, amax);
    model.Remove(module + ".scale");
    ReplaceByNvfp4(&model, module, parts, tensor.spec.shape[0]);
  }
  AddQuantConfigs(&model, layers);
  return model;
}

void QuantizeModule(ModelFiles* model, const std::string& module, float global_scale) {
  const std::vector<int64_t> shape = model->At(module + ".weight").spec.shape;
  const bool packed = model->At(module + ".weight").spec.dtype == DType::kI8;
  const auto values = static_cast<size_t>(shape[0] * shape[1] * (packed ? 2 : 1));
  model->Remove(module + ".scale");
  const Nvfp4Parts parts{std::vector<uint8_t>(values / 2, 0x21),
                         std::vector<uint8_t>(values / 16, 0x38), global_scale};
  ReplaceByNvfp4(model, module, parts, shape[0]);
  model->ListLayer(module);
}

void SetFloat(TestTensor* tensor, float value) {
  std::memcpy(tensor->bytes.data(), &value, sizeof(value));
}

}  // namespace vernier::audit
