#include "calib/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
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
#include "calib/layer_saver.h"
#include "calib/non_finite_guard.h"
#include "calib/recorder.h"
#include "calib/save_policy.h"
#include "recipes/plan_summary.h"
#include "run/loop_sizes.h"
#include "run/run_files.h"
#include "run/run_identity.h"
#include "run/source_ledger.h"

namespace vernier::calib {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

NonFinitePolicy PolicyOf(const recipes::Recipe& recipe) {
  return recipe.non_finite == recipes::NonFinite::kClamp ? NonFinitePolicy::kClamp
                                                         : NonFinitePolicy::kStop;
}

// The store, the loop, and the hidden states before the current layer.
class CalibrationRun {
 public:
  CalibrationRun(const CalibrationRequest& request, run::Store& store, Progress& progress)
      : request_(request),
        store_(store),
        progress_(progress),
        device_(ParseDevice(request.recipe.compute.device)),
        ledger_(store, request.source.checkpoint),
        loader_(request.source, device_, ToScalarType(request.recipe.calibration.dtype),
                {.observer = &ledger_,
                 .clamp = request.recipe.non_finite == recipes::NonFinite::kClamp}),
        decoder_(MakeDecoder(loader_)),
        loop_(*decoder_, request.tokens, device_, loader_.compute_dtype(), Options()),
        saver_(store),
        policy_(request.recipe.compute.save_interval),
        recorder_(request.plan.observed_modules),
        guard_(recorder_, PolicyOf(request.recipe)) {}

