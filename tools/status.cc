// vernier status: what a run has done, what is left, and how to continue.
#include <fmt/format.h>

#include <string>

#include "run/run_status.h"
#include "tools/command.h"
#include "tools/status_text.h"

namespace vernier::tools {

int RunStatus(const Arguments& arguments, const CommandContext&) {
  std::string run;
  arguments.Read("RUN", run);
  const run::RunStatus status = run::ReadRunStatus(run::Store::OpenForReading(run));
  fmt::print("{}",
             arguments.Has("--json") ? StatusJson(status).dump(2) + "\n" : StatusText(status));
  return 0;
}

}  // namespace vernier::tools
