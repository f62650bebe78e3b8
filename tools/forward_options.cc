#include "tools/forward_options.h"

#include <map>
#include <string_view>

#include "base/error.h"
#include "base/text.h"

namespace vernier::tools {
namespace {

uint64_t ParseSizeOption(const std::string& text, std::string_view option) {
  if (text.empty()) return 0;
  const auto bytes = ParseByteSize(text);
  if (bytes) return *bytes;
  throw Error(ErrorCode::kBadArgument, option, "\"" + text + "\" is no size",
              "Give a number with a unit such as 8GiB");
}

}  // namespace

void AddForwardOptions(CLI::App& command, ForwardOptions& options) {
  command.add_option("--dtype", options.dtype, "Compute dtype: float32 or bfloat16")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  command.add_option("--device", options.device, "cpu or cuda:N")->capture_default_str();
  command.add_option("--device-memory", options.device_memory,
                     "Budget for weights and batches on the device, e.g. 8GiB");
  command.add_option("--host-memory", options.host_memory,
                     "Budget for hidden states; above it they go to temporary files");
  command.add_option("--batch-size", options.batch_size, "Sequences at a time; 0 chooses")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--threads", options.threads, "Threads; 0 uses all cores")
      ->check(CLI::NonNegativeNumber);
}

void AddActivationsOption(CLI::App& command, bool& quantize) {
  static const std::map<std::string, bool> kChoices = {{"quantised", true}, {"plain", false}};
  command
      .add_option(
          "--activations", quantize,
          "plain: inputs of linear layers as they are; quantised: as engines quantise them, "
          "with the checkpoint's own scales [plain]")
      ->transform(CLI::CheckedTransformer(kChoices));
}

recipes::Recipe ForwardRecipe(const ForwardOptions& options, const std::filesystem::path& source,
                              int64_t samples, int64_t sequence_length) {
  recipes::Recipe recipe;
  recipe.source = source;
  recipe.calibration.data.samples = samples;
  recipe.calibration.data.sequence_length = sequence_length;
  recipe.calibration.dtype = ToComputeDtype(options.dtype);
  recipe.calibration.batch_size = options.batch_size;
  recipe.compute = {.device = options.device,
                    .device_memory = ParseSizeOption(options.device_memory, "--device-memory"),
                    .host_memory = ParseSizeOption(options.host_memory, "--host-memory"),
                    .threads = options.threads};
  return recipe;
}

recipes::ComputeDtype ToComputeDtype(std::string_view name) {
  return name == "float32" ? recipes::ComputeDtype::kFloat32 : recipes::ComputeDtype::kBFloat16;
}

}  // namespace vernier::tools
