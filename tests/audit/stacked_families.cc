#include "tests/audit/stacked_families.h"

#include <algorithm>
#include <memory>

#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/hf_family.h"
#include "checkpoint/families/registry.h"

namespace vernier::checkpoint {

std::unique_ptr<Family> MakeQwen3MoeFamily(const Json& config);

namespace {

template <bool interleaved, bool transposed>
std::unique_ptr<Family> MakeStackedFamily(const Json& config) {
  DecoderConfig decoder = *MakeQwen3MoeFamily(config)->Decoder();
  decoder.interleaved_stacks = interleaved;
  decoder.transposed_stacks = transposed;
  return MakeHfFamily(testing::StackedModelType({interleaved, transposed}), std::move(decoder));
}

}  // namespace

std::span<const FamilyRow> Families() {
  static constexpr FamilyRow kFamilies[] = {{"stacked", MakeStackedFamily<false, false>},
                                            {"stacked_lying", MakeStackedFamily<false, true>},
                                            {"stacked_turns", MakeStackedFamily<true, false>},
                                            {"stacked_turns_lying", MakeStackedFamily<true, true>}};
  return kFamilies;
}

}  // namespace vernier::checkpoint

namespace vernier::testing {

std::string_view StackedModelType(const StackForm& form) {
  if (form.interleaved) return form.transposed ? "stacked_turns_lying" : "stacked_turns";
  return form.transposed ? "stacked_lying" : "stacked";
}

}  // namespace vernier::testing
