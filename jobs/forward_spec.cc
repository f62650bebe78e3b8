#include "jobs/forward_spec.h"

#include "base/error.h"
#include "recipes/recipe_values.h"

namespace vernier::jobs {
namespace {

MemoryBound ParseBound(const std::string& text, std::string_view option) {
  if (text.empty()) return {};
  return recipes::ParseMemory(text, {ErrorCode::kBadArgument, std::string(option)});
}

}  // namespace

calib::ComputeSpec ComputeOf(const ForwardSpec& spec) {
  return {.device = spec.device,
          .dtype = ToComputeDtype(spec.dtype),
          .batch_size = spec.batch_size,
          .device_memory = ParseBound(spec.device_memory, "--device-memory"),
          .host_memory = ParseBound(spec.host_memory, "--host-memory"),
          .threads = spec.threads};
}

recipes::ComputeDtype ToComputeDtype(std::string_view name) {
  return name == "float32" ? recipes::ComputeDtype::kFloat32 : recipes::ComputeDtype::kBFloat16;
}

}  // namespace vernier::jobs
