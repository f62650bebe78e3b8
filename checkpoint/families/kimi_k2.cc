// Kimi K2, DeepSeek-V3's architecture in other sizes, and K2.5, which has it beside a vision tower.
#include <utility>

#include "checkpoint/families/decoder_fields.h"
#include "checkpoint/families/deepseek_fields.h"
#include "checkpoint/families/hf_family.h"

namespace vernier::checkpoint {

std::unique_ptr<Family> MakeKimiK2Family(const Json& config) {
  return MakeHfFamily("kimi_k2", ReadDeepseekV3(ConfigReader(config)));
}

std::unique_ptr<Family> MakeKimiK25Family(const Json& config) {
  DecoderConfig decoder = ReadDeepseekV3(TextReader(config));
  ReadNesting(config, {.model = "language_model.model", .head = "language_model.lm_head"},
              &decoder);
  return MakeHfFamily("kimi_k25", std::move(decoder));
}

}  // namespace vernier::checkpoint
