// Which rotary embedding a layer of DeepSeek-V4 has: of the last channels of a head, neighbours
// paired.
#ifndef VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ROPE_H_
#define VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ROPE_H_

#include <ATen/ATen.h>

#include <cstdint>

#include "calib/families/rope.h"
#include "checkpoint/families/deepseek_v4_config.h"

namespace vernier::calib::deepseek_v4 {

// The frequencies of one layer, F32 [rd / 2] on the host. A layer without compression uses
// rope_theta alone; the others compress_rope_theta with YaRN, without scaling of cos and sin, as in
// DeepSeek-V4's released code.
at::Tensor RopeFrequencies(const checkpoint::DeepseekV4Config& config, int64_t compress_ratio);

}  // namespace vernier::calib::deepseek_v4

#endif  // VERNIER_CALIB_FAMILIES_DEEPSEEK_V4_ROPE_H_
