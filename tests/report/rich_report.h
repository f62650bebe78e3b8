// Reports with something in every section, for tests of the page.
#ifndef VERNIER_TESTS_REPORT_RICH_REPORT_H_
#define VERNIER_TESTS_REPORT_RICH_REPORT_H_

#include "audit/report.h"
#include "base/json.h"

namespace vernier::testing {

// Text that would end a script element, open a tag or close an attribute if it were not escaped.
inline constexpr const char* kHostileText =
    "</script><script>alert(\"'x'\")</script><!-- <b title='\"'>&amp;&lt; {{data}}";

struct RichOptions {
  int layers = 61;
  int experts = 384;
};

// Converted weights of nine roles with all kinds of errors, findings of every severity, engines
// that load and that refuse, and expert tokens. The same options give the same numbers.
audit::AuditReport RichAudit(const RichOptions& options = {});

// A run as RunFacts describes it, of a model of the same size.
Json RichRun(const RichOptions& options = {});

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_REPORT_RICH_REPORT_H_
