// Steps of a forward pass on a device, each of which would be several operators of libtorch, and
// the decoding of stored weights (calib/device_forward.h): CUDA C that is compiled when it is first
// needed, and C++ that a test compiles. Products and sums are in F32 and stay apart, results are
// rounded once. Tensors are contiguous, F32 or, as bits in an unsigned short, BF16.

#define REDUCE_THREADS 256  // of a block that reduces a row, at most
#define INFINITE __int_as_float(0x7F800000)

// To nearest even; NaN stays NaN.
__device__ unsigned short Bf16Of(float x) {
  const unsigned bits = (unsigned)__float_as_int(x);
  if (x != x) return (unsigned short)(bits >> 16 | 0x40u);
  return (unsigned short)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}
__device__ void Put(float x, float* to) { *to = x; }
__device__ void Put(float x, unsigned short* to) { *to = Bf16Of(x); }

// Elements first to first + 3 of `count`, 0 for those beyond; `together`: x is aligned for fours.
template <class Real>
__device__ void Load(const Real* x, long long first, long long count, int together, float* values) {
  if (together && first + 4 <= count) {
    const Four<Real> four = *(const Four<Real>*)(x + first);
    for (int k = 0; k < 4; ++k) values[k] = ValueOf(four.of[k]);
    return;
  }
  for (int k = 0; k < 4; ++k) values[k] = first + k < count ? ValueOf(x[first + k]) : 0.0f;
}

template <class Real>
__device__ void Store(const float* values, long long first, long long count, int together,
                      Real* to) {
  if (together && first + 4 <= count) {
    Four<Real> four;
    for (int k = 0; k < 4; ++k) Put(values[k], &four.of[k]);
    *(Four<Real>*)(to + first) = four;
    return;
  }
  for (int k = 0; k < 4; ++k) {
    if (first + k < count) Put(values[k], to + first + k);
  }
}

// There are fewer than 2^32: to divide by 64 bits would take longer than what a thread does.
__device__ unsigned ThreadNumber() { return blockIdx.x * blockDim.x + threadIdx.x; }

// Calls use(i) for the fours of a row that begin with element i and are this thread's.
template <class Use>
__device__ void ForRow(long long columns, Use use) {
  for (long long i = 4 * threadIdx.x; i < columns; i += 4 * blockDim.x) use(i);
}

struct Sum {
  __device__ float operator()(float a, float b) const { return __fadd_rn(a, b); }
};
struct Largest {
  template <class Number>
  __device__ Number operator()(Number a, Number b) const {
    return b > a ? b : a;
  }
};

// Of all threads of a block, whose number is a power of two: by halves, so in one order.
template <class Number, class Join>
__device__ Number Reduce(Number value, Join join) {
  __shared__ Number parts[REDUCE_THREADS];
  __syncthreads();  // what an earlier call left has been read
  parts[threadIdx.x] = value;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      parts[threadIdx.x] = join(parts[threadIdx.x], parts[threadIdx.x + half]);
    }
    __syncthreads();
  }
  return parts[0];
}

// x / sqrt(mean(x^2) + eps), times weight [columns] if that is not null. A block a row.
template <class In, class Out>
__device__ void Normalize(const In* x, const float* weight, long long columns, float eps,
                          Out* out) {
  const In* row = x + blockIdx.x * columns;
  const int together = columns % 4 == 0;
  float v[4], w[4] = {1.0f, 1.0f, 1.0f, 1.0f}, sum = 0.0f;
  ForRow(columns, [&](long long i) {
    Load(row, i, columns, together, v);
    for (int k = 0; k < 4; ++k) sum = __fmaf_rn(v[k], v[k], sum);
  });
  const float mean = __fdiv_rn(Reduce(sum, Sum()), (float)columns);
  const float scale = __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(mean, eps)));
  ForRow(columns, [&](long long i) {
    Load(row, i, columns, together, v);
    if (weight != 0) Load(weight, i, columns, together, w);
    for (int k = 0; k < 4; ++k) v[k] = __fmul_rn(__fmul_rn(v[k], scale), w[k]);
    Store(v, i, columns, together, out + blockIdx.x * columns);
  });
}

