// How engines are told to keep keys and values of past tokens.
#ifndef VERNIER_CHECKPOINT_KV_CACHE_FORMAT_H_
#define VERNIER_CHECKPOINT_KV_CACHE_FORMAT_H_

#include "checkpoint/checkpoint.h"

namespace vernier::checkpoint {

enum class KvCacheFormat {
  kModel,  // in the model's own type
  kFp8,    // E4M3 with one scale for all keys of a layer and one for all values
  kNvfp4,  // E2M1 with an E4M3 scale for 16 channels of a head, and these two scales over them
};

// What a checkpoint's configurations announce: kv_cache_scheme in config.json's
// quantization_config (an object with num_bits, or ModelOpt's name of a format), or
// kv_cache_quant_algo there or in hf_quant_config.json. Errors: kFileRead, kBadJson.
KvCacheFormat AnnouncedKvCache(const Checkpoint& checkpoint);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_KV_CACHE_FORMAT_H_
