// What a person reads at the end of run, calibrate, export and convert.
#ifndef VERNIER_TOOLS_RUN_SUMMARY_H_
#define VERNIER_TOOLS_RUN_SUMMARY_H_

#include "jobs/pipeline.h"

namespace vernier::tools {

// Prints what was done on standard output. kAuditFailed when there was an audit and it found
// errors. `timings`: also where the time of the calibration went.
void FinishPipeline(const jobs::PipelineSummary& summary, bool timings = false);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_RUN_SUMMARY_H_
