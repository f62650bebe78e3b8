#include "audit/source_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "audit/expert_stacks.h"
#include "audit/rules.h"
#include "checkpoint/families/kv_cache.h"

namespace vernier::audit {
namespace {

using checkpoint::TensorInfo;

constexpr Defect kUnaccounted = {
    "C01", Severity::kError, "a source tensor is neither carried, converted nor dropped by rule",
    "Export again; the manifest must list what is dropped"};
constexpr Defect kUnexplained = {"C01", Severity::kError,
                                 "a tensor has no counterpart in the source",
                                 "Check that this is the source the checkpoint was made from"};
constexpr Defect kShapeChanged = {"C02", Severity::kError,
                                  "a tensor has another shape or dtype than its source",
                                  "Check that this is the source the checkpoint was made from"};
constexpr Defect kDtypeChanged = {"C02", Severity::kInfo,
                                  "a tensor is stored in another dtype than its source's",
                                  "Nothing is lost where the new one holds every value"};
constexpr Defect kBytesChanged = {"C02", Severity::kError,
                                  "a carried tensor differs from its source",
                                  "Export again: this tensor must be copied byte for byte"};

class Matcher {
 public:
  Matcher(const Subject& subject, const Subject& source, const std::set<std::string>& dropped,
          const Rescalings& rescalings, FindingList* findings)
      : subject_(subject),
        source_(source),
        dropped_(dropped),
        rescalings_(rescalings),
        findings_(findings) {}

  SourceMatch Match() {
    MatchStacks(/*is_own=*/false, &stacks_.source, &stacks_.own);
    MatchStacks(/*is_own=*/true, &stacks_.own, &stacks_.source);
    for (size_t i = 0; i < source_.index.modules.size(); ++i) MatchModule(i);
    for (size_t i = 0; i < source_.checkpoint.tensors().size(); ++i) MatchTensor(i);
    for (size_t i = 0; i < subject_.checkpoint.tensors().size(); ++i) ExplainTensor(i);
    return std::move(match_);
  }

 private:
  // Modules, by index, whose experts the other side has stacked or unstacked.
  struct Stacks {
    std::set<size_t> own, source;
  };

  void MatchStacks(bool is_own, std::set<size_t>* stacks, std::set<size_t>* slices) {
    const Subject& stacked = is_own ? subject_ : source_;
    const Subject& unstacked = is_own ? source_ : subject_;
    for (size_t i = 0; i < stacked.index.modules.size(); ++i) {
      std::vector<size_t> found = SlicesOf(stacked.index.modules[i], stacked, unstacked);
      if (found.empty()) continue;
      stacks->insert(i);
      slices->insert(found.begin(), found.end());
      match_.restacked.push_back({is_own, i, std::move(found)});
    }
  }

  // Null unless both have the module with a weight, in different formats, dtypes or dialects, or
  // rescaled.
  const Module* ConvertedFrom(const Module& source_module) const {
    const Module* module = subject_.index.Find(source_module.name);
    if (module == nullptr || module->weight == kAbsent || source_module.weight == kAbsent) {
      return nullptr;
    }
    return SameTensors(*module, source_module) ? nullptr : module;
  }

  // Two dtypes of the same numbers: compared by value, not by bytes.
  bool IsRetyped(const Module& module, const Module& source_module) const {
    if (module.format != formats::kPlain || source_module.format != formats::kPlain) {
      return false;
    }
    const TensorInfo& own = subject_.Info(module.weight);
    const TensorInfo& source = source_.Info(source_module.weight);
    return own.dtype != source.dtype && own.shape == source.shape;
  }

