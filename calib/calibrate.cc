#include "calib/calibrate.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/seconds_since.h"
#include "calib/budget/forecast.h"
#include "calib/device.h"
#include "calib/device_forward.h"
#include "calib/device_nvfp4.h"
#include "calib/device_statistics.h"
#include "calib/families/decoder.h"
#include "calib/fold_solver.h"
#include "calib/format_trials.h"
#include "calib/layer_committer.h"
#include "calib/layer_saver.h"
#include "calib/non_finite_guard.h"
#include "calib/pass.h"
#include "calib/quantised_layer.h"
#include "calib/recorder.h"
#include "calib/save_policy.h"
#include "calib/statistics/input_sample.h"
#include "calib/weight_solver.h"
#include "run/fold_record.h"
#include "run/kept_statistics.h"
#include "run/loop_sizes.h"
#include "run/module_record.h"
#include "run/partial_layer.h"
#include "run/run_files.h"
#include "run/run_identity.h"
#include "run/solved_weight.h"
#include "run/source_ledger.h"

namespace vernier::calib {
namespace {

using Clock = std::chrono::steady_clock;

NonFinitePolicy PolicyOf(const recipes::Recipe& recipe) {
  return recipe.non_finite == recipes::NonFinite::kClamp ? NonFinitePolicy::kClamp
                                                         : NonFinitePolicy::kStop;
}

// The hidden states that a run directory goes on from.
SampleBuffer OpenActivations(const run::Store& store, const LayerLoop& loop, int64_t samples) {
  const run::ActivationCheckpoint saved = store.LatestActivations().value();
  const std::filesystem::path path = store.run_dir() / saved.file_name;
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorCode::kStoreCorrupt, path.string(),
                "the hidden states that the store goes on from are not there",
                "Copy this file from the run directory where the calibration began");
  }
  SampleBuffer file =
      SampleBuffer::OpenFile(path, samples, loop.HiddenSampleShape(), loop.compute_dtype());
  if (file.Hash(0, file.samples()) != saved.hash) {
    throw Error(ErrorCode::kStoreCorrupt, path.string(),
                "the activation checkpoint does not have the hash in the store",
                "Restore the file, or delete the run directory and calibrate again");
  }
  return file;
}

// Bytes of solved weights in memory above which layers that wait to be committed do so.
constexpr uint64_t kMostSolvedBytes = 512u << 20u;

