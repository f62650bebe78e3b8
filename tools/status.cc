// vernier status: what a run has done, what is left, and how to continue.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "run/run_status.h"
#include "tools/command.h"
#include "tools/status_text.h"

namespace vernier::tools {

void AddStatusCommand(CLI::App& app, CommandContext&) {
  CLI::App* command = app.add_subcommand(
      "status",
      "Tell what a run has done, what is left and the command that continues it. Writes nothing; "
      "the run may be at work.");
  auto run = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command->add_option("RUN", *run, "The run directory, or its store file")->required();
  command->add_flag("--json", *json, "Print one JSON object");
  command->callback([run, json] {
    const run::RunStatus status = run::ReadRunStatus(run::Store::OpenForReading(*run));
    fmt::print("{}", *json ? StatusJson(status).dump(2) + "\n" : StatusText(status));
  });
}

}  // namespace vernier::tools
