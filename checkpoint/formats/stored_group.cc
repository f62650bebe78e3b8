#include "checkpoint/formats/stored_group.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/rounding.h"
#include "checkpoint/formats/codec.h"

namespace vernier::checkpoint {

bool IsE8m0(DType dtype) { return dtype == DType::kU8 || dtype == DType::kF8E8M0; }

bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
}

std::vector<int64_t> StoredGroup::Grid(const BlockSize& block) const {
  return {CeilDivide(main.shape[0], block.rows), CeilDivide(main.shape[1], block.columns)};
}

bool StoredGroup::IsPlainlyNamed() const {
  const bool foreign = !group.others.empty() && !IsFloat(main.dtype);
  return !Has(Part::kCodes) && !group.stacked && !foreign;
}

bool StoredGroup::IsOf(std::initializer_list<DType> dtypes) const {
  return IsPlainlyNamed() && std::ranges::find(dtypes, main.dtype) != dtypes.end();
}

bool StoredGroup::IsByteTable() const {
  if (scale_ != nullptr || HasGlobalScale()) return false;
  return group.bare || (!Has(Part::kPackedWeight) && !linear && !HasInputScale());
}

std::optional<int64_t> StoredGroup::IntegersPerWord() const {
  const TensorInfo* shape = InfoOf(group[Part::kPackedShape]);
  const bool readable = shape != nullptr && shape->dtype == DType::kI64 &&
                        shape->shape == std::vector<int64_t>{2} && IsMatrix();
  if (!readable) return std::nullopt;
  std::array<int64_t, 2> values = {};
  checkpoint_.Read(group[Part::kPackedShape], 0, std::as_writable_bytes(std::span(values)));
  const int64_t words = main.shape[1];
  if (words <= 0 || values[1] <= 0) return std::nullopt;
  return CeilDivide(values[1], words);
}

Format ClassifyGroup(const Checkpoint& checkpoint, const TensorGroup& group,
                     const FormatHints& hints, bool linear) {
  const StoredGroup stored(checkpoint, group, hints, linear);
  const std::span<const Codec* const> codecs = Codecs();
  const auto found = std::ranges::find_if(codecs, [&](const Codec* codec) {
    return codec->recognises != nullptr && codec->recognises(stored);
  });
  if (found == codecs.end()) return formats::kOpaque;
  // Values that engines multiply with scaled inputs, or find in another order, are not what their
  // format alone says.
  const bool changed = group.Has(Part::kPreQuantScale) || group.Has(Part::kColumnOrder) ||
                       (group.Has(Part::kZeroPoint) && !(*found)->zero_points);
  return (*found)->readable() && changed ? Format(formats::kOtherQuantised) : Format(**found);
}

}  // namespace vernier::checkpoint
