#include "audit/validate.h"

#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "audit/cells.h"
#include "audit/comparison.h"
#include "audit/config_changes.h"
#include "audit/dequantization_error.h"
#include "audit/journal.h"
#include "audit/manifest_facts.h"
#include "audit/rules.h"
#include "audit/scale_sample.h"
#include "audit/source_rules.h"
#include "audit/stream.h"
#include "audit/subject.h"
#include "audit/unclaimed.h"

namespace vernier::audit {
namespace {

constexpr Defect kJournalAnew = {"J01", Severity::kInfo,
                                 "the journal of an earlier audit was not used and is begun anew",
                                 "Give each checkpoint a journal of its own"};

constexpr size_t kWorstWeights = 32;

void Describe(const Subject& subject, AuditReport* report) {
  report->model_type = subject.family->model_type();
  report->guessed_model = subject.family->guessed();
  report->dialect = QuantDialectName(subject.dialect);
  report->tensors = static_cast<int64_t>(subject.checkpoint.tensors().size());
  report->bytes = subject.checkpoint.TensorBytes();
  report->scale_bytes = BlockScaleBytes(subject);
  for (const Module& module : subject.index.modules) {
    if (IsQuantised(module.format) && module.weight != kAbsent) {
      ++report->quantised_weights[module.format];
    }
  }
  report->unclaimed = UnclaimedMatrices(subject);
}

uint64_t BytesOf(const std::vector<TensorPiece>& pieces) {
  uint64_t bytes = 0;
  for (const TensorPiece& piece : pieces) bytes += piece.end - piece.begin;
  return bytes;
}

ScaleReadings ReadSampledScales(const Subject& subject, ReadMeter* meter) {
  std::vector<TensorPiece> pieces = ScalarPieces(subject);
  const std::vector<TensorPiece> sample = SampleBlockScales(subject);
  pieces.insert(pieces.end(), sample.begin(), sample.end());
  meter->Expect(BytesOf(pieces));
  return ReadScales(subject, std::move(pieces), [meter](uint64_t bytes) { meter->Add(bytes); });
}

// All facts of a full audit, of which the journal knows some.
std::vector<ModuleFacts> ReadFacts(const Subject& subject, const Comparison* comparison,
                                   const std::vector<ModuleScalars>& scalars,
                                   const AuditOptions& options, ReadMeter* meter,
                                   FindingList* findings) {
  if (options.journal.empty()) {
    const auto forget = [](size_t, const ModuleFacts&) {};
    return StreamFacts(subject, comparison, scalars, KnownFacts(subject.index.modules.size()),
                       forget, options.window_bytes, meter);
  }
  Journal journal(options.journal, JournalIdentity(subject, comparison), subject);
  if (!journal.refusal().empty()) {
    findings->Add(kJournalAnew, options.journal.string() + " (" + journal.refusal() + ")");
  }
  const auto remember = [&](size_t module, const ModuleFacts& facts) {
    journal.Add(module, facts);
  };
  try {
    auto facts = StreamFacts(subject, comparison, scalars, journal.TakeKnown(), remember,
                             options.window_bytes, meter);
    journal.Flush();
    return facts;
  } catch (const Error&) {
    journal.Flush();
    throw;
  }
}

// Rules and statistics about what was read.
void CheckReadings(const Subject& subject, const ScaleReadings& readings,
                   const ManifestFacts& manifest, FindingList* findings, AuditReport* report) {
  const std::vector<ModuleFacts>& facts = readings.facts;
  for (const ModuleFacts& module : facts) report->scale_bytes_read += module.scales.bytes;
  CheckScales(subject, facts, findings);
  CheckValues(subject, facts, findings);
  CheckInputScales(subject, readings.scalars, manifest, findings);
  CheckBlocks(subject, facts, findings);
  report->cells = CellsOf(subject, readings.scalars, facts);
  report->expert_tokens = ExpertTokensOf(subject, manifest);
}

void CompareReadings(const Subject& subject, const Comparison& comparison,
                     const ScaleReadings& readings, const ManifestFacts& manifest,
                     FindingList* findings, AuditReport* report) {
  report->carried_tensors = CheckCarried(subject, comparison.match, readings.facts, findings);
  report->role_errors = CheckErrors(subject, comparison.match.retyped, readings.facts, findings);
  for (const RoleError& role : report->role_errors) report->overall_error.Merge(role.statistics);
  report->worst_weights = WorstWeights(subject, readings.facts, kWorstWeights);
  report->config_changes = ConfigChanges(comparison.source.checkpoint.config(),
                                         subject.checkpoint.config(), manifest.config_reasons);
}

// `headers` and `manifest` are judged and read on other threads, while this one reads scales.
void CheckScalesOnly(const Subject& subject, std::future<void>* headers,
                     std::future<ManifestFacts>* manifest, ReadMeter* meter, FindingList* findings,
                     AuditReport* report) {
  const ScaleReadings readings = ReadSampledScales(subject, meter);
  headers->get();
  CheckScalars(subject, readings.scalars, findings);
  CheckReadings(subject, readings, manifest->get(), findings, report);
}

void CheckEverything(const Subject& subject, const AuditOptions& options,
                     const ManifestFacts& manifest, ReadMeter* meter, FindingList* findings,
                     AuditReport* report) {
  uint64_t scalar_bytes = 0;
  ScaleReadings readings =
      ReadScales(subject, ScalarPieces(subject), [&](uint64_t bytes) { scalar_bytes += bytes; });
  CheckScalars(subject, readings.scalars, findings);
  std::optional<Comparison> comparison;
  if (!options.source.empty()) {
    comparison = OpenComparison(subject, options.source, manifest, findings);
  }
  meter->Expect(scalar_bytes);
  readings.facts = ReadFacts(subject, comparison ? &*comparison : nullptr, readings.scalars,
                             options, meter, findings);
  meter->Add(scalar_bytes);
  CheckReadings(subject, readings, manifest, findings, report);
  if (comparison) {
    CompareReadings(subject, *comparison, readings, manifest, findings, report);
  }
}

void CheckSubject(const Subject& subject, const AuditOptions& options,
                  std::future<ManifestFacts>* manifest, FindingList* findings,
                  AuditReport* report) {
  const bool full =
      options.depth == AuditDepth::kFull || !options.source.empty() || !options.journal.empty();
  report->depth = full ? AuditDepth::kFull : AuditDepth::kScales;
  std::future<void> headers = std::async(std::launch::async, [&] {
    Describe(subject, report);
    report->engines = CheckHeaders(subject, options.engines, options.tensor_parallel, findings);
    CheckReadable(subject, findings);
  });
  ReadMeter meter(options.on_read);
  if (!full) return CheckScalesOnly(subject, &headers, manifest, &meter, findings, report);
  headers.get();
  CheckEverything(subject, options, manifest->get(), &meter, findings, report);
}

}  // namespace

AuditReport Validate(const AuditOptions& options) {
  AuditReport report;
  report.directory = options.directory.string();
  report.source = options.source.string();
  FindingList findings(options.engines.set);
  std::future<ManifestFacts> manifest =
      std::async(std::launch::async, ReadManifestFacts, options.directory);
  const std::optional<Subject> subject = OpenSubject(options.directory, &findings);
  if (subject) CheckSubject(*subject, options, &manifest, &findings, &report);
  report.findings = findings.Sorted();
  return report;
}

}  // namespace vernier::audit
