#!/usr/bin/env bash
# Seen: with PyTorch 2.13.0's wheel, at::parallel_for of a C++ program that is linked with libtorch runs its function
# on one thread, however many at::set_num_threads asked for and at::get_num_threads says there are. The same source
# compiled with -fopenmp uses them all. at::get_parallel_info() reports OpenMP in both. (GCC 12.2.)
# Why it matters: the loop of the OpenMP backend is a template in a header, in which the parallel region depends on
# the _OPENMP of whoever includes it, and not on how libtorch was built. The wheel's CMake package, unlike a
# distribution's with -fopenmp among its flags, sets no such flag. Neither compiler nor linker says anything: a custom
# operator or a program's own loop is merely as slow as one core.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0
torch=$(echo "$work"/venv/lib/python3*/site-packages/torch)

cat > "$work/loop.cc" <<'CC'
#include <ATen/Parallel.h>

#include <cstdio>
#include <mutex>
#include <set>
#include <thread>

int main() {
  at::set_num_threads(2);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  at::parallel_for(0, 2, 1, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    seen.insert(std::this_thread::get_id());
  });
  std::printf("asked for %d, used %zu\n", at::get_num_threads(), seen.size());
}
CC

# run FLAGS...: compiles the program with FLAGS and prints what it says.
run() {
  g++ -std=c++20 -O1 "$@" -I "$torch/include" "$work/loop.cc" -o "$work/loop" \
    -L "$torch/lib" -Wl,-rpath,"$torch/lib" -Wl,--no-as-needed -ltorch_cpu -lc10
  env -u OMP_NUM_THREADS "$work/loop"
}

without=$(run)
with=$(run -fopenmp)
printf 'without -fopenmp: %s\nwith -fopenmp:    %s\n' "$without" "$with"
if [[ $without != "asked for 2, used 1" || $with != "asked for 2, used 2" ]]; then
  echo "This has changed."
  exit 1
fi
echo "As seen: the caller's own compiler flag decides."
