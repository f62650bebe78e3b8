// A run and the checkpoint that it wrote as one HTML page.
#ifndef VERNIER_JOBS_REPORT_H_
#define VERNIER_JOBS_REPORT_H_

#include <filesystem>
#include <string>

#include "base/progress.h"

namespace vernier::jobs {

struct ReportSpec {
  std::filesystem::path run;  // the run directory, or its store file
  std::filesystem::path out;  // the page to write; empty: report.html in the run directory
};

struct ReportSummary {
  std::filesystem::path page;
  std::string audit_absent;  // why the page shows no audit; empty: it shows one
};

// Audits the checkpoint again only when it is not what the run left; progress phase "validate".
ReportSummary WriteReport(const ReportSpec& spec, ProgressListener& listener);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_REPORT_H_
