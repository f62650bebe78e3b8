// DeepSeek-V3.2: V3 with an indexer in every layer's attention.
#include <utility>

#include "checkpoint/families/deepseek_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {
namespace {

DecoderConfig ParseDeepseekV32Config(const Json& json) {
  const ConfigReader reader(json);
  reader.RequireValue("indexer_rope_interleave", false);
  reader.RequireValue("index_topk_freq", 1);
  reader.RequireValue("index_topk_pattern", nullptr);
  DecoderConfig config = ReadSparseDeepseek(reader);
  const IndexerConfig indexer = ReadIndexer(reader, config);
  for (DecoderBlock& block : config.blocks) block.attention.latent.indexer = indexer;
  return config;
}

}  // namespace

std::unique_ptr<Family> MakeDeepseekV32Family(const Json& config) {
  return MakeHfFamily("deepseek_v32", ParseDeepseekV32Config(config));
}

}  // namespace vernier::checkpoint
