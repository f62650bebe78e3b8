// The table of model families.
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/families/config_reader.h"
#include "checkpoint/families/family.h"

namespace vernier::checkpoint {
namespace {

struct FamilyRow {
  std::string_view model_type;
  std::unique_ptr<Family> (*make)(const Json& config);
  // Whether its tensors have Hugging Face's names, from which their roles can be guessed.
  bool guessable = true;
};

// Sorted by model_type.
constexpr auto kFamilies = std::to_array<FamilyRow>({
    {"deepseek_v3", MakeDeepseekV3Family},
    {"deepseek_v4", MakeDeepseekV4Family, /*guessable=*/false},
    {"llama", MakeLlamaFamily},
    {"mistral", MakeMistralFamily},
    {"mixtral", MakeMixtralFamily},
    {"qwen2", MakeQwen2Family},
    {"qwen3", MakeQwen3Family},
    {"qwen3_moe", MakeQwen3MoeFamily},
});

const FamilyRow* FindRow(const Json& model_type) {
  for (const FamilyRow& row : kFamilies) {
    if (model_type == row.model_type) return &row;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> KnownModelTypes() {
  std::vector<std::string> types;
  for (const FamilyRow& row : kFamilies) types.emplace_back(row.model_type);
  return types;
}

std::unique_ptr<Family> MakeFamily(const Json& config) {
  const Json model_type = ConfigReader(config).Require("model_type");
  if (const FamilyRow* row = FindRow(model_type)) return row->make(config);
  throw Error(ErrorCode::kUnknownModelType, "config.json",
              "the model_type " + model_type.dump() + " is not known",
              "Use a model of one of the known types: " + JoinNames(KnownModelTypes()));
}

std::unique_ptr<Family> MakeAnyFamily(const Json& config) {
  const auto model_type = config.find("model_type");
  const FamilyRow* row = model_type == config.end() ? nullptr : FindRow(*model_type);
  if (row == nullptr) return MakeGenericFamily(config);
  try {
    return row->make(config);
  } catch (const Error& error) {
    if (!row->guessable || error.code() != ErrorCode::kBadConfig) throw;
    return MakeGenericFamily(config, error.what());
  }
}

}  // namespace vernier::checkpoint
