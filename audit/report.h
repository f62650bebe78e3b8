// What an audit finds.
#ifndef VERNIER_AUDIT_REPORT_H_
#define VERNIER_AUDIT_REPORT_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "audit/engine.h"
#include "audit/statistics.h"
#include "base/json.h"
#include "checkpoint/logical_weight.h"

namespace vernier::audit {

enum class Severity { kError, kWarning, kInfo };
std::string_view SeverityName(Severity severity);  // "error"

// One kind of defect: a rule's stable id, what is wrong in a sentence without final stop, and what
// to do about it.
struct Defect {
  std::string_view rule;
  Severity severity;
  std::string_view what;
  std::string_view remedy;
};

// A defect and everything that has it.
struct Finding {
  std::string rule;
  Severity severity = Severity::kError;
  std::string what;
  EngineSet engines = EngineSet::All();  // that stumble over it
  std::vector<std::string> tensors;  // the first few, with the offending value where there is one
  int64_t tensor_count = 0;
  std::string remedy;
};

// Collects findings; the same defect of many tensors is one finding. Not thread-safe.
class FindingList {
 public:
  // Findings that concern none of `engines` are left out.
  explicit FindingList(EngineSet engines = EngineSet::All()) : engines_(engines) {}

  // `subject` is the tensor, module or config field at fault.
  void Add(const Defect& defect, std::string_view subject, EngineSet engines = EngineSet::All());
  bool HasErrors() const;
  // Of one of these rules.
  bool HasErrorsOf(std::span<const std::string_view> rules) const;
  // Errors first, then by rule.
  std::vector<Finding> Sorted() const;

 private:
  EngineSet engines_;
  std::vector<Finding> findings_;
  std::map<std::tuple<std::string, std::string, EngineSet>, size_t> index_;
};

// How much of the files an audit has read.
enum class AuditDepth {
  kScales,  // headers, configurations, scales; of very many block scales a sample
  kFull,    // every byte
};
std::string_view AuditDepthName(AuditDepth depth);  // "scales"

struct RoleError {
  checkpoint::Role role = checkpoint::Role::kOther;
  ErrorStatistics statistics;
};

// What loads, or does not, when the model is split over `size` devices.
struct TensorParallelVerdict {
  int size = 1;
  int64_t problems = 0;       // modules that cannot be split so
  std::string first_problem;  // of them; empty without
};

// What one engine makes of the checkpoint.
struct EngineVerdict {
  Engine engine = Engine::kVllm;
  std::string release = {};  // "0.33"; empty: no particular one
  std::string path;          // the reader it chooses, in its own words: "modelopt_fp4"
  std::string refusal;       // why it does not load the checkpoint at all; empty when it does
  // Modules by the format that it would build them in: "nvfp4", "unquantised".
  std::map<std::string, int64_t> modules;
  int64_t disagreements = 0;      // modules stored otherwise
  int64_t mtp_disagreements = 0;  // of these, modules of MTP layers
  std::vector<TensorParallelVerdict> tensor_parallel;
};

// A difference between the source's config.json and the checkpoint's.
struct ConfigChange {
  std::string path;    // JSON pointer: "/rope_scaling/factor"
  Json before;         // null: absent
  Json after;          // null: absent
  std::string reason;  // from the manifest, or empty
};

// How many calibration tokens each routed expert of a layer saw.
struct ExpertTokens {
  int layer = 0;
  std::vector<int64_t> tokens;  // by expert
};

struct AuditReport {
  std::string directory;
  std::string source;  // empty: not compared
  AuditDepth depth = AuditDepth::kScales;
  std::string model_type;
  bool guessed_model = false;  // roles come from names alone
  std::string dialect;         // "modelopt"
  int64_t tensors = 0;
  uint64_t bytes = 0;
  std::map<checkpoint::Format, int64_t> quantised_weights;  // by format, none of them 0
  std::vector<std::string> unclaimed;  // matrices that no module claimed (unclaimed.h)
  uint64_t scale_bytes = 0;            // block scales: E4M3, E8M0 or numbers
  uint64_t scale_bytes_read = 0;  // of these; fewer where AuditDepth::kScales looks at a sample
  int64_t carried_tensors = 0;    // byte-equal to the source
  std::vector<Finding> findings;
  std::vector<EngineVerdict> engines;  // those asked for
  std::vector<CellStatistics> cells;   // by layer, then role
  std::vector<RoleError> role_errors;  // of converted weights, in order of roles
  ErrorStatistics overall_error;
  std::vector<WeightError> worst_weights;  // of converted ones, the largest relative error first
  std::vector<ConfigChange> config_changes;
  std::vector<ExpertTokens> expert_tokens;  // from the manifest, by layer

  int64_t Count(Severity severity) const;
  // No errors; warnings are allowed.
  bool Clean() const { return Count(Severity::kError) == 0; }
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_REPORT_H_
