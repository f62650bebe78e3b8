// The table of model families.
#ifndef VERNIER_CHECKPOINT_FAMILIES_REGISTRY_H_
#define VERNIER_CHECKPOINT_FAMILIES_REGISTRY_H_

#include <memory>
#include <span>
#include <string_view>

#include "base/json.h"
#include "checkpoint/families/family.h"

namespace vernier::checkpoint {

struct FamilyRow {
  std::string_view model_type;
  std::unique_ptr<Family> (*make)(const Json& config);
  // Whether its tensors have Hugging Face's names, from which their roles can be guessed where the
  // family refuses a config.
  bool guessable = true;
};

// Sorted by model_type. In a file of its own (family_rows.cc), so that a program can have a table
// of its own: one that defines this function does not link the library's.
std::span<const FamilyRow> Families();

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_REGISTRY_H_
