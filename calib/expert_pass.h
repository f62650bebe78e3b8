// One layer's routed experts over all samples, group by group.
#ifndef VERNIER_CALIB_EXPERT_PASS_H_
#define VERNIER_CALIB_EXPERT_PASS_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "calib/batches.h"
#include "calib/families/decoder.h"
#include "calib/layer_state.h"
#include "calib/non_finite_guard.h"

namespace vernier::calib {

struct ExpertPassOptions {
  int64_t layer = 0;
  int64_t experts_per_group = 1;
  bool all_experts = false;  // every expert observes every token; sums do not change
};

// Adds the experts' weighted outputs to the sums of a layer whose dense stage is done, from
// state.place() on, in ascending order of experts. While a group computes, the next one is read.
class ExpertPass {
 public:
  // Everything must outlive it.
  ExpertPass(const Decoder& decoder, const Batches& batches, ExpertPassOptions options,
             LayerState& state, NonFiniteGuard& guard);

  // `group_done` is called after each group, with the state between two groups. kBadActivation as
  // for LayerLoop::RunLayer.
  void Run(const std::function<void()>& group_done) const;

 private:
  struct Group;
  struct Rows;

  // Experts that some token chose (with all_experts: all), from state.place() on.
  std::vector<int64_t> ExpertsLeft() const;
  std::vector<ExpertWeights> Load(const std::vector<int64_t>& experts) const;
  void RunGroup(const Group& group) const;
  // Shows the group's inputs to `tap` as if every token were everybody's.
  void ObserveAll(const Group& group, const Batch& batch, const at::Tensor& x, Tap& tap) const;
  // The outputs of the group's expert `i` for `rows` of x.
  at::Tensor RunRouted(const Group& group, size_t i, const at::Tensor& x, const at::Tensor& rows,
                       Tap& tap) const;
  // y [T, D] F32 += the group's outputs.
  void Add(const Group& group, const Batch& batch, const at::Tensor& x, at::Tensor& y) const;
  at::Tensor SamplesOfRows(const Batch& batch, const Rows& routed) const;
  Rows RowsOf(const Batch& batch, int64_t expert) const;
  // kBadActivation at the first bad value of an expert, if there is one.
  void FindBad(const Group& group) const;
  void CheckExpert(const Group& group, size_t i, const Batch& batch, const at::Tensor& x) const;

  const Decoder& decoder_;
  const Batches& batches_;
  ExpertPassOptions options_;
  LayerState& state_;
  NonFiniteGuard& guard_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_EXPERT_PASS_H_
