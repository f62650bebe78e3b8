#include <array>

#include "checkpoint/families/registry.h"

namespace vernier::checkpoint {

// One per family, in its file. They read and check a config: kBadConfig names a missing or
// impossible field, or a variant that the forward pass does not compute.
std::unique_ptr<Family> MakeDeepseekV3Family(const Json& config);
std::unique_ptr<Family> MakeDeepseekV32Family(const Json& config);
std::unique_ptr<Family> MakeDeepseekV4Family(const Json& config);
std::unique_ptr<Family> MakeGemma3Family(const Json& config);
std::unique_ptr<Family> MakeGemma3TextFamily(const Json& config);
std::unique_ptr<Family> MakeGlm4Family(const Json& config);
std::unique_ptr<Family> MakeGlm4MoeFamily(const Json& config);
std::unique_ptr<Family> MakeGlmMoeDsaFamily(const Json& config);
std::unique_ptr<Family> MakeGptOssFamily(const Json& config);
std::unique_ptr<Family> MakeGraniteFamily(const Json& config);
std::unique_ptr<Family> MakeKimiK2Family(const Json& config);
std::unique_ptr<Family> MakeKimiK25Family(const Json& config);
std::unique_ptr<Family> MakeLlamaFamily(const Json& config);
std::unique_ptr<Family> MakeMinimaxM2Family(const Json& config);
std::unique_ptr<Family> MakeMinistral3Family(const Json& config);
std::unique_ptr<Family> MakeMistral3Family(const Json& config);
std::unique_ptr<Family> MakeMistralFamily(const Json& config);
std::unique_ptr<Family> MakeMixtralFamily(const Json& config);
std::unique_ptr<Family> MakeOlmo2Family(const Json& config);
std::unique_ptr<Family> MakePhi3Family(const Json& config);
std::unique_ptr<Family> MakeQwen2Family(const Json& config);
std::unique_ptr<Family> MakeQwen3Family(const Json& config);
std::unique_ptr<Family> MakeQwen35Family(const Json& config);
std::unique_ptr<Family> MakeQwen35MoeFamily(const Json& config);
std::unique_ptr<Family> MakeQwen3MoeFamily(const Json& config);
std::unique_ptr<Family> MakeQwen3NextFamily(const Json& config);

std::span<const FamilyRow> Families() {
  static constexpr auto kFamilies = std::to_array<FamilyRow>({
      {"deepseek_v3", MakeDeepseekV3Family},
      {"deepseek_v32", MakeDeepseekV32Family},
      {"deepseek_v4", MakeDeepseekV4Family, /*guessable=*/false},
      {"gemma3", MakeGemma3Family},
      {"gemma3_text", MakeGemma3TextFamily},
      {"glm4", MakeGlm4Family},
      {"glm4_moe", MakeGlm4MoeFamily},
      {"glm_moe_dsa", MakeGlmMoeDsaFamily},
      {"gpt_oss", MakeGptOssFamily},
      {"granite", MakeGraniteFamily},
      {"kimi_k2", MakeKimiK2Family},
      {"kimi_k25", MakeKimiK25Family},
      {"llama", MakeLlamaFamily},
      {"minimax_m2", MakeMinimaxM2Family},
      {"ministral3", MakeMinistral3Family},
      {"mistral", MakeMistralFamily},
      {"mistral3", MakeMistral3Family},
      {"mixtral", MakeMixtralFamily},
      {"olmo2", MakeOlmo2Family},
      {"phi3", MakePhi3Family},
      {"qwen2", MakeQwen2Family},
      {"qwen3", MakeQwen3Family},
      {"qwen3_5", MakeQwen35Family},
      {"qwen3_5_moe", MakeQwen35MoeFamily},
      {"qwen3_5_moe_text", MakeQwen35MoeFamily},
      {"qwen3_5_text", MakeQwen35Family},
      {"qwen3_moe", MakeQwen3MoeFamily},
      {"qwen3_next", MakeQwen3NextFamily},
  });
  return kFamilies;
}

}  // namespace vernier::checkpoint
