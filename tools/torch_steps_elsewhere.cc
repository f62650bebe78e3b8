#include <unistd.h>

#include <cassert>
#include <filesystem>
#include <stdexcept>

#include "base/error.h"
#include "tools/eval_steps.h"
#include "tools/torch_steps.h"

namespace vernier::tools {

void RequireTorch(char** argv) {
  const std::filesystem::path companion =
      std::filesystem::read_symlink("/proc/self/exe").replace_filename("vernier-torch");
  execv(companion.c_str(), argv);
  throw Error(ErrorCode::kNoTorch, companion.string(),
              "running a model needs this program, which builds without libtorch lack",
              "Build with -DVERNIER_WITH_TORCH=ON");
}

recipes::MachineMemory ReadMachineMemory(const recipes::Recipe& recipe) {
  assert(recipe.compute.device == "cpu");
  static_cast<void>(recipe);
  const uint64_t available = recipes::AvailableHostMemory();
  return {.host_available = available, .device_available = available};
}

// Never reached: whoever calls these has called RequireTorch.
CalibrationOutcome RunCalibration(const checkpoint::SourceModel&, const recipes::Recipe&,
                                  const recipes::Plan&, run::Store&, Progress&) {
  throw std::logic_error("RequireTorch was not called");
}

void RunTrace(const TraceOptions&, ProgressStyle) {
  throw std::logic_error("RequireTorch was not called");
}

calib::LayerTestResult RunLayerTest(const LayerTestOptions&, ProgressStyle) {
  throw std::logic_error("RequireTorch was not called");
}

EvalReport RunEval(const EvalOptions&, ProgressStyle) {
  throw std::logic_error("RequireTorch was not called");
}

std::vector<GeneratedText> RunGenerate(const GenerateOptions&, const TextSeen&, ProgressStyle) {
  throw std::logic_error("RequireTorch was not called");
}

}  // namespace vernier::tools
