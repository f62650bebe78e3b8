// The containers that there are.
#ifndef VERNIER_CHECKPOINT_CONTAINERS_REGISTRY_H_
#define VERNIER_CHECKPOINT_CONTAINERS_REGISTRY_H_

#include <span>

#include "checkpoint/containers/container.h"

namespace vernier::checkpoint {

// What engines load of every dialect.
const Container& SafetensorsContainer();

// What llama.cpp loads.
const Container& GgufContainer();

// All of them. They live as long as the program.
std::span<const Container* const> AllContainers();

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_CONTAINERS_REGISTRY_H_
