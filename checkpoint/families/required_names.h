// Tensors without which models of well-known architectures cannot run that have no family of their
// own here: what tells a whole checkpoint from one that lost a part.
#ifndef VERNIER_CHECKPOINT_FAMILIES_REQUIRED_NAMES_H_
#define VERNIER_CHECKPOINT_FAMILIES_REQUIRED_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace vernier::checkpoint {

// Names for a model of `layers` layers; empty where the config's model_type is not in the table.
std::vector<std::string> RequiredNames(const Json& config, int64_t layers);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_REQUIRED_NAMES_H_
