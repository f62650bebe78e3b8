// Measures how fast a checkpoint is read: for forecasts.
#ifndef VERNIER_CHECKPOINT_READ_SPEED_H_
#define VERNIER_CHECKPOINT_READ_SPEED_H_

#include "checkpoint/checkpoint.h"

namespace vernier::checkpoint {

// Bytes per second of its largest shard, read for about a second around the page cache, where the
// file system allows that. Errors: kFileOpen, kFileRead.
double MeasureReadSpeed(const Checkpoint& checkpoint);

// Of the bytes of its shards, the share that the page cache holds, 0 to 1, counted in pieces of
// some MiB; nothing is read. Errors: kFileOpen.
double CachedShare(const Checkpoint& checkpoint);

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_READ_SPEED_H_
