#include "calib/families/row_tiles.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <mutex>

#include "base/rounding.h"
#include "calib/budget/loop_constants.h"

#ifndef _OPENMP
#error "at::parallel_for runs on one thread without OpenMP: see CMakeLists.txt"
#endif

namespace vernier::calib {
namespace {

constexpr int64_t kCachedValues = int64_t{1} << 15;

template <class Function>
Function* FindBlas(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

// While one lives, an OpenBLAS with threads of its own uses none of them: the callers are several.
// One that uses OpenMP notices that by itself.
class OneBlasThread {
 public:
  OneBlasThread() {
    const std::lock_guard lock(Mutex());
    if (++Alive() == 1) Before() = SetThreads(1);
  }
  ~OneBlasThread() {
    const std::lock_guard lock(Mutex());
    if (--Alive() == 0) SetThreads(Before());
  }
  OneBlasThread(const OneBlasThread&) = delete;
  OneBlasThread& operator=(const OneBlasThread&) = delete;

 private:
  static std::mutex& Mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static int& Alive() {
    static int alive = 0;
    return alive;
  }
  static int& Before() {
    static int before = 1;
    return before;
  }

  // Returns how many they were; 1 of any other BLAS.
  static int SetThreads(int threads) {
    static const auto parallel = FindBlas<int()>("openblas_get_parallel");
    static const auto get = FindBlas<int()>("openblas_get_num_threads");
    static const auto set = FindBlas<void(int)>("openblas_set_num_threads");
    constexpr int kOwnThreads = 1;
    if (parallel == nullptr || get == nullptr || set == nullptr || parallel() != kOwnThreads) {
      return 1;
    }
    const int before = get();
    if (before != threads) set(threads);
    return before;
  }
};

// While one lives, MKL, if that is what libtorch has, uses one thread for what this thread asks
// for. It would have no more of them among several, but cut products for as many as there are, and
// so that a row would depend on how many rows there are.
class OneMklThread {
 public:
  OneMklThread() : before_(Set(1)) {}
  ~OneMklThread() { Set(before_); }
  OneMklThread(const OneMklThread&) = delete;
  OneMklThread& operator=(const OneMklThread&) = delete;

 private:
  // Returns how many they were; 0: as many as the process has.
  static int Set(int threads) {
    static const auto set = FindBlas<int(int)>("MKL_Set_Num_Threads_Local");
    return set == nullptr ? 0 : set(threads);
  }

  int before_;
};

// `work(i)` for i in [0, count), the next one to whichever thread is free.
void OnAllThreads(int64_t count, const std::function<void(int64_t)>& work) {
  const bool inference = c10::InferenceMode::is_enabled();
  const OneBlasThread one_blas_thread;
  std::atomic<int64_t> next = 0;
  at::parallel_for(0, std::min<int64_t>(at::get_num_threads(), count), 1, [&](int64_t, int64_t) {
    const c10::InferenceMode same(inference);
    const OneMklThread one_mkl_thread;
    for (int64_t i = next++; i < count; i = next++) work(i);
  });
}

}  // namespace

void ForRowTiles(at::Device device, int64_t rows, int64_t tile,
                 const std::function<void(int64_t, int64_t)>& run) {
  assert(tile > 0);
  if (rows == 0) return;
  const int64_t tiles = CeilDivide(rows, tile);
  const auto run_tile = [&](int64_t i) { run(i * tile, std::min((i + 1) * tile, rows)); };
  if (device.is_cpu()) return OnAllThreads(tiles, run_tile);
  for (int64_t i = 0; i < tiles; ++i) run_tile(i);
}

int64_t RowsOfTile(at::Device device, int64_t columns) {
  if (!device.is_cpu()) return DeviceTileRows(columns);
  return std::max<int64_t>(kCachedValues / std::max<int64_t>(columns, 1), 1);
}

at::Tensor MapRows(const at::Tensor& x,
                   const std::function<at::Tensor(const at::Tensor&)>& rows_of) {
  return MapRows(x, x, [&](const at::Tensor& tile, const at::Tensor&) { return rows_of(tile); });
}

at::Tensor MapRows(const at::Tensor& x, const at::Tensor& y,
                   const std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>& rows_of) {
  const int64_t columns = x.size(-1);
  const at::Tensor from = x.reshape({-1, columns});
  const at::Tensor with = x.is_same(y) ? from : y.reshape({-1, columns});
  const at::Tensor to = at::empty(from.sizes(), from.options());
  ForRowTiles(x.device(), from.size(0), RowsOfTile(x.device(), columns),
              [&](int64_t begin, int64_t end) {
                to.slice(0, begin, end)
                    .copy_(rows_of(from.slice(0, begin, end), with.slice(0, begin, end)));
              });
  return to.view(x.sizes());
}

}  // namespace vernier::calib
