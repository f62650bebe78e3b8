// vernier inspect: what a checkpoint holds, as text or JSON.
#include "jobs/inspect.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "tools/command.h"
#include "tools/inspect_text.h"

namespace vernier::tools {

void AddInspectCommand(CLI::App& app, CommandContext& /*context*/) {
  struct Options {
    std::filesystem::path directory;
    bool json = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "inspect",
      "Shows what a checkpoint holds: layers, roles, formats, sizes, and anything that "
      "Vernier does not understand. Reads headers only");
  command->add_option("directory", options->directory, "The checkpoint's directory")->required();
  command->add_flag("--json", options->json, "Print one JSON object instead of text");
  command->callback([options] {
    const jobs::InspectReport report = jobs::Inspect(options->directory);
    fmt::print("{}",
               options->json ? jobs::InspectJson(report).dump(2) + '\n' : InspectText(report));
  });
}

}  // namespace vernier::tools
