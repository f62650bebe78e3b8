// How a job runs a model forward without calibrating it.
#ifndef VERNIER_JOBS_FORWARD_SPEC_H_
#define VERNIER_JOBS_FORWARD_SPEC_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "calib/budget/workload.h"
#include "recipes/recipe.h"

namespace vernier::jobs {

struct ForwardSpec {
  std::string dtype = "bfloat16";  // or "float32"
  std::string device = "cpu";
  std::string device_memory = {}, host_memory = {};  // "8GiB", "70%"; empty: chosen
  int64_t batch_size = 0;
  int threads = 0;
};

// kBadArgument for a size that is none.
calib::ComputeSpec ComputeOf(const ForwardSpec& spec);

recipes::ComputeDtype ToComputeDtype(std::string_view name);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_FORWARD_SPEC_H_
