#include <array>

#include "checkpoint/families/registry.h"

namespace vernier::checkpoint {

// One per family, in its file. They read and check a config: kBadConfig names a missing or
// impossible field, or a variant that the forward pass does not compute.
std::unique_ptr<Family> MakeDeepseekV3Family(const Json& config);
std::unique_ptr<Family> MakeDeepseekV4Family(const Json& config);
std::unique_ptr<Family> MakeGemma3Family(const Json& config);
std::unique_ptr<Family> MakeGemma3TextFamily(const Json& config);
std::unique_ptr<Family> MakeGlm4Family(const Json& config);
std::unique_ptr<Family> MakeGptOssFamily(const Json& config);
std::unique_ptr<Family> MakeGraniteFamily(const Json& config);
std::unique_ptr<Family> MakeLlamaFamily(const Json& config);
std::unique_ptr<Family> MakeMinistral3Family(const Json& config);
std::unique_ptr<Family> MakeMistral3Family(const Json& config);
std::unique_ptr<Family> MakeMistralFamily(const Json& config);
std::unique_ptr<Family> MakeMixtralFamily(const Json& config);
std::unique_ptr<Family> MakeOlmo2Family(const Json& config);
std::unique_ptr<Family> MakePhi3Family(const Json& config);
std::unique_ptr<Family> MakeQwen2Family(const Json& config);
std::unique_ptr<Family> MakeQwen3Family(const Json& config);
std::unique_ptr<Family> MakeQwen3MoeFamily(const Json& config);

std::span<const FamilyRow> Families() {
  static constexpr auto kFamilies = std::to_array<FamilyRow>({
      {"deepseek_v3", MakeDeepseekV3Family},
      {"deepseek_v4", MakeDeepseekV4Family, /*guessable=*/false},
      {"gemma3", MakeGemma3Family},
      {"gemma3_text", MakeGemma3TextFamily},
      {"glm4", MakeGlm4Family},
      {"gpt_oss", MakeGptOssFamily},
      {"granite", MakeGraniteFamily},
      {"llama", MakeLlamaFamily},
      {"ministral3", MakeMinistral3Family},
      {"mistral", MakeMistralFamily},
      {"mistral3", MakeMistral3Family},
      {"mixtral", MakeMixtralFamily},
      {"olmo2", MakeOlmo2Family},
      {"phi3", MakePhi3Family},
      {"qwen2", MakeQwen2Family},
      {"qwen3", MakeQwen3Family},
      {"qwen3_moe", MakeQwen3MoeFamily},
  });
  return kFamilies;
}

}  // namespace vernier::checkpoint
