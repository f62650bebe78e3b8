// vernier inspect: what a checkpoint holds, as text or JSON.
#include "jobs/inspect.h"

#include <fmt/format.h>

#include <filesystem>

#include "tools/command.h"
#include "tools/inspect_text.h"

namespace vernier::tools {

int RunInspect(const Arguments& arguments, const CommandContext&) {
  std::filesystem::path directory;
  arguments.Read("DIR", directory);
  const jobs::InspectReport report = jobs::Inspect(directory);
  fmt::print("{}", arguments.Has("--json") ? jobs::InspectJson(report).dump(2) + '\n'
                                           : InspectText(report));
  return 0;
}

}  // namespace vernier::tools