  // Whether both are stored alike: in one format and dtype and, where that is quantised, as tensors
  // of the same names, dtypes and shapes.
  bool SameTensors(const Module& module, const Module& source_module) const {
    if (rescalings_.contains(module.name)) return false;
    if (module.format != source_module.format || IsRetyped(module, source_module)) return false;
    if (!IsQuantised(module.format)) return true;
    const std::vector<size_t> own = module.tensors;
    const std::vector<size_t> theirs = source_module.tensors;
    return std::equal(
        own.begin(), own.end(), theirs.begin(), theirs.end(), [&](size_t a, size_t b) {
          const TensorInfo& x = subject_.Info(a);
          const TensorInfo& y = source_.Info(b);
          return x.name == y.name && x.dtype_name == y.dtype_name && x.shape == y.shape;
        });
  }

  // A scale of the key/value cache that another of its name took the place of.
  bool IsReplaced(const std::string& name) const {
    return checkpoint::IsKvCacheScale(name) && dropped_.contains(name);
  }

  void MatchModule(size_t source_index) {
    const Module& source_module = source_.index.modules[source_index];
    const Module* module = ConvertedFrom(source_module);
    if (module == nullptr) return;
    const size_t own_index = subject_.index.by_name.at(module->name);
    match_.converted.emplace_back(own_index, source_index);
    if (!IsRetyped(*module, source_module)) return;
    match_.retyped.insert(own_index);
    findings_->Add(kDtypeChanged, RetypedText(*module, source_module));
  }

  std::string RetypedText(const Module& module, const Module& source_module) const {
    const TensorInfo& own = subject_.Info(module.weight);
    return fmt::format("{} ({} -> {})", own.name, source_.Info(source_module.weight).dtype_name,
                       own.dtype_name);
  }

  void MatchTensor(size_t source_tensor) {
    const TensorInfo& info = source_.Info(source_tensor);
    if (source_.checkpoint.tensor(source_tensor).is_split) return;  // its parts are matched
    const size_t module = source_.index.module_of_tensor[source_tensor];
    if (stacks_.source.contains(module) || IsReplaced(info.name)) return;
    if (ConvertedFrom(source_.index.modules[module]) != nullptr) return;
    const size_t tensor = subject_.checkpoint.Find(info.name);
    if (tensor == kAbsent) {
      if (!dropped_.contains(info.name)) findings_->Add(kUnaccounted, info.name);
      return;
    }
    const TensorInfo& own = subject_.Info(tensor);
    if (own.dtype_name != info.dtype_name || own.shape != info.shape) {
      findings_->Add(kShapeChanged, info.name);
      return;
    }
    match_.carried.emplace_back(tensor, source_tensor);
  }

  // Calibration adds scales of a key/value cache.
  void ExplainTensor(size_t tensor) {
    const std::string& name = subject_.Info(tensor).name;
    if (source_.checkpoint.Find(name) != kAbsent || checkpoint::IsKvCacheScale(name)) return;
    const size_t module = subject_.index.module_of_tensor[tensor];
    if (stacks_.own.contains(module)) return;
    const Module* source_module = source_.index.Find(subject_.index.modules[module].name);
    if (source_module != nullptr && ConvertedFrom(*source_module) != nullptr) return;
    findings_->Add(kUnexplained, name);
  }

  const Subject& subject_;
  const Subject& source_;
  const std::set<std::string>& dropped_;
  const Rescalings& rescalings_;
  FindingList* findings_;
  Stacks stacks_;
  SourceMatch match_;
};

}  // namespace

SourceMatch MatchSource(const Subject& subject, const Subject& source,
                        const std::set<std::string>& dropped, const Rescalings& rescalings,
                        FindingList* findings) {
  return Matcher(subject, source, dropped, rescalings, findings).Match();
}

int64_t CheckCarried(const Subject& subject, const SourceMatch& match,
                     std::span<const ModuleFacts> facts, FindingList* findings) {
  int64_t equal = 0;
  for (const auto& [tensor, source_tensor] : match.carried) {
    const bool changed = facts[subject.index.module_of_tensor[tensor]].changed.contains(tensor);
    equal += !changed;
    if (changed) findings->Add(kBytesChanged, subject.Info(tensor).name);
  }
  return equal;
}

}  // namespace vernier::audit
