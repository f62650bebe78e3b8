// Statistics of linear layers' inputs on a device, in one look at them (calib/device_statistics.h):
// CUDA C that is compiled when it is first needed, and C++ that a test compiles. Sums are made row
// by row, so that they are those that quantizers/outer_products.h and quantizers/square_sums.h
// define; of rows in several ranges, each range has its own.

#define BLOCK 16
#define TRIANGLE 136
#define PATCHES 40             // rows of four elements that a triangle is covered with
#define BLOCKS_AT_ONCE 4       // of a block of threads, of which each adds up a patch
#define BLOCK_THREADS (BLOCKS_AT_ONCE * PATCHES)
#define COLUMNS_AT_ONCE (BLOCKS_AT_ONCE * BLOCK)
#define MOST_RANGES 64
#define MOST_OF_ONE_CALL 1.2379400392853803e+27f  // 2^90

#ifdef __CUDACC__
#define UNROLL _Pragma("unroll 16")
#else
#define UNROLL
#endif

// Range r is rows [begin[r], begin[r + 1]).
struct Ranges {
  long long begin[MOST_RANGES + 1];
};

__device__ float ValueOf(float x) { return x; }
__device__ float ValueOf(unsigned short bf16) { return __int_as_float((int)bf16 << 16); }

template <class Real>
struct alignas(4 * sizeof(Real)) Four {
  Real of[4];
};

__device__ float Bounded(float sum) {
  if (sum != sum) return 0.0f;
  return sum > 3.402823466e+38f    ? MOST_OF_ONE_CALL
         : sum < -3.402823466e+38f ? -MOST_OF_ONE_CALL
                                   : sum;
}

// Row i and first column j of a patch: 4 patches in each of the first four rows, then 3, 2, 1.
__device__ void PlaceOf(int patch, int* i, int* j) {
  int rows_before = 0, width = 4;
  while (patch >= 4 * width) {
    patch -= 4 * width;
    rows_before += 4;
    --width;
  }
  *i = rows_before + patch / width;
  *j = rows_before + 4 * (patch % width);
}

// x: a block's columns of the first row. sums: the block's triangle.
template <class Real>
__device__ void AddPatch(const Real* x, long long rows, long long columns, int patch, float* sums) {
  int i, j;
  PlaceOf(patch, &i, &j);
  float* at = sums + i * (2 * BLOCK + 1 - i) / 2 - i;
  float sum[4];
  for (int k = 0; k < 4; ++k) sum[k] = j + k >= i ? at[j + k] : 0.0f;
  UNROLL
  for (long long r = 0; r < rows; ++r) {
    const float left = ValueOf(x[r * columns + i]);
    const Four<Real> right = *(const Four<Real>*)(x + r * columns + j);
    for (int k = 0; k < 4; ++k) sum[k] = __fmaf_rn(left, ValueOf(right.of[k]), sum[k]);
  }
  for (int k = 0; k < 4; ++k) {
    if (j + k >= i) at[j + k] = Bounded(sum[k]);
  }
}

// The bits of magnitudes compare as they do, and those of NaN are beyond infinity's.
template <class Real>
__device__ int LargestOf(const Real* x, long long rows, long long columns) {
  int largest = 0;
  UNROLL
  for (long long r = 0; r < rows; ++r) {
    const int bits = __float_as_int(ValueOf(x[r * columns])) & 0x7FFFFFFF;
    if (bits > largest) largest = bits;
  }
  return largest;
}

template <class Real>
__device__ double SquaresOf(const Real* x, long long rows, long long columns, double sum) {
  UNROLL
  for (long long r = 0; r < rows; ++r) {
    const double value = (double)ValueOf(x[r * columns]);
    sum = __fma_rn(value, value, sum);
  }
  return sum;
}

// x [rows, columns] -> maxima over all ranges: amax [1], channel_amax [columns]; sums of each
// range: squares [ranges, columns], triangles [ranges, columns / 16, 136]. All are added to what is
// there; null is not asked for. Blocks of threads: columns / COLUMNS_AT_ONCE, ranges.
template <class Real>
__device__ void LookAt(const Real* x, Ranges ranges, long long columns, int* amax,
                       int* channel_amax, double* squares, float* triangles) {
  const int range = blockIdx.y, thread = threadIdx.x;
  const long long rows = ranges.begin[range + 1] - ranges.begin[range];
  const Real* first = x + ranges.begin[range] * columns;
  if (thread < BLOCK_THREADS) {
    const long long blocks = columns / BLOCK;
    const long long block = (long long)blockIdx.x * BLOCKS_AT_ONCE + thread / PATCHES;
    if (triangles == 0 || block >= blocks) return;
    AddPatch(first + block * BLOCK, rows, columns, thread % PATCHES,
             triangles + (range * blocks + block) * TRIANGLE);
    return;
  }
  const long long column = (long long)blockIdx.x * COLUMNS_AT_ONCE + thread - BLOCK_THREADS;
  if (column >= columns) return;
  if (squares != 0) {
    double* sum = squares + range * columns + column;
    *sum = SquaresOf(first + column, rows, columns, *sum);
  }
  if (amax == 0 && channel_amax == 0) return;
  const int largest = LargestOf(first + column, rows, columns);
  if (channel_amax != 0) atomicMax(channel_amax + column, largest);
  // Most of them are not the largest, and look before they wait for each other.
  if (amax != 0 && largest > *(volatile int*)amax) atomicMax(amax, largest);
}

extern "C" __global__ void look_at_bf16(const unsigned short* x, Ranges ranges, long long columns,
                                        int* amax, int* channel_amax, double* squares,
                                        float* triangles) {
  LookAt(x, ranges, columns, amax, channel_amax, squares, triangles);
}

extern "C" __global__ void look_at_f32(const float* x, Ranges ranges, long long columns, int* amax,
                                       int* channel_amax, double* squares, float* triangles) {
  LookAt(x, ranges, columns, amax, channel_amax, squares, triangles);
}

__device__ float Sum(float a, float b) { return __fadd_rn(a, b); }
__device__ double Sum(double a, double b) { return __dadd_rn(a, b); }

// sums [count] += parts [ranges, count], range by range.
template <class Number>
__device__ void AddParts(Number* sums, const Number* parts, long long count, int ranges) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  Number sum = sums[i];
  for (int r = 0; r < ranges; ++r) sum = Sum(sum, parts[r * count + i]);
  sums[i] = sum;
}

extern "C" __global__ void add_parts_f32(float* sums, const float* parts, long long count,
                                         int ranges) {
  AddParts(sums, parts, count, ranges);
}

extern "C" __global__ void add_parts_f64(double* sums, const double* parts, long long count,
                                         int ranges) {
  AddParts(sums, parts, count, ranges);
}
