// One layer's routed experts over all samples, group by group.
#ifndef VERNIER_CALIB_EXPERT_PASS_H_
#define VERNIER_CALIB_EXPERT_PASS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/stage_times.h"
#include "calib/batches.h"
#include "calib/families/decoder.h"
#include "calib/layer_state.h"
#include "calib/non_finite_guard.h"
#include "calib/routed_rows.h"

namespace vernier::calib {

struct ExpertPassOptions {
  int64_t layer = 0;
  std::optional<int64_t> next_layer = {};  // whose weights are read next
  int64_t experts_per_group = 1;
  bool all_experts = false;  // every expert observes every token; sums do not change
  StageTimes* times = nullptr;
};

// Adds the experts' weighted outputs to the sums of a layer whose dense stage is done, from
// state.place() on, in ascending order of experts. An expert runs once over all rows of a chunk of
// samples that chose it; while it computes, the next ones are read.
class ExpertPass {
 public:
  // `chunks` cuts the samples. Everything must outlive it.
  ExpertPass(const Decoder& decoder, const Batches& chunks, ExpertPassOptions options,
             LayerState& state, NonFiniteGuard& guard);

  // `group_done` is called after each group, with the state between two groups. kBadActivation as
  // for LayerLoop::RunLayer.
  void Run(const std::function<void()>& group_done) const;

 private:
  struct Group;
  struct Chunk;

  // Experts that some token chose (with all_experts: all), from state.place() on.
  std::vector<int64_t> ExpertsLeft() const;
  std::vector<ExpertWeights> Load(const std::vector<int64_t>& experts) const;
  const ExpertWeights& WeightsOf(Group& group, size_t i) const;
  RoutedRows Route(const Batch& samples) const;
  Chunk ChunkAt(size_t index) const;
  void RunGroup(Group& group) const;
  // Adds the outputs of the group's expert `i`, and shows its inputs.
  void RunExpert(Group& group, size_t i, const Chunk& chunk) const;
  // Shows an expert's inputs as if every token were everybody's, to the tap that `tap_of` gives for
  // tokens of these samples (I64, on the host).
  void ObserveAll(int64_t expert, const ExpertWeights& weights, const Chunk& chunk,
                  const std::function<Tap&(const at::Tensor& samples)>& tap_of) const;
  void AddRouted(int64_t expert, const ExpertWeights& weights, const Chunk& chunk, Tap& tap) const;
  at::Tensor SamplesOfRows(const Chunk& chunk, const at::Tensor& rows) const;
  // kBadActivation at the first bad value of an expert, if there is one.
  void FindBad(Group& group) const;
  void CheckExpert(int64_t expert, const ExpertWeights& weights, const Chunk& chunk) const;

  const Decoder& decoder_;
  const Batches& chunks_;
  ExpertPassOptions options_;
  LayerState& state_;
  NonFiniteGuard& guard_;
  std::vector<Batch> samples_;          // of each chunk
  std::vector<int64_t> chosen_;         // how many tokens chose each expert
  std::shared_ptr<RoutedRows> routed_;  // of the only chunk; of several it is made when needed
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_EXPERT_PASS_H_
