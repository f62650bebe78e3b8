// vernier report: a run and the checkpoint that it wrote as one HTML page.
#include "jobs/report.h"

#include <fmt/format.h>

#include "tools/command.h"

namespace vernier::tools {

int RunReport(const Arguments& arguments, const CommandContext& context) {
  jobs::ReportSpec spec;
  arguments.Read("RUN", spec.run);
  arguments.Read("--out", spec.out);
  ProgressWriter progress(context.progress);
  fmt::print("report       {}\n", jobs::WriteReport(spec, progress).page.string());
  return 0;
}

}  // namespace vernier::tools
