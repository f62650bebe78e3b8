#include "tools/torch_steps.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "calib/blas_core.h"
#include "calib/calibrate.h"
#include "calib/device.h"
#include "calib/layertest/layer_test.h"
#include "calib/store/loop_sizes.h"
#include "calib/trace.h"
#include "datasets/calibration_set.h"
#include "datasets/tokenizer.h"

namespace vernier::tools {
namespace {

uint64_t ParseSizeOption(const std::string& text, std::string_view option) {
  if (text.empty()) return 0;
  const auto bytes = ParseByteSize(text);
  if (bytes) return *bytes;
  throw Error(ErrorCode::kBadArgument, option, "\"" + text + "\" is no size",
              "Give a number with a unit such as 8GiB");
}

recipes::ComputeDtype ToComputeDtype(std::string_view name) {
  return name == "float32" ? recipes::ComputeDtype::kFloat32 : recipes::ComputeDtype::kBFloat16;
}

// The parts of a recipe that the loop and its budget read.
recipes::Recipe MakeTraceRecipe(const TraceOptions& options,
                                const datasets::CalibrationSet& tokens) {
  recipes::Recipe recipe;
  recipe.source = options.source;
  recipe.calibration.data.samples = tokens.samples;
  recipe.calibration.data.sequence_length = tokens.sequence_length;
  recipe.calibration.dtype = ToComputeDtype(options.dtype);
  recipe.calibration.batch_size = options.batch_size;
  recipe.compute = {.device = options.device,
                    .device_memory = ParseSizeOption(options.device_memory, "--device-memory"),
                    .host_memory = ParseSizeOption(options.host_memory, "--host-memory"),
                    .threads = options.threads};
  return recipe;
}

// A directory of this process, removed with what it holds. kFileWrite when none can be made.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "vernier-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) ThrowWriteError(name, errno);
    path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The recipe's calibration and compute sections with the overrides, or the defaults with them.
recipes::Recipe MakeLayerTestRecipe(const LayerTestOptions& options) {
  recipes::Recipe recipe;
  // Nothing is read or written there, but overrides are refused where these are one.
  recipe.source = "source";
  recipe.output = "output";
  recipe.run_dir = "run";
  if (!options.recipe.empty()) recipe = recipes::LoadRecipe(options.recipe);
  recipes::ApplyOverrides(options.overrides, recipe);
  if (!options.dtype.empty()) recipe.calibration.dtype = ToComputeDtype(options.dtype);
  return recipe;
}

// The first samples of `tokens`, at most `samples`.
void KeepSamples(int64_t samples, datasets::CalibrationSet& tokens) {
  tokens.samples = std::min(tokens.samples, samples);
  tokens.ids.resize(static_cast<size_t>(tokens.samples * tokens.sequence_length));
  tokens.lengths.resize(static_cast<size_t>(tokens.samples));
}

datasets::CalibrationSet ReadLayerTestTokens(const LayerTestOptions& options,
                                             const checkpoint::SourceModel& source,
                                             const recipes::Recipe& recipe) {
  if (!options.recipe.empty()) {
    return datasets::BuildCalibrationSet(recipe.calibration.data,
                                         datasets::Tokenizer::Load(options.source));
  }
  datasets::CalibrationSet tokens =
      calib::ReadTokenIds(options.input_ids, source.family->Dims().vocab_size);
  if (options.overrides.samples) KeepSamples(*options.overrides.samples, tokens);
  return tokens;
}

void PrintPerplexity(const calib::Perplexity& perplexity) {
  fmt::print("perplexity {:.6f}  ({} windows, {} predicted tokens)\n", perplexity.value,
             perplexity.windows, perplexity.scored);
}

}  // namespace

void RequireTorch(char** argv) {
  const std::optional<std::string> core = calib::BetterBlasCore();
  if (!core) return;
  setenv(calib::kBlasCoreVariable, core->c_str(), /*overwrite=*/0);
  execv("/proc/self/exe", argv);
  // Without a restart everything works, only slower.
}

recipes::MachineMemory ReadMachineMemory(const recipes::Recipe& recipe) {
  return calib::ReadMachineMemory(calib::ParseDevice(recipe.compute.device));
}

CalibrationOutcome RunCalibration(const checkpoint::SourceModel& source,
                                  const recipes::Recipe& recipe, const recipes::Plan& plan,
                                  calib::Store& store, Progress& progress) {
  calib::SetThreads(recipe.compute.threads);
  const recipes::CalibrationBudget budget =
      recipes::PlanBudget(source, recipe, ReadMachineMemory(recipe), calib::LoadLoopSizes(store));
  const datasets::Tokenizer tokenizer = datasets::Tokenizer::Load(recipe.source);
  const datasets::CalibrationSet tokens =
      datasets::BuildCalibrationSet(recipe.calibration.data, tokenizer);
  const calib::CalibrationSummary summary = calib::Calibrate({.source = source,
                                                              .recipe = recipe,
                                                              .plan = plan,
                                                              .budget = budget,
                                                              .tokens = tokens,
                                                              .tokenizer = tokenizer.fingerprint()},
                                                             store, progress);
  return {.layers = summary.layers,
          .resumed_at_layer = summary.resumed_at_layer,
          .samples = tokens.samples,
          .tokens = summary.tokens};
}

void RunTrace(const TraceOptions& options, ProgressStyle style) {
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(options.source);
  const datasets::CalibrationSet tokens =
      calib::ReadTokenIds(options.input_ids, source.family->Dims().vocab_size);
  const recipes::Recipe recipe = MakeTraceRecipe(options, tokens);
  calib::SetThreads(options.threads);
  const recipes::CalibrationBudget budget =
      recipes::PlanBudget(source, recipe, ReadMachineMemory(recipe));
  const ScratchDirectory scratch;
  const calib::TraceRequest request = {.source = source,
                                       .recipe = recipe,
                                       .budget = budget,
                                       .tokens = tokens,
                                       .scratch_directory = scratch.path()};
  Progress progress(style, stderr, {{"trace", 1.0}});
  if (options.perplexity) return PrintPerplexity(calib::MeasurePerplexity(request, progress));
  calib::WriteTrace(request, options.out, progress);
}

calib::LayerTestResult RunLayerTest(const LayerTestOptions& options, ProgressStyle style) {
  recipes::Recipe recipe = MakeLayerTestRecipe(options);
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(options.source);
  const checkpoint::SourceModel quantized = checkpoint::OpenSourceModel(options.quantized);
  calib::RequireSameLayer(source, quantized, options.layer);
  const datasets::CalibrationSet tokens = ReadLayerTestTokens(options, source, recipe);
  recipe.calibration.data.samples = tokens.samples;
  recipe.calibration.data.sequence_length = tokens.sequence_length;
  calib::SetThreads(recipe.compute.threads);
  const recipes::CalibrationBudget budget =
      calib::PlanLayerTest(source, recipe, ReadMachineMemory(recipe));
  const ScratchDirectory scratch;
  Progress progress(style, stderr, calib::LayerTestPhases(options.layer));
  return calib::RunLayerTest({.source = source,
                              .quantized = quantized,
                              .layer = options.layer,
                              .recipe = recipe,
                              .budget = budget,
                              .tokens = tokens,
                              .scratch_directory = scratch.path()},
                             progress);
}

}  // namespace vernier::tools
