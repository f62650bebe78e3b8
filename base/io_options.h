// How bulk data is read and written.
#ifndef VERNIER_BASE_IO_OPTIONS_H_
#define VERNIER_BASE_IO_OPTIONS_H_

#include <cstdint>

#include "base/io_queue.h"

namespace vernier {

struct IoOptions {
  IoBackend backend = IoBackend::kAuto;
  // Around the page cache, where the file system allows it: data that is used once would only
  // displace other files' pages.
  bool direct = true;
  unsigned depth = 32;                 // requests under way
  uint64_t request_bytes = 2u << 20u;  // largest request
};

// The defaults, changed by the environment variable VERNIER_IO: a comma-separated list of
// "threads" (no io_uring) and "buffered" (no direct I/O). Anything else in it is kBadArgument.
IoOptions IoOptionsFromEnvironment();

}  // namespace vernier

#endif  // VERNIER_BASE_IO_OPTIONS_H_
