#include "run/amax_file.h"

#include <fmt/format.h>

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <utility>
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

Json EntryOf(const StatisticKey& key, const StatisticValue& read) {
  Json entry = {{"statistic", key.name},
                {"version", key.version},
                {"module", key.module},
                {"layer", key.unit},
                {"tokens", read.value.tokens}};
  entry.update(read.statistic.fields(read.value));
  return entry;
}

// All statistics but amax.
Json OthersJson(const Store& store, statistics::Registry registry) {
  Json others = Json::array();
  for (const StatisticKey& key : ListStatistics(store.database())) {
    if (!IsAmax(key.name)) others.push_back(EntryOf(key, ReadValue(store, key, registry)));
  }
  return others;
}

std::string TensorName(const StatisticKey& key, const StatisticValue& read) {
  return fmt::format("{}.{}", key.module, read.statistic.tensor);
}
std::string TokensName(const StatisticKey& key, const StatisticValue& read) {
  return fmt::format("{}.{}", key.module, read.statistic.tokens);
}

checkpoint::DType DTypeOf(statistics::ElementType type) {
  switch (type) {
    case statistics::ElementType::kF32:
      return checkpoint::DType::kF32;
    case statistics::ElementType::kF64:
      return checkpoint::DType::kF64;
    case statistics::ElementType::kI64:
      break;
  }
  return checkpoint::DType::kI64;
}

// Tensors by name, for whose bytes the values are read once more.
std::vector<checkpoint::TensorSpec> Specs(const Store& store, const std::vector<StatisticKey>& keys,
                                          statistics::Registry registry) {
  std::vector<checkpoint::TensorSpec> specs;
  for (const StatisticKey& key : keys) {
    const StatisticValue read = ReadValue(store, key, registry);
    specs.push_back({TokensName(key, read), checkpoint::DType::kI64, {}});
    if (read.value.payload.empty()) continue;
    specs.push_back({TensorName(key, read), DTypeOf(read.statistic.element_type),
                     statistics::ShapeOf(read.statistic, read.value)});
  }
  return specs;
}

}  // namespace

Json AmaxJson(const Store& store, statistics::Registry registry) {
  Json identity = Json::object();
  for (const auto& [field, value] : store.Identity()) identity[field] = value;
  Json inputs = Json::array();
  for (const InputAmax& input : store.Inputs()) {
    inputs.push_back({{"module", input.module},
                      {"layer", input.layer},
                      {"amax", input.amax},
                      {"tokens", input.tokens}});
  }
  Json file = {{"format", kFormat},
               {"version", kVersion},
               {"finished", store.CalibrationFinished()},
               {"identity", std::move(identity)},
               {"inputs", std::move(inputs)}};
  Json others = OthersJson(store, registry);
  if (!others.empty()) file["statistics"] = std::move(others);
  return file;
}

void WriteAmaxSafetensors(const Store& store, const std::filesystem::path& path,
                          statistics::Registry registry) {
  const std::vector<StatisticKey> keys = ListStatistics(store.database());
  const checkpoint::SafetensorsLayout layout =
      checkpoint::PlanSafetensors(Specs(store, keys, registry), Metadata(store));
  std::map<std::string, uint64_t> begins;
  for (const checkpoint::TensorInfo& tensor : layout.tensors) begins[tensor.name] = tensor.begin;
  {
    const File file = File::OpenForWrite(PartialPath(path), /*truncate=*/true);
    file.WriteAt(0, std::as_bytes(std::span(layout.prefix)));
    for (const StatisticKey& key : keys) {
      const StatisticValue read = ReadValue(store, key, registry);
      file.WriteAt(begins.at(TokensName(key, read)),
                   std::as_bytes(std::span(&read.value.tokens, 1)));
      if (read.value.payload.empty()) continue;
      file.WriteAt(begins.at(TensorName(key, read)), read.value.payload);
    }
  }
  PublishPartial(path);
}

}  // namespace vernier::run
