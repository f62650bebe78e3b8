#include "checkpoint/families/skipped_tensors.h"

#include <algorithm>
#include <array>
#include <string>

#include "checkpoint/config_facts.h"

namespace vernier::checkpoint {
namespace {

constexpr std::array<std::string_view, 5> kBuffers = {
    "rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached",
    "attention.masked_bias", "embeddings.position_ids"};
constexpr std::string_view kHead = "lm_head.weight";

}  // namespace

std::string_view SkippedBecause(std::string_view name, const Json& config) {
  const bool is_buffer = std::any_of(kBuffers.begin(), kBuffers.end(),
                                     [name](std::string_view end) { return name.ends_with(end); });
  if (is_buffer) return "a buffer that engines compute anew";
  const bool is_head = name == kHead || name.ends_with("." + std::string(kHead));
  if (is_head && FindTiedEmbeddings(config) == true) return "a head that is tied to the embedding";
  return {};
}

}  // namespace vernier::checkpoint
