#include "checkpoint/containers/registry.h"

#include <array>

#include "checkpoint/source_model.h"

namespace vernier::checkpoint {

size_t Container::HomeOf(const SourceModel& source, const LogicalWeight& weight) const {
  return source.checkpoint.tensor(weight.main).shard;
}

std::span<const Container* const> AllContainers() {
  static const std::array<const Container*, 2> containers = {&SafetensorsContainer(),
                                                             &GgufContainer()};
  return containers;
}

}  // namespace vernier::checkpoint
