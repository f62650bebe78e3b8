#include "audit/modules.h"

#include <utility>

#include "base/error.h"
#include "checkpoint/format_hints.h"
#include "checkpoint/formats/stored_group.h"
#include "checkpoint/tensor_group.h"

namespace vernier::audit {
namespace {

using checkpoint::Part;
using checkpoint::TensorGroup;

constexpr std::string_view kExperts = ".experts.";

// What cannot be read of a configuration is for the rules to say.
checkpoint::FormatHints ReadHints(const checkpoint::Checkpoint& checkpoint) {
  try {
    return checkpoint::ReadFormatHints(checkpoint);
  } catch (const Error&) {
    return {};
  }
}

Module FromGroup(const TensorGroup& group) {
  const bool has_input_scale = group.Has(Part::kInputScale) || group.Has(Part::kInputDivisor);
  Module module;
  module.name = group.module;
  module.weight = group.Main();
  module.scale = group[Part::kScale];
  module.scale_inv = group[Part::kScaleInverse];
  module.block_scale = group[Part::kWeightScale];
  module.global_scale = group.AnyGlobalScale();
  if (has_input_scale) module.input_scale = group.AnyInputScale();
  module.activation_scale = group[Part::kActivationScale];
  module.packed_shape = group[Part::kPackedShape];
  module.zero_point = group[Part::kZeroPoint];
  module.tensors = group.Tensors();
  return module;
}

void Classify(const checkpoint::Checkpoint& checkpoint, const checkpoint::Family& family,
              const checkpoint::FormatHints& hints, const TensorGroup& group, Module* module) {
  const bool is_bare = group.bare && module->weight != kAbsent;
  module->meaning = family.Classify(is_bare ? module->name : module->name + ".weight");
  if (module->weight == kAbsent) return;
  module->format = ClassifyGroup(checkpoint, group, hints, module->meaning.linear);
  const bool is_matrix = checkpoint.tensor(module->weight).info.shape.size() == 2;
  module->meaning.linear = module->meaning.linear && is_matrix;
}

}  // namespace

bool IsJudged(StoredFormat format) {
  return !IsQuantised(format) || checkpoint::IsReadable(format);
}

const Module* ModuleIndex::Find(std::string_view name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : &modules[found->second];
}

ModuleIndex IndexModules(const checkpoint::Checkpoint& checkpoint,
                         const checkpoint::Family& family) {
  const checkpoint::FormatHints hints = ReadHints(checkpoint);
  checkpoint::TensorGroups groups = checkpoint::GroupTensors(checkpoint);
  ModuleIndex index;
  index.fp8_block = hints.fp8_block;
  for (const TensorGroup& group : groups.groups) {
    index.modules.push_back(FromGroup(group));
    Classify(checkpoint, family, hints, group, &index.modules.back());
  }
  index.by_name = std::move(groups.by_module);
  index.module_of_tensor = std::move(groups.group_of_tensor);
  return index;
}

bool StacksExperts(const checkpoint::Checkpoint& checkpoint, const Module& module) {
  return module.weight != kAbsent && module.meaning.role == checkpoint::Role::kRoutedExpert &&
         module.meaning.expert < 0 && checkpoint.tensor(module.weight).info.shape.size() >= 3;
}

std::string_view ExpertContainer(std::string_view module) {
  const size_t position = module.find(kExperts);
  if (position == std::string_view::npos) return {};
  return module.substr(0, position + kExperts.size() - 1);
}

}  // namespace vernier::audit
