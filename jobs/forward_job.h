// What the jobs that run a model share.
#ifndef VERNIER_JOBS_FORWARD_JOB_H_
#define VERNIER_JOBS_FORWARD_JOB_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "calib/budget/budget.h"

namespace vernier::jobs {

// Free memory of the host and of `device` (kBadDevice).
calib::MachineMemory ReadMemory(std::string_view device);

// kBadTokenIds for ids that a model of `vocab_size` tokens does not have.
void RequireIds(std::span<const int32_t> ids, int64_t vocab_size);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_FORWARD_JOB_H_
