#include "checkpoint/families/registry.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "checkpoint/families/config_reader.h"

namespace vernier::checkpoint {
namespace {

const FamilyRow* FindRow(const Json& model_type) {
  for (const FamilyRow& row : Families()) {
    if (model_type == row.model_type) return &row;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> KnownModelTypes() {
  std::vector<std::string> types;
  for (const FamilyRow& row : Families()) types.emplace_back(row.model_type);
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
