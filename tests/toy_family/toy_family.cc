// A made-up decoder of unlike layers: every second one has a window, fewer keys and values, and
// routed experts; the others have a dense MLP. Experts may be stored one by one or stacked.
#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

// Of every second layer.
DecoderBlock ReadSecondBlock(const ConfigReader& reader, const DecoderConfig& config) {
  DecoderBlock block = config.blocks.front();
  block.attention.window = reader.Integer("toy_window");
  block.attention.grouped_query.key_value_heads = 1;
  block.ffn.kind = FfnKind::kRouted;
  block.ffn.experts = ReadExperts(reader,
                                  {.count = "num_experts",
                                   .per_token = "num_experts_per_tok",
                                   .width = "moe_intermediate_size"},
                                  config);
  return block;
}

DecoderConfig ParseToyConfig(const Json& json) {
  const ConfigReader reader(json);
  reader.RequireValue("toy_gate", "softmax");  // a variant that nobody computes is refused
  DecoderConfig config = ReadDecoderSizes(reader);
  ReadGroupedQueryHeads(reader, /*default_head_dim=*/{}, &config);
  config.rope = ParseRopeConfig(reader);
  config.names.attention = "attention";
  config.names.ffn = "feed_forward";
  config.names.router = "router";
  config.interleaved_stacks = config.transposed_stacks = true;
  const DecoderBlock second = ReadSecondBlock(reader, config);
  for (size_t layer = 1; layer < config.blocks.size(); layer += 2) config.blocks[layer] = second;
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeToyFamily(const Json& config) {
  return MakeHfFamily("toy", ParseToyConfig(config));
}

}  // namespace vernier::checkpoint