extern "C" __global__ void normalize_bf16(const unsigned short* x, const float* weight,
                                          long long columns, float eps, unsigned short* out) {
  Normalize(x, weight, columns, eps, out);
}
extern "C" __global__ void normalize_bf16_to_f32(const unsigned short* x, const float* weight,
                                                 long long columns, float eps, float* out) {
  Normalize(x, weight, columns, eps, out);
}
extern "C" __global__ void normalize_f32(const float* x, const float* weight, long long columns,
                                         float eps, float* out) {
  Normalize(x, weight, columns, eps, out);
}

// A thread has four elements.
template <class X, class Y>
__device__ void Add(const X* x, const Y* y, long long count, X* out) {
  float a[4], b[4];
  const long long first = 4LL * ThreadNumber();
  Load(x, first, count, 1, a);
  Load(y, first, count, 1, b);
  for (int k = 0; k < 4; ++k) a[k] = __fadd_rn(a[k], b[k]);
  Store(a, first, count, 1, out);
}

extern "C" __global__ void add_bf16(const unsigned short* x, const unsigned short* y,
                                    long long count, unsigned short* out) {
  Add(x, y, count, out);
}
extern "C" __global__ void add_bf16_f32(const unsigned short* x, const float* y, long long count,
                                        unsigned short* out) {
  Add(x, y, count, out);
}
extern "C" __global__ void add_f32(const float* x, const float* y, long long count, float* out) {
  Add(x, y, count, out);
}

// NaN stays.
__device__ float Within(float x, float low, float high) {
  return x < low ? low : x > high ? high : x;
}

// silu(min(gate, limit)) * clamp(up, -limit, limit).
template <class Real>
__device__ void Swiglu(const Real* gate, const Real* up, long long count, float limit, Real* out) {
  float a[4], b[4];
  const long long first = 4LL * ThreadNumber();
  Load(gate, first, count, 1, a);
  Load(up, first, count, 1, b);
  for (int k = 0; k < 4; ++k) {
    const float x = Within(a[k], -INFINITE, limit);
    const float silu = __fdiv_rn(x, __fadd_rn(1.0f, expf(-x)));
    a[k] = __fmul_rn(silu, Within(b[k], -limit, limit));
  }
  Store(a, first, count, 1, out);
}

extern "C" __global__ void swiglu_bf16(const unsigned short* gate, const unsigned short* up,
                                       long long count, float limit, unsigned short* out) {
  Swiglu(gate, up, count, limit, out);
}
extern "C" __global__ void swiglu_f32(const float* gate, const float* up, long long count,
                                      float limit, float* out) {
  Swiglu(gate, up, count, limit, out);
}

// Of x [rows, width], 2 * pairs channels of each row from `begin` on: first and second of pair i are
// `stride` apart, those of pairs `step`. Row r is at position r / heads % positions of cos and sin
// [positions, pairs]. A thread has `at_once`, 4 or 1, pairs or channels that stay.
struct Rotation {
  long long rows;
  unsigned width, heads, positions, pairs, begin, stride, step, at_once;
};

template <class Real>
__device__ void Rotate(const Real* x, const float* cos, const float* sin, Rotation r, Real* out) {
  const unsigned fixed = r.width - 2 * r.pairs, parts = (fixed + r.pairs) / r.at_once;
  const unsigned row = ThreadNumber() / parts, part = ThreadNumber() % parts * r.at_once;
  if (row >= r.rows) return;
  const Real* from = x + (long long)row * r.width;
  Real* to = out + (long long)row * r.width;
  if (part < fixed) {
    float v[4];
    const int together = r.at_once == 4;
    const unsigned at = part < r.begin ? part : part + 2 * r.pairs;
    Load(from, at, together ? r.width : at + 1, together, v);
    Store(v, at, together ? r.width : at + 1, together, to);
    return;
  }
  const long long angles = (long long)(row / r.heads % r.positions) * r.pairs;
  for (unsigned pair = part - fixed; pair < part - fixed + r.at_once; ++pair) {
    const unsigned first = r.begin + pair * r.step, second = first + r.stride;
    const float a = ValueOf(from[first]), b = ValueOf(from[second]);
    const float c = cos[angles + pair], s = sin[angles + pair];
    Put(__fadd_rn(__fmul_rn(a, c), -__fmul_rn(b, s)), to + first);
    Put(__fadd_rn(__fmul_rn(b, c), __fmul_rn(a, s)), to + second);
  }
}

