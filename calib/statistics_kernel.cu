// Statistics of linear layers' inputs on a device, in one look at them (calib/device_statistics.h):
// CUDA C that is compiled when it is first needed, and C++ that a test compiles. Sums are made row
// by row, so that they are those that quantizers/outer_products.h and quantizers/square_sums.h
// define; of rows in several ranges, each range has its own.

#define BLOCK 16
#define TRIANGLE 136
#define TILES 10               // of four by four elements that a triangle is covered with
#define BLOCKS_AT_ONCE 8       // of a block of threads, of which each adds up a tile
#define BLOCK_THREADS (BLOCKS_AT_ONCE * TILES)
#define COLUMNS_AT_ONCE (BLOCKS_AT_ONCE * BLOCK)
#define LOOK_THREADS (BLOCK_THREADS + COLUMNS_AT_ONCE)
#define ROWS_AT_ONCE 32        // that wait in shared memory
#define MOST_RANGES 64
#define MOST_OF_ONE_CALL 1.2379400392853803e+27f  // 2^90

#ifdef __CUDACC__
#define UNROLL _Pragma("unroll 4")
#define ALL_AT_ONCE _Pragma("unroll")
#else
#define UNROLL
#define ALL_AT_ONCE
#endif

// Range r is rows [begin[r], begin[r + 1]).
struct Ranges {
  long long begin[MOST_RANGES + 1];
};

__device__ float Bounded(float sum) {
  if (sum != sum) return 0.0f;
  return sum > 3.402823466e+38f    ? MOST_OF_ONE_CALL
         : sum < -3.402823466e+38f ? -MOST_OF_ONE_CALL
                                   : sum;
}

// First row i and first column j of a tile, row by row of tiles: 4, 3, 2 and 1 of them.
__device__ void PlaceOf(int tile, int* i, int* j) {
  int row = 0;
  for (int width = 4; tile >= width; --width) {
    tile -= width;
    ++row;
  }
  *i = 4 * row;
  *j = 4 * (row + tile);
}

// Sums of a tile.
struct Tile {
  int i, j;
  float sum[4][4];
};

// Where element (i, j) is in a triangle.
__device__ int PlaceInTriangle(int i, int j) { return i * (2 * BLOCK + 1 - i) / 2 + j - i; }

// sums: the triangle of the tile's block.
__device__ void Begin(Tile* tile, int number, const float* sums) {
  PlaceOf(number, &tile->i, &tile->j);
  for (int m = 0; m < 4; ++m) {
    for (int k = 0; k < 4; ++k) {
      const int i = tile->i + m, j = tile->j + k;
      tile->sum[m][k] = j >= i ? sums[PlaceInTriangle(i, j)] : 0.0f;
    }
  }
}

// rows: the block's columns of the first of them.
__device__ void Add(Tile* tile, const float* rows, int count) {
  UNROLL
  for (int r = 0; r < count; ++r) {
    const Four<float> left = *(const Four<float>*)(rows + r * COLUMNS_AT_ONCE + tile->i);
    const Four<float> right = *(const Four<float>*)(rows + r * COLUMNS_AT_ONCE + tile->j);
    for (int m = 0; m < 4; ++m) {
      for (int k = 0; k < 4; ++k) {
        tile->sum[m][k] = __fmaf_rn(left.of[m], right.of[k], tile->sum[m][k]);
      }
    }
  }
}

__device__ void End(const Tile* tile, float* sums) {
  for (int m = 0; m < 4; ++m) {
    for (int k = 0; k < 4; ++k) {
      const int i = tile->i + m, j = tile->j + k;
      if (j >= i) sums[PlaceInTriangle(i, j)] = Bounded(tile->sum[m][k]);
    }
  }
}

// The largest magnitude and the sum of squares of a column.
struct Column {
  int largest;  // by its bits: they compare as magnitudes do, and those of NaN are beyond infinity's
  double squares;
};

__device__ void Add(Column* column, const float* rows, int count) {
  UNROLL
  for (int r = 0; r < count; ++r) {
    const float value = rows[r * COLUMNS_AT_ONCE];
    const int bits = __float_as_int(value) & 0x7FFFFFFF;
    if (bits > column->largest) column->largest = bits;
    column->squares = __fma_rn((double)value, (double)value, column->squares);
  }
}

