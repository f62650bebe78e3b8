// DeepSeek-V3's forward pass.
#include "calib/families/latent_attention.h"
#include "calib/families/residual_decoder.h"
#include "calib/families/routers.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

std::unique_ptr<Decoder> MakeDeepseekV3Decoder(const TensorLoader& loader) {
  const checkpoint::DecoderConfig config =
      checkpoint::ParseDeepseekV3Config(loader.source().checkpoint.config());
  return MakeResidualDecoder(loader, config,
                             {.attention = LatentLayers(loader, config),
                              .router = RoutersOf<GroupLimitedRouter>(loader, config)});
}

}  // namespace vernier::calib
