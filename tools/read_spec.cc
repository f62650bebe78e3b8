#include "tools/read_spec.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/file.h"
#include "recipes/shipped.h"

namespace vernier::tools {

recipes::Recipe ReadRecipe(const Arguments& arguments, bool runs) {
  recipes::RecipeRequest request = {
      .recipe = {}, .overrides = arguments.RecipeOverrides(), .runs = runs};
  arguments.Read("RECIPE", request.recipe);
  return recipes::FindRecipe(request);
}

jobs::ForwardSpec ReadForwardSpec(const Arguments& arguments) {
  jobs::ForwardSpec spec;
  arguments.Read("--dtype", spec.dtype);
  arguments.Read("--device", spec.device);
  arguments.Read("--device-memory", spec.device_memory);
  arguments.Read("--host-memory", spec.host_memory);
  arguments.ReadName("--expert-input-scale", jobs::kExpertInputScales, spec.expert_input_scale);
  arguments.Read("--batch-size", spec.batch_size);
  arguments.Read("--threads", spec.threads);
  return spec;
}

void PrintOrWriteJson(const Arguments& arguments, const Json& json, const std::string& text) {
  const std::string dump = json.dump(2) + "\n";
  std::filesystem::path out;
  arguments.Read("--out", out);
  if (!out.empty()) WriteFileAtomically(out, dump);
  fmt::print("{}", arguments.Has("--json") ? dump : text);
}

}  // namespace vernier::tools
