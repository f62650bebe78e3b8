// The block size that config.json gives to FP8 weights.
#ifndef VERNIER_CHECKPOINT_BLOCK_SIZE_H_
#define VERNIER_CHECKPOINT_BLOCK_SIZE_H_

#include <cstdint>

#include "base/json.h"

namespace vernier::checkpoint {

// In elements.
struct BlockSize {
  int64_t rows = 128;
  int64_t columns = 128;
};

// weight_block_size of the quantisation config (config_facts.h), or the block_structure of the
// first of its config_groups that has one (compressed-tensors); 128 x 128 without either.
// kBadConfig for anything but two positive integers.
BlockSize ReadFp8BlockSize(const Json& config);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_BLOCK_SIZE_H_
