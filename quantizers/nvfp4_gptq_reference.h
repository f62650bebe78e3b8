// The definition of NVFP4 by GPTQ (nvfp4_gptq.h), one row and one value at a time. Contracts:
// nvfp4_gptq.h.
#ifndef VERNIER_QUANTIZERS_NVFP4_GPTQ_REFERENCE_H_
#define VERNIER_QUANTIZERS_NVFP4_GPTQ_REFERENCE_H_

#include <cstdint>
#include <span>

#include "quantizers/nvfp4_gptq.h"

namespace vernier::quantizers::reference {

void QuantizeNvfp4Gptq(RealSpan values, int64_t columns, const Nvfp4GptqOptions& options,
                       std::span<uint8_t> packed, std::span<uint8_t> scales);

}  // namespace vernier::quantizers::reference

#endif  // VERNIER_QUANTIZERS_NVFP4_GPTQ_REFERENCE_H_
