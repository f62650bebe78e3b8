// Qwen3's forward pass.
#include "calib/families/grouped_query_attention.h"
#include "calib/families/residual_decoder.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

std::unique_ptr<Decoder> MakeQwen3Decoder(const TensorLoader& loader) {
  const checkpoint::DecoderConfig config =
      checkpoint::ParseQwen3Config(loader.source().checkpoint.config());
  return MakeResidualDecoder(loader, config, {.attention = GroupedQueryLayers(loader, config)});
}

}  // namespace vernier::calib