// How many fours of neighbours a thread brings to shared memory at a time.
#define FOURS_OF_ROW (COLUMNS_AT_ONCE / 4)
#define LOADS_OF_THREAD ((ROWS_AT_ONCE * FOURS_OF_ROW + LOOK_THREADS - 1) / LOOK_THREADS)

// `count` rows of `width` columns to shared memory, widened, 0 beyond them. Columns are a multiple
// of 4. All loads are under way before the first is waited for.
template <class Real>
__device__ void StageFours(const Real* x, int count, long long columns, int width, float* staged) {
  Four<Real> fours[LOADS_OF_THREAD];
  ALL_AT_ONCE
  for (int k = 0; k < LOADS_OF_THREAD; ++k) {
    const int n = threadIdx.x + k * LOOK_THREADS;
    const int row = n / FOURS_OF_ROW, column = n % FOURS_OF_ROW * 4;
    fours[k] = {};
    if (row < count && column < width) fours[k] = *(const Four<Real>*)(x + row * columns + column);
  }
  ALL_AT_ONCE
  for (int k = 0; k < LOADS_OF_THREAD; ++k) {
    const int n = threadIdx.x + k * LOOK_THREADS;
    Four<float> wide;
    for (int m = 0; m < 4; ++m) wide.of[m] = ValueOf(fours[k].of[m]);
    if (n < ROWS_AT_ONCE * FOURS_OF_ROW) *(Four<float>*)(staged + 4 * n) = wide;
  }
}

// The same of any number of columns.
template <class Real>
__device__ void StageSingly(const Real* x, int count, long long columns, int width, float* staged) {
  for (int n = threadIdx.x; n < ROWS_AT_ONCE * COLUMNS_AT_ONCE; n += LOOK_THREADS) {
    const int row = n / COLUMNS_AT_ONCE, column = n % COLUMNS_AT_ONCE;
    staged[n] = row < count && column < width ? ValueOf(x[row * columns + column]) : 0.0f;
  }
}

// x [rows, columns] -> maxima over all ranges: amax [1], channel_amax [columns]; sums of each
// range: squares [ranges, columns], triangles [ranges, columns / 16, 136]. All are added to what is
// there; null is not asked for. Blocks of threads: columns / COLUMNS_AT_ONCE, ranges.
template <class Real>
__device__ void LookAt(const Real* x, Ranges ranges, long long columns, int* amax,
                       int* channel_amax, double* squares, float* triangles) {
  alignas(16) __shared__ float staged[ROWS_AT_ONCE * COLUMNS_AT_ONCE];
  const int range = blockIdx.y, thread = threadIdx.x, of_column = thread - BLOCK_THREADS;
  const long long first = (long long)blockIdx.x * COLUMNS_AT_ONCE;
  const int width = (int)(columns - first < COLUMNS_AT_ONCE ? columns - first : COLUMNS_AT_ONCE);
  // What this thread has: a tile of a block, or a column.
  const int block = thread / TILES;
  const int has_tile = of_column < 0 && triangles != 0 && (block + 1) * BLOCK <= width;
  const int has_column = of_column >= 0 && of_column < width;
  const long long number = range * (columns / BLOCK) + first / BLOCK + block;
  float* triangle = has_tile ? triangles + number * TRIANGLE : 0;
  Tile tile;
  if (has_tile) Begin(&tile, thread % TILES, triangle);
  double* sum = squares != 0 && has_column ? squares + range * columns + first + of_column : 0;
  Column column = {0, sum != 0 ? *sum : 0.0};

  const long long end = ranges.begin[range + 1];
  for (long long row = ranges.begin[range]; row < end; row += ROWS_AT_ONCE) {
    const int count = (int)(end - row < ROWS_AT_ONCE ? end - row : ROWS_AT_ONCE);
    const Real* rows = x + row * columns + first;
    if (columns % 4 == 0) {
      StageFours(rows, count, columns, width, staged);
    } else {
      StageSingly(rows, count, columns, width, staged);
    }
    __syncthreads();
    if (has_tile) Add(&tile, staged + block * BLOCK, count);
    if (has_column) Add(&column, staged + of_column, count);
    __syncthreads();
  }

  if (has_tile) End(&tile, triangle);
  if (!has_column) return;
  if (sum != 0) *sum = column.squares;
  if (channel_amax != 0) atomicMax(channel_amax + first + of_column, column.largest);
  // Most of them are not the largest, and look before they wait for each other.
  if (amax != 0 && column.largest > *(volatile int*)amax) atomicMax(amax, column.largest);
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
