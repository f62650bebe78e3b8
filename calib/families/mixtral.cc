// Mixtral's forward pass.
#include "calib/families/grouped_query_attention.h"
#include "calib/families/residual_decoder.h"
#include "calib/families/routers.h"
#include "checkpoint/families/decoder_config.h"

namespace vernier::calib {

std::unique_ptr<Decoder> MakeMixtralDecoder(const TensorLoader& loader) {
  const checkpoint::DecoderConfig config =
      checkpoint::ParseMixtralConfig(loader.source().checkpoint.config());
  return MakeResidualDecoder(loader, config,
                             {.attention = GroupedQueryLayers(loader, config),
                              .router = RoutersOf<SoftmaxRouter>(loader, config)});
}

}  // namespace vernier::calib
