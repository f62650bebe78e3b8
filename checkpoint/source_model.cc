#include "checkpoint/source_model.h"

#include <utility>

#include "checkpoint/readable.h"

namespace vernier::checkpoint {
namespace {

SourceModel Open(const std::filesystem::path& directory,
                 std::unique_ptr<Family> (*make_family)(const Json& config)) {
  Checkpoint checkpoint = Checkpoint::Open(directory);
  std::unique_ptr<Family> family = make_family(checkpoint.config());
  checkpoint.SplitStacks(family->Stacks());
  ModelLayout layout = BuildModelLayout(checkpoint, *family);
  RequireReadable(checkpoint, layout);
  return {std::move(checkpoint), std::move(family), std::move(layout)};
}

}  // namespace

SourceModel OpenSourceModel(const std::filesystem::path& directory) {
  return Open(directory, MakeFamily);
}

SourceModel OpenAnySourceModel(const std::filesystem::path& directory) {
  return Open(directory, MakeAnyFamily);
}

}  // namespace vernier::checkpoint
