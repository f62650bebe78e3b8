// The table `clamped_element`: elements of source tensors that were NaN or infinite and clamped.
#ifndef VERNIER_RUN_CLAMPED_ELEMENT_H_
#define VERNIER_RUN_CLAMPED_ELEMENT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vernier::run {

class Database;

extern const char kClampedElementTable[];

struct ClampedTensor {
  std::string tensor;
  int64_t first = 0;  // the first such element
  std::string value;  // that element: "NaN", "inf" or "-inf"
  int64_t count = 0;  // of such elements
};

std::vector<ClampedTensor> LoadClampedTensors(const Database& database);  // by name

// Within the caller's transaction. Of two records on a tensor that with more elements stays: the
// other one did not read all of it.
void SaveClampedTensor(const Database& database, const ClampedTensor& clamped);

}  // namespace vernier::run

#endif  // VERNIER_RUN_CLAMPED_ELEMENT_H_
