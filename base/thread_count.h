// How many threads to work with.
#ifndef VERNIER_BASE_THREAD_COUNT_H_
#define VERNIER_BASE_THREAD_COUNT_H_

namespace vernier {

// `wanted`, or if that is 0 one for each processor that this process may use.
int ThreadCount(int wanted = 0);

// As ThreadCount for what OpenMP's threads compute: where `wanted` is 0, OMP_NUM_THREADS or
// MKL_NUM_THREADS of the environment count before processors, if they are 1 to 4096.
int ComputeThreadCount(int wanted);

}  // namespace vernier

#endif  // VERNIER_BASE_THREAD_COUNT_H_
