// Weights that calibration quantised itself.
#ifndef VERNIER_EXPORT_SOLVED_WEIGHTS_H_
#define VERNIER_EXPORT_SOLVED_WEIGHTS_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/logical_weight.h"
#include "checkpoint/model_layout.h"
#include "recipes/plan.h"
#include "run/solved_weight.h"
#include "run/store.h"

namespace vernier::exporter {

// One that GPTQ did not quantise: "few_tokens", or "local_hessian" where that was better.
struct LeftWeight {
  std::string module, why;
  int64_t tokens = 0;
};

// Of weights that the plan scales by kGptq. Thread-safe.
class SolvedWeights {
 public:
  // `store` must outlive it. kNotCalibrated when the calibration did not try to solve one that it
  // observed.
  SolvedWeights(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                const run::Store& store);

  // Writes the codes [rows * K / 2] and block scales [rows * K / 16] of rows from one on; false
  // when the weight was left to the export. kStoreCorrupt when the file has other bytes, or not as
  // many, as is found when a weight is asked for first; kNotCalibrated when they were made with
  // another global scale.
  bool Read(const checkpoint::LogicalWeight& weight, float global_scale, int64_t row_begin,
            std::span<uint8_t> codes, std::span<uint8_t> scales) const;

  const std::vector<LeftWeight>& left() const { return left_; }
  // Of those that GPTQ quantised.
  int64_t size() const { return by_gptq_; }
  // Of all of them; empty where there are none.
  const std::string& hash() const { return hash_; }

 private:
  void Check(const checkpoint::LogicalWeight& weight, const run::SolvedWeight& solved,
             float global_scale) const;

  const run::Store& store_;
  std::map<std::string, run::SolvedWeight> solved_;  // by module
  int64_t by_gptq_ = 0;
  std::vector<LeftWeight> left_;
  mutable std::mutex mutex_;               // of checked_
  mutable std::set<std::string> checked_;  // modules whose bytes are what they should be
  std::string hash_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SOLVED_WEIGHTS_H_
