#include "calib/solved_spool.h"

#include <iterator>
#include <utility>

#include "calib/copy_lane.h"

namespace vernier::calib {

void SolvedSpool::BeginLayer(int layer) {
  Take();
  layer_ = layer;
}

void SolvedSpool::Add(run::SolvedWeight weight, EncodedWeight encoded) {
  const bool has_bytes = encoded.codes.defined();
  if (has_bytes) waiting_bytes_ += encoded.codes.nbytes() + encoded.scales.nbytes();
  waiting_.push_back({std::move(weight), std::move(encoded)});
  if (has_bytes && waiting_bytes_ >= options_.batch_bytes) Write();
}

std::vector<const run::SolvedWeight*> SolvedSpool::All() {
  FetchWaiting();
  std::vector<const run::SolvedWeight*> all;
  for (const run::SolvedWeight& weight : fetched_) all.push_back(&weight);
  return all;
}

std::vector<run::SolvedWeight> SolvedSpool::Take() {
  FetchWaiting();
  fetched_bytes_ = 0;
  return std::exchange(fetched_, {});
}

std::vector<run::SolvedWeight> SolvedSpool::Fetch(std::vector<Entry> entries) {
  std::vector<run::SolvedWeight> weights;
  for (Entry& entry : entries) {
    if (entry.encoded.codes.defined()) entry.weight.bytes = entry.encoded.Bytes();
    entry.encoded = {};
    weights.push_back(std::move(entry.weight));
  }
  return weights;
}

void SolvedSpool::FetchWaiting() {
  Wait();
  fetched_bytes_ += std::exchange(waiting_bytes_, 0);
  std::ranges::move(Fetch(std::exchange(waiting_, {})), std::back_inserter(fetched_));
}

// Copies from the device run beside what it computes from now on.
void SolvedSpool::Write() {
  Wait();
  writing_bytes_ = std::exchange(waiting_bytes_, 0);
  const at::Device device = waiting_.back().encoded.codes.device();
  writing_ = std::async(std::launch::async,
                        [run_dir = options_.run_dir, layer = layer_, device, made = FenceOf(device),
                         batch = std::exchange(waiting_, {})]() mutable {
                          const AsideOf others(device, made);
                          std::vector<run::SolvedWeight> weights = Fetch(std::move(batch));
                          run::WriteSolvedWeights(run_dir, layer, weights);
                          return weights;
                        });
}

void SolvedSpool::Wait() {
  if (!writing_.valid()) return;
  writing_bytes_ = 0;
  std::ranges::move(writing_.get(), std::back_inserter(fetched_));
}

}  // namespace vernier::calib
