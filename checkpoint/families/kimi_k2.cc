// Kimi K2: DeepSeek-V3's architecture in other sizes.
#include <utility>

#include "checkpoint/families/deepseek_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {

std::unique_ptr<Family> MakeKimiK2Family(const Json& config) {
  DecoderConfig decoder = ReadDeepseekV3(ConfigReader(config));
  decoder.gguf = {.name = "deepseek2"};
  return MakeHfFamily("kimi_k2", std::move(decoder));
}

}  // namespace vernier::checkpoint
