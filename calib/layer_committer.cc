#include "calib/layer_committer.h"

#include <filesystem>
#include <utility>

#include "base/file.h"
#include "calib/copy_lane.h"
#include "run/run_files.h"

namespace vernier::calib {
namespace {

// Writes what is missing of `out`, the hidden states behind the last of `layers`, and commits them.
void CommitLayers(run::Store& store, run::SourceLedger& ledger,
                  std::vector<run::LayerResult> layers, const SampleBuffer& out,
                  SampleRange unsaved) {
  run::LayerResult& last = layers.back();
  const std::filesystem::path path = store.run_dir() / ActivationFileName(last.layer);
  out.WriteTo(PartialPath(path), unsaved.first, unsaved.count);
  last.activations = {.file_name = path.filename().string(),
                      .bytes = out.Bytes(),
                      .hash = out.Hash(0, out.samples())};
  PublishPartial(path);
  ledger.Commit();
  store.CommitLayers(layers);
  run::RemoveStaleFiles(store.run_dir(), run::NeededFiles(store), /*through=*/last.layer);
}

}  // namespace

std::shared_ptr<SampleBuffer> LayerCommitter::LayerDone(run::LayerResult result,
                                                        const LayerState& state,
                                                        SampleRange unsaved, When when) {
  const int layer = result.layer;
  const std::shared_ptr<SampleBuffer> out = state.out();
  policy_.LayerDone(result.seconds);
  waiting_.push_back(std::move(result));
  if (when == When::kLast) {
    CommitLast();
    return out;
  }
  const bool waits = when == When::kDue && !out->in_file() && !policy_.Due();
  if (waits) return out;
  Commit(*out, unsaved);
  if (!out->in_file()) return out;
  return std::make_shared<SampleBuffer>(
      out->OpenSame(store_.run_dir() / ActivationFileName(layer)));
}

void LayerCommitter::Commit(SampleBuffer& out, SampleRange unsaved) {
  Wait();
  policy_.Committed();
  std::vector<run::LayerResult> layers = std::exchange(waiting_, {});
  if (out.device().is_cpu()) {
    CommitLayers(store_, ledger_, std::move(layers), out, unsaved);
    return;
  }
  under_way_ = std::async(std::launch::async, [this, layers = std::move(layers), copy = out.Clone(),
                                               unsaved, copied = FenceOf(out.device())]() mutable {
    const AsideOf others(copy.device(), copied);
    CommitLayers(store_, ledger_, std::move(layers), copy, unsaved);
  });
}

void LayerCommitter::CommitLast() {
  Wait();
  ledger_.Commit();
  store_.CommitLastLayers(waiting_);
  waiting_.clear();
}

void LayerCommitter::Wait() {
  if (under_way_.valid()) under_way_.get();
}

}  // namespace vernier::calib
