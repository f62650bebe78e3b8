#include "audit/comparison.h"

#include <array>
#include <set>
#include <string_view>

#include "audit/byte_scan.h"
#include "audit/rules.h"

namespace vernier::audit {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelLayout;

constexpr Defect kUnreadableLayout = {
    "C03", Severity::kError, "a weight cannot be read, or does not fit the model in config.json",
    "Compare the dimensions in config.json with the weight's shape"};
constexpr Defect kSourceDefect = {"C01", Severity::kError, "the source itself is defective",
                                  "Download the source again"};
constexpr Defect kNotMeasured = {"C02", Severity::kInfo,
                                 "a weight was not measured because of the errors above",
                                 "Repair them and validate again"};
constexpr Defect kNotRead = {"C02", Severity::kInfo,
                             "a weight was not measured: its format, or its source's, is not read",
                             "Compare with the BF16 or FP8 release"};
constexpr Defect kShapesDiffer = {"C02", Severity::kError,
                                  "a converted weight has another shape than its source",
                                  "Check that this is the source the checkpoint was made from"};
constexpr Defect kNoWeight = {"C02", Severity::kError,
                              "a converted weight or its source cannot be dequantised",
                              "Download or export this weight again"};

constexpr Defect kRestacked = {
    "C02", Severity::kInfo,
    "experts are stacked in one tensor on one side only, and their values not compared",
    "Compare with a source that stores them alike to measure them"};

// Errors of formats, of which the rules say more than the reader's first complaint.
constexpr std::array<std::string_view, 2> kFormatRules = {"B04", "V02"};
// Errors after which a weight may not be there to be dequantised.
constexpr std::array<std::string_view, 4> kReadingRules = {"B04", "C01", "C03", "V02"};

// Nothing when it cannot be opened at all. Experts are taken apart but where both store the same
// stack, of floats: that is compared as it is.
std::optional<Subject> OpenSource(const Subject& subject, const std::filesystem::path& directory,
                                  FindingList* findings) {
  const auto differs = [&](const checkpoint::TensorInfo& stored) {
    const size_t own = subject.checkpoint.Find(stored.name);
    if (own == kAbsent) return true;
    return FloatSize(stored.dtype) == 0 && subject.Info(own).dtype_name != stored.dtype_name;
  };
  FindingList source_findings;
  std::optional<Subject> source = OpenSubject(directory, &source_findings, differs);
  if (source) CheckFormats(*source, &source_findings);
  if (source) CheckReadable(*source, &source_findings);
  for (const Finding& finding : source_findings.Sorted()) {
    if (finding.severity != Severity::kError) continue;
    findings->Add(kSourceDefect, finding.what + ": " + finding.tensors.front());
  }
  return source;
}

size_t IndexOf(const ModelLayout& layout, const LogicalWeight* weight) {
  return static_cast<size_t>(weight - layout.weights.data());
}

// A layout in which what cannot be read is opaque: CheckReadable and the rules have told of it.
ModelLayout ReadableLayout(const checkpoint::Checkpoint& checkpoint,
                           const checkpoint::Family& family) {
  std::vector<std::string> told;
  return BuildModelLayout(checkpoint, family, &told);
}

// Takes the checkpoint's own stacks apart whose experts the source has one by one. Those whose
// values are quantised stay: what their scales mean is for the engines to say.
void TakeApart(const Subject& subject, Comparison* comparison) {
  std::set<std::string_view> stacks;
  for (const Restacked& restacked : comparison->match.restacked) {
    if (!restacked.is_own) continue;
    const Module& stack = subject.index.modules[restacked.stack];
    if (stack.format == formats::kPlain) stacks.insert(subject.Info(stack.weight).name);
  }
  if (stacks.empty()) return;
  comparison->taken_apart = checkpoint::Checkpoint::Open(subject.checkpoint.directory());
  comparison->taken_apart->SplitStacks(
      subject.family->Stacks(),
      [&](const checkpoint::TensorInfo& values) { return stacks.contains(values.name); });
}

// Whether it has a factor for every row and column, or none.
bool Fits(const checkpoint::Rescaling& rescaling, const LogicalWeight& weight) {
  const auto is_of = [](const std::vector<float>& factors, int64_t count) {
    return factors.empty() || factors.size() == static_cast<size_t>(count);
  };
  return is_of(rescaling.row_divisors, weight.rows()) &&
         is_of(rescaling.column_factors, weight.columns());
}

// Finds what is to be compared, and names what cannot be.
class WeightPairs {
 public:
  WeightPairs(const Subject& subject, Comparison& comparison, FindingList* findings)
      : subject_(subject),
        comparison_(comparison),
        findings_(findings),
        has_errors_(findings->HasErrorsOf(kReadingRules)) {}

