// Progress of streaming work.
#ifndef VERNIER_EXPORT_ON_BYTES_H_
#define VERNIER_EXPORT_ON_BYTES_H_

#include <cstdint>
#include <functional>

namespace vernier::exporter {

// Called with bytes just dealt with, one call at a time.
using OnBytes = std::function<void(uint64_t)>;

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_ON_BYTES_H_