extern "C" __global__ void rotate_bf16(const unsigned short* x, const float* cos, const float* sin,
                                       Rotation r, unsigned short* out) {
  Rotate(x, cos, sin, r, out);
}
extern "C" __global__ void rotate_f32(const float* x, const float* cos, const float* sin,
                                      Rotation r, float* out) {
  Rotate(x, cos, sin, r, out);
}

// The scores of a row that four neighbours have: scale p where `sees` says so, else nothing, which
// is -infinity. False: there are none, and nothing was loaded.
template <class Sees>
__device__ int LoadScores(const float* row, long long i, long long columns, float scale, Sees sees,
                          float* v) {
  int seen[4], any = 0;
  for (int k = 0; k < 4; ++k) any |= seen[k] = i + k < columns && sees(i + k);
  if (!any) return 0;
  Load(row, i, columns, columns % 4 == 0, v);
  for (int k = 0; k < 4; ++k) v[k] = seen[k] ? __fmul_rn(v[k], scale) : -INFINITE;
  return 1;
}

// In place: exp(scale p - largest) / sum over those of a row that `sees` says, 0 elsewhere. A sink,
// if it is not null, is a further score that has no value. A block a row.
template <class Sees>
__device__ void Softmax(float* row, long long columns, float scale, const float* sink, Sees sees) {
  const int together = columns % 4 == 0;
  float v[4], largest = sink == 0 ? -INFINITE : *sink, sum = 0.0f;
  ForRow(columns, [&](long long i) {
    if (!LoadScores(row, i, columns, scale, sees, v)) return;
    for (int k = 0; k < 4; ++k) largest = Largest()(largest, v[k]);
  });
  largest = Reduce(largest, Largest());
  ForRow(columns, [&](long long i) {
    const int any = LoadScores(row, i, columns, scale, sees, v);
    for (int k = 0; k < 4; ++k) {
      v[k] = any ? expf(__fadd_rn(v[k], -largest)) : 0.0f;
      sum = __fadd_rn(sum, v[k]);
    }
    Store(v, i, columns, together, row);
  });
  sum = Reduce(sum, Sum());
  if (sink != 0) sum = __fadd_rn(sum, expf(__fadd_rn(*sink, -largest)));
  ForRow(columns, [&](long long i) {
    if (!LoadScores(row, i, columns, 1.0f, sees, v)) return;
    for (int k = 0; k < 4; ++k) v[k] = v[k] == -INFINITE ? 0.0f : __fdiv_rn(v[k], sum);
    Store(v, i, columns, together, row);
  });
}

// Row r is a query at position begin + r / group % queries, key i at position first + i; each sees
// itself and what is before, the last `window` of it if that is not 0.
struct Sight {
  long long columns, begin, first, window;
  unsigned group, queries, shared;
};

// `sinks`, if it is not null: of head (r / group / queries % shared) * group + r % group.
extern "C" __global__ void softmax_before(float* p, Sight sight, const float* sinks, float scale) {
  const unsigned of_chunk = blockIdx.x / sight.group % sight.queries;
  const long long query = sight.begin + of_chunk - sight.first;
  const long long oldest = sight.window == 0 ? 0 : query - sight.window + 1;
  const unsigned head = blockIdx.x / sight.group / sight.queries % sight.shared;
  const float* sink = sinks == 0 ? 0 : sinks + head * sight.group + blockIdx.x % sight.group;
  Softmax(p + blockIdx.x * sight.columns, sight.columns, scale, sink,
          [&](long long i) { return i <= query && i >= oldest; });
}

// Row r is of head r % heads and sees what row r / heads of `visible` says.
extern "C" __global__ void softmax_visible(float* p, const unsigned char* visible,
                                           const float* sink, long long columns, long long heads,
                                           float scale) {
  const unsigned char* of_query = visible + blockIdx.x / heads * columns;
  Softmax(p + blockIdx.x * columns, columns, scale, sink + blockIdx.x % heads,
          [&](long long i) { return of_query[i] != 0; });
}

// y[rows[i]] += weights[i] * x[i], for rows of `width` of which none comes twice. A thread has four
// neighbours.
template <class Real>
__device__ void AddRows(const Real* x, const float* weights, const long long* rows, unsigned count,
                        unsigned width, float* y) {
  const unsigned fours = (width + 3) / 4, column = ThreadNumber() % fours * 4;
  const unsigned i = ThreadNumber() / fours;
  if (i >= count) return;
  const int together = width % 4 == 0;
  float v[4], sum[4];
  float* row = y + rows[i] * width;
  Load(x + (long long)i * width, column, width, together, v);
  Load(row, column, width, together, sum);
  for (int k = 0; k < 4; ++k) sum[k] = __fadd_rn(sum[k], __fmul_rn(v[k], weights[i]));
  Store(sum, column, width, together, row);
}

