// How an export reads, works and writes; its bytes do not depend on it.
#ifndef VERNIER_EXPORT_STREAM_SETTINGS_H_
#define VERNIER_EXPORT_STREAM_SETTINGS_H_

#include "base/io_options.h"
#include "export/stream_limits.h"

namespace vernier::exporter {

struct StreamSettings {
  int threads = 1;
  IoOptions io = {};
  StreamLimits limits = LimitsOf(uint64_t{1} << 30);
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_STREAM_SETTINGS_H_
