#include "run/amax_file.h"

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/safetensors.h"

namespace vernier::run {
namespace {

constexpr const char* kFormat = "vernier.amax";
constexpr int kVersion = 1;

std::map<std::string, std::string> Metadata(const Store& store) {
  std::map<std::string, std::string> metadata = {
      {"format", kFormat},
      {"version", std::to_string(kVersion)},
      {"finished", store.CalibrationFinished() ? "true" : "false"}};
  for (const auto& [field, value] : store.Identity()) metadata["identity." + field] = value;
  return metadata;
}

std::string AmaxName(const InputAmax& input) { return input.module + ".input_amax"; }
std::string TokensName(const InputAmax& input) { return input.module + ".tokens"; }

}  // namespace

Json AmaxJson(const Store& store) {
  Json identity = Json::object();
  for (const auto& [field, value] : store.Identity()) identity[field] = value;
  Json inputs = Json::array();
  for (const InputAmax& input : store.Inputs()) {
    inputs.push_back({{"module", input.module},
                      {"layer", input.layer},
                      {"amax", input.amax},
                      {"tokens", input.tokens}});
  }
  return {{"format", kFormat},
          {"version", kVersion},
          {"finished", store.CalibrationFinished()},
          {"identity", std::move(identity)},
          {"inputs", std::move(inputs)}};
}

void WriteAmaxSafetensors(const Store& store, const std::filesystem::path& path) {
  std::map<std::string, std::span<const std::byte>> values;
  std::vector<checkpoint::TensorSpec> specs;
  const std::vector<InputAmax> inputs = store.Inputs();
  for (const InputAmax& input : inputs) {
    specs.push_back({AmaxName(input), checkpoint::DType::kF32, {}});
    specs.push_back({TokensName(input), checkpoint::DType::kI64, {}});
    values[AmaxName(input)] = std::as_bytes(std::span(&input.amax, 1));
    values[TokensName(input)] = std::as_bytes(std::span(&input.tokens, 1));
  }
  const checkpoint::SafetensorsLayout layout =
      checkpoint::PlanSafetensors(std::move(specs), Metadata(store));
  std::string bytes = layout.prefix;
  for (const checkpoint::TensorInfo& tensor : layout.tensors) {
    const std::span<const std::byte> value = values.at(tensor.name);
    bytes.append(reinterpret_cast<const char*>(value.data()), value.size());
  }
  WriteFileAtomically(path, bytes);
}

}  // namespace vernier::run
