// Weights that a calibration quantises itself, when all of their inputs have been seen.
#ifndef VERNIER_CALIB_WEIGHT_SOLVER_H_
#define VERNIER_CALIB_WEIGHT_SOLVER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "calib/encoded_weight.h"
#include "calib/layer_state.h"
#include "calib/recorder.h"
#include "calib/solved_spool.h"
#include "calib/tensor_loader.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"
#include "recipes/fold_scales.h"
#include "recipes/plan.h"
#include "run/solved_weight.h"

namespace vernier::calib {

// Tokens below which a weight is left to the export: too few for a Hessian.
inline constexpr int64_t kFewestGptqTokens = 256;

// Solves those that the plan scales by kGptq, a layer at a time: codes and block scales by GPTQ
// with the Hessian of most tokens, kept where the error of the outputs on the others
// (statistics/input_sample.h) is smaller than that of a search by local Hessians of the same
// tokens. Factors are made on the device, and so is all else where the device can compile kernels
// (DeviceNvfp4). Not thread-safe.
class WeightSolver {
 public:
  // `source`, `plan` and `folds` must outlive it; the folds of a layer's weights are in `folds`
  // when they are solved. `loader` loads the layer: on a device it keeps their values,
  // where they are exact; others are read again, as `read` says. `spool` says where what was solved
  // goes.
  WeightSolver(const checkpoint::SourceModel& source, const recipes::Plan& plan,
               const recipes::FoldScales& folds, TensorLoader& loader, checkpoint::ReadOptions read,
               SolvedSpool::Options spool);

  // `solved`: modules of the layer that were solved and saved before.
  void BeginLayer(int layer, const std::set<std::string>& solved);
  // Whether the Hessian of the module's inputs is of use: of those weights that an engine fuses,
  // and which have the same inputs, only that of the first, until they are solved.
  bool NeedsInputsOf(std::string_view module) const { return needed_.contains(module); }

  // Whether weights of the layer are still to be solved.
  bool HasWork() const { return !waiting_.empty(); }
  // Solves the weights all of whose inputs `recorder` has seen, and takes what it kept of them.
  void Solve(const LayerState& state, Recorder& recorder);

  // What was solved and is not in the store yet.
  SolvedSpool& solved() { return solved_; }

 private:
  struct Inputs;
  struct Together;
  struct Attempt;

  void SolveInTurn(std::vector<Together> all);
  void SolveTogether(const Together& together, std::vector<Attempt>& attempts);
  run::SolvedWeight Left(size_t weight, const Inputs& inputs) const;
  Inputs TakeInputs(size_t first, Recorder& recorder);
  void Factorise(size_t first, Inputs& inputs) const;
  void DivideByFold(size_t weight, Inputs& inputs) const;
  std::vector<Attempt> Read(const Together& together);
  at::Tensor ReadValues(size_t index, bool pinned) const;
  bool CanKeep(size_t index) const;
  at::Tensor AsFoldsLeave(size_t index, const at::Tensor& kept) const;
  void EncodeBothWays(const Inputs& inputs, std::vector<Attempt>& attempts) const;
  EncodedWeight Choose(const Inputs& inputs, const Attempt& attempt,
                       run::SolvedWeight& solved) const;
  const std::string& ModuleOf(size_t weight) const { return source_.layout.weights[weight].module; }

  const checkpoint::SourceModel& source_;
  const recipes::Plan& plan_;
  const recipes::FoldScales& folds_;
  TensorLoader& loader_;
  checkpoint::WeightReader reader_;
  std::map<size_t, size_t> first_of_;            // by weight: whose inputs count
  std::map<int, std::vector<size_t>> by_layer_;  // indices of weights that are to be solved
  std::map<size_t, const recipes::ScaleGroup*> groups_;
  std::map<const recipes::ScaleGroup*, float> global_scales_;  // of this layer
  std::vector<size_t> waiting_;                                // of this layer
  std::set<std::string, std::less<>> needed_;
  SolvedSpool solved_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_WEIGHT_SOLVER_H_
