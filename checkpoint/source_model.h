// A checkpoint together with what its family makes of it.
#ifndef VERNIER_CHECKPOINT_SOURCE_MODEL_H_
#define VERNIER_CHECKPOINT_SOURCE_MODEL_H_

#include <filesystem>
#include <memory>

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
// MakeFamily, BuildModelLayout and RequireReadable.
SourceModel OpenSourceModel(const std::filesystem::path& directory);

// Opens any checkpoint: family->guessed() where the model_type is absent or unknown.
SourceModel OpenAnySourceModel(const std::filesystem::path& directory);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_SOURCE_MODEL_H_
