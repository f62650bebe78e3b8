// Weights that calibration quantised itself.
#ifndef VERNIER_EXPORT_SOLVED_WEIGHTS_H_
#define VERNIER_EXPORT_SOLVED_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/logical_weight.h"
#include "checkpoint/model_layout.h"
#include "recipes/plan.h"
#include "run/solved_weight.h"
#include "run/store.h"

namespace vernier::exporter {

// Of weights that the plan scales by kGptq. Thread-safe.
class SolvedWeights {
 public:
  // `store` must outlive it. kNotCalibrated when the calibration did not try to solve one that it
  // observed.
  SolvedWeights(const checkpoint::ModelLayout& layout, const recipes::Plan& plan,
                const run::Store& store);

  // Codes [N * K / 2], then block scales [N * K / 16]; empty when the weight was left to the
  // export. kStoreCorrupt when the file has other bytes, or not as many; kNotCalibrated when they
  // were made with another global scale.
  std::vector<std::byte> Of(const checkpoint::LogicalWeight& weight, float global_scale) const;

  int64_t size() const { return static_cast<int64_t>(solved_.size()); }
  // Of all of them; empty where there are none.
  const std::string& hash() const { return hash_; }

 private:
  const run::Store& store_;
  std::map<std::string, run::SolvedKey> solved_;  // by module
  std::string hash_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SOLVED_WEIGHTS_H_
