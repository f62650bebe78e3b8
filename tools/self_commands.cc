// vernier completion, man, options and schema: what the tables tell of the command itself.
#include <fmt/format.h>

#include <string>

#include "recipes/recipe_schema.h"
#include "tools/command.h"
#include "tools/completion.h"
#include "tools/manual.h"

namespace vernier::tools {

int RunCompletion(const Arguments& arguments, const CommandContext&) {
  std::string shell;
  arguments.Read("SHELL", shell);
  fmt::print("{}", CompletionScript(shell));
  return 0;
}

int RunManual(const Arguments&, const CommandContext&) {
  fmt::print("{}", ManualPage(VERNIER_VERSION));
  return 0;
}

int RunOptions(const Arguments&, const CommandContext&) {
  fmt::print("{}", OptionsPage());
  return 0;
}

int RunSchema(const Arguments&, const CommandContext&) {
  fmt::print("{}", recipes::RecipeSchemaText());
  return 0;
}

}  // namespace vernier::tools
