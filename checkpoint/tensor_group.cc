#include "checkpoint/tensor_group.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "checkpoint/stacks.h"

namespace vernier::checkpoint {
namespace {

constexpr size_t kNotFound = Checkpoint::kNotFound;

struct PartName {
  std::string_view suffix;
  Part part;
};

constexpr auto kDottedNames = std::to_array<PartName>({
    {kWeightSuffix, Part::kWeight},
    {kPackedSuffix, Part::kPackedWeight},
    {".qweight", Part::kCodes},
    {".weight_scale_inv", Part::kScaleInverse},
    {".weight_scale", Part::kWeightScale},
    {".scale", Part::kScale},
    {".weight_scale_2", Part::kGlobalScale},
    {".weight_global_scale", Part::kGlobalDivisor},
    {".input_scale", Part::kInputScale},
    {".input_global_scale", Part::kInputDivisor},
    {".activation_scale", Part::kActivationScale},
    {".weight_shape", Part::kPackedShape},
    {".weight_zero_point", Part::kZeroPoint},
    {".weight_g_idx", Part::kColumnOrder},
    {".pre_quant_scale", Part::kPreQuantScale},
});

constexpr std::string_view kBlocks = kPackedStackSuffix;  // with kScales
constexpr std::string_view kScales = "_scales";

// Parts of formats with names of their own: they belong to X.<values>, where that is there.
struct ForeignName {
  std::string_view suffix;
  std::string_view values;
};
constexpr auto kForeignNames = std::to_array<ForeignName>({
    // GPTQ and AWQ
    {".qzeros", ".qweight"},
    {".scales", ".qweight"},
    {".g_idx", ".qweight"},
    // bitsandbytes, in 4 and in 8 bits
    {".weight.absmax", kWeightSuffix},
    {".weight.quant_map", kWeightSuffix},
    {".weight.nested_absmax", kWeightSuffix},
    {".weight.nested_quant_map", kWeightSuffix},
    {".weight.quant_state.bitsandbytes__nf4", kWeightSuffix},
    {".weight.quant_state.bitsandbytes__fp4", kWeightSuffix},
    {".SCB", kWeightSuffix},
    {".weight_format", kWeightSuffix},
});

Part PartCalled(std::string_view suffix) {
  return std::ranges::find(kDottedNames, suffix, &PartName::suffix)->part;
}

// Where a tensor belongs; no part: among `others`.
struct Place {
  std::string_view module;  // of a tensor's name
  std::optional<Part> part;
  bool bare = false;
};

std::string_view WithoutSuffix(std::string_view name, std::string_view suffix) {
  return name.substr(0, name.size() - suffix.size());
}

class Grouper {
 public:
  explicit Grouper(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  TensorGroups Group() {
    const size_t tensors = checkpoint_.tensors().size();
    groups_.group_of_tensor.reserve(tensors);
    for (size_t tensor = 0; tensor < tensors; ++tensor) {
      // Its parts stand for it.
      if (checkpoint_.tensor(tensor).is_split) {
        groups_.group_of_tensor.push_back(kNotFound);
      } else {
        Add(tensor);
      }
    }
    return std::move(groups_);
  }

 private:
  const TensorInfo& Info(size_t tensor) const { return checkpoint_.tensor(tensor).info; }

  bool Exists(std::string_view module, std::string_view suffix) const {
    return checkpoint_.Find(std::string(module).append(suffix)) != kNotFound;
  }

  bool HasWeight(std::string_view module) const {
    return Exists(module, kWeightSuffix) || Exists(module, kPackedSuffix);
  }

  // A parameter called "scale", of a norm for example, has no more than one dimension and the
  // numbers of one; block scales have two, or exponents.
  bool IsParameter(const PartName& name, std::string_view module, size_t tensor) const {
    if (name.part != Part::kScale || HasWeight(module)) return false;
    const DType dtype = Info(tensor).dtype;
    const bool is_float = dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
    return is_float && Info(tensor).shape.size() <= 1;
  }

  Place FindPlace(size_t tensor) const {
    const std::string_view name = Info(tensor).name;
    for (const ForeignName& foreign : kForeignNames) {
      if (!name.ends_with(foreign.suffix)) continue;
      const std::string_view module = WithoutSuffix(name, foreign.suffix);
      if (Exists(module, foreign.values)) return {module, std::nullopt};
    }
    for (const PartName& dotted : kDottedNames) {
      if (!name.ends_with(dotted.suffix) || name.size() == dotted.suffix.size()) continue;
      const std::string_view module = WithoutSuffix(name, dotted.suffix);
      if (IsParameter(dotted, module, tensor)) break;
      return {module, dotted.part};
    }
    return FindStackedPlace(name);
  }

  Place FindStackedPlace(std::string_view name) const {
    if (name.ends_with(kBlocks) && Exists(WithoutSuffix(name, kBlocks), kScales)) {
      return {WithoutSuffix(name, kBlocks), Part::kCodes, true};
    }
    if (name.ends_with(kScales) && Exists(WithoutSuffix(name, kScales), kBlocks)) {
      return {WithoutSuffix(name, kScales), Part::kScale, true};
    }
    for (const StackSuffix& stacked : kStackedScales) {
      if (!name.ends_with(stacked.stored)) continue;
      const std::string_view module = WithoutSuffix(name, stacked.stored);
      const size_t values = checkpoint_.Find(module);
      if (values == kNotFound || Info(values).shape.size() != 3) continue;
      return {module, PartCalled(stacked.part), true};
    }
    return {name, Part::kWeight, true};
  }

  // Of a module that has no group yet, `next`.
  size_t NumberOf(std::string_view module, size_t next) {
    const auto found = groups_.by_module.find(module);
    if (found != groups_.by_module.end()) return found->second;
    return groups_.by_module.emplace(module, next).first->second;
  }

  // The group of a module; "X.weight" has the first right to the name of a parameter called X.
  size_t GroupOf(const Place& place) {
    const size_t next = groups_.groups.size();
    const bool is_second = place.bare && place.part == Part::kWeight && HasWeight(place.module);
    const size_t group = is_second ? next : NumberOf(place.module, next);
    if (group == next) {
      groups_.groups.emplace_back();
      groups_.groups.back().module = place.module;
    }
    return group;
  }

  void Add(size_t tensor) {
    const Place place = FindPlace(tensor);
    groups_.group_of_tensor.push_back(GroupOf(place));
    TensorGroup& group = groups_.groups[groups_.group_of_tensor.back()];
    if (!place.part || group.Has(*place.part)) {
      group.others.push_back(tensor);
      return;
    }
    const bool is_value = *place.part == Part::kWeight || *place.part == Part::kCodes;
    group.bare |= place.bare && is_value;
    group.stacked |= place.bare && *place.part != Part::kWeight;
    group.parts[static_cast<size_t>(*place.part)] = tensor;
  }

  const Checkpoint& checkpoint_;
  TensorGroups groups_;
};

}  // namespace

size_t TensorGroup::Main() const {
  for (const Part part : {Part::kCodes, Part::kPackedWeight, Part::kWeight}) {
    if (Has(part)) return (*this)[part];
  }
  return kNotFound;
}

size_t TensorGroup::AnyScale() const {
  for (const Part part : {Part::kWeightScale, Part::kScale, Part::kScaleInverse}) {
    if (Has(part)) return (*this)[part];
  }
  return kNotFound;
}

size_t TensorGroup::AnyGlobalScale() const {
  return Has(Part::kGlobalScale) ? (*this)[Part::kGlobalScale] : (*this)[Part::kGlobalDivisor];
}

size_t TensorGroup::AnyInputScale() const {
  for (const Part part : {Part::kInputScale, Part::kInputDivisor, Part::kActivationScale}) {
    if (Has(part)) return (*this)[part];
  }
  return kNotFound;
}

std::vector<size_t> TensorGroup::Tensors() const {
  std::vector<size_t> tensors;
  const size_t main = Main();
  if (main != kNotFound) tensors.push_back(main);
  for (const size_t part : parts) {
    if (part != kNotFound && part != main) tensors.push_back(part);
  }
  tensors.insert(tensors.end(), others.begin(), others.end());
  return tensors;
}

const TensorGroup* TensorGroups::Find(std::string_view module) const {
  const auto found = by_module.find(module);
  return found == by_module.end() ? nullptr : &groups[found->second];
}

TensorGroups GroupTensors(const Checkpoint& checkpoint) { return Grouper(checkpoint).Group(); }

}  // namespace vernier::checkpoint
