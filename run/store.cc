#include "run/store.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "run/lock_file.h"
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
      : run_dir(directory), path(file), database(file, DatabaseMode::kReadOnly) {
    RequireSchema(database, file);
  }

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

void InsertLayer(const Database& database, const LayerResult& result) {
  database
      .Prepare(
          "INSERT INTO layer (layer, seconds, activation_file, activation_bytes, activation_hash)"
          " VALUES (?1, ?2, ?3, ?4, ?5)")
      .Bind(1, int64_t{result.layer})
      .Bind(2, result.seconds)
      .Bind(3, result.activations.file_name)
      .Bind(4, static_cast<int64_t>(result.activations.bytes))
      .Bind(5, result.activations.hash)
      .Run();
  Statement insert = database.Prepare("INSERT INTO input_amax VALUES (?1, ?2, ?3, ?4)");
  for (const InputAmax& input : result.inputs) {
    insert.Bind(1, int64_t{result.layer})
        .Bind(2, input.module)
        .Bind(3, double{input.amax})
        .Bind(4, input.tokens)
        .Run();
  }
}

void Store::SetTotalLayers(int64_t layers) {
  impl_->database.Prepare("UPDATE calibration SET layers = ?1").Bind(1, layers).Run();
}

std::optional<int64_t> Store::TotalLayers() const {
  Statement row =
      impl_->database.Prepare("SELECT layers FROM calibration WHERE layers IS NOT NULL");
  if (!row.Step()) return std::nullopt;
  return row.Integer(0);
}

std::optional<int> Store::LastLayer() const {
  Statement row = impl_->database.Prepare("SELECT layer FROM layer ORDER BY layer DESC LIMIT 1");
  if (!row.Step()) return std::nullopt;
  return static_cast<int>(row.Integer(0));
}

std::optional<ActivationCheckpoint> Store::LatestActivations() const {
  if (CalibrationFinished()) return std::nullopt;
  Statement row = impl_->database.Prepare(
      "SELECT activation_file, activation_bytes, activation_hash FROM layer"
      " ORDER BY layer DESC LIMIT 1");
  if (!row.Step()) return std::nullopt;
  return ActivationCheckpoint{.file_name = row.Text(0),
                              .bytes = static_cast<uint64_t>(row.Integer(1)),
                              .hash = row.Text(2)};
}

void Store::CommitLayer(const LayerResult& result) {
  const std::optional<int> last = LastLayer();
  const int expected = last ? *last + 1 : 0;
  if (result.layer != expected || CalibrationFinished()) {
    throw Error(ErrorCode::kStoreCorrupt, impl_->path.string(),
                CalibrationFinished()
                    ? fmt::format("layer {} comes after the end of calibration", result.layer)
                    : fmt::format("layer {} cannot be stored where layer {} is due", result.layer,
                                  expected),
                "Choose another run directory to calibrate again");
  }

  const Database& database = impl_->database;
  Transaction transaction(database);
  InsertLayer(database, result);
  ReplaceNonFinite(database, result.layer, result.non_finites);
  ClearPartialLayer(database);
  transaction.Commit();
}

void Store::FinishCalibration() { impl_->database.Execute("UPDATE calibration SET finished = 1"); }

bool Store::CalibrationFinished() const {
  return impl_->database.QueryInteger("SELECT finished FROM calibration") != 0;
}

std::vector<InputAmax> Store::Inputs() const {
  std::vector<InputAmax> inputs;
  Statement rows = impl_->database.Prepare(
      "SELECT module, layer, amax, tokens FROM input_amax ORDER BY layer, module");
  while (rows.Step()) {
    inputs.push_back({.module = rows.Text(0),
                      .layer = static_cast<int>(rows.Integer(1)),
                      .amax = static_cast<float>(rows.Real(2)),
                      .tokens = rows.Integer(3)});
  }
  return inputs;
}

std::vector<ShardRecord> Store::FinishedShards(const std::string& plan_hash) const {
  std::vector<ShardRecord> shards;
  Statement rows = impl_->database.Prepare(
      "SELECT file_name, bytes, hash, cast_blocks, cast_requantised, cast_inexact FROM shard"
      " WHERE plan_hash = ?1 ORDER BY file_name");
  rows.Bind(1, plan_hash);
  while (rows.Step()) {
    shards.push_back({.file_name = rows.Text(0),
                      .bytes = static_cast<uint64_t>(rows.Integer(1)),
                      .hash = rows.Text(2),
                      .cast_blocks = rows.Integer(3),
                      .cast_requantised = rows.Integer(4),
                      .cast_inexact = rows.Integer(5)});
  }
  return shards;
}

void Store::CommitShard(const std::string& plan_hash, const ShardRecord& shard) {
  impl_->database
      .Prepare(
          "INSERT OR REPLACE INTO shard"
          " (plan_hash, file_name, bytes, hash, cast_blocks, cast_requantised, cast_inexact)"
          " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
      .Bind(1, plan_hash)
      .Bind(2, shard.file_name)
      .Bind(3, static_cast<int64_t>(shard.bytes))
      .Bind(4, shard.hash)
      .Bind(5, shard.cast_blocks)
      .Bind(6, shard.cast_requantised)
      .Bind(7, shard.cast_inexact)
      .Run();
}

void Store::LogEvent(std::string_view kind, std::string_view detail) {
  impl_->database.Prepare("INSERT INTO event (kind, detail) VALUES (?1, ?2)")
      .Bind(1, kind)
      .Bind(2, detail)
      .Run();
}

}  // namespace vernier::run
