// Holds the tensors of a weight against the format that they are in: what codecs do it with.
#ifndef VERNIER_CHECKPOINT_FORMATS_PART_RESOLVER_H_
#define VERNIER_CHECKPOINT_FORMATS_PART_RESOLVER_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/format_hints.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/tensor_checks.h"
#include "checkpoint/tensor_group.h"

namespace vernier::checkpoint {

// Every failure names the tensor: kWrongDtype, kWrongShape, kMissingScale, kMissingTensor.
class PartResolver {
 public:
  // `weight` is completed; its name, module, shape, main and format are set.
  PartResolver(const Checkpoint& checkpoint, const FormatHints& hints, const TensorGroup& group,
               LogicalWeight& weight)
      : hints(hints), group(group), weight(weight), checks(checkpoint), checkpoint_(checkpoint) {}

  const FormatHints& hints;
  const TensorGroup& group;
  LogicalWeight& weight;
  const TensorChecks checks;

  const TensorInfo& Info(size_t tensor) const { return checks.Info(tensor); }
  bool packed() const { return group.Has(Part::kPackedWeight); }

  // "X.weight is U8 but has no X<expected>".
  [[noreturn]] void FailMissing(ErrorCode code, std::string_view expected) const;
  // The tensor of block scales, which is called one of `names`.
  size_t RequireScale(std::string_view names) const;
  // The shape of the scales of the weight's blocks.
  std::vector<int64_t> Grid(const BlockSize& block) const;

  void SetBlocks(size_t scale, const BlockSize& block);
  // Blocks of `columns`, which divide a row.
  void SetWholeBlocks(size_t scale, int64_t columns);
  // One scale for equal groups of columns, each of whole units.
  void SetGroups(size_t scale, int64_t unit);
  void SetInputScale(std::initializer_list<DType> dtypes);

  // Two values a code: along a row, or down the rows.
  void DoubleColumns();
  void DoubleRows();

  // Eight 4-bit integers a word. The values' shape is a tensor of its own, because the packed one
  // would leave its last word open.
  void SetShapeOfWords();

 private:
  void Double(size_t dimension, std::string_view what);

  const Checkpoint& checkpoint_;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMATS_PART_RESOLVER_H_
