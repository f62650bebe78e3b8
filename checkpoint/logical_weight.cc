#include "checkpoint/logical_weight.h"

#include <fmt/format.h>

#include <array>

namespace vernier::checkpoint {
namespace {

constexpr std::array<std::string_view, kRoleCount> kRoleNames = {
    "embedding",     "lm_head",          "norm",   "attention", "attention_aux",
    "indexer",       "compressor",       "router", "dense_mlp", "shared_expert",
    "routed_expert", "hyper_connection", "mtp",    "other"};

}  // namespace

std::string_view WeightFormatName(WeightFormat format) {
  switch (format) {
    case WeightFormat::kPlain:
      return "plain";
    case WeightFormat::kInteger:
      return "integer";
    case WeightFormat::kFp8Tensor:
      return "fp8_tensor";
    case WeightFormat::kFp8Channel:
      return "fp8_channel";
    case WeightFormat::kFp8Block:
      return "fp8_block";
    case WeightFormat::kMxfp8:
      return "mxfp8";
    case WeightFormat::kMxfp4:
      return "mxfp4";
    case WeightFormat::kNvfp4:
      return "nvfp4";
    case WeightFormat::kInt4:
      return "int4";
    case WeightFormat::kOpaque:
      return "opaque";
  }
  return "opaque";
}

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
  for (const size_t part : {scale, global_scale, input_scale, packed_shape}) {
    if (part != Checkpoint::kNotFound) parts.push_back(part);
  }
  return parts;
}

}  // namespace vernier::checkpoint
