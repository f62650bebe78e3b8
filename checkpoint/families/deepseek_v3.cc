// DeepSeek-V3, R1 and V3.1: latent attention, dense first layers, then shared and routed experts.
#include <utility>

#include "checkpoint/families/deepseek_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {

std::unique_ptr<Family> MakeDeepseekV3Family(const Json& config) {
  DecoderConfig decoder = ReadDeepseekV3(ConfigReader(config));
  decoder.gguf = {.name = "deepseek2"};
  return MakeHfFamily("deepseek_v3", std::move(decoder));
}

}  // namespace vernier::checkpoint
