#include "checkpoint/model_layout.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "checkpoint/format_hints.h"
#include "checkpoint/tensor_group.h"
#include "checkpoint/weight_parts.h"

namespace vernier::checkpoint {
namespace {

FormatHints ReadHints(const Checkpoint& checkpoint, std::vector<std::string>* problems) {
  try {
    return ReadFormatHints(checkpoint);
  } catch (const Error& error) {
    if (problems == nullptr) throw;
    problems->push_back(error.what());
    return {};
  }
}

class LayoutBuilder {
 public:
  LayoutBuilder(const Checkpoint& checkpoint, const Family& family,
                std::vector<std::string>* problems)
      : checkpoint_(checkpoint),
        family_(family),
        problems_(problems),
        hints_(ReadHints(checkpoint, problems)) {}

  ModelLayout Build() {
    layout_.weights.reserve(checkpoint_.tensors().size());
    for (const TensorGroup& group : GroupTensors(checkpoint_).groups) AddGroup(group);
    std::ranges::stable_sort(layout_.weights, {}, &LogicalWeight::main);
    IndexModules();
    CheckShapes();
    return std::move(layout_);
  }

 private:
  const TensorInfo& Info(size_t tensor) const { return checkpoint_.tensor(tensor).info; }

  // A tensor that is known under `name` and has no parts yet.
  LogicalWeight Describe(size_t main, std::string name) const {
    TensorMeaning meaning = family_.Classify(name);
    LogicalWeight weight;
    weight.module = name;
    weight.name = std::move(name);
    weight.shape = Info(main).shape;
    weight.role = meaning.role;
    weight.layer = meaning.layer;
    weight.expert = meaning.expert;
    weight.fused_group = std::move(meaning.fused_group);
    weight.linear = meaning.linear;
    weight.projection = std::move(meaning.projection);
    weight.experts_module = std::move(meaning.experts_module);
    weight.keeps_precision = meaning.keeps_precision;
    weight.main = main;
    weight.in_stack = checkpoint_.PartOf(main) != nullptr;
    return weight;
  }

  LogicalWeight DescribeGroup(const TensorGroup& group) const {
    if (group.bare) return Describe(group.Main(), group.module);
    LogicalWeight weight = Describe(group.Main(), group.module + std::string(kWeightSuffix));
    weight.module = group.module;
    return weight;
  }

  // A weight with the tensors that its format has; what else stands beside it is on its own.
  void AddGroup(const TensorGroup& group) {
    std::vector<size_t> left = group.Tensors();
    if (group.Main() != Checkpoint::kNotFound) {
      LogicalWeight weight = Resolve(group);
      weight.linear = weight.linear && weight.shape.size() == 2;
      for (const size_t part : weight.Parts()) std::erase(left, part);
      layout_.weights.push_back(std::move(weight));
    }
    for (const size_t tensor : left) layout_.weights.push_back(DescribeLeft(tensor));
  }

  LogicalWeight Resolve(const TensorGroup& group) {
    LogicalWeight weight = DescribeGroup(group);
    try {
      ResolveParts(checkpoint_, hints_, group, &weight);
      return weight;
    } catch (const Error& error) {
      if (problems_ == nullptr) throw;
      problems_->push_back(error.what());
      return DescribeOpaque(group);
    }
  }

  // A weight that is not understood keeps its tensor's name, by which it can only be copied.
  LogicalWeight DescribeOpaque(const TensorGroup& group) const {
    LogicalWeight weight = DescribeGroup(group);
    const std::string& name = Info(weight.main).name;
    if (weight.name != name) weight.name = weight.module = name;
    weight.format = formats::kOpaque;
    return weight;
  }

  // A scale, or another part, that no weight claims.
  LogicalWeight DescribeLeft(size_t tensor) const {
    LogicalWeight weight = Describe(tensor, Info(tensor).name);
    weight.linear = false;
    weight.projection.clear();
    weight.role = Role::kOther;
    weight.format = formats::kOpaque;
    return weight;
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
  FormatHints hints_;
  ModelLayout layout_;
};

}  // namespace

void RequireWeightShape(const LogicalWeight& weight, const std::vector<int64_t>& shape) {
  const bool is_known = weight.format == formats::kPlain || IsReadable(weight.format) ||
                        weight.format == formats::kInteger;
  if (!is_known || weight.shape == shape) return;
  throw Error(
      ErrorCode::kWrongShape, weight.name,
      "has the shape " + ShapeText(weight.shape) + ", but config.json makes it " + ShapeText(shape),
      "Use the config.json that belongs to this checkpoint");
}

const LogicalWeight* ModelLayout::FindModule(std::string_view module) const {
  const auto it = by_module.find(module);
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
