#include "checkpoint/containers/registry.h"

#include <array>

namespace vernier::checkpoint {

std::span<const Container* const> AllContainers() {
  static const std::array<const Container*, 1> containers = {&SafetensorsContainer()};
  return containers;
}

}  // namespace vernier::checkpoint
