// Runs jobs under the shim of io_shim.cc.
#ifndef VERNIER_TESTS_FAULTS_IO_FAULT_H_
#define VERNIER_TESTS_FAULTS_IO_FAULT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/faults/job.h"

namespace vernier::testing {

// A failure of the call of this number, counted from 1, and of all later ones when `sticky`.
struct IoFault {
  int number = 1;
  int error = 0;  // an errno
  bool sticky = false;
};

struct ShimmedRun {
  CommandResult command;
  std::vector<std::string> calls = {};  // see io_shim.h
  // The first call that failed, e.g. "fsync /tmp/x/out"; empty: there were fewer calls than that.
  std::string failed = {};
};

// Counts, and reports, the job's calls below its place.
ShimmedRun RunCounted(const Job& job);
// The job on a disk whose syncs do nothing, for what is quicker so.
CommandResult RunUnsynced(const Job& job);
ShimmedRun RunWithFault(const Job& job, const IoFault& fault);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_FAULTS_IO_FAULT_H_
