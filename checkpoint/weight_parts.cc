#include "checkpoint/weight_parts.h"

#include "base/error.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/formats/part_resolver.h"
#include "checkpoint/formats/stored_group.h"

namespace vernier::checkpoint {
namespace {

void RefuseTwins(const PartResolver& resolver) {
  const TensorGroup& group = resolver.group;
  const auto fail = [&](const std::string& problem) {
    resolver.checks.Fail(ErrorCode::kAmbiguousScale, resolver.weight.main, problem);
  };
  if (resolver.packed() && group.Has(Part::kWeight)) {
    fail("stands beside " + resolver.Info(group[Part::kWeight]).name +
         ", which is the same weight");
  }
  size_t found = Checkpoint::kNotFound;
  for (const Part part : {Part::kScale, Part::kScaleInverse, Part::kWeightScale}) {
    if (!group.Has(part)) continue;
    if (found != Checkpoint::kNotFound) {
      fail("has both " + resolver.Info(found).name + " and " + resolver.Info(group[part]).name);
    }
    found = group[part];
  }
}

}  // namespace

void ResolveParts(const Checkpoint& checkpoint, const FormatHints& hints, const TensorGroup& group,
                  LogicalWeight* weight) {
  PartResolver resolver(checkpoint, hints, group, *weight);
  RefuseTwins(resolver);
  weight->format = ClassifyGroup(checkpoint, group, hints, weight->linear);
  if (weight->format->resolve != nullptr) return weight->format->resolve(resolver);
  if (weight->format->quantised) {  // a scheme that is not read: every tensor stays with the weight
    weight->others = group.Tensors();
    std::erase(weight->others, weight->main);
  } else if (resolver.packed()) {
    resolver.checks.RequireDtype(weight->main, {DType::kU8, DType::kI32});
  }
}

}  // namespace vernier::checkpoint
