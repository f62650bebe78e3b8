#include "audit/modules.h"

#include <array>

#include "quantizers/mxfp8.h"

namespace vernier::audit {
namespace {

using checkpoint::DType;

struct PartSuffix {
  std::string_view suffix;
  size_t Module::*part;
};

constexpr std::array<PartSuffix, 10> kSuffixes = {{{".weight", &Module::weight},
                                                   {kPackedSuffix, &Module::weight},
                                                   {".scale", &Module::scale},
                                                   {".weight_scale_inv", &Module::scale_inv},
                                                   {".weight_scale", &Module::block_scale},
                                                   {".weight_scale_2", &Module::global_scale},
                                                   {".weight_global_scale", &Module::global_scale},
                                                   {".input_scale", &Module::input_scale},
                                                   {".input_global_scale", &Module::input_scale},
                                                   {".weight_shape", &Module::packed_shape}}};

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

bool IsE8m0(DType dtype) { return dtype == DType::kU8 || dtype == DType::kF8E8M0; }

// What the tensors beside a weight make of it; right or wrong is for the rules to say.
class FormatGuess {
 public:
  FormatGuess(const checkpoint::Checkpoint& checkpoint, const Module& module)
      : module_(module),
        weight_(checkpoint.tensor(module.weight).info),
        scale_(module.AnyScale() == kAbsent ? nullptr
                                            : &checkpoint.tensor(module.AnyScale()).info) {}

  StoredFormat Guess() const {
    switch (weight_.dtype) {
      case DType::kBF16:
      case DType::kF16:
      case DType::kF32:
        return StoredFormat::kPlain;
      case DType::kF8E4M3:
        return Fp8();
      case DType::kU8:
      case DType::kI8:
      case DType::kF4:
        return IsTable() ? StoredFormat::kInteger : Fp4();
      case DType::kI32:
        return IsPacked() ? StoredFormat::kInt4 : StoredFormat::kInteger;
      case DType::kI16:
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

 private:
  bool IsPacked() const { return weight_.name.ends_with(kPackedSuffix); }

  bool IsTable() const {
    const bool has_parts = scale_ != nullptr || module_.global_scale != kAbsent;
    return weight_.name == module_.name || (!has_parts && !IsPacked() && !module_.meaning.linear);
  }

  StoredFormat Fp4() const {
    if (module_.global_scale != kAbsent || module_.input_scale != kAbsent) {
      return StoredFormat::kNvfp4;
    }
    if (module_.block_scale != kAbsent) {
      return IsE8m0(scale_->dtype) ? StoredFormat::kMxfp4 : StoredFormat::kNvfp4;
    }
    if (scale_ != nullptr) return StoredFormat::kMxfp4;
    return weight_.dtype == DType::kU8 ? StoredFormat::kNvfp4 : StoredFormat::kMxfp4;
  }

  StoredFormat Fp8() const {
    if (scale_ == nullptr || weight_.shape.size() != 2) return StoredFormat::kFp8Block;
    const std::vector<int64_t>& shape = scale_->shape;
    const int64_t rows = weight_.shape[0];
    if (IsE8m0(scale_->dtype)) {
      const std::vector<int64_t> grid = {rows, weight_.shape[1] / quantizers::kMxfp8BlockSize};
      const bool is_mxfp8 =
          scale_->dtype == DType::kU8 || (module_.block_scale != kAbsent && shape == grid);
      return is_mxfp8 ? StoredFormat::kMxfp8 : StoredFormat::kFp8Block;
    }
    if (module_.block_scale == kAbsent) return StoredFormat::kFp8Block;
    if (shape.empty() || shape == std::vector<int64_t>{1}) return StoredFormat::kFp8Tensor;
    const bool per_row =
        shape == std::vector<int64_t>{rows} || shape == std::vector<int64_t>{rows, 1};
    return per_row ? StoredFormat::kFp8Channel : StoredFormat::kFp8Block;
  }

  const Module& module_;
  const checkpoint::TensorInfo& weight_;
  const checkpoint::TensorInfo* scale_;
};

void Classify(const checkpoint::Checkpoint& checkpoint, const checkpoint::Family& family,
              Module* module) {
  if (module->weight == kAbsent) {
    module->meaning = family.Classify(module->name + ".weight");
    return;
  }
  const checkpoint::TensorInfo& weight = checkpoint.tensor(module->weight).info;
  const bool is_bare = weight.name == module->name;
  module->meaning = family.Classify(is_bare ? weight.name : module->name + ".weight");
  module->format = FormatGuess(checkpoint, *module).Guess();
}

}  // namespace

bool IsQuantised(StoredFormat format) {
  return format != StoredFormat::kPlain && format != StoredFormat::kInteger &&
         format != StoredFormat::kOpaque;
}

std::vector<size_t> Module::Tensors() const {
  std::vector<size_t> tensors;
  for (const size_t part :
       {weight, scale, scale_inv, block_scale, global_scale, input_scale, packed_shape}) {
    if (part != kAbsent) tensors.push_back(part);
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
