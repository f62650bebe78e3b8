#include "calib/cache_scales.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/json.h"
#include "calib/activation_format.h"
#include "checkpoint/families/kv_cache.h"

namespace vernier::calib {
namespace {

using checkpoint::KvCacheEntry;
using checkpoint::LogicalWeight;
using checkpoint::SourceModel;

constexpr int64_t kFp8Bits = 8;

// The field at `pointer`, or null.
Json FieldAt(const Json& json, const char* pointer) {
  const Json::json_pointer place(pointer);
  return json.contains(place) ? json.at(place) : Json();
}

bool ConfigsAnnounceFp8(const SourceModel& model) {
  const Json bits =
      FieldAt(model.checkpoint.config(), "/quantization_config/kv_cache_scheme/num_bits");
  if (bits.is_number_integer()) return bits.get<int64_t>() == kFp8Bits;
  const std::filesystem::path file = model.checkpoint.directory() / "hf_quant_config.json";
  if (!std::filesystem::exists(file)) return false;
  const Json algo = FieldAt(ReadJsonFile(file), "/quantization/kv_cache_quant_algo");
  return algo.is_string() && algo.get<std::string>() == "FP8";
}

bool HoldsScales(const SourceModel& model) {
  return std::ranges::any_of(model.layout.weights, [](const LogicalWeight& weight) {
    return checkpoint::IsKvCacheScale(weight.name);
  });
}

float ScaleOf(const SourceModel& model, const KvCacheEntry& entry) {
  const auto& [projection, name] = entry.keys ? checkpoint::kKeyScale : checkpoint::kValueScale;
  for (const std::string_view owner : {projection, std::string_view()}) {
    const LogicalWeight* scale =
        model.layout.FindModule(entry.attention + std::string(owner) + std::string(name));
    if (scale != nullptr) return ReadActivationScale(model.checkpoint, scale->main);
  }
  return 1.0f;
}

}  // namespace

std::map<std::string, float, std::less<>> ReadCacheScales(const SourceModel& model) {
  std::map<std::string, float, std::less<>> scales;
  if (!HoldsScales(model) && !ConfigsAnnounceFp8(model)) return scales;
  for (const KvCacheEntry& entry : model.family->KvCache(model.layout)) {
    scales.emplace(entry.observed, ScaleOf(model, entry));
  }
  return scales;
}

}  // namespace vernier::calib
