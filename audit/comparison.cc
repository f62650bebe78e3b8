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
                                  "Download the source again; nothing was compared"};
constexpr Defect kNotMeasured = {
    "C02", Severity::kInfo, "dequantisation errors were not measured because of the errors above",
    "Repair them and validate again"};
constexpr Defect kShapesDiffer = {"C02", Severity::kError,
                                  "a converted weight has another shape than its source",
                                  "Check that this is the source the checkpoint was made from"};
constexpr Defect kNoWeight = {"C02", Severity::kError,
                              "a converted weight or its source cannot be dequantised",
                              "Download or export this weight again"};

// Errors of formats, of which the rules say more than the reader's first complaint.
constexpr std::array<std::string_view, 2> kFormatRules = {"B04", "V02"};
// Errors after which weights cannot be dequantised.
constexpr std::array<std::string_view, 3> kReadingRules = {"B04", "C03", "V02"};

std::optional<Subject> OpenSource(const std::filesystem::path& directory, FindingList* findings) {
  FindingList source_findings;
  std::optional<Subject> source = OpenSubject(directory, &source_findings);
  if (source) CheckFormats(*source, &source_findings);
  if (source) CheckReadable(*source, &source_findings);
  if (!source_findings.HasErrors()) return source;
  for (const Finding& finding : source_findings.Sorted()) {
    findings->Add(kSourceDefect, finding.what + ": " + finding.tensors.front());
  }
  return std::nullopt;
}

size_t IndexOf(const ModelLayout& layout, const LogicalWeight* weight) {
  return static_cast<size_t>(weight - layout.weights.data());
}

void PairWeights(const Subject& subject, Comparison* comparison, FindingList* findings) {
  comparison->layout = BuildModelLayout(subject.checkpoint, *subject.family);
  comparison->source_layout =
      BuildModelLayout(comparison->source.checkpoint, *comparison->source.family);
  for (const auto& [module, source_module] : comparison->match.converted) {
    const std::string& name = subject.index.modules[module].name;
    const LogicalWeight* own = comparison->layout.FindModule(name);
    const LogicalWeight* source = comparison->source_layout.FindModule(name);
    if (own == nullptr || source == nullptr) {
      findings->Add(kNoWeight, name);
    } else if (own->shape != source->shape) {
      findings->Add(kShapesDiffer, name);
    } else {
      comparison->pairs[module] = {IndexOf(comparison->layout, own),
                                   IndexOf(comparison->source_layout, source)};
    }
  }
}

}  // namespace

void CheckReadable(const Subject& subject, FindingList* findings) {
  if (findings->HasErrorsOf(kFormatRules)) return;
  std::vector<std::string> problems;
  BuildModelLayout(subject.checkpoint, *subject.family, &problems);
  for (const std::string& problem : problems) findings->Add(kUnreadableLayout, problem);
}

std::optional<Comparison> OpenComparison(const Subject& subject,
                                         const std::filesystem::path& directory,
                                         const std::set<std::string>& dropped,
                                         FindingList* findings) {
  const bool readable = !findings->HasErrorsOf(kReadingRules);
  std::optional<Subject> source = OpenSource(directory, findings);
  if (!source) return std::nullopt;
  SourceMatch match = MatchSource(subject, *source, dropped, findings);
  Comparison comparison{.source = *std::move(source), .match = std::move(match)};
  comparison.carried_from.assign(subject.checkpoint.tensors().size(), kAbsent);
  for (const auto& [tensor, source_tensor] : comparison.match.carried) {
    comparison.carried_from[tensor] = source_tensor;
  }
  comparison.measured = readable;
  if (comparison.match.converted.empty()) return comparison;
  if (readable) {
    PairWeights(subject, &comparison, findings);
  } else {
    findings->Add(kNotMeasured, std::to_string(comparison.match.converted.size()) + " weights");
  }
  return comparison;
}

}  // namespace vernier::audit
