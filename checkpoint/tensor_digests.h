// Digests of tensors whose bytes pass by piece by piece.
#ifndef VERNIER_CHECKPOINT_TENSOR_DIGESTS_H_
#define VERNIER_CHECKPOINT_TENSOR_DIGESTS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>

#include "base/hash.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/read_observer.h"

namespace vernier::checkpoint {

// One thread at a time. Memory: a hash state for each tensor that is under way.
class TensorDigests {
 public:
  // Without an observer nothing is hashed.
  TensorDigests(const Checkpoint& checkpoint, ReadObserver* observer)
      : checkpoint_(checkpoint), observer_(observer) {}

  // The bytes of a tensor from `begin` on. Pieces come in ascending order and may overlap; at the
  // last one the observer gets the digest. A tensor that begins elsewhere or has gaps gets none.
  void Add(size_t tensor, uint64_t begin, std::span<const std::byte> bytes);

  // Reads the whole tensor for its digest, a few mebibytes at a time. kFileRead.
  void AddWhole(size_t tensor);

 private:
  struct Open {
    Hasher hasher;
    uint64_t bytes = 0;
  };

  const Checkpoint& checkpoint_;
  ReadObserver* observer_;
  std::unordered_map<size_t, Open> open_;
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_TENSOR_DIGESTS_H_
