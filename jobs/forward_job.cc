#include "jobs/forward_job.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "calib/device.h"

namespace vernier::jobs {

calib::MachineMemory ReadMemory(std::string_view device) {
  return calib::ReadMachineMemory(calib::ParseDevice(device));
}

void RequireIds(std::span<const int32_t> ids, int64_t vocab_size) {
  const int32_t highest = ids.empty() ? -1 : std::ranges::max(ids);
  if (highest < vocab_size) return;
  throw Error(ErrorCode::kBadTokenIds, fmt::format("token id {}", highest),
              fmt::format("is outside the model's vocabulary of {}", vocab_size),
              "Give the tokenizer that belongs to the model with --tokenizer");
}

}  // namespace vernier::jobs
