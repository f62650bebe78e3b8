// What an audit finds.
#ifndef VERNIER_AUDIT_REPORT_H_
#define VERNIER_AUDIT_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  std::vector<std::string> tensors;  // the first few, with the offending value where there is one
  int64_t tensor_count = 0;
  std::string remedy;
};

// Collects findings; the same defect of many tensors is one finding. Not thread-safe.
class FindingList {
 public:
  // `subject` is the tensor, module or config field at fault.
  void Add(const Defect& defect, std::string_view subject);
  bool HasErrors() const;
  // Errors first, then by rule.
  std::vector<Finding> Sorted() const;

 private:
  std::vector<Finding> findings_;
  std::map<std::pair<std::string, std::string>, size_t> by_rule_and_text_;
};

// Difference between converted weights and their source, a against b.
struct ErrorStatistics {
  int64_t weights = 0;
  int64_t exact = 0;  // weights whose values are all equal
  int64_t values = 0;
  int64_t saturated = 0;      // source values beyond the largest that their NVFP4 block holds
  double squared_error = 0;   // sum (a - b)^2
  double squared_source = 0;  // sum b^2
  double max_abs_error = 0;

  void Merge(const ErrorStatistics& other);
  // sqrt(squared_error / squared_source); 0 without error, infinite when the source is all zero.
  double RelativeError() const;
  // 10 log10(squared_source / squared_error), infinite without error.
  double SqnrDb() const;
  double SaturatedShare() const;
};

struct RoleError {
  checkpoint::Role role = checkpoint::Role::kOther;
  ErrorStatistics statistics;
};

struct AuditReport {
  std::string directory;
  std::string source;  // empty: not compared
  int64_t tensors = 0;
  uint64_t bytes = 0;
  std::map<checkpoint::WeightFormat, int64_t> quantised_weights;  // by format, none of them 0
  int64_t carried_tensors = 0;                                    // byte-equal to the source
  std::vector<Finding> findings;
  std::vector<RoleError> role_errors;  // of converted weights, in order of roles
  ErrorStatistics overall_error;

  int64_t Count(Severity severity) const;
  // No errors; warnings are allowed.
  bool Clean() const { return Count(Severity::kError) == 0; }
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_REPORT_H_
