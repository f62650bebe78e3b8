#include "calib/calibrate.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "calib/device.h"
#include "calib/families/decoder.h"
#include "calib/layer_loop.h"
#include "calib/store/run_identity.h"

namespace vernier::calib {
namespace {

using Clock = std::chrono::steady_clock;

std::string ActivationFileName(int64_t layer) { return fmt::format("hidden-{:04}.bin", layer); }

std::string PartialFileName(int64_t layer) {
  return PartialPath(ActivationFileName(layer)).string();
}

// The store, the loop and the two ends of the current layer.
class CalibrationRun {
 public:
  CalibrationRun(const CalibrationRequest& request, Store& store, Progress& progress)
      : request_(request),
        store_(store),
        progress_(progress),
        device_(ParseDevice(request.recipe.compute.device)),
        loader_(request.source, device_, ToScalarType(request.recipe.calibration.dtype)),
        decoder_(MakeDecoder(loader_)),
        loop_(*decoder_, request.tokens, device_, loader_.compute_dtype(), Options()) {}

  CalibrationSummary Run() {
    CalibrationSummary summary{.layers = decoder_->Layers(),
                               .tokens = request_.tokens.RealTokens()};
    if (store_.CalibrationFinished()) {
      summary.resumed_at_layer = summary.layers;
      return summary;
    }
    const int64_t first = LoadOrEmbed();
    summary.resumed_at_layer = first;
    progress_.BeginPhase("calibrate", static_cast<double>(summary.layers),
                         static_cast<double>(first));
    InputObserver observer(request_.plan.observed_modules);
    for (int64_t layer = first; layer < summary.layers; ++layer) RunLayer(layer, observer);
    store_.FinishCalibration();
    RemoveActivations(summary.layers - 1);
    progress_.EndPhase();
    return summary;
  }

 private:
  LayerLoopOptions Options() const {
    return {.batch_size = request_.budget.batch_size,
            .query_chunk = request_.budget.query_chunk,
            .experts_per_group = request_.budget.experts_per_group,
            .all_experts = request_.recipe.calibration.all_experts,
            .spill_directory =
                request_.budget.spill_hidden ? store_.run_dir() : std::filesystem::path()};
  }

  // Fills hidden_ with what the first layer to run reads, and returns that layer.
  int64_t LoadOrEmbed() {
    const std::optional<int> last = store_.LastLayer();
    if (!last) {
      hidden_ = loop_.MakeHiddenBuffer("hidden-embedding.scratch");
      loop_.Embed(*hidden_);
      return 0;
    }
    const ActivationCheckpoint saved = store_.LatestActivations().value();
    SampleBuffer file =
        SampleBuffer::OpenFile(store_.run_dir() / saved.file_name, request_.tokens.samples,
                               loop_.HiddenSampleShape(), loop_.compute_dtype());
    if (file.Hash() != saved.hash) {
      throw Error(ErrorCode::kStoreCorrupt, (store_.run_dir() / saved.file_name).string(),
                  "the activation checkpoint does not have the hash in the store",
                  "Restore the file, or delete the run directory and calibrate again");
    }
    store_.LogEvent("resume", fmt::format("after layer {}", *last));
    if (request_.budget.spill_hidden) {
      hidden_ = std::move(file);
    } else {
      hidden_ = loop_.MakeHiddenBuffer({});
      hidden_->CopyFrom(file);
    }
    return *last + 1;
  }

  void RunLayer(int64_t layer, InputObserver& observer) {
    const Clock::time_point start = Clock::now();
    std::optional<SampleBuffer> spilled_out;
    if (request_.budget.spill_hidden) spilled_out = loop_.MakeHiddenBuffer(PartialFileName(layer));
    SampleBuffer& out = spilled_out ? *spilled_out : *hidden_;

    double reported = 0;
    loop_.RunLayer(layer, *hidden_, out, observer, [&](double fraction) {
      progress_.Advance(fraction - reported,
                        fmt::format("layer {}/{}", layer + 1, decoder_->Layers()));
      reported = fraction;
    });
    LayerResult result{.layer = static_cast<int>(layer),
                       .inputs = WithUnseenModules(static_cast<int>(layer),
                                                   observer.Snapshot(static_cast<int>(layer))),
                       .activations = SaveActivations(layer, out)};
    result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    store_.CommitLayer(result);
    if (spilled_out) hidden_ = std::move(spilled_out);
    RemoveActivations(layer - 1);
  }

  ActivationCheckpoint SaveActivations(int64_t layer, const SampleBuffer& hidden) {
    const std::filesystem::path path = store_.run_dir() / ActivationFileName(layer);
    if (!hidden.in_file()) {
      const File file = File::OpenForWrite(PartialPath(path), /*truncate=*/true);
      file.Preallocate(hidden.Bytes());
      hidden.WriteTo(file);
    }
    ActivationCheckpoint saved{
        .file_name = ActivationFileName(layer), .bytes = hidden.Bytes(), .hash = hidden.Hash()};
    PublishPartial(path);
    return saved;
  }

  // Modules that saw no token are recorded too, with 0 tokens.
  std::vector<InputAmax> WithUnseenModules(int layer, std::vector<InputAmax> seen) const {
    std::map<std::string, InputAmax> by_module;
    for (const std::string& module : request_.plan.observed_modules) {
      if (request_.source.layout.FindModule(module)->layer != layer) continue;
      by_module[module] = {.module = module, .layer = layer};
    }
    for (InputAmax& input : seen) by_module[input.module] = std::move(input);
    std::vector<InputAmax> all;
    for (auto& [module, input] : by_module) all.push_back(std::move(input));
    return all;
  }

  // The checkpoint before the one just committed, and scratch files, are no longer needed.
  void RemoveActivations(int64_t layer) const {
    std::error_code ignored;
    std::filesystem::remove(store_.run_dir() / ActivationFileName(layer), ignored);
    for (const auto& entry : std::filesystem::directory_iterator(store_.run_dir(), ignored)) {
      if (entry.path().extension() == ".scratch" && request_.budget.spill_hidden) {
        std::filesystem::remove(entry.path(), ignored);
      }
    }
  }

  const CalibrationRequest& request_;
  Store& store_;
  Progress& progress_;
  at::Device device_;
  TensorLoader loader_;
  std::unique_ptr<Decoder> decoder_;
  LayerLoop loop_;
  std::optional<SampleBuffer> hidden_;
};

}  // namespace

CalibrationSummary Calibrate(const CalibrationRequest& request, Store& store, Progress& progress) {
  RunIdentity identity = PlanIdentity(request.source, request.recipe, request.plan);
  identity["tokens"] = request.tokens.fingerprint;
  store.RequireIdentity(identity);
  return CalibrationRun(request, store, progress).Run();
}

}  // namespace vernier::calib
