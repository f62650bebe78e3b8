#include "checkpoint/model_layout.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "checkpoint/weight_parts.h"

namespace vernier::checkpoint {
namespace {

BlockSize ReadFp8BlockSize(const Json& config, std::vector<std::string>* problems) {
  try {
    return checkpoint::ReadFp8BlockSize(config);
  } catch (const Error& error) {
    if (problems == nullptr) throw;
    problems->push_back(error.what());
    return {};
  }
}

// "X.weight" and "X.weight_packed" without their suffixes; nothing for any other name.
std::optional<std::string_view> ModuleOfWeight(std::string_view name) {
  for (const std::string_view suffix : {kWeightSuffix, kPackedSuffix}) {
    if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
  }
  return std::nullopt;
}

WeightFormat UnscaledFormat(DType dtype) {
  switch (dtype) {
    case DType::kF16:
    case DType::kBF16:
    case DType::kF32:
      return WeightFormat::kPlain;
    case DType::kBool:
    case DType::kU8:
    case DType::kI8:
    case DType::kU16:
    case DType::kI16:
    case DType::kU32:
    case DType::kI32:
    case DType::kU64:
    case DType::kI64:
      return WeightFormat::kInteger;
    default:
      return WeightFormat::kOpaque;
  }
}

class LayoutBuilder {
 public:
  LayoutBuilder(const Checkpoint& checkpoint, const Family& family,
                std::vector<std::string>* problems)
      : checkpoint_(checkpoint),
        family_(family),
        problems_(problems),
        fp8_block_(ReadFp8BlockSize(checkpoint.config(), problems)),
        claimed_(checkpoint.tensors().size(), false) {}

  ModelLayout Build() {
    const size_t tensors = checkpoint_.tensors().size();
    layout_.weights.reserve(tensors);
    for (size_t i = 0; i < tensors; ++i) {
      if (ModuleOfWeight(Info(i).name)) AddWeight(i);
    }
    const auto weights = static_cast<ptrdiff_t>(layout_.weights.size());
    for (size_t i = 0; i < tensors; ++i) {
      if (!claimed_[i]) AddBareTensor(i);
    }
    // Both runs are in order already.
    std::inplace_merge(
        layout_.weights.begin(), layout_.weights.begin() + weights, layout_.weights.end(),
        [](const LogicalWeight& a, const LogicalWeight& b) { return a.main < b.main; });
    IndexModules();
    CheckShapes();
    return std::move(layout_);
  }

 private:
  const TensorInfo& Info(size_t tensor) const { return checkpoint_.tensor(tensor).info; }

  // A tensor that is known under `name` and has no parts yet.
  LogicalWeight Describe(size_t main, std::string name) const {
    const TensorInfo& info = Info(main);
    TensorMeaning meaning = family_.Classify(name);
    LogicalWeight weight;
    weight.module = name;
    weight.name = std::move(name);
    weight.shape = info.shape;
    weight.format = UnscaledFormat(info.dtype);
    weight.role = meaning.role;
    weight.layer = meaning.layer;
    weight.expert = meaning.expert;
    weight.fused_group = std::move(meaning.fused_group);
    weight.linear = meaning.linear;
    weight.main = main;
    return weight;
  }

  LogicalWeight DescribeWeight(size_t main) const {
    std::string module(*ModuleOfWeight(Info(main).name));
    LogicalWeight weight = Describe(main, module + std::string(kWeightSuffix));
    weight.module = std::move(module);
    return weight;
  }

  // A weight, with the scales that its format has.
  void AddWeight(size_t main) {
    LogicalWeight weight = DescribeWeight(main);
    try {
      ResolveParts(checkpoint_, fp8_block_, &weight);
    } catch (const Error& error) {
      if (problems_ == nullptr) throw;
      problems_->push_back(error.what());
      weight = DescribeOpaque(main);
    }
    weight.linear = weight.linear && weight.shape.size() == 2;
    for (const size_t part : weight.Parts()) claimed_[part] = true;
    layout_.weights.push_back(std::move(weight));
  }

  // A weight that is not understood keeps its tensor's name, by which it can only be copied.
  LogicalWeight DescribeOpaque(size_t main) const {
    LogicalWeight weight = DescribeWeight(main);
    if (weight.name != Info(main).name) weight.name = weight.module = Info(main).name;
    weight.format = WeightFormat::kOpaque;
    return weight;
  }

  // Anything else: a parameter of another name, or a scale that no weight claimed.
  void AddBareTensor(size_t main) {
    LogicalWeight weight = Describe(main, Info(main).name);
    weight.linear = false;
    if (IsPartName(weight.name)) {
      weight.role = Role::kOther;
      weight.format = WeightFormat::kOpaque;
    }
    layout_.weights.push_back(std::move(weight));
  }

  // "X.weight" has the first right to the module X; a parameter named X itself the second.
  void IndexModules() {
    layout_.by_module.reserve(layout_.weights.size());
    for (size_t i = 0; i < layout_.weights.size(); ++i) {
      const LogicalWeight& weight = layout_.weights[i];
      const bool is_new = layout_.by_module.emplace(weight.module, i).second;
      if (!is_new && weight.module != weight.name) layout_.by_module[weight.module] = i;
    }
  }

  void CheckShapes() const {
    try {
      family_.CheckShapes(layout_);
    } catch (const Error& error) {
      if (problems_ == nullptr) throw;
      problems_->push_back(error.what());
    }
  }

  const Checkpoint& checkpoint_;
  const Family& family_;
  std::vector<std::string>* problems_;
  BlockSize fp8_block_;
  std::vector<bool> claimed_;
  ModelLayout layout_;
};

}  // namespace

void RequireWeightShape(const LogicalWeight& weight, const std::vector<int64_t>& shape) {
  if (weight.format == WeightFormat::kOpaque || weight.shape == shape) return;
  throw Error(
      ErrorCode::kWrongShape, weight.name,
      "has the shape " + ShapeText(weight.shape) + ", but config.json makes it " + ShapeText(shape),
      "Use the config.json that belongs to this checkpoint");
}

const LogicalWeight* ModelLayout::FindModule(std::string_view module) const {
  const auto it = by_module.find(std::string(module));
  return it == by_module.end() ? nullptr : &weights[it->second];
}

const LogicalWeight* ModelLayout::FindName(std::string_view name) const {
  const std::string_view module =
      name.ends_with(kWeightSuffix) ? name.substr(0, name.size() - kWeightSuffix.size()) : name;
  const LogicalWeight* weight = FindModule(module);
  return weight != nullptr && weight->name == name ? weight : nullptr;
}

ModelLayout BuildModelLayout(const Checkpoint& checkpoint, const Family& family,
                             std::vector<std::string>* problems) {
  return LayoutBuilder(checkpoint, family, problems).Build();
}

}  // namespace vernier::checkpoint
