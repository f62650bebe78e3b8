#include "calib/solved_spool.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace vernier::calib {

void SolvedSpool::BeginLayer(int layer) {
  Take();
  layer_ = layer;
}

void SolvedSpool::Add(run::SolvedWeight weight) {
  waiting_bytes_ += weight.bytes.size();
  waiting_.push_back(std::move(weight));
  if (waiting_bytes_ >= batch_bytes_) Write();
}

std::vector<const run::SolvedWeight*> SolvedSpool::All() {
  Wait();
  std::vector<const run::SolvedWeight*> all;
  for (const std::vector<run::SolvedWeight>* weights : {&written_, &waiting_}) {
    for (const run::SolvedWeight& weight : *weights) all.push_back(&weight);
  }
  return all;
}

std::vector<run::SolvedWeight> SolvedSpool::Take() {
  Wait();
  std::ranges::move(waiting_, std::back_inserter(written_));
  waiting_.clear();
  waiting_bytes_ = 0;
  return std::exchange(written_, {});
}

void SolvedSpool::Write() {
  Wait();
  writing_bytes_ = std::exchange(waiting_bytes_, 0);
  writing_ = std::async(std::launch::async, [run_dir = run_dir_, layer = layer_,
                                             batch = std::exchange(waiting_, {})]() mutable {
    run::WriteSolvedWeights(run_dir, layer, batch);
    return std::move(batch);
  });
}

void SolvedSpool::Wait() {
  if (!writing_.valid()) return;
  writing_bytes_ = 0;
  std::ranges::move(writing_.get(), std::back_inserter(written_));
}

}  // namespace vernier::calib
