#include "checkpoint/kv_cache_format.h"

#include <filesystem>
#include <string>

#include "base/json.h"

namespace vernier::checkpoint {
namespace {

// The field at `pointer`, or null.
Json KvFieldAt(const Json& json, const char* pointer) {
  const Json::json_pointer place(pointer);
  return json.contains(place) ? json.at(place) : Json();
}

KvCacheFormat OfBits(const Json& bits) {
  if (bits == 8) return KvCacheFormat::kFp8;
  return bits == 4 ? KvCacheFormat::kNvfp4 : KvCacheFormat::kModel;
}

KvCacheFormat OfAlgo(const Json& algo) {
  if (algo == "FP8") return KvCacheFormat::kFp8;
  return algo == "NVFP4" ? KvCacheFormat::kNvfp4 : KvCacheFormat::kModel;
}

}  // namespace

KvCacheFormat AnnouncedKvCache(const Checkpoint& checkpoint) {
  const Json scheme = KvFieldAt(checkpoint.config(), "/quantization_config/kv_cache_scheme");
  if (scheme.is_object()) return OfBits(scheme.value("num_bits", Json()));
  if (scheme.is_string()) return OfAlgo(scheme);
  const Json inner = KvFieldAt(checkpoint.config(), "/quantization_config/kv_cache_quant_algo");
  if (inner.is_string()) return OfAlgo(inner);
  const std::filesystem::path file = checkpoint.directory() / "hf_quant_config.json";
  if (!std::filesystem::exists(file)) return KvCacheFormat::kModel;
  return OfAlgo(KvFieldAt(ReadJsonFile(file), "/quantization/kv_cache_quant_algo"));
}

}  // namespace vernier::checkpoint
