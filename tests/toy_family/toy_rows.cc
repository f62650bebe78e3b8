// The table of families of these tests, instead of checkpoint/families/family_rows.cc.
#include "checkpoint/families/registry.h"

namespace vernier::checkpoint {

std::unique_ptr<Family> MakeToyFamily(const Json& config);

std::span<const FamilyRow> Families() {
  static constexpr FamilyRow kFamilies[] = {{"toy", MakeToyFamily}};
  return kFamilies;
}

}  // namespace vernier::checkpoint
