#include "audit/comparison.h"

#include <array>
#include <string_view>

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

// Errors of formats, of which the rules say more than the reader's first complaint.
constexpr std::array<std::string_view, 2> kFormatRules = {"B04", "V02"};
// Errors after which a weight may not be there to be dequantised.
constexpr std::array<std::string_view, 4> kReadingRules = {"B04", "C01", "C03", "V02"};

// Nothing when it cannot be opened at all. Experts that only it has stacked are taken apart.
std::optional<Subject> OpenSource(const Subject& subject, const std::filesystem::path& directory,
                                  FindingList* findings) {
  const auto only_there = [&](const checkpoint::TensorInfo& stored) {
    return subject.checkpoint.Find(stored.name) == kAbsent;
  };
  FindingList source_findings;
  std::optional<Subject> source = OpenSubject(directory, &source_findings, only_there);
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
ModelLayout ReadableLayout(const Subject& subject) {
  std::vector<std::string> told;
  return BuildModelLayout(subject.checkpoint, *subject.family, &told);
}

// Whether it has a factor for every row and column, or none.
bool Fits(const checkpoint::Rescaling& rescaling, const LogicalWeight& weight) {
  const auto is_of = [](const std::vector<float>& factors, int64_t count) {
    return factors.empty() || factors.size() == static_cast<size_t>(count);
  };
  return is_of(rescaling.row_divisors, weight.rows()) &&
         is_of(rescaling.column_factors, weight.columns());
}

void PairWeights(const Subject& subject, Comparison* comparison, FindingList* findings) {
  const bool has_errors = findings->HasErrorsOf(kReadingRules);
  comparison->layout = ReadableLayout(subject);
  comparison->source_layout = ReadableLayout(comparison->source);
  for (const auto& [module, source_module] : comparison->match.converted) {
    const std::string& name = subject.index.modules[module].name;
    const LogicalWeight* own = comparison->layout.FindModule(name);
    const LogicalWeight* source = comparison->source_layout.FindModule(name);
    if (own == nullptr || source == nullptr) {
      findings->Add(has_errors ? kNotMeasured : kNoWeight, name);
    } else if (!IsJudged(own->format) || !IsJudged(source->format)) {
      findings->Add(kNotRead, name);
    } else if (own->shape != source->shape || !Fits(comparison->RescalingOf(name), *own)) {
      findings->Add(kShapesDiffer, name);
    } else {
      comparison->pairs[module] = {IndexOf(comparison->layout, own),
                                   IndexOf(comparison->source_layout, source)};
    }
  }
}

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
  PairWeights(subject, &comparison, findings);
  return comparison;
}

}  // namespace vernier::audit
