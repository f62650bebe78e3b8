// How a job runs a model forward without calibrating it.
#ifndef VERNIER_JOBS_FORWARD_SPEC_H_
#define VERNIER_JOBS_FORWARD_SPEC_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "calib/activation_format.h"
#include "calib/budget/workload.h"
#include "recipes/recipe.h"
#include "recipes/recipe_values.h"

namespace vernier::jobs {

inline constexpr std::array<recipes::ValueName<calib::ExpertInputScale>, 2> kExpertInputScales = {
    {{"largest", calib::ExpertInputScale::kLargest}, {"own", calib::ExpertInputScale::kOwn}}};

struct ForwardSpec {
  std::string dtype = "bfloat16";  // or "float32"
  std::string device = "cpu";
  std::string device_memory = {}, host_memory = {};  // "8GiB", "70%"; empty: chosen
  int64_t batch_size = 0;
  int threads = 0;
  // Where inputs are quantised.
  calib::ExpertInputScale expert_input_scale = calib::ExpertInputScale::kLargest;
};

// kBadArgument for a size that is none.
calib::ComputeSpec ComputeOf(const ForwardSpec& spec);

recipes::ComputeDtype ToComputeDtype(std::string_view name);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_FORWARD_SPEC_H_
