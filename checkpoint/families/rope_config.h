// Rotary position embedding as a config.json describes it.
#ifndef VERNIER_CHECKPOINT_FAMILIES_ROPE_CONFIG_H_
#define VERNIER_CHECKPOINT_FAMILIES_ROPE_CONFIG_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "checkpoint/families/config_reader.h"

namespace vernier::checkpoint {

enum class RopeType {
  kDefault,
  kLinear,  // all frequencies divided by the factor
  kLlama3,  // low frequencies divided by the factor, with a ramp (Llama 3.1)
  kYarn,    // the same between two numbers of rotations (arXiv 2309.00071)
  kLong,    // each divided by a factor of its own, in two sets for short and long sequences
            // (arXiv 2402.13753)
};

struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000;
  double partial_factor = 1;  // the first channels of a head that are rotated, of all
  double factor = 1;
  double original_positions = 0;  // context length before scaling; of kLlama3, kYarn and kLong
  double low_freq_factor = 1;     // kLlama3
  double high_freq_factor = 4;
  double beta_fast = 32;  // kYarn: rotations within original_positions
  double beta_slow = 1;
  bool truncate = true;         // kYarn: the ramp begins and ends at whole channels
  double attention_factor = 1;  // kYarn, kLong: cos and sin are multiplied by it
  // kYarn, latent attention only: scores are multiplied by the square of it.
  double score_factor = 1;

  // kLong, one for each pair of channels: for sequences up to original_positions, and beyond.
  std::vector<double> short_factors = {}, long_factors = {};

  // Channels of a head of `head_dim` that are rotated, its first; the rest passes.
  int64_t RotaryDim(int64_t head_dim) const;
};

// What a family's files may leave out.
struct RopeDefaults {
  double theta = 10000;
  // Nothing: the family rotates whole heads, and a file that says otherwise is refused.
  std::optional<double> partial_factor = {};
  bool knows_long = false;  // else kLong is refused
};

// What config.json says of rotations apart from rope_theta: rope_scaling or transformers 5's
// rope_parameters. Nothing where neither stands.
std::optional<ConfigReader> RopeSection(const ConfigReader& model);

// Reads rope_theta and rope_scaling, or transformers 5's rope_parameters, with the defaults of
// transformers (modeling_rope_utils.py). kBadConfig for another type than these, rotations of
// a part of a head where the family knows none, and numbers that make no sense.
RopeConfig ParseRopeConfig(const ConfigReader& model, const RopeDefaults& defaults = {});

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_ROPE_CONFIG_H_