extern "C" __global__ void add_rows_bf16(const unsigned short* x, const float* weights,
                                         const long long* rows, unsigned count, unsigned width,
                                         float* y) {
  AddRows(x, weights, rows, count, width, y);
}
extern "C" __global__ void add_rows_f32(const float* x, const float* weights, const long long* rows,
                                        unsigned count, unsigned width, float* y) {
  AddRows(x, weights, rows, count, width, y);
}

// Streams of a token [n, width] -> their sum with its weights [n]. Width is a multiple of 4, of
// which a thread has one four.
template <class Real>
__device__ void JoinStreams(const Real* streams, const float* weights, long long tokens, int n,
                            long long width, Real* out) {
  const unsigned fours = width / 4, column = ThreadNumber() % fours * 4;
  const long long token = ThreadNumber() / fours;
  if (token >= tokens) return;
  float v[4], sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int i = 0; i < n; ++i) {
    Load(streams + (token * n + i) * width, column, width, 1, v);
    for (int k = 0; k < 4; ++k) sums[k] = __fmaf_rn(v[k], weights[token * n + i], sums[k]);
  }
  Store(sums, column, width, 1, out + token * width);
}

extern "C" __global__ void join_streams_bf16(const unsigned short* streams, const float* weights,
                                             long long tokens, int n, long long width,
                                             unsigned short* out) {
  JoinStreams(streams, weights, tokens, n, width, out);
}
extern "C" __global__ void join_streams_f32(const float* streams, const float* weights,
                                            long long tokens, int n, long long width, float* out) {
  JoinStreams(streams, weights, tokens, n, width, out);
}

// Stream i of a token becomes post[i] y + sum over j of comb[j][i] old[j]. As above.
template <class Real, class Y>
__device__ void MixStreams(const Real* old, const Y* y, const float* post, const float* comb,
                           long long tokens, int n, long long width, Real* out) {
  const unsigned fours = width / 4, column = ThreadNumber() % fours * 4;
  const long long token = ThreadNumber() / fours;
  if (token >= tokens) return;
  float added[4], v[4], sums[4];
  Load(y + token * width, column, width, 1, added);
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < 4; ++k) sums[k] = __fmul_rn(added[k], post[token * n + i]);
    for (int j = 0; j < n; ++j) {
      Load(old + (token * n + j) * width, column, width, 1, v);
      for (int k = 0; k < 4; ++k) sums[k] = __fmaf_rn(v[k], comb[(token * n + j) * n + i], sums[k]);
    }
    Store(sums, column, width, 1, out + (token * n + i) * width);
  }
}

extern "C" __global__ void mix_streams_bf16(const unsigned short* old, const unsigned short* y,
                                            const float* post, const float* comb, long long tokens,
                                            int n, long long width, unsigned short* out) {
  MixStreams(old, y, post, comb, tokens, n, width, out);
}
extern "C" __global__ void mix_streams_bf16_f32(const unsigned short* old, const float* y,
                                                const float* post, const float* comb,
                                                long long tokens, int n, long long width,
                                                unsigned short* out) {
  MixStreams(old, y, post, comb, tokens, n, width, out);
}
extern "C" __global__ void mix_streams_f32(const float* old, const float* y, const float* post,
                                           const float* comb, long long tokens, int n,
                                           long long width, float* out) {
  MixStreams(old, y, post, comb, tokens, n, width, out);
}

__device__ float E4m3Value(int code) {
  const int magnitude = code & 0x7F;
  float value = (float)magnitude * 0.001953125f;  // below 2^-6: multiples of 2^-9
  if (magnitude == 0x7F) value = __int_as_float(0x7FC00000);
  else if (magnitude >= 8) value = __int_as_float((magnitude << 20) + (120 << 23));
  return code & 0x80 ? -value : value;
}

__device__ float E8m0Value(int code) {
  return __int_as_float(code == 0 ? 0x00400000 : code == 0xFF ? 0x7FC00000 : code << 23);
}

