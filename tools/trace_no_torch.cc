#include "base/error.h"
#include "tools/command.h"

namespace vernier::tools {

void AddTraceCommand(CLI::App& app, CommandContext&) {
  CLI::App* command = app.add_subcommand("trace", "Not in this build: it needs libtorch");
  command->allow_extras();
  command->callback([] {
    throw Error(ErrorCode::kNoTorch, "trace", "running a model needs libtorch, which this build "
                "leaves out", "Build with -DVERNIER_WITH_TORCH=ON");
  });
}

}  // namespace vernier::tools
