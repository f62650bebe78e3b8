#include "jobs/forward_spec.h"

#include "base/error.h"
#include "base/text.h"

namespace vernier::jobs {
namespace {

uint64_t ParseSizeOption(const std::string& text, std::string_view option) {
  if (text.empty()) return 0;
  const auto bytes = ParseByteSize(text);
  if (bytes) return *bytes;
  throw Error(ErrorCode::kBadArgument, option, "\"" + text + "\" is no size",
              "Give a number with a unit such as 8GiB");
}

}  // namespace

calib::ComputeSpec ComputeOf(const ForwardSpec& spec) {
  return {.device = spec.device,
          .dtype = ToComputeDtype(spec.dtype),
          .batch_size = spec.batch_size,
          .device_memory = ParseSizeOption(spec.device_memory, "--device-memory"),
          .host_memory = ParseSizeOption(spec.host_memory, "--host-memory"),
          .threads = spec.threads};
}

recipes::ComputeDtype ToComputeDtype(std::string_view name) {
  return name == "float32" ? recipes::ComputeDtype::kFloat32 : recipes::ComputeDtype::kBFloat16;
}

}  // namespace vernier::jobs
