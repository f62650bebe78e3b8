// What becomes of memory that a forward pass frees.
#ifndef VERNIER_CALIB_FREED_MEMORY_H_
#define VERNIER_CALIB_FREED_MEMORY_H_

namespace vernier::calib {

// While it lives, malloc keeps what a batch has freed for the next batch, which needs the same:
// with glibc's own settings the pages go back and are filled with zeros again, batch after batch,
// which took a fifth of a small model's time. malloc_trim still gives all back. Blocks above 32
// MiB, glibc's limit, go back at once: work on them costs much more than their pages. What is free
// in the end goes back, and the settings become glibc's first ones. They are the process's.
class KeptFreedMemory {
 public:
  KeptFreedMemory();
  ~KeptFreedMemory();
  KeptFreedMemory(const KeptFreedMemory&) = delete;
  KeptFreedMemory& operator=(const KeptFreedMemory&) = delete;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_FREED_MEMORY_H_
