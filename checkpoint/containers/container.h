// What a checkpoint's tensors are written into: a container lays files out, and makes the bytes of
// them that are no tensor's. One file each, and a row in registry.cc.
#ifndef VERNIER_CHECKPOINT_CONTAINERS_CONTAINER_H_
#define VERNIER_CHECKPOINT_CONTAINERS_CONTAINER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/containers/placement.h"
#include "checkpoint/tensor_info.h"

namespace vernier::checkpoint {

class Checkpoint;
struct LogicalWeight;
struct SourceModel;

using FileMetadata = std::map<std::string, std::string>;

// What one file is to hold.
struct FileContent {
  std::string name;
  std::vector<TensorSpec> tensors;  // in any order, with the container's names
  FileMetadata metadata;            // of the source's files that it is made from
};

// Where it holds it. Bytes that are neither a tensor's nor the frame's are zeros.
struct FileLayout {
  std::vector<TensorInfo> tensors;  // in file order
  uint64_t file_bytes = 0;
};

// A file of a plan, as its container laid it out.
struct PlannedFile {
  std::string_view name;
  uint64_t bytes = 0;
  std::vector<const TensorInfo*> tensors;  // in file order
  const FileMetadata* metadata = nullptr;
};

// What stands before a file's tensors, and what ends it.
struct FileFrame {
  std::string head;
  std::string tail;
};

// A small file that describes the others.
struct IndexFile {
  std::string name;
  std::string text;
};

// Stateless, and thread-safe. All files are known before the first is written: layouts and frames
// depend on nothing but the arguments, and nothing is patched afterwards.
class Container {
 public:
  virtual ~Container() = default;

  // Of files with tensors, with its dot.
  virtual std::string_view extension() const = 0;

  // Names of the files that IndexFiles gives. The source's of these names are not copied.
  virtual std::vector<std::string_view> IndexFileNames() const = 0;

  // For each of the source's files, the name of the one that what becomes of its tensors goes to.
  // Files of the source with one name become one file.
  virtual std::vector<std::string> FileNames(const SourceModel& source) const = 0;

  // Whether files of this container are all that there is to a model: nothing of the source's
  // directory is copied beside them, and no config.json is written.
  virtual bool holds_all() const { return false; }

  // The source's file beside whose tensors a weight's go. Asked of containers that place weights.
  virtual size_t HomeOf(const SourceModel& source, const LogicalWeight& weight) const;

  // How a weight that becomes `format` (none: it is kept) is kept where that is not as tensors of
  // codes and scales, or the source's tensors byte for byte. Without values it is left out. An
  // Error where it cannot be kept.
  virtual std::optional<PlacedWeight> Place(const SourceModel& /*source*/,
                                            const LogicalWeight& /*weight*/,
                                            Format /*format*/) const {
    return std::nullopt;
  }

  // Why a weight may not become `format`, which a rule asks for; empty: it may. `never`: no rule
  // for a whole role means it.
  struct Obstacle {
    std::string why = {};
    bool never = false;
  };
  virtual Obstacle ObstacleTo(const SourceModel& /*source*/, const LogicalWeight& /*weight*/,
                              Format /*format*/) const {
    return {};
  }

  // What a tensor of `weight` is called that has this name among the dialect's.
  virtual std::string TensorName(const LogicalWeight& weight, std::string name) const = 0;

  // The files' layouts, in the order of `files`. Memory is that of the names. kBadHeader for what
  // the container cannot hold.
  virtual std::vector<FileLayout> LayOut(const SourceModel& source,
                                         std::vector<FileContent> files) const = 0;

  // Of files[index]. `files` are what LayOut made.
  virtual FileFrame Frame(const SourceModel& source, std::span<const PlannedFile> files,
                          size_t index) const = 0;

  // To be written when all of `files` are.
  virtual std::vector<IndexFile> IndexFiles(std::span<const PlannedFile> files) const = 0;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_CONTAINERS_CONTAINER_H_
