// What a run knows of its source beyond the fingerprint, so that a change is noticed.
#ifndef VERNIER_RUN_SOURCE_LEDGER_H_
#define VERNIER_RUN_SOURCE_LEDGER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/read_observer.h"
#include "run/store.h"

namespace vernier::run {

extern const char kSourceTables[];

// Records the sizes and modification times of the source's shards in a store that has none. In one
// that has some, a shard of another size is kSourceChanged with both sizes.
void RequireSourceFiles(const Store& store, const checkpoint::Checkpoint& source);

// Hashes of the source's tensors, by name, as the run read them.
std::map<std::string, std::string> LoadTensorHashes(const Database& database);
// Of a tensor without one, within the caller's transaction.
void SaveTensorHash(const Database& database, const std::string& tensor, const std::string& hash);

// The digests of source tensors that the run has read whole, and their elements that were clamped.
// A tensor that had another digest before is kSourceChanged, thrown where it is read: what depends
// on it must not be published before. The other functions belong to the thread of the store.
class SourceLedger final : public checkpoint::ReadObserver {
 public:
  // Both must outlive the ledger. Memory: a digest per tensor.
  SourceLedger(Store& store, const checkpoint::Checkpoint& source);

  // Thread-safe.
  void OnDigest(size_t tensor, const std::string& digest) override;
  // Thread-safe. Of several reports on a tensor that with most elements counts: a read of all rows.
  void OnClamped(const checkpoint::ClampedElements& elements) override;

  // Stores what was reported since, in one transaction: to be called before what depends on it is
  // committed.
  void Commit();

  // For work that was done by an earlier run and is kept. When the shard's file has another
  // modification time than it had (a copy, or a replacement), its tensors with digests are read and
  // held against them; kSourceChanged.
  void RequireUnchanged(size_t shard);

  // All that was reported or stored, in the source's order.
  std::vector<checkpoint::ClampedElements> Clamped() const;

 private:
  void LoadDigests();
  void LoadClamped();
  void FindTouchedFiles();
  void StoreDigests();
  void StoreClamped();

  Store& store_;
  const checkpoint::Checkpoint& source_;
  std::set<size_t> touched_;  // shards with another modification time
  mutable std::mutex mutex_;
  std::vector<std::string> digests_;  // by tensor; empty: none yet
  std::vector<size_t> new_digests_;
  std::map<size_t, checkpoint::ClampedElements> clamped_;
  std::set<size_t> new_clamped_;
};

}  // namespace vernier::run

#endif  // VERNIER_RUN_SOURCE_LEDGER_H_
