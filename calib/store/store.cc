#include "calib/store/store.h"

#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "calib/store/lock_file.h"
#include "calib/store/sqlite.h"
#include "calib/store/store_schema.h"

namespace vernier::calib {
namespace {

constexpr std::string_view kStoreFileName = "vernier.sqlite";
constexpr std::string_view kLockFileName = "vernier.lock";

// "seed: stored 1, now 2"
std::string DescribeDifference(const std::string& field, const std::string* stored,
                               const std::string& now) {
  return fmt::format("{}: stored {}, now {}", field, stored == nullptr ? "(nothing)" : *stored,
                     now);
}

}  // namespace

struct Store::Impl {
  explicit Impl(const std::filesystem::path& directory)
      : run_dir(directory), lock(directory / kLockFileName), database(directory / kStoreFileName) {
    PrepareSchema(database, directory / kStoreFileName);
  }

  std::filesystem::path StorePath() const { return run_dir / kStoreFileName; }

  std::filesystem::path run_dir;
  LockFile lock;  // taken before the database is touched
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
  if (!std::filesystem::exists(run_dir / kStoreFileName)) {
    throw Error(ErrorCode::kNotCalibrated, run_dir.string(),
                "the run directory holds no calibration store",
                "Run `vernier calibrate` first, or name the run directory that it used");
  }
  return Store(std::make_unique<Impl>(run_dir));
}

const std::filesystem::path& Store::run_dir() const { return impl_->run_dir; }

void Store::RequireIdentity(const RunIdentity& identity) {
  RunIdentity stored;
  Statement rows = impl_->database.Prepare("SELECT field, value FROM identity");
  while (rows.Step()) stored.emplace(rows.Text(0), rows.Text(1));

  if (stored.empty()) {
    Transaction transaction(impl_->database);
    Statement insert = impl_->database.Prepare("INSERT INTO identity VALUES (?1, ?2)");
    for (const auto& [field, value] : identity) insert.Bind(1, field).Bind(2, value).Run();
    transaction.Commit();
    return;
  }

  std::vector<std::string> differences;
  for (const auto& [field, value] : identity) {
    const auto it = stored.find(field);
    if (it != stored.end() && it->second == value) continue;
    differences.push_back(
        DescribeDifference(field, it == stored.end() ? nullptr : &it->second, value));
  }
  if (differences.empty()) return;
  throw Error(ErrorCode::kStoreIdentity, impl_->run_dir.string(),
              "its store was made by a different run: " + JoinNames(differences, "; "),
              "Restore those settings, or choose another run directory");
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
    throw Error(ErrorCode::kStoreCorrupt, impl_->StorePath().string(),
                CalibrationFinished()
                    ? fmt::format("layer {} comes after the end of calibration", result.layer)
                    : fmt::format("layer {} cannot be stored where layer {} is due", result.layer,
                                  expected),
                "Choose another run directory to calibrate again");
  }

  const Database& database = impl_->database;
  Transaction transaction(database);
  database.Prepare("INSERT INTO layer VALUES (?1, ?2, ?3, ?4, ?5)")
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

std::vector<ShardRecord> Store::FinishedShards(const std::string& output,
                                               const std::string& plan_hash) const {
  std::vector<ShardRecord> shards;
  Statement rows = impl_->database.Prepare(
      "SELECT file_name, bytes, hash, cast_blocks, cast_requantised, cast_inexact FROM shard"
      " WHERE output = ?1 AND plan_hash = ?2 ORDER BY file_name");
  rows.Bind(1, output).Bind(2, plan_hash);
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

void Store::CommitShard(const std::string& output, const std::string& plan_hash,
                        const ShardRecord& shard) {
  impl_->database.Prepare("INSERT OR REPLACE INTO shard VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
      .Bind(1, output)
      .Bind(2, plan_hash)
      .Bind(3, shard.file_name)
      .Bind(4, static_cast<int64_t>(shard.bytes))
      .Bind(5, shard.hash)
      .Bind(6, shard.cast_blocks)
      .Bind(7, shard.cast_requantised)
      .Bind(8, shard.cast_inexact)
      .Run();
}

void Store::AddPhaseSeconds(std::string_view phase, double seconds) {
  impl_->database
      .Prepare(
          "INSERT INTO phase VALUES (?1, ?2)"
          " ON CONFLICT (phase) DO UPDATE SET seconds = seconds + excluded.seconds")
      .Bind(1, phase)
      .Bind(2, seconds)
      .Run();
}

std::vector<PhaseRecord> Store::Phases() const {
  std::vector<PhaseRecord> phases;
  Statement rows = impl_->database.Prepare("SELECT phase, seconds FROM phase ORDER BY rowid");
  while (rows.Step()) phases.push_back({.phase = rows.Text(0), .seconds = rows.Real(1)});
  return phases;
}

void Store::LogEvent(std::string_view kind, std::string_view detail) {
  impl_->database.Prepare("INSERT INTO event (kind, detail) VALUES (?1, ?2)")
      .Bind(1, kind)
      .Bind(2, detail)
      .Run();
}

}  // namespace vernier::calib