  CalibrationSummary Run() {
    CalibrationSummary summary{.layers = decoder_->Layers(),
                               .tokens = request_.tokens.RealTokens()};
    if (store_.CalibrationFinished()) {
      summary.resumed_at_layer = summary.layers;
      return summary;
    }
    store_.SetTotalLayers(summary.layers);
    const int64_t first = store_.LastLayer().value_or(-1) + 1;
    summary.resumed_at_layer = first;
    run::RemoveStaleFiles(store_.run_dir(), run::NeededFiles(store_));
    RequireRoom();
    run::SaveLoopSizes(store_, {.batch_size = request_.budget.batch_size,
                                .query_chunk = request_.budget.query_chunk});
    LoadOrEmbed(first);
    std::optional<LayerSaver::Resumed> resumed = saver_.Resume(first, loop_, hidden_);
    if (resumed) {
      recorder_.Restore(resumed->so_far.inputs, device_);
      guard_.Restore(resumed->so_far.non_finites);
    }
    progress_.BeginPhase("calibrate", static_cast<double>(summary.layers),
                         static_cast<double>(first) + (resumed ? resumed->state.Fraction() : 0));
    for (int64_t layer = first; layer < summary.layers; ++layer) {
      RunLayer(layer, std::exchange(resumed, std::nullopt));
      progress_.ThrowIfStopped();
    }
    store_.FinishCalibration();
    run::RemoveStaleFiles(store_.run_dir(), {});
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

  // Before hours of work: the files of an earlier run are part of what is needed.
  void RequireRoom() const {
    const uint64_t needed = recipes::ForecastDisk(request_.plan, request_.budget).RunDirectory();
    const uint64_t there = run::BytesOfFiles(store_.run_dir());
    RequireFreeSpace(store_.run_dir(), needed - std::min(needed, there), "the calibration");
  }

  // Fills hidden_ with what layer `first` reads.
  void LoadOrEmbed(int64_t first) {
    if (first == 0) {
      hidden_ = std::make_shared<SampleBuffer>(loop_.MakeHiddenBuffer("hidden-embedding.scratch"));
      loop_.Embed(*hidden_);
      return;
    }
    const SampleBuffer file = OpenActivations(store_.LatestActivations().value());
    store_.LogEvent("resume", fmt::format("after layer {}", first - 1));
    if (request_.budget.spill_hidden) {
      hidden_ = std::make_shared<SampleBuffer>(file.OpenSame(file.path()));
    } else {
      hidden_ = std::make_shared<SampleBuffer>(loop_.MakeHiddenBuffer({}));
      hidden_->CopyFrom(file, 0, file.samples());
    }
  }

  SampleBuffer OpenActivations(const run::ActivationCheckpoint& saved) const {
    const std::filesystem::path path = store_.run_dir() / saved.file_name;
    if (!std::filesystem::exists(path)) {
      throw Error(ErrorCode::kStoreCorrupt, path.string(),
                  "the hidden states that the store goes on from are not there",
                  "Copy this file from the run directory where the calibration began");
    }
    SampleBuffer file = SampleBuffer::OpenFile(path, request_.tokens.samples,
                                               loop_.HiddenSampleShape(), loop_.compute_dtype());
    if (file.Hash(0, file.samples()) != saved.hash) {
      throw Error(ErrorCode::kStoreCorrupt, path.string(),
                  "the activation checkpoint does not have the hash in the store",
                  "Restore the file, or delete the run directory and calibrate again");
    }
    return file;
  }

  void RunLayer(int64_t layer, std::optional<LayerSaver::Resumed> resumed) {
    const Clock::time_point start = Clock::now();
    if (!resumed) {
      saver_.BeginLayer(layer);
      resumed.emplace(LayerSaver::Resumed{.state = loop_.MakeState(layer, hidden_)});
    }
    LayerState& state = resumed->state;
    reported_ = state.Fraction();
    unit_start_ = start;
    loop_.RunLayer(layer, state, guard_, [&](LayerState& reached) {
      AfterUnit(layer, reached, resumed->so_far.seconds + SecondsSince(start));
    });
    CommitLayer(layer, state, resumed->so_far.seconds + SecondsSince(start));
  }

  void AfterUnit(int64_t layer, LayerState& state, double layer_seconds) {
    policy_.UnitDone(SecondsSince(std::exchange(unit_start_, Clock::now())));
    progress_.Advance(state.Fraction() - std::exchange(reported_, state.Fraction()),
                      fmt::format("layer {}/{}", layer + 1, decoder_->Layers()));
    if (state.Fraction() >= 1) return;  // the whole layer is about to be committed
    const uint64_t bytes = saver_.UnsavedBytes(state);
    if (!progress_.StopRequested() && !policy_.ShouldSave(bytes)) return;
    const Clock::time_point start = Clock::now();
    ledger_.Commit();
    const int number = static_cast<int>(layer);
    saver_.Save(state, {.seconds = layer_seconds,
                        .inputs = recorder_.Inputs(number),
                        .non_finites = guard_.NonFinites(number)});
    policy_.Saved(bytes, SecondsSince(start));
    unit_start_ = Clock::now();
    progress_.ThrowIfStopped();
  }

  void CommitLayer(int64_t layer, LayerState& state, double seconds) {
    const int number = static_cast<int>(layer);
    saver_.SaveOut(state);
    const SampleBuffer& out = state.part(LayerPart::kOut);
    const std::filesystem::path path = store_.run_dir() / ActivationFileName(layer);
    const run::ActivationCheckpoint saved{.file_name = path.filename().string(),
                                          .bytes = out.Bytes(),
                                          .hash = out.Hash(0, out.samples())};
    PublishPartial(path);
    ledger_.Commit();
    store_.CommitLayer({.layer = number,
                        .seconds = seconds,
                        .inputs = WithUnseenModules(number, recorder_.Inputs(number)),
                        .activations = saved,
                        .non_finites = guard_.NonFinites(number)});
    recorder_.Clear();
    guard_.Clear();
    policy_.LayerCommitted();
    if (out.in_file()) hidden_ = std::make_shared<SampleBuffer>(out.OpenSame(path));
    run::RemoveStaleFiles(store_.run_dir(), {saved.file_name});
  }

  // Modules that saw no token are recorded too, with 0 tokens.
  std::vector<run::InputAmax> WithUnseenModules(int layer, std::vector<run::InputAmax> seen) const {
    std::map<std::string, run::InputAmax> by_module;
    for (const std::string& module : request_.plan.observed_modules) {
      if (recipes::ObservedLayer(request_.source.layout, request_.plan, module) != layer) continue;
      by_module[module] = {.module = module, .layer = layer};
    }
    for (run::InputAmax& input : seen) by_module[input.module] = std::move(input);
    std::vector<run::InputAmax> all;
    for (auto& [module, input] : by_module) all.push_back(std::move(input));
    return all;
  }

  const CalibrationRequest& request_;
  run::Store& store_;
  Progress& progress_;
  at::Device device_;
  run::SourceLedger ledger_;
  TensorLoader loader_;
  std::unique_ptr<Decoder> decoder_;
  LayerLoop loop_;
  LayerSaver saver_;
  SavePolicy policy_;
  Recorder recorder_;
  NonFiniteGuard guard_;
  std::shared_ptr<SampleBuffer> hidden_;
  // Of the current layer.
  double reported_ = 0;
  Clock::time_point unit_start_;
};

}  // namespace

CalibrationSummary Calibrate(const CalibrationRequest& request, run::Store& store,
                             Progress& progress) {
  run::RunIdentity identity = run::PlanIdentity(request.source, request.recipe, request.plan);
  identity["tokens"] = request.tokens.fingerprint;
  identity["tokenizer"] = request.tokenizer;
  store.RequireIdentity(identity);
  return CalibrationRun(request, store, progress).Run();
}

}  // namespace vernier::calib
