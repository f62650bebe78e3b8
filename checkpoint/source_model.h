// A checkpoint together with what its family makes of it.
#ifndef VERNIER_CHECKPOINT_SOURCE_MODEL_H_
#define VERNIER_CHECKPOINT_SOURCE_MODEL_H_

#include <filesystem>
#include <memory>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "checkpoint/families/family.h"
#include "checkpoint/model_layout.h"

namespace vernier::checkpoint {

struct SourceModel {
  Checkpoint checkpoint;
  std::unique_ptr<Family> family;
  ModelLayout layout;
};

// Opens a checkpoint whose model_type is known, as calibration needs; errors as Checkpoint::Open,
// MakeFamily and BuildModelLayout.
inline SourceModel OpenSourceModel(const std::filesystem::path& directory) {
  Checkpoint checkpoint = Checkpoint::Open(directory);
  std::unique_ptr<Family> family = MakeFamily(checkpoint.config());
  ModelLayout layout = BuildModelLayout(checkpoint, *family);
  return {std::move(checkpoint), std::move(family), std::move(layout)};
}

// Opens any checkpoint: family->guessed() where the model_type is absent or unknown.
inline SourceModel OpenAnySourceModel(const std::filesystem::path& directory) {
  Checkpoint checkpoint = Checkpoint::Open(directory);
  std::unique_ptr<Family> family = MakeAnyFamily(checkpoint.config());
  ModelLayout layout = BuildModelLayout(checkpoint, *family);
  return {std::move(checkpoint), std::move(family), std::move(layout)};
}

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_SOURCE_MODEL_H_