// The bits of magnitudes compare as they do, and those of NaN are beyond infinity's.
__device__ int MagnitudeBits(float x) { return __float_as_int(x) & 0x7FFFFFFF; }

// *largest becomes at least the most of any thread of the block.
__device__ void Raise(int* largest, int most) {
  most = Reduce(most, Largest());
  if (threadIdx.x == 0 && most > *(volatile int*)largest) atomicMax(largest, most);
}

#define FOURS_OF_THREAD 8  // of one that looks for the largest

template <class Real>
__device__ void FindLargest(const Real* x, long long count, int* largest) {
  float v[4];
  int most = 0;
  const long long block = (long long)blockIdx.x * blockDim.x * FOURS_OF_THREAD;
  for (int n = 0; n < FOURS_OF_THREAD; ++n) {
    Load(x, 4 * (block + (long long)n * blockDim.x + threadIdx.x), count, 1, v);
    for (int k = 0; k < 4; ++k) most = Largest()(most, MagnitudeBits(v[k]));
  }
  Raise(largest, most);
}

extern "C" __global__ void largest_bf16(const unsigned short* x, long long count, int* largest) {
  FindLargest(x, count, largest);
}
extern "C" __global__ void largest_f32(const float* x, long long count, int* largest) {
  FindLargest(x, count, largest);
}

#define CODES_AT_ONCE 8  // of neighbours in a row, with one scale

// What stored codes and scales are: kinds of elements and of scales, and how they lie. Blocks of
// scales have a multiple of CODES_AT_ONCE columns.
struct Stored {
  unsigned rows, columns, block_rows, block_columns, scale_columns;
  int is_e4m3;     // else E2M1, two a byte, the first in the low bits
  int scale_kind;  // 0: E8M0, 1: E4M3 times `global`, 2: F32, 3: BF16
  float global;
};

__device__ float ScaleAt(const void* scales, long long i, Stored s) {
  if (s.scale_kind == 0) return E8m0Value(((const unsigned char*)scales)[i]);
  if (s.scale_kind == 1) {
    return __fmul_rn(E4m3Value(((const unsigned char*)scales)[i]), s.global);
  }
  if (s.scale_kind == 2) return ((const float*)scales)[i];
  return ValueOf(((const unsigned short*)scales)[i]);
}

// A thread's CODES_AT_ONCE elements from number `first` of a row on -> the largest MagnitudeBits.
template <class Real>
__device__ int DecodeSome(const unsigned char* codes, float scale, long long first, int is_e4m3,
                          Real* out) {
  Four<Real> values[CODES_AT_ONCE / 4];
  int most = 0;
  for (int k = 0; k < CODES_AT_ONCE; ++k) {
    const int byte = codes[is_e4m3 ? first + k : (first + k) / 2];
    const float element = is_e4m3 ? E4m3Value(byte) : E2m1Value(k % 2 == 0 ? byte : byte >> 4);
    Real* value = &values[k / 4].of[k % 4];
    Put(__fmul_rn(element, scale), value);
    most = Largest()(most, MagnitudeBits(ValueOf(*value)));
  }
  for (int k = 0; k < CODES_AT_ONCE / 4; ++k) *(Four<Real>*)(out + first + 4 * k) = values[k];
  return most;
}

// *largest becomes at least the MagnitudeBits of every element.
template <class Real>
__device__ void Decode(const unsigned char* codes, const void* scales, Stored s, Real* out,
                       int* largest) {
  const unsigned groups = s.columns / CODES_AT_ONCE;
  const unsigned row = ThreadNumber() / groups, column = ThreadNumber() % groups * CODES_AT_ONCE;
  int most = 0;
  if (row < s.rows) {
    const unsigned of_row = row / s.block_rows, of_column = column / s.block_columns;
    const long long scale = (long long)of_row * s.scale_columns + of_column;
    const long long first = (long long)row * s.columns + column;
    most = DecodeSome(codes, ScaleAt(scales, scale, s), first, s.is_e4m3, out);
  }
  Raise(largest, most);
}

extern "C" __global__ void decode_bf16(const unsigned char* codes, const void* scales, Stored s,
                                       unsigned short* out, int* largest) {
  Decode(codes, scales, s, out, largest);
}
extern "C" __global__ void decode_f32(const unsigned char* codes, const void* scales, Stored s,
                                      float* out, int* largest) {
  Decode(codes, scales, s, out, largest);
}