  void Find() {
    for (const auto& [module, source_module] : comparison_.match.converted) {
      const std::string& name = subject_.index.modules[module].name;
      if (const auto pair = PairOf(name)) comparison_.pairs[module] = {*pair};
    }
    for (const Restacked& restacked : comparison_.match.restacked) FindExperts(restacked);
  }

 private:
  std::optional<WeightPair> PairOf(const std::string& module) const {
    const LogicalWeight* own = comparison_.layout.FindModule(module);
    const LogicalWeight* source = comparison_.source_layout.FindModule(module);
    if (own == nullptr || source == nullptr) {
      findings_->Add(has_errors_ ? kNotMeasured : kNoWeight, module);
    } else if (!IsJudged(own->format) || !IsJudged(source->format)) {
      findings_->Add(kNotRead, module);
    } else if (own->shape != source->shape || !Fits(comparison_.RescalingOf(module), *own)) {
      findings_->Add(kShapesDiffer, module);
    } else {
      return WeightPair{IndexOf(comparison_.layout, own),
                        IndexOf(comparison_.source_layout, source)};
    }
    return std::nullopt;
  }

  void FindExperts(const Restacked& restacked) {
    const ModuleIndex& index = restacked.is_own ? subject_.index : comparison_.source.index;
    std::vector<WeightPair> pairs;
    if (!restacked.is_own || !FindExperts(restacked.experts, &pairs)) {
      findings_->Add(kRestacked, index.modules[restacked.stack].name);
    } else if (pairs.size() == restacked.experts.size()) {
      comparison_.pairs[restacked.stack] = std::move(pairs);
    }
  }

  // Of an own stack; false where it was not taken apart.
  bool FindExperts(const std::vector<size_t>& experts, std::vector<WeightPair>* pairs) const {
    for (const size_t expert : experts) {
      const std::string& name = comparison_.source.index.modules[expert].name;
      if (comparison_.layout.FindModule(name) == nullptr) return false;
      if (const auto pair = PairOf(name)) pairs->push_back(*pair);
    }
    return true;
  }

  const Subject& subject_;
  Comparison& comparison_;
  FindingList* findings_;
  bool has_errors_;
};

}  // namespace

const checkpoint::Rescaling& Comparison::RescalingOf(const std::string& module) const {
  static const checkpoint::Rescaling kNone;
  const auto found = rescalings.find(module);
  return found == rescalings.end() ? kNone : found->second;
}

void CheckReadable(const Subject& subject, FindingList* findings) {
  if (findings->HasErrorsOf(kFormatRules)) return;
  std::vector<std::string> problems;
  BuildModelLayout(subject.checkpoint, *subject.family, &problems);
  for (const std::string& problem : problems) findings->Add(kUnreadableLayout, problem);
}

std::optional<Comparison> OpenComparison(const Subject& subject,
                                         const std::filesystem::path& directory,
                                         const ManifestFacts& manifest, FindingList* findings) {
  std::optional<Subject> source = OpenSource(subject, directory, findings);
  if (!source) return std::nullopt;
  Rescalings rescalings = ReadRescalings(subject.checkpoint.directory(), manifest);
  SourceMatch match = MatchSource(subject, *source, manifest.dropped, rescalings, findings);
  Comparison comparison{
      .source = *std::move(source), .match = std::move(match), .rescalings = std::move(rescalings)};
  comparison.carried_from.assign(subject.checkpoint.tensors().size(), kAbsent);
  for (const auto& [tensor, source_tensor] : comparison.match.carried) {
    comparison.carried_from[tensor] = source_tensor;
  }
  TakeApart(subject, &comparison);
  comparison.layout = ReadableLayout(comparison.Own(subject), *subject.family);
  comparison.source_layout =
      ReadableLayout(comparison.source.checkpoint, *comparison.source.family);
  WeightPairs(subject, comparison, findings).Find();
  return comparison;
}

}  // namespace vernier::audit
