#include "tools/forward_options.h"

#include <map>
#include <string>

namespace vernier::tools {

void AddForwardOptions(CLI::App& command, jobs::ForwardSpec& options) {
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

}  // namespace vernier::tools
