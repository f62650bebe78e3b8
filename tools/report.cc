// vernier report: a run and the checkpoint that it wrote as one HTML page.
#include "jobs/report.h"

#include <fmt/format.h>

#include <memory>

#include "tools/command.h"

namespace vernier::tools {

void AddReportCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "report",
      "Write one HTML page about a run and the checkpoint that it made: verdict, errors by layer, "
      "scales, amax, tokens per expert. It needs no network. Audits the checkpoint again only when "
      "it is not what the run left.");
  auto arguments = std::make_shared<jobs::ReportSpec>();
  command->add_option("RUN", arguments->run, "The run directory, or its store file")->required();
  command->add_option("--out", arguments->out, "The page to write; RUN/report.html by default");
  command->callback([&context, arguments] {
    ProgressWriter progress(context.progress);
    fmt::print("report       {}\n", jobs::WriteReport(*arguments, progress).page.string());
  });
}

}  // namespace vernier::tools
