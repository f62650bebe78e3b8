// Makes finished layers durable, beside the layers that follow.
#ifndef VERNIER_CALIB_LAYER_COMMITTER_H_
#define VERNIER_CALIB_LAYER_COMMITTER_H_

#include <cstdint>
#include <future>
#include <memory>
#include <vector>

#include "calib/layer_saver.h"
#include "calib/layer_state.h"
#include "calib/sample_buffer.h"
#include "calib/save_policy.h"
#include "run/source_ledger.h"
#include "run/store.h"

namespace vernier::calib {

// A layer is committed with the hidden states behind it: those that wait in memory (CommitPolicy)
// go together with the next that is due. Hidden states of a device are copied there and written by
// a thread; nobody else may use the store until Wait. For one thread.
class LayerCommitter {
 public:
  // All must outlive it. `interval` as for CommitPolicy.
  LayerCommitter(run::Store& store, run::SourceLedger& ledger, double interval)
      : store_(store), ledger_(ledger), policy_(interval) {}

  enum class When {
    kDue,  // when the policy says so
    kNow,
    kLast,  // now, and nothing follows: no hidden states are kept
  };

  // A layer has ended; `result` lacks its activations, `unsaved` are the samples of `state`'s kOut
  // that are not in its file. Returns what the next layer reads. Also throws what went wrong with
  // the layers before.
  std::shared_ptr<SampleBuffer> LayerDone(run::LayerResult result, const LayerState& state,
                                          SampleRange unsaved, When when);

  // Whether layers have ended that are not committed: the one under way cannot be saved before.
  bool HasWaiting() const { return !waiting_.empty(); }

  // Until what was begun is durable; throws what went wrong with it.
  void Wait();

 private:
  void Commit(SampleBuffer& out, SampleRange unsaved);
  void CommitLast();

  run::Store& store_;
  run::SourceLedger& ledger_;
  CommitPolicy policy_;
  std::vector<run::LayerResult> waiting_;
  std::future<void> under_way_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYER_COMMITTER_H_
