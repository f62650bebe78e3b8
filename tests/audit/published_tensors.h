// The tensors of published checkpoints, by their configurations.
#ifndef VERNIER_TESTS_AUDIT_PUBLISHED_TENSORS_H_
#define VERNIER_TESTS_AUDIT_PUBLISHED_TENSORS_H_

#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"
#include "tests/audit/published_config.h"

namespace vernier::audit {

// In the order in which the model uses them. `name` tells apart what a configuration leaves open,
// the precision of DeepSeek-V4's experts.
std::vector<checkpoint::TensorSpec> PublishedTensors(std::string_view name,
                                                     const PublishedConfig& published);

}  // namespace vernier::audit

#endif  // VERNIER_TESTS_AUDIT_PUBLISHED_TENSORS_H_
