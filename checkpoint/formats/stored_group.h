// What a group of tensors looks like to the codecs that may recognise it.
#ifndef VERNIER_CHECKPOINT_FORMATS_STORED_GROUP_H_
#define VERNIER_CHECKPOINT_FORMATS_STORED_GROUP_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/format_hints.h"
#include "checkpoint/formats/format.h"
#include "checkpoint/tensor_group.h"

namespace vernier::checkpoint {

// F32, BF16 or F16.
bool IsFloat(DType dtype);
// E8M0, also under the name U8.
bool IsE8m0(DType dtype);

class StoredGroup {
 public:
  // `group` has values. `linear`: they would be the weight of a linear layer, so that bytes without
  // scales have lost them.
  StoredGroup(const Checkpoint& checkpoint, const TensorGroup& group, const FormatHints& hints,
              bool linear)
      : group(group),
        hints(hints),
        linear(linear),
        main(checkpoint.tensor(group.Main()).info),
        checkpoint_(checkpoint),
        scale_(InfoOf(group.AnyScale())) {}

  const TensorGroup& group;
  const FormatHints& hints;
  const bool linear;
  const TensorInfo& main;

  const TensorInfo* scale() const { return scale_; }  // of blocks; null without
  bool Has(Part part) const { return group.Has(part); }
  bool HasGlobalScale() const { return group.AnyGlobalScale() != Checkpoint::kNotFound; }
  bool HasInputScale() const { return group.AnyInputScale() != Checkpoint::kNotFound; }
  bool IsMatrix() const { return main.shape.size() == 2; }
  // The shape of the scales of a matrix's blocks.
  std::vector<int64_t> Grid(const BlockSize& block) const;

  // One matrix or parameter whose tensors no foreign scheme names: what its dtypes and shapes say
  // is what it is.
  bool IsPlainlyNamed() const;
  bool IsOf(std::initializer_list<DType> dtypes) const;  // plainly named values of such a dtype
  bool IsBytes() const { return IsOf({DType::kU8, DType::kI8, DType::kF4}); }
  // Bytes without any scale that are a table rather than a matrix that lost its scales.
  bool IsByteTable() const;

  // How many integers share a 32-bit word; nothing without a shape that says so. Reads its two
  // numbers.
  std::optional<int64_t> IntegersPerWord() const;

 private:
  const TensorInfo* InfoOf(size_t tensor) const {
    return tensor == Checkpoint::kNotFound ? nullptr : &checkpoint_.tensor(tensor).info;
  }

  const Checkpoint& checkpoint_;
  const TensorInfo* scale_;
};

// The format of a group that has values, by the dtypes and shapes of its tensors and, where these
// leave a choice, by the hints. This is the one place that decides it: for the reader
// (weight_parts.h), which then holds the tensors against the format, and for the audit, whose rules
// do. Never fails. Reads no tensor but the two numbers of a weight_shape.
Format ClassifyGroup(const Checkpoint& checkpoint, const TensorGroup& group,
                     const FormatHints& hints, bool linear);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMATS_STORED_GROUP_H_
