#include "audit/source_rules.h"

#include <algorithm>
#include <string>

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
constexpr Defect kBytesChanged = {"C02", Severity::kError,
                                  "a carried tensor differs from its source",
                                  "Export again: this tensor must be copied byte for byte"};

class Matcher {
 public:
  Matcher(const Subject& subject, const Subject& source, const std::set<std::string>& dropped,
          FindingList* findings)
      : subject_(subject), source_(source), dropped_(dropped), findings_(findings) {}

  SourceMatch Match() {
    for (size_t i = 0; i < source_.index.modules.size(); ++i) MatchModule(i);
    for (size_t i = 0; i < source_.checkpoint.tensors().size(); ++i) MatchTensor(i);
    for (size_t i = 0; i < subject_.checkpoint.tensors().size(); ++i) ExplainTensor(i);
    return std::move(match_);
  }

 private:
  // Null unless both have the module with a weight, in different formats or dialects.
  const Module* ConvertedFrom(const Module& source_module) const {
    const Module* module = subject_.index.Find(source_module.name);
    if (module == nullptr || module->weight == kAbsent || source_module.weight == kAbsent) {
      return nullptr;
    }
    return SameTensors(*module, source_module) ? nullptr : module;
  }

  // Whether both are stored alike: in one format and, where that is quantised, as tensors of the
  // same names, dtypes and shapes.
  bool SameTensors(const Module& module, const Module& source_module) const {
    if (module.format != source_module.format) return false;
    if (!IsQuantised(module.format)) return true;
    const std::vector<size_t> own = module.Tensors();
    const std::vector<size_t> theirs = source_module.Tensors();
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
    const Module* module = ConvertedFrom(source_.index.modules[source_index]);
    if (module == nullptr) return;
    match_.converted.emplace_back(subject_.index.by_name.at(module->name), source_index);
  }

  void MatchTensor(size_t source_tensor) {
    const TensorInfo& info = source_.Info(source_tensor);
    const Module& module = source_.index.modules[source_.index.module_of_tensor[source_tensor]];
    if (ConvertedFrom(module) != nullptr || IsReplaced(info.name)) return;
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
    const Module& module = subject_.index.modules[subject_.index.module_of_tensor[tensor]];
    const Module* source_module = source_.index.Find(module.name);
    if (source_module != nullptr && ConvertedFrom(*source_module) != nullptr) return;
    findings_->Add(kUnexplained, name);
  }

  const Subject& subject_;
  const Subject& source_;
  const std::set<std::string>& dropped_;
  FindingList* findings_;
  SourceMatch match_;
};

}  // namespace

SourceMatch MatchSource(const Subject& subject, const Subject& source,
                        const std::set<std::string>& dropped, FindingList* findings) {
  return Matcher(subject, source, dropped, findings).Match();
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
