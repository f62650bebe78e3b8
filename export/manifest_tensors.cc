#include "export/manifest_tensors.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/families/skipped_tensors.h"
#include "recipes/target_format.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using recipes::OutputPart;

// What decided over a weight.
std::string DecidedBy(const ManifestContent& content, size_t weight) {
  const recipes::WeightPlan& plan = content.plan.weights[weight];
  if (plan.dropped && content.plan.container->holds_all()) {
    return fmt::format("{} has no place for it", content.plan.dialect->name);
  }
  if (plan.dropped) return "kv_cache " + std::string(recipes::KvCacheName(content.plan.kv_cache));
  if (plan.folded() && plan.format == checkpoint::formats::kBf16 &&
      !recipes::IsQuantised(content.source.layout.weights[weight])) {
    return "smooth";
  }
  if (plan.with_stack) return "other experts of its stack are written anew";
  if (plan.promoted) return "budget: keeps more bits than its rule asks for";
  if (plan.rule >= 0) return content.recipe.rules[static_cast<size_t>(plan.rule)].Describe();
  const std::string_view skipped = checkpoint::SkippedBecause(
      content.source.layout.weights[weight].name, content.source.checkpoint.config());
  if (skipped.empty()) return "no rule matches: kept as released";
  return "kept as released: " + std::string(skipped);
}

// The output tensors by what they were made from.
class OutputNames {
 public:
  OutputNames(const ManifestContent& content)
      : of_tensor_(content.source.checkpoint.tensors().size()),
        of_weight_(content.source.layout.weights.size()) {
    for (const recipes::OutputShard& shard : content.plan.shards) {
      for (const recipes::OutputTensor& tensor : shard.tensors) Add(tensor);
    }
  }

  // The one that is stacked as a stored tensor is; empty without.
  std::string_view OfStack(size_t stored) const {
    const auto found = of_stack_.find(stored);
    return found == of_stack_.end() ? std::string_view() : found->second;
  }
  // Copies of the source tensor.
  const std::vector<std::string_view>& OfTensor(size_t tensor) const { return of_tensor_[tensor]; }
  // Results of quantising the weight.
  const std::vector<std::string_view>& OfWeight(size_t weight) const { return of_weight_[weight]; }

 private:
  void Add(const recipes::OutputTensor& tensor) {
    if (tensor.part == OutputPart::kKvScale) return;
    if (tensor.stack != recipes::OutputTensor::kNoStack) {
      of_stack_.emplace(tensor.stack, tensor.info.name);
      return;
    }
    auto& names = tensor.part == OutputPart::kSourceBytes ? of_tensor_[tensor.source_tensor]
                                                          : of_weight_[tensor.weight];
    names.push_back(tensor.info.name);
  }

  std::vector<std::vector<std::string_view>> of_tensor_;
  std::vector<std::vector<std::string_view>> of_weight_;
  std::unordered_map<size_t, std::string_view> of_stack_;
};

// Whether the quantised values depend on this part of the weight; its former input scale is
// replaced.
bool IsConverted(const LogicalWeight& weight, size_t part) { return part != weight.input_scale; }

// Whether its container holds a kept weight's numbers as they were, if in other bytes.
bool KeepsValues(const recipes::WeightPlan& plan) {
  if (plan.format != recipes::kKeep || !plan.placement) return false;
  return !plan.placement->format || plan.placement->format == checkpoint::formats::kF32;
}

// What became of one tensor, or of one part of it.
struct Fate {
  std::string_view action = "dropped";
  std::vector<std::string_view> outputs;
  bool stacked = false;  // in the output too
};

Fate FateOf(const ManifestContent& content, const OutputNames& names, size_t index, size_t part) {
  const checkpoint::SourceModel& source = content.source;
  const LogicalWeight& weight = source.layout.weights[index];
  const checkpoint::StackPart* in_stack = source.checkpoint.PartOf(part);
  const size_t stored = in_stack == nullptr ? part : in_stack->stored;
  if (!names.OfTensor(stored).empty()) return {"carried", names.OfTensor(stored), true};
  if (KeepsValues(content.plan.weights[index]) && !names.OfWeight(index).empty()) {
    return {"carried", names.OfWeight(index)};
  }
  if (!IsConverted(weight, part)) return {};
  const checkpoint::StackPart* values = source.checkpoint.PartOf(weight.main);
  const std::string_view stacked =
      values == nullptr ? std::string_view() : names.OfStack(values->stored);
  if (!stacked.empty()) return {"converted", {stacked}, true};
  if (!names.OfWeight(index).empty()) return {"converted", names.OfWeight(index)};
  return {};
}

void Count(std::string_view action, TensorCounts& counts) {
  ++(action == "carried"     ? counts.carried
     : action == "converted" ? counts.converted
                             : counts.dropped);
}

Json TensorEntry(const ManifestContent& content, size_t index, size_t tensor, const Fate& fate) {
  return {{"name", content.source.checkpoint.tensor(tensor).info.name},
          {"action", fate.action},
          {"by", DecidedBy(content, index)},
          {"outputs", fate.outputs}};
}

// A part of a stored tensor, as what it is a part of.
struct PartOfWeight {
  size_t weight = 0;  // index into ModelLayout::weights
  size_t tensor = 0;
};

// A stored tensor that is taken apart: once with what its first part became, and where that is not
// one tensor again, with the outputs of every part.
Json StackEntry(const ManifestContent& content, const OutputNames& names, size_t stored,
                const std::vector<PartOfWeight>& parts, TensorCounts& counts) {
  Fate whole = FateOf(content, names, parts.front().weight, parts.front().tensor);
  Count(whole.action, counts);
  if (whole.action == "dropped" || whole.stacked)
    return TensorEntry(content, parts.front().weight, stored, whole);
  whole.outputs.clear();
  Json entry = TensorEntry(content, parts.front().weight, stored, whole);
  entry.erase("outputs");
  Json listed = Json::array();
  for (const PartOfWeight& part : parts) {
    const Fate fate = FateOf(content, names, part.weight, part.tensor);
    listed.push_back({{"name", content.source.checkpoint.tensor(part.tensor).info.name},
                      {"outputs", fate.outputs}});
  }
  entry["parts"] = std::move(listed);
  return entry;
}

}  // namespace

TensorCounts AddTensors(const ManifestContent& content,
                        const std::function<void(const Json& entry)>& add) {
  const checkpoint::SourceModel& source = content.source;
  const OutputNames names(content);
  TensorCounts counts;
  std::map<size_t, std::vector<PartOfWeight>> stacks;  // by stored tensor
  for (size_t i = 0; i < source.layout.weights.size(); ++i) {
    for (const size_t part : source.layout.weights[i].Parts()) {
      if (const checkpoint::StackPart* in_stack = source.checkpoint.PartOf(part)) {
        stacks[in_stack->stored].push_back({i, part});
        continue;
      }
      const Fate fate = FateOf(content, names, i, part);
      Count(fate.action, counts);
      add(TensorEntry(content, i, part, fate));
    }
  }
  for (const auto& [stored, parts] : stacks) {
    add(StackEntry(content, names, stored, parts, counts));
  }
  return counts;
}

}  // namespace vernier::exporter
