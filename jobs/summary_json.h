// Summaries of jobs as JSON, of those that have no file of their own.
#ifndef VERNIER_JOBS_SUMMARY_JSON_H_
#define VERNIER_JOBS_SUMMARY_JSON_H_

#include "base/json.h"
#include "jobs/pipeline.h"
#include "jobs/report.h"
#include "jobs/trace.h"

namespace vernier::jobs {

// {"source", "output", "run_dir", "clean", "seconds": {phase: seconds}, "calibration", "export",
// "audit", "evaluation", "layouts"}; a step that was not taken is null.
Json PipelineJson(const PipelineSummary& summary);

// {"page", "audit_absent"}
Json ReportJson(const ReportSummary& summary);

// {"windows", "perplexity", "predicted_tokens"}; the last two are null without a perplexity.
Json TraceJson(const TraceSummary& summary);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_SUMMARY_JSON_H_