// What a calibration adds to a pass: where it begins, saves, commits.
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
                 .clamp = request.recipe.non_finite == recipes::NonFinite::kClamp},
                request.stream),
        decoder_(MakeDecoder(loader_)),
        pass_({.decoder = *decoder_,
               .tokens = request.tokens,
               .budget = request.budget,
               .device = device_,
               .compute_dtype = loader_.compute_dtype(),
               .directory = store.run_dir(),
               .all_experts = request.recipe.calibration.all_experts,
               .times = &times_,
               .reads_next = !request.plan.propagates}),
        saver_(store, statistics::AllStatistics(), std::bind_front(&CalibrationRun::Keeps, this)),
        committer_(store, ledger_, request.recipe.compute.save_interval),
        policy_(request.recipe.compute.save_interval),
        recorder_(ObservedNames(request.plan)),
        folds_(request.source, request.plan, UnobservedReads()),
        trials_(request.source, request.plan, folds_.scales(), request.recipe.activation_headroom,
                UnobservedReads()),
        solver_(request.source, request.plan, folds_.scales(), loader_, UnobservedReads(),
                {.run_dir = store.run_dir(), .batch_bytes = request.solved_batch_bytes}),
        guard_(recorder_, PolicyOf(request.recipe)) {
    recorder_.KeepOnly(std::bind_front(&CalibrationRun::Keeps, this));
    for (const recipes::ScaleGroup& group : request.plan.scale_groups) {
      recorder_.ShareInputs(ObservedInputs(group));
    }
  }

  CalibrationSummary Run() {
    CalibrationSummary summary{.layers = decoder_->Layers(),
                               .tokens = request_.tokens.RealTokens()};
    // Also of a finished calibration that was killed before it removed them.
    run::RemoveStaleFiles(store_.run_dir(), run::NeededFiles(store_));
    if (store_.CalibrationFinished()) {
      summary.resumed_at_layer = summary.layers;
      return summary;
    }
    store_.SetTotalLayers(summary.layers);
    SaveModules();
    const int64_t first = store_.LastLayer().value_or(-1) + 1;
    summary.resumed_at_layer = first;
    RequireRoom();
    run::SaveLoopSizes(store_, {.batch_size = request_.budget.batch_size,
                                .query_chunk = request_.budget.query_chunk});
    PassStart start = Start(first);
    LogKernels();
    progress_.BeginPhase("calibrate", static_cast<double>(summary.layers),
                         static_cast<double>(first) + (start.begun ? start.begun->Fraction() : 0));
    pass_.Run(std::move(start), summary.layers, guard_, {progress_},
              {.unit_done = std::bind_front(&CalibrationRun::AfterUnit, this),
               .layer_done = std::bind_front(&CalibrationRun::AfterLayer, this)});
    run::RemoveStaleFiles(store_.run_dir(), run::NeededFiles(store_));
    progress_.EndPhase();
    summary.stages = times_.stages();
    return summary;
  }

 private:
  // Of weights that are decided about: they were hashed when they were loaded.
  checkpoint::ReadOptions UnobservedReads() const {
    return {.clamp = request_.recipe.non_finite == recipes::NonFinite::kClamp};
  }

  // What goes on without our kernels, more slowly.
  void LogKernels() const {
    const auto log = [&](std::string_view what, std::string_view how, const std::string& problem) {
      if (!problem.empty()) store_.LogEvent(what, fmt::format("{}: {}", how, problem));
    };
    log("statistics", "made by ATen", DeviceStatistics::ProblemOf(device_));
    log("forward pass", "made by ATen", DeviceForward::ProblemOf(device_));
    const SolvingSizes solving = MeasureSolving(request_.source.layout, request_.plan);
    if (solving.solve_flops + solving.search_flops == 0) return;
    log("searches for scales", "on the CPU", DeviceNvfp4::ProblemOf(device_));
  }

  // Before hours of work: the files of an earlier run are part of what is needed.
  void RequireRoom() const {
    const uint64_t needed =
        ForecastDisk(request_.source, request_.plan, request_.budget).RunDirectory();
    const uint64_t there = run::BytesOfFiles(store_.run_dir());
    RequireFreeSpace(store_.run_dir(), needed - std::min(needed, there), "the calibration");
  }

  // Where an earlier run left layer `first`, or its beginning.
  PassStart Start(int64_t first) {
    PassStart start{.layer = first, .hidden = HiddenBefore(first)};
    KeepBefore(start.hidden);  // what was saved of the layer takes its place in memory
    BeginLayer(static_cast<int>(first), /*resumes=*/true);
    std::optional<LayerSaver::Resumed> resumed = saver_.Resume(first, pass_.loop(), start.hidden);
    StartClock();
    if (!resumed) {
      BeginLayer(static_cast<int>(first), /*resumes=*/false);
      return start;
    }
    recorder_.Restore(resumed->so_far.statistics, device_);
    guard_.Restore(resumed->so_far.non_finites);
    seconds_before_ = resumed->so_far.seconds;
    start.begun = std::move(resumed->state);
    return start;
  }

  // `resumes`: what was decided in it before its last save stands.
  void BeginLayer(int layer, bool resumes) {
    const std::set<std::string> solved = resumes ? SolvedBefore(layer) : std::set<std::string>();
    std::vector<run::FoldRecord> folds;
    std::vector<recipes::FormatError> errors;
    if (resumes) {
      folds = run::FoldsOfUnit(store_.database(), layer);
      errors = run::FormatErrorsOfUnit(store_.database(), layer);
    }
    folds_.BeginLayer(layer, folds);
    trials_.BeginLayer(layer, errors);
    solver_.BeginLayer(layer, solved);
  }

  // Modules of an unfinished layer. It is begun anew where their files are damaged.
  std::set<std::string> SolvedBefore(int layer) {
    std::set<std::string> modules;
    try {
      for (const run::SolvedWeight& weight : run::SolvedWeightsOfUnit(store_.database(), layer)) {
        run::CheckSolvedWeight(store_.run_dir(), weight);
        modules.insert(weight.module);
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kStoreCorrupt) throw;
      store_.LogEvent("discard", error.what());
      run::DiscardPartialLayer(store_);
      return {};
    }
    return modules;
  }

  std::shared_ptr<SampleBuffer> HiddenBefore(int64_t layer) const {
    if (layer == 0) {
      decoder_->ReadAhead({.layer = 0, .dense = true});  // beside the embedding
      return pass_.Embed("hidden-embedding.scratch");
    }
    const SampleBuffer file = OpenActivations(store_, pass_.loop(), request_.tokens.samples);
    store_.LogEvent("resume", fmt::format("after layer {}", layer - 1));
    if (request_.budget.spill_hidden) {
      return std::make_shared<SampleBuffer>(file.OpenSame(file.path()));
    }
    auto hidden = std::make_shared<SampleBuffer>(pass_.loop().MakeHiddenBuffer({}));
    hidden->CopyFrom(file, 0, file.samples());
    return hidden;
  }

  void StartClock() {
    seconds_before_ = 0;
    layer_start_ = unit_start_ = Clock::now();
  }

  double LayerSeconds() const { return seconds_before_ + SecondsSince(layer_start_); }

  void AfterUnit(int64_t layer, LayerState& state) {
    Solve(state);
    policy_.UnitDone(SecondsSince(std::exchange(unit_start_, Clock::now())));
    // The whole layer is about to be committed, or those before it must be first.
    if (state.Fraction() >= 1 || committer_.HasWaiting()) return;
    const uint64_t bytes =
        saver_.UnsavedBytes(state) + recorder_.Bytes() + solver_.solved().MemoryBytes();
    if (!progress_.StopRequested() && !policy_.ShouldSave(bytes)) return;
    const StageClock clock(&times_, "save within a layer");
    const Clock::time_point start = Clock::now();
    const int number = static_cast<int>(layer);
    committer_.Wait();
    ledger_.Commit();
    saver_.Save(state, {.seconds = LayerSeconds(),
                        .statistics = recorder_.Rows(number),
                        .non_finites = guard_.NonFinites(number),
                        .decided = {.solved = solver_.solved().Take(),
                                    .folds = folds_.TakeDecided(),
                                    .format_errors = trials_.TakeMeasured()}});
    policy_.Saved(bytes, SecondsSince(start));
    unit_start_ = Clock::now();
    progress_.ThrowIfStopped();
  }

  // Folds first: formats are tried and weights are solved as they leave them.
  void Solve(const LayerState& state) {
    std::vector<std::string> seen;
    if (folds_.HasWork()) {
      const StageClock clock(&times_, "choose folds");
      seen = folds_.Solve(state, recorder_);
    }
    if (trials_.HasWork()) {
      const StageClock clock(&times_, "try formats");
      const std::vector<std::string> tried = trials_.Solve(state, recorder_);
      seen.insert(seen.end(), tried.begin(), tried.end());
    }
    for (const std::string& module : seen) {
      if (!NeedsSampleOf(module)) recorder_.Take(module, statistics::InputSample::kName);
    }
    if (!solver_.HasWork()) return;
    const StageClock clock(&times_, "solve");
    solver_.Solve(state, recorder_);
  }

  // What the layer under way reads, where it is to run twice: in memory it works in place.
  void KeepBefore(const std::shared_ptr<SampleBuffer>& hidden) {
    if (!request_.plan.propagates) return;
    before_ = hidden;
    if (hidden->in_file()) return;
    const c10::InferenceMode inference;  // as in a pass, whose memory it may be
    before_ = std::make_shared<SampleBuffer>(pass_.loop().MakeHiddenBuffer({}));
    before_->CopyFrom(*hidden, 0, hidden->samples());
  }

  // Runs the layer again, as the export will have it: `state` is then what that passes on. Nothing
  // of it is saved before its end.
  void RunQuantised(int64_t layer, LayerState& state) {
    committer_.Wait();
    QuantisedWeights weights(request_.source, request_.plan, folds_.scales(), solver_.solved(),
                             store_, static_cast<int>(layer), UnobservedReads());
    QuantisedInputs inputs(request_.source, request_.plan, folds_.scales(), recorder_,
                           request_.recipe.activation_headroom);
    NonFiniteGuard guard(inputs, PolicyOf(request_.recipe));
    state = pass_.loop().MakeState(layer, std::exchange(before_, nullptr));
    const TensorLoader::Substituting substituting(loader_, weights);
    const bool last = layer + 1 == decoder_->Layers();
    pass_.loop().RunLayer(
        layer, state, guard, [&](LayerState&) { progress_.ThrowIfStopped(); },
        last ? std::nullopt : std::optional(layer + 1));
    saver_.BeginLayer(layer);
  }

  // Returns what the next layer reads.
  std::shared_ptr<SampleBuffer> AfterLayer(int64_t layer, LayerState& state) {
    if (request_.plan.propagates) RunQuantised(layer, state);
    const StageClock clock(&times_, "commit");
    const int number = static_cast<int>(layer);
    run::LayerResult result{.layer = number,
                            .seconds = LayerSeconds(),
                            .statistics = WithUnseenModules(number, recorder_.Rows(number)),
                            .activations = {},
                            .non_finites = guard_.NonFinites(number),
                            .solved = {},
                            .folds = folds_.TakeDecided(),
                            .format_errors = trials_.TakeMeasured()};
    waiting_bytes_ += solver_.solved().MemoryBytes();
    result.solved = solver_.solved().Take();
    const bool last = layer + 1 == decoder_->Layers();
    const bool stop = progress_.StopRequested();
    const bool now = stop || waiting_bytes_ >= kMostSolvedBytes;
    using When = LayerCommitter::When;
    std::shared_ptr<SampleBuffer> out =
        committer_.LayerDone(std::move(result), state, saver_.UnsavedOut(state),
                             last ? When::kLast : (now ? When::kNow : When::kDue));
    if (!committer_.HasWaiting()) waiting_bytes_ = 0;
    recorder_.Clear();
    guard_.Clear();
    policy_.LayerCommitted();
    if (stop) committer_.Wait();
    progress_.ThrowIfStopped();
    saver_.BeginLayer(layer + 1);
    BeginLayer(number + 1, /*resumes=*/false);
    if (!last) KeepBefore(out);
    StartClock();
    return out;
  }

  // Also of a run that another version began.
  void SaveModules() const {
    run::Transaction transaction(store_.database());
    run::SaveModules(store_.database(),
                     run::ObservedModules(request_.source.layout, request_.plan));
    transaction.Commit();
  }

  // Modules that saw no token are recorded too, with 0 tokens.
  std::vector<run::StatisticRow> WithUnseenModules(int layer,
                                                   std::vector<run::StatisticRow> seen) const {
    std::map<std::pair<std::string, std::string>, run::StatisticRow> rows;
    for (const std::string& module : request_.plan.observed_modules) {
      if (recipes::ObservedLayer(request_.source.layout, request_.plan, module) != layer) continue;
      for (const statistics::Statistic& statistic : statistics::AllStatistics()) {
        if (statistic.site != SiteOf(module) || !Keeps(module, statistic)) continue;
        if (statistics::IsTransient(statistic.purpose)) continue;
        rows[{module, std::string(statistic.name)}] = {layer, module, std::string(statistic.name),
                                                       statistic.version,
                                                       statistics::ToBytes(statistic.nothing())};
      }
    }
    for (run::StatisticRow& row : seen) rows[{row.module, row.name}] = std::move(row);
    std::vector<run::StatisticRow> all;
    for (auto& [place, row] : rows) all.push_back(std::move(row));
    return all;
  }

  // Of those that belong to its site.
  bool Keeps(std::string_view module, const statistics::Statistic& statistic) const {
    if (statistic.purpose == statistics::Purpose::kGptq) return solver_.NeedsInputsOf(module);
    if (statistic.purpose == statistics::Purpose::kSample) return NeedsSampleOf(module);
    return run::KeepsStatistic(statistic, request_.source.layout, request_.plan, module);
  }

  // Of what an engine fuses and feeds one input, the modules that are observed.
  std::vector<std::string> ObservedInputs(const recipes::ScaleGroup& group) const {
    std::vector<std::string> modules;
    for (const size_t weight : group.inputs) {
      const std::string& module = request_.source.layout.weights[weight].module;
      if (recorder_.Wants(module)) modules.push_back(module);
    }
    return modules;
  }

  bool NeedsSampleOf(std::string_view module) const {
    return folds_.NeedsInputsOf(module) || trials_.NeedsInputsOf(module) ||
           solver_.NeedsInputsOf(module);
  }

  static std::vector<std::string> ObservedNames(const recipes::Plan& plan) {
    std::vector<std::string> names = plan.observed_modules;
    names.insert(names.end(), plan.observed_blocks.begin(), plan.observed_blocks.end());
    return names;
  }

  statistics::Site SiteOf(const std::string& module) const {
    const bool cache = std::ranges::any_of(
        request_.plan.kv_entries,
        [&](const checkpoint::KvCacheEntry& entry) { return entry.observed == module; });
    return cache ? statistics::Site::kCache : statistics::Site::kLinearInput;
  }

  const CalibrationRequest& request_;
  run::Store& store_;
  Progress& progress_;
  at::Device device_;
  run::SourceLedger ledger_;
  TensorLoader loader_;
  std::unique_ptr<Decoder> decoder_;
  StageTimes times_;
  Pass pass_;
  LayerSaver saver_;
  LayerCommitter committer_;
  SavePolicy policy_;
  Recorder recorder_;
  FoldSolver folds_;
  FormatTrials trials_;
  WeightSolver solver_;
  uint64_t waiting_bytes_ = 0;            // of solved weights of layers that wait, in memory
  std::shared_ptr<SampleBuffer> before_;  // null but where layers run twice
  NonFiniteGuard guard_;
  // Of the current layer.
  double seconds_before_ = 0;  // spent by earlier runs
  Clock::time_point layer_start_, unit_start_;
};

}  // namespace

CalibrationSummary Calibrate(const CalibrationRequest& request, run::Store& store,
                             Progress& progress) {
  run::RunIdentity identity =
      run::AsFinished(run::PlanIdentity(request.source, request.recipe, request.plan), store);
  identity["tokens"] = request.tokens.fingerprint;
  identity["tokenizer"] = request.tokenizer;
  store.RequireIdentity(identity);
  return CalibrationRun(request, store, progress).Run();
}

}  // namespace vernier::calib
