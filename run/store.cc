#include "run/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "run/lock_file.h"
#include "run/partial_layer.h"
#include "run/run_log.h"
#include "run/sqlite.h"
#include "run/store_schema.h"

namespace vernier::run {
namespace {

[[noreturn]] void ThrowNoStore(const std::filesystem::path& path) {
  throw Error(ErrorCode::kNotCalibrated, path.string(), "there is no calibration store",
              "Run `vernier calibrate` first, or name the run directory that it used");
}

}  // namespace

struct Store::Impl {
  // For a store that is written.
  explicit Impl(const std::filesystem::path& directory)
      : run_dir(directory),
        path(directory / kStoreFileName),
        lock(std::in_place, directory / kLockFileName),
        database(path) {
    PrepareSchema(database, path);
  }
  Impl(const std::filesystem::path& directory, const std::filesystem::path& file)
      : run_dir(directory), path(file), database(OpenStoreForReading(file)) {}

  std::filesystem::path run_dir;
  std::filesystem::path path;
  std::optional<LockFile> lock;  // taken before the database is touched
  Database database;
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Store Store::Open(const std::filesystem::path& run_dir) {
  CreateDirectories(run_dir);
  return Store(std::make_unique<Impl>(run_dir));
}

Store Store::OpenExisting(const std::filesystem::path& run_dir) {
  if (!std::filesystem::exists(run_dir / kStoreFileName)) ThrowNoStore(run_dir);
  return Store(std::make_unique<Impl>(run_dir));
}

Store Store::OpenForReading(const std::filesystem::path& path) {
  const bool is_directory = std::filesystem::is_directory(path);
  const std::filesystem::path file = is_directory ? path / kStoreFileName : path;
  if (!std::filesystem::is_regular_file(file)) ThrowNoStore(path);
  return Store(std::make_unique<Impl>(is_directory ? path : path.parent_path(), file));
}

const std::filesystem::path& Store::run_dir() const { return impl_->run_dir; }

const Database& Store::database() const { return impl_->database; }

RunIdentity Store::Identity() const { return LoadIdentity(impl_->database); }

void Store::CheckIdentity(const RunIdentity& identity) const {
  const RunIdentity stored = Identity();
  if (stored.empty()) return;
  const std::vector<std::string> differences = IdentityDifferences(stored, identity);
  if (differences.empty()) return;
  throw Error(ErrorCode::kStoreIdentity, impl_->run_dir.string(),
              "its store was made by a different run: " + JoinNames(differences, "; "),
              "Restore those settings, or choose another run directory");
}

void Store::RequireIdentity(const RunIdentity& identity) {
  CheckIdentity(identity);
  if (!Identity().empty()) return;
  Transaction transaction(impl_->database);
  SaveIdentity(impl_->database, identity);
  transaction.Commit();
}

void Store::SetTotalLayers(int64_t layers) { run::SetTotalLayers(impl_->database, layers); }

std::optional<int64_t> Store::TotalLayers() const { return run::TotalLayers(impl_->database); }

std::optional<int> Store::LastLayer() const { return run::LastLayer(impl_->database); }

std::optional<ActivationCheckpoint> Store::LatestActivations() const {
  if (CalibrationFinished()) return std::nullopt;
  return LastActivations(impl_->database);
}

void Store::CommitLayer(const LayerResult& result) { CommitLayers({&result, 1}); }

void Store::CommitLayers(std::span<const LayerResult> results) {
  Transaction transaction(impl_->database);
  AddLayers(results);
  transaction.Commit();
}

void Store::CommitLastLayers(std::span<const LayerResult> results) {
  Transaction transaction(impl_->database);
  AddLayers(results);
  SetFinished(impl_->database);
  transaction.Commit();
}

// Within the caller's transaction.
void Store::AddLayers(std::span<const LayerResult> results) {
  const Database& database = impl_->database;
  ClearPartialLayer(database);
  for (const LayerResult& result : results) {
    RequireNext(result.layer);
    InsertLayer(database, result.layer, result.seconds, result.activations);
    AddStatistics(*this, result.layer, result.statistics);
    AddSolvedWeights(*this, result.layer, result.solved);
    AddFolds(database, result.layer, result.folds);
    AddFormatErrors(database, result.layer, result.format_errors);
    ReplaceNonFinite(database, result.layer, result.non_finites);
  }
}

void Store::RequireNext(int layer) const {
  const std::optional<int> last = LastLayer();
  const int expected = last ? *last + 1 : 0;
  const bool finished = CalibrationFinished();
  if (layer == expected && !finished) return;
  throw Error(ErrorCode::kStoreCorrupt, impl_->path.string(),
              finished
                  ? fmt::format("layer {} comes after the end of calibration", layer)
                  : fmt::format("layer {} cannot be stored where layer {} is due", layer, expected),
              "Choose another run directory to calibrate again");
}

void Store::FinishCalibration() { SetFinished(impl_->database); }

bool Store::CalibrationFinished() const { return IsFinished(impl_->database); }

std::vector<InputAmax> Store::Inputs() const {
  std::vector<InputAmax> inputs;
  for (const std::string_view name : kAmaxStatistics) {
    for (const StatisticRow& row : StatisticsNamed(*this, name)) inputs.push_back(*AmaxOf(row));
  }
  std::ranges::sort(inputs, {}, [](const InputAmax& input) {
    return std::pair<int, std::string_view>(input.layer, input.module);
  });
  return inputs;
}

std::vector<ShardRecord> Store::FinishedShards(const std::string& plan_hash) const {
  return LoadShards(impl_->database, plan_hash);
}

void Store::CommitShard(const std::string& plan_hash, const ShardRecord& shard) {
  SaveShard(impl_->database, plan_hash, shard);
}

void Store::LogEvent(std::string_view kind, std::string_view detail) {
  run::LogEvent(impl_->database, kind, detail);
}

}  // namespace vernier::run
