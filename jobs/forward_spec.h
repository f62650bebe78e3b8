// How a job runs a model forward without calibrating it.
#ifndef VERNIER_JOBS_FORWARD_SPEC_H_
#define VERNIER_JOBS_FORWARD_SPEC_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "recipes/recipe.h"

namespace vernier::jobs {

struct ForwardSpec {
  std::string dtype = "bfloat16";  // or "float32"
  std::string device = "cpu";
  std::string device_memory = {}, host_memory = {};  // sizes such as "8GiB"; empty: chosen
  int64_t batch_size = 0;
  int threads = 0;
};

// The parts of a recipe that the loop and its budget read, for `samples` sequences of
// `sequence_length` tokens. kBadArgument for a size that is none.
recipes::Recipe ForwardRecipe(const ForwardSpec& spec, const std::filesystem::path& source,
                              int64_t samples, int64_t sequence_length);

recipes::ComputeDtype ToComputeDtype(std::string_view name);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_FORWARD_SPEC_H_
