#include "checkpoint/checkpoint_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/config_facts.h"
#include "checkpoint/containers/registry.h"

namespace vernier::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConsolidated = "consolidated";
constexpr std::array<std::string_view, 2> kMtpFiles = {"mtp.safetensors",
                                                       "nextn_layer_parameters.safetensors"};
constexpr size_t kFilesShown = 3;

// Weights in containers that are not read.
struct OtherContainer {
  std::string_view extension;
  std::string_view name;
};
constexpr auto kOtherContainers = std::to_array<OtherContainer>({
    {".gguf", "GGUF"},
    {".bin", "PyTorch's"},
    {".pt", "PyTorch's"},
    {".pth", "PyTorch's"},
    {".h5", "Keras's"},
    {".msgpack", "Flax's"},
    {".onnx", "ONNX"},
});

std::vector<std::string> ListFiles(const fs::path& directory) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) {
    throw Error(ErrorCode::kNoCheckpoint, directory.string(),
                "cannot be listed: " + error.message(), "Check the path and the permissions");
  }
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> ShardsAmong(const std::vector<std::string>& files) {
  std::vector<std::string> shards;
  for (const std::string& file : files) {
    if (file.ends_with(kSafetensorsExtension) && !file.starts_with('.')) shards.push_back(file);
  }
  return shards;
}

std::string FirstNames(std::vector<std::string> names) {
  const size_t more = names.size() - std::min(names.size(), kFilesShown);
  names.resize(names.size() - more);
  return JoinNames(names) + (more > 0 ? fmt::format(" and {} more", more) : std::string());
}

[[noreturn]] void ThrowNoShard(const fs::path& directory, const std::vector<std::string>& files) {
  for (const OtherContainer& container : kOtherContainers) {
    const auto other = std::ranges::find_if(
        files, [&](const std::string& file) { return file.ends_with(container.extension); });
    if (other == files.end()) continue;
    throw Error(ErrorCode::kNoCheckpoint, directory.string(),
                fmt::format("holds no *.safetensors file, but {}: {} weights are not read", *other,
                            container.name),
                "Fetch the model's safetensors release, or convert it with transformers");
  }
  throw Error(ErrorCode::kNoCheckpoint, directory.string(), "holds no *.safetensors file",
              "Give the directory of a complete safetensors checkpoint");
}

void RequireShards(const fs::path& directory, const ShardIndex& index,
                   const std::vector<std::string>& present) {
  std::vector<std::string> missing;
  std::ranges::copy_if(index.files, std::back_inserter(missing), [&](const std::string& file) {
    return std::ranges::find(present, file) == present.end();
  });
  if (missing.empty()) return;
  const bool stale = missing.size() == index.files.size() && !present.empty();
  throw Error(
      ErrorCode::kBadIndex, (directory / kIndexFileName).string(),
      fmt::format("names {} of {} shards that are not here: {}; the directory has {}",
                  missing.size(), index.files.size(), FirstNames(missing),
                  present.empty() ? "no *.safetensors file" : FirstNames(present)),
      stale ? "Fetch the index of this revision, or remove it if these files are the whole model"
            : "Fetch the missing shards");
}

bool IsMtpFile(const std::string& file) {
  return std::ranges::find(kMtpFiles, file) != kMtpFiles.end();
}

bool AnnouncesMtp(const Json& config) {
  const std::optional<MtpCount> count = FindMtpCount(config);
  return count && count->layers > 0;
}

// Whether a file without an index is one of the model's: beside model.safetensors, as transformers
// takes it, only what holds MTP layers; otherwise all, as vLLM does.
bool BelongsWithoutIndex(const std::string& file, const std::vector<std::string>& present) {
  const auto is_consolidated = [](const std::string& other) {
    return other.starts_with(kConsolidated);
  };
  if (std::ranges::find(present, kSingleFileName) != present.end()) {
    return file == kSingleFileName || IsMtpFile(file);
  }
  return !is_consolidated(file) || std::ranges::all_of(present, is_consolidated);
}

}  // namespace

bool IsWeightFile(std::string_view name) {
  const auto is_of = [&](std::string_view extension) { return name.ends_with(extension); };
  return std::ranges::any_of(AllContainers(), is_of, &Container::extension) ||
         std::ranges::any_of(kOtherContainers, is_of, &OtherContainer::extension);
}

std::vector<std::string> ListShards(const fs::path& directory) {
  return ShardsAmong(ListFiles(directory));
}

CheckpointFiles FindCheckpointFiles(const fs::path& directory, const Json& config) {
  const std::vector<std::string> files = ListFiles(directory);
  const std::vector<std::string> present = ShardsAmong(files);
  CheckpointFiles result;
  if (std::ranges::find(files, kIndexFileName) != files.end()) {
    const fs::path path = directory / kIndexFileName;
    result.index = ParseShardIndex(ReadWholeFile(path), path.string());
    RequireShards(directory, *result.index, present);
    result.shards = result.index->files;
  } else if (present.empty()) {
    ThrowNoShard(directory, files);
  }
  for (const std::string& file : present) {
    if (std::ranges::find(result.shards, file) != result.shards.end()) continue;
    const bool belongs =
        result.index ? IsMtpFile(file) && AnnouncesMtp(config) : BelongsWithoutIndex(file, present);
    (belongs ? result.shards : result.left_out).push_back(file);
  }
  return result;
}

}  // namespace vernier::checkpoint
