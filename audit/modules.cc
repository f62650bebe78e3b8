#include "audit/modules.h"

#include <array>

namespace vernier::audit {
namespace {

using checkpoint::DType;

struct PartSuffix {
  std::string_view suffix;
  size_t Module::*part;
};

constexpr std::array<PartSuffix, 6> kSuffixes = {{{".weight", &Module::weight},
                                                  {".scale", &Module::scale},
                                                  {".weight_scale_inv", &Module::scale_inv},
                                                  {".weight_scale", &Module::block_scale},
                                                  {".weight_scale_2", &Module::global_scale},
                                                  {".input_scale", &Module::input_scale}}};

constexpr std::string_view kExperts = ".experts.";

struct NamedPart {
  std::string module;
  size_t Module::*part;
};

// A tensor without a known suffix is a module of its own.
NamedPart SplitName(const std::string& tensor) {
  for (const PartSuffix& candidate : kSuffixes) {
    if (tensor.ends_with(candidate.suffix)) {
      return {tensor.substr(0, tensor.size() - candidate.suffix.size()), candidate.part};
    }
  }
  return {tensor, &Module::weight};
}

bool HasNvfp4Scale(const Module& module) {
  return module.block_scale != kAbsent || module.global_scale != kAbsent ||
         module.input_scale != kAbsent;
}

StoredFormat PackedFormat(const Module& module, DType dtype) {
  if (HasNvfp4Scale(module)) return StoredFormat::kNvfp4;
  if (module.NativeScale() != kAbsent) return StoredFormat::kMxfp4;
  return dtype == DType::kU8 ? StoredFormat::kNvfp4 : StoredFormat::kMxfp4;
}

StoredFormat FormatOf(const Module& module, const checkpoint::TensorInfo& weight) {
  const bool is_matrix = weight.name != module.name;
  switch (weight.dtype) {
    case DType::kBF16:
    case DType::kF16:
    case DType::kF32:
      return StoredFormat::kPlain;
    case DType::kF8E4M3:
      return StoredFormat::kFp8Block;
    case DType::kU8:
    case DType::kI8:
    case DType::kF4:
      return is_matrix ? PackedFormat(module, weight.dtype) : StoredFormat::kInteger;
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
    case DType::kU16:
    case DType::kU32:
    case DType::kU64:
    case DType::kBool:
      return StoredFormat::kInteger;
    default:
      return StoredFormat::kOpaque;
  }
}

void Classify(const checkpoint::Checkpoint& checkpoint, const checkpoint::Family& family,
              Module* module) {
  if (module->weight == kAbsent) {
    module->meaning = family.Classify(module->name + ".weight");
    return;
  }
  const checkpoint::TensorInfo& weight = checkpoint.tensor(module->weight).info;
  module->meaning = family.Classify(weight.name);
  module->format = FormatOf(*module, weight);
}

}  // namespace

std::vector<size_t> Module::Tensors() const {
  std::vector<size_t> tensors;
  for (const PartSuffix& candidate : kSuffixes) {
    if (this->*candidate.part != kAbsent) tensors.push_back(this->*candidate.part);
  }
  return tensors;
}

const Module* ModuleIndex::Find(std::string_view name) const {
  const auto found = by_name.find(std::string(name));
  return found == by_name.end() ? nullptr : &modules[found->second];
}

ModuleIndex IndexModules(const checkpoint::Checkpoint& checkpoint,
                         const checkpoint::Family& family) {
  ModuleIndex index;
  index.module_of_tensor.reserve(checkpoint.tensors().size());
  for (size_t tensor = 0; tensor < checkpoint.tensors().size(); ++tensor) {
    NamedPart named = SplitName(checkpoint.tensor(tensor).info.name);
    const auto [entry, is_new] = index.by_name.try_emplace(named.module, index.modules.size());
    if (is_new) {
      index.modules.emplace_back();
      index.modules.back().name = std::move(named.module);
    }
    index.modules[entry->second].*named.part = tensor;
    index.module_of_tensor.push_back(entry->second);
  }
  for (Module& module : index.modules) Classify(checkpoint, family, &module);
  return index;
}

std::string_view ExpertContainer(std::string_view module) {
  const size_t position = module.find(kExperts);
  if (position == std::string_view::npos) return {};
  return module.substr(0, position + kExperts.size() - 1);
}

}  // namespace vernier::audit
