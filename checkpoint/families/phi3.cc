// Phi-3, Phi-3.5, Phi-4 and Phi-4-mini: Llama's layers with q, k and v, and gate and up, in one
// matrix each.
#include <string>
#include <vector>

#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

constexpr double kPhi3Eps = 1e-5;
constexpr RopeDefaults kPhi3Rope = {.partial_factor = 1, .knows_long = true};

void CheckFactors(const ConfigReader& reader, const std::vector<double>& factors, size_t pairs,
                  const char* key) {
  if (factors.size() == pairs) return;
  reader.Fail(key, "holds " + std::to_string(factors.size()) + " factors for " +
                       std::to_string(pairs) + " pairs of channels");
}

DecoderConfig ParsePhi3Config(const Json& json) {
  const ConfigReader reader(json);
  DecoderConfig config = ReadDecoderSizes(reader);
  config.norm_eps = reader.NumberOr("rms_norm_eps", kPhi3Eps);
  reader.RequireValue("attention_bias", false);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  ReadPartialRope(reader, kPhi3Rope, &config);
  const auto pairs = static_cast<size_t>(
      config.rope.RotaryDim(config.block(0).attention.grouped_query.head_dim) / 2);
  if (config.rope.type == RopeType::kLong) {
    CheckFactors(reader, config.rope.short_factors, pairs, "short_factor");
    CheckFactors(reader, config.rope.long_factors, pairs, "long_factor");
  } else if (config.rope.type != RopeType::kDefault) {
    reader.Fail("rope_scaling", "is neither default nor longrope, which this family knows");
  }
  ReadWindow(reader, /*fallback=*/0, &config);
  for (DecoderBlock& block : config.blocks) {
    block.attention.grouped_query.fused = true;
    block.ffn.fused = true;
  }
  return config;
}

}  // namespace

std::unique_ptr<Family> MakePhi3Family(const Json& config) {
  return MakeHfFamily("phi3", ParsePhi3Config(config));
}

}  // namespace vernier::checkpoint
