// Any bytes as a config.json: the outcome is a family and a quantisation config with their
// facts, or vernier::Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "audit/quant_config.h"
#include "base/error.h"
#include "base/json.h"
#include "checkpoint/block_size.h"
#include "checkpoint/families/family.h"

namespace {

using vernier::Json;
using vernier::checkpoint::Family;
using vernier::checkpoint::ModelDims;

// Listing every tensor of a larger model is slow, which tells a fuzzer nothing.
constexpr int64_t kMaxListedExperts = 64;

// Patches bring a config to the form that engines read: once there, nothing is left to change.
void PatchTwice(const Family& family, Json config) {
  family.PatchConfig(config);
  if (!family.PatchConfig(config).empty()) __builtin_trap();
}

void ReadAsFamily(const Json& config) {
  const auto family = vernier::checkpoint::MakeAnyFamily(config);
  const ModelDims dims = family->Dims();
  if (dims.hidden_size < 0 || dims.layers < 0 || dims.experts < 0) __builtin_trap();
  family->Classify("layers.1.ffn.experts.7.w1.weight");
  family->Classify("model.layers.1.mlp.experts.7.gate_proj.weight");
  if (dims.layers * (dims.experts + 1) <= kMaxListedExperts) family->RequiredTensors();
  PatchTwice(*family, config);
}

// Lists of names, patterns and groups that anybody may have written.
void ReadAsQuantConfig(const Json& config) {
  constexpr std::string_view kModule = "model.layers.1.mlp.experts.7.gate_proj";
  const auto quant_config = vernier::audit::ReadInlineQuantConfig(config);
  quant_config.Ignores(kModule);
  quant_config.CoveringGroup(kModule);
  quant_config.WeightOnly(kModule);
  if (!vernier::audit::DifferingFields(quant_config, quant_config).empty()) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const Json config =
        vernier::ParseJson({reinterpret_cast<const char*>(data), size}, "fuzz/config.json");
    if (!config.is_object()) return 0;  // which Checkpoint::Open refuses
    const auto block = vernier::checkpoint::ReadFp8BlockSize(config);
    if (block.rows <= 0 || block.columns <= 0) __builtin_trap();
    ReadAsQuantConfig(config);
    ReadAsFamily(config);
  } catch (const vernier::Error&) {
    // The documented way to refuse an input.
  }
  return 0;
}
