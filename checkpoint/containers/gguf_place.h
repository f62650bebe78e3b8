// Which tensors of a GGUF file a weight becomes.
#ifndef VERNIER_CHECKPOINT_CONTAINERS_GGUF_PLACE_H_
#define VERNIER_CHECKPOINT_CONTAINERS_GGUF_PLACE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "checkpoint/containers/container.h"

namespace vernier::checkpoint::gguf {

// Experts of a layer are parts of one tensor of the file, a plan's tensor each: "X[3]".
struct PartName {
  std::string_view tensor;  // "X"
  int64_t part = -1;        // 3; -1: the tensor has no parts
};
PartName ParsePartName(std::string_view name);

// Whether the file holds it at all: llama.cpp runs no MTP layers and needs no buffers.
bool HasPlace(const SourceModel& source, const LogicalWeight& weight);

// Container::Place and Container::ObstacleTo. kNotInContainer names a tensor that llama.cpp does
// not have for the model, or has in no format of these.
PlacedWeight PlaceWeight(const SourceModel& source, const LogicalWeight& weight, Format format);
Container::Obstacle ObstacleToFormat(const SourceModel& source, const LogicalWeight& weight,
                                     Format format);

}  // namespace vernier::checkpoint::gguf

#endif  // VERNIER_CHECKPOINT_CONTAINERS_GGUF_PLACE_H_
