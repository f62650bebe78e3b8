// A layer as the export will have it, while its calibration still knows it.
#ifndef VERNIER_CALIB_QUANTISED_LAYER_H_
#define VERNIER_CALIB_QUANTISED_LAYER_H_

#include <ATen/ATen.h>

#include <cstddef>
#include <deque>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calib/recorder.h"
#include "calib/solved_spool.h"
#include "calib/tap.h"
#include "calib/tensor_loader.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"
#include "recipes/fold_scales.h"
#include "recipes/plan.h"
#include "run/solved_weight.h"
#include "run/store.h"

namespace vernier::calib {

// Its weights: what was solved as its codes say, what a fold changes as that leaves it (not
// quantised where it was not solved), all others as they are.
class QuantisedWeights final : public Substitutes {
 public:
  // `layer`'s, of which `spool` and `store` have what was solved. All must outlive it and stay.
  QuantisedWeights(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                   const recipes::FoldScales& folds, SolvedSpool& spool, const run::Store& store,
                   int layer, checkpoint::ReadOptions read);

  bool Has(const checkpoint::LogicalWeight& weight) const override;
  void Expect(const std::vector<const checkpoint::LogicalWeight*>& weights) override;
  at::Tensor Of(const checkpoint::LogicalWeight& weight, at::Device device) override;

 private:
  // Null: it was not solved, or left to the export.
  const run::SolvedWeight* Solved(const checkpoint::LogicalWeight& weight) const;
  checkpoint::Rescaling RescalingOf(const checkpoint::LogicalWeight& weight) const;
  std::vector<std::byte> Read(const checkpoint::LogicalWeight& weight);
  void ReadAhead();

  const checkpoint::SourceModel& source_;
  const recipes::Plan& plan_;
  const recipes::FoldScales& folds_;
  const run::Store& store_;
  checkpoint::WeightReader reader_;
  std::vector<run::SolvedWeight> saved_;
  std::map<std::string_view, const run::SolvedWeight*> solved_;  // by module; saved or not
  std::deque<const checkpoint::LogicalWeight*> upcoming_;        // and not yet read
  std::map<const checkpoint::LogicalWeight*, std::future<std::vector<std::byte>>> reading_;
};

// Its activations: inputs of NVFP4 weights are quantised with the input scales that calibration
// has seen, all others stay.
class QuantisedInputs final : public Tap {
 public:
  // `recorder` has seen the layer. All must outlive it.
  QuantisedInputs(const checkpoint::SourceModel& source, const recipes::Plan& plan,
                  const recipes::FoldScales& folds, Recorder& recorder, double headroom)
      : source_(source), plan_(plan), folds_(folds), recorder_(recorder), headroom_(headroom) {}

  at::Tensor Replace(std::string_view module, const at::Tensor& x) override;

 private:
  // Of the input as folds leave it; nothing: it is not quantised.
  std::optional<float> ScaleOf(std::string_view module);

  const checkpoint::SourceModel& source_;
  const recipes::Plan& plan_;
  const recipes::FoldScales& folds_;
  Recorder& recorder_;
  double headroom_;
  std::map<std::string, std::optional<float>, std::less<>> scales_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_QUANTISED_LAYER_H_
