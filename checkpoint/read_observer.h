// Who is told what was read from a checkpoint, and how its values are to be read.
#ifndef VERNIER_CHECKPOINT_READ_OBSERVER_H_
#define VERNIER_CHECKPOINT_READ_OBSERVER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace vernier::checkpoint {

// Elements of one tensor that were not finite and were replaced (clamped_rows.h).
struct ClampedElements {
  size_t tensor = 0;  // index into Checkpoint::tensors()
  int64_t count = 0;
  int64_t first = 0;  // index of the first of them in the tensor
  std::string value;  // of that one: "NaN", "inf" or "-inf"
};

// Called from the threads that read.
class ReadObserver {
 public:
  virtual ~ReadObserver() = default;

  // All bytes of a tensor were read, and have this XXH3-128 (hexadecimal digits). What it throws
  // ends the reading.
  virtual void OnDigest(size_t tensor, const std::string& digest) = 0;

  // `elements` of a tensor, or of the rows that were read of it, were replaced.
  virtual void OnClamped(const ClampedElements& elements) = 0;
};

struct ReadOptions {
  ReadObserver* observer = nullptr;  // nobody; otherwise it outlives the reader
  bool clamp = false;                // replace NaN and infinity instead of refusing them
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_READ_OBSERVER_H_
