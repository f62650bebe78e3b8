#include "calib/families/deepseek_v4/rope.h"

namespace vernier::calib::deepseek_v4 {

at::Tensor RopeFrequencies(const checkpoint::DeepseekV4Config& config, int64_t compress_ratio) {
  checkpoint::RopeConfig rope = {.theta = config.rope_theta};
  if (compress_ratio != 0) {
    rope.theta = config.compress_rope_theta;
    rope.factor = config.yarn.factor;
    rope.original_positions = config.yarn.original_max_position_embeddings;
    rope.beta_fast = config.yarn.beta_fast;
    rope.beta_slow = config.yarn.beta_slow;
    if (rope.factor != 1.0) rope.type = checkpoint::RopeType::kYarn;
  }
  return calib::RopeFrequencies(rope, config.qk_rope_head_dim);
}

}  // namespace vernier::calib::deepseek_v4
