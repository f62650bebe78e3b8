// Folds that a calibration chooses, when their consumers' inputs have been seen.
#ifndef VERNIER_CALIB_FOLD_SOLVER_H_
#define VERNIER_CALIB_FOLD_SOLVER_H_

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calib/fold_choice.h"
#include "calib/layer_state.h"
#include "calib/recorder.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"
#include "recipes/fold_scales.h"
#include "recipes/plan.h"
#include "run/fold_record.h"

namespace vernier::calib {

// Tokens below which a layer is not folded: too few to know its channels by.
inline constexpr int64_t kFewestFoldTokens = 256;
// Routed experts among the consumers that a choice looks at: spread evenly.
inline constexpr size_t kFoldExperts = 4;

// Chooses the factors of a plan's folds, a layer at a time. Not thread-safe.
class FoldSolver {
 public:
  // `source` and `plan` must outlive it. `read` is how weights are read.
  FoldSolver(const checkpoint::SourceModel& source, const recipes::Plan& plan,
             checkpoint::ReadOptions read);

  // `decided`: folds of the layer that were chosen and saved before.
  void BeginLayer(int layer, std::span<const run::FoldRecord> decided);
  // Whether a sample of the module's inputs is of use.
  bool NeedsInputsOf(std::string_view module) const { return needed_.contains(module); }
  bool HasWork() const { return !waiting_.empty(); }

  // Chooses the folds all of whose inputs `recorder` has seen. Returns the modules whose inputs
  // were looked at and are no longer needed.
  std::vector<std::string> Solve(const LayerState& state, Recorder& recorder);

  // Of all folds; empty for those that are not chosen yet.
  const recipes::FoldScales& scales() const { return scales_; }
  // What was chosen since this was called last.
  std::vector<run::FoldRecord> TakeDecided();

 private:
  run::FoldRecord Decide(const recipes::PlannedFold& planned, Recorder& recorder) const;
  FoldInputs InputsOf(const recipes::PlannedFold& planned, Recorder& recorder, int64_t rows) const;
  // Consumers that get fewer bits, of routed experts some.
  std::vector<size_t> LookedAt(const checkpoint::Fold& fold) const;
  std::vector<float> Values(size_t weight) const;
  const std::string& ModuleOf(size_t weight) const { return source_.layout.weights[weight].module; }

  const checkpoint::SourceModel& source_;
  const recipes::Plan& plan_;
  checkpoint::WeightReader reader_;
  std::map<int, std::vector<size_t>> by_layer_;  // indices of folds
  std::vector<size_t> waiting_;                  // of this layer
  std::set<std::string, std::less<>> needed_;
  recipes::FoldScales scales_;
  std::vector<run::FoldRecord> unsaved_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FOLD_SOLVER_H_
