// The folds that calibration chose, as an export needs them.
#ifndef VERNIER_EXPORT_FOLDS_H_
#define VERNIER_EXPORT_FOLDS_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/model_layout.h"
#include "recipes/fold_scales.h"
#include "recipes/plan.h"
#include "run/fold_record.h"
#include "run/input_amax.h"
#include "run/store.h"

namespace vernier::exporter {

// Thread-safe. Memory: four bytes a channel of every fold, 0.03 % of what the weights take.
class Folds {
 public:
  // kNotCalibrated when the calibration did not choose one that the plan makes, or solved weights
  // that the plan uses behind one that it does not make; kStoreCorrupt when
  // it chose another number of factors than it has channels, or one that is not a positive number.
  Folds(const checkpoint::ModelLayout& layout, const recipes::Plan& plan, const run::Store& store);

  // What becomes of the values of plan.weights[weight].
  checkpoint::Rescaling Of(size_t weight) const {
    return recipes::RescalingOf(plan_, scales_, weight);
  }

  // `inputs` as they are behind the folds: the largest of what each channel's largest value is
  // then. kNotCalibrated where nothing is known of the channels of one.
  std::vector<run::InputAmax> Fold(std::vector<run::InputAmax> inputs) const;

  // Parallel to Plan::folds.
  const std::vector<run::FoldRecord>& records() const { return records_; }
  // Those that change anything.
  int64_t CountUsed() const;
  // Of all factors; empty where there are none.
  const std::string& hash() const { return hash_; }

  // All factors, F32, one fold's behind the other's.
  std::string Bytes() const;

 private:
  void RequireAllOfSolved(const std::map<std::string, run::FoldRecord>& chosen) const;
  void Check(size_t fold) const;

  const checkpoint::ModelLayout& layout_;
  const recipes::Plan& plan_;
  const run::Store& store_;
  std::vector<run::FoldRecord> records_;
  recipes::FoldScales scales_;
  std::string hash_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_FOLDS_H_
