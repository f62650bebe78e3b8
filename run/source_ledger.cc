#include "run/source_ledger.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "checkpoint/tensor_digests.h"
#include "run/clamped_element.h"
#include "run/sqlite.h"

namespace vernier::run {
const char kSourceTables[] = R"sql(
CREATE TABLE source_file (
  name     TEXT PRIMARY KEY,
  bytes    INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE source_tensor (
  name TEXT PRIMARY KEY,
  hash TEXT NOT NULL
) WITHOUT ROWID;
)sql";

namespace {

using checkpoint::Checkpoint;
using checkpoint::ClampedElements;

int64_t ModificationTime(const std::filesystem::path& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    throw Error(ErrorCode::kFileOpen, path.string(), std::strerror(errno), "Check the path");
  }
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

void RecordFile(const Database& database, const checkpoint::Shard& shard, int64_t mtime_ns) {
  database.Prepare("INSERT OR REPLACE INTO source_file VALUES (?1, ?2, ?3)")
      .Bind(1, shard.file_name)
      .Bind(2, static_cast<int64_t>(shard.file_bytes))
      .Bind(3, mtime_ns)
      .Run();
}

void RecordAllFiles(const Database& database, const Checkpoint& source) {
  Transaction transaction(database);
  for (const checkpoint::Shard& shard : source.shards()) {
    RecordFile(database, shard, ModificationTime(source.directory() / shard.file_name));
  }
  transaction.Commit();
}

}  // namespace

void RequireSourceFiles(const Store& store, const Checkpoint& source) {
  const Database& database = store.database();
  if (database.QueryInteger("SELECT count(*) FROM source_file") == 0) {
    return RecordAllFiles(database, source);
  }
  for (const checkpoint::Shard& shard : source.shards()) {
    Statement row = database.Prepare("SELECT bytes FROM source_file WHERE name = ?1");
    row.Bind(1, shard.file_name);
    if (!row.Step()) continue;  // another index: the fingerprint differs
    const auto bytes = static_cast<uint64_t>(row.Integer(0));
    if (bytes == shard.file_bytes) continue;
    throw Error(ErrorCode::kSourceChanged, (source.directory() / shard.file_name).string(),
                fmt::format("has {} bytes, and had {} when the run began", shard.file_bytes, bytes),
                "Restore the file, or choose another run directory");
  }
}

std::map<std::string, std::string> LoadTensorHashes(const Database& database) {
  std::map<std::string, std::string> hashes;
  Statement rows = database.Prepare("SELECT name, hash FROM source_tensor");
  while (rows.Step()) hashes.emplace(rows.Text(0), rows.Text(1));
  return hashes;
}

void SaveTensorHash(const Database& database, const std::string& tensor, const std::string& hash) {
  database.Prepare("INSERT INTO source_tensor VALUES (?1, ?2)").Bind(1, tensor).Bind(2, hash).Run();
}

SourceLedger::SourceLedger(Store& store, const Checkpoint& source)
    : store_(store), source_(source), digests_(source.tensors().size()) {
  LoadDigests();
  LoadClamped();
  FindTouchedFiles();
}

void SourceLedger::LoadDigests() {
  for (const auto& [name, hash] : LoadTensorHashes(store_.database())) {
    const size_t tensor = source_.Find(name);
    if (tensor != Checkpoint::kNotFound) digests_[tensor] = hash;
  }
}

void SourceLedger::LoadClamped() {
  for (const ClampedTensor& clamped : LoadClampedTensors(store_.database())) {
    const size_t tensor = source_.Find(clamped.tensor);
    if (tensor == Checkpoint::kNotFound) continue;
    clamped_[tensor] = {
        .tensor = tensor, .count = clamped.count, .first = clamped.first, .value = clamped.value};
  }
}

void SourceLedger::FindTouchedFiles() {
  Statement rows = store_.database().Prepare("SELECT name, mtime_ns FROM source_file");
  std::map<std::string, int64_t> recorded;
  while (rows.Step()) recorded.emplace(rows.Text(0), rows.Integer(1));
  for (size_t i = 0; i < source_.shards().size(); ++i) {
    const std::string& name = source_.shards()[i].file_name;
    const auto found = recorded.find(name);
    if (found == recorded.end()) continue;
    if (found->second != ModificationTime(source_.directory() / name)) touched_.insert(i);
  }
}

void SourceLedger::OnDigest(size_t tensor, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  std::string& known = digests_[tensor];
  if (known == digest) return;
  if (known.empty()) {
    known = digest;
    new_digests_.push_back(tensor);
    return;
  }
  const checkpoint::TensorLocation& location = source_.tensor(tensor);
  throw Error(
      ErrorCode::kSourceChanged,
      (source_.directory() / source_.shards()[location.shard].file_name).string(),
      fmt::format("{} has other bytes than when this run first read it", location.info.name),
      "Restore the file, or choose another run directory");
}

void SourceLedger::OnClamped(const ClampedElements& elements) {
  const std::lock_guard lock(mutex_);
  ClampedElements& known = clamped_[elements.tensor];
  if (known.count >= elements.count) return;
  known = elements;
  new_clamped_.insert(elements.tensor);
}

void SourceLedger::Commit() {
  const std::lock_guard lock(mutex_);
  if (new_digests_.empty() && new_clamped_.empty()) return;
  Transaction transaction(store_.database());
  StoreDigests();
  StoreClamped();
  transaction.Commit();
  new_digests_.clear();
  new_clamped_.clear();
}

void SourceLedger::StoreDigests() {
  for (const size_t tensor : new_digests_) {
    SaveTensorHash(store_.database(), source_.tensor(tensor).info.name, digests_[tensor]);
  }
}

void SourceLedger::StoreClamped() {
  for (const size_t tensor : new_clamped_) {
    const ClampedElements& elements = clamped_[tensor];
    const std::string& name = source_.tensor(tensor).info.name;
    SaveClampedTensor(store_.database(), {.tensor = name,
                                          .first = elements.first,
                                          .value = elements.value,
                                          .count = elements.count});
    store_.LogEvent("clamped", fmt::format("{}: {} elements, the first is element {}: {}", name,
                                           elements.count, elements.first, elements.value));
  }
}

void SourceLedger::RequireUnchanged(size_t shard) {
  if (!touched_.contains(shard)) return;
  const checkpoint::Shard& file = source_.shards()[shard];
  const int64_t mtime_ns = ModificationTime(source_.directory() / file.file_name);
  checkpoint::TensorDigests digests(source_, this);
  for (size_t i = 0; i < source_.tensors().size(); ++i) {
    if (source_.tensor(i).shard == shard && !digests_[i].empty()) digests.AddWhole(i);
  }
  RecordFile(store_.database(), file, mtime_ns);
  touched_.erase(shard);
}

std::vector<ClampedElements> SourceLedger::Clamped() const {
  const std::lock_guard lock(mutex_);
  std::vector<ClampedElements> all;
  for (const auto& [tensor, elements] : clamped_) all.push_back(elements);
  return all;
}

}  // namespace vernier::run
