#include "checkpoint/logical_weight.h"

#include <fmt/format.h>

#include <array>

namespace vernier::checkpoint {
namespace {

constexpr std::array<std::string_view, kRoleCount> kRoleNames = {
    "embedding",        "lm_head",    "norm",   "attention", "linear_attention", "attention_aux",
    "indexer",          "compressor", "router", "dense_mlp", "shared_expert",    "routed_expert",
    "hyper_connection", "tower",      "mtp",    "other"};

}  // namespace

std::string_view RoleName(Role role) { return kRoleNames.at(static_cast<size_t>(role)); }

bool RoleFromName(std::string_view name, Role* role) {
  for (size_t i = 0; i < kRoleNames.size(); ++i) {
    if (kRoleNames[i] != name) continue;
    *role = static_cast<Role>(i);
    return true;
  }
  return false;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::vector<size_t> LogicalWeight::Parts() const {
  std::vector<size_t> parts = {main};
  for (const size_t part : {scale, global_scale, input_scale, packed_shape, zero_point}) {
    if (part != Checkpoint::kNotFound) parts.push_back(part);
  }
  parts.insert(parts.end(), others.begin(), others.end());
  return parts;
}

}  // namespace vernier::checkpoint
