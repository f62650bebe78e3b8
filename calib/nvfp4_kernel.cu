// Searches for NVFP4 on a device: CUDA C that is compiled when it is first needed, and C++ that a
// test compiles (with functions of its own for the intrinsics). quantizers/ has the definitions,
// and the bytes are theirs.

constexpr int kBlock = 16;  // values with a scale

// Arrays of a thread are registers only where every index is known.
#ifdef __CUDACC__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED
#endif

// The magnitude of an E4M3 code from 1 to 126.
__device__ float PositiveE4m3Value(int code) {
  const int exponent = code >> 3;
  if (exponent == 0) return (float)code * 0.001953125f;
  return __int_as_float(((exponent + 120) << 23) | ((code & 7) << 20));
}

// Of a value from 2^-9 to 448, to nearest even.
__device__ int E4m3Code(float value) {
  const int bits = __float_as_int(value);
  if (value < 0.015625f)
    return __float_as_int(__fadd_rn(value, 16384.0f)) - __float_as_int(16384.0f);
  const int rounded = bits + 0x7FFFF + ((bits >> 20) & 1);
  return (rounded >> 20) - (120 << 3);
}

// As ModelOpt encodes: ties to the even code, beyond 6 and NaN as 6, code 8 for what is negative
// and rounds to 0.
__device__ int E2m1Code(float value) {
  const int negative = value < 0.0f;
  const float a = negative ? -value : value;
  const int code = !(a <= 0.25f) + !(a < 0.75f) + !(a <= 1.25f) + !(a < 1.75f) + !(a <= 2.5f) +
                   !(a < 3.5f) + !(a <= 5.0f);
  return code | (negative << 3);
}

// amax / (6 * global_scale) of a block, within what E4M3 has: 1 of zeros, 448 with NaN or Inf.
__device__ float RuleQuotient(const float* v, float global_scale) {
  float amax = 0.0f;
  int is_finite = 1;
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    const float magnitude = v[i] < 0.0f ? -v[i] : v[i];
    if (!(magnitude <= 3.402823466e+38f)) is_finite = 0;
    if (magnitude > amax) amax = magnitude;
  }
  if (!is_finite) return 448.0f;
  const float quotient = __fdiv_rn(amax, __fmul_rn(6.0f, global_scale));
  const float scale = quotient == 0.0f ? 1.0f : quotient;
  return scale < 0.001953125f ? 0.001953125f : scale > 448.0f ? 448.0f : scale;
}

__device__ int RuleCode(const float* v, float global_scale) {
  return E4m3Code(RuleQuotient(v, global_scale));
}

// A block's values with a code: their nibbles, and the code beside those of other blocks.
__device__ void StoreBlock(const float* v, int code, float global_scale, long long place,
                           unsigned char* nibbles, unsigned char* codes) {
  const float scale = __fmul_rn(PositiveE4m3Value(code), global_scale);
  unsigned char* to = nibbles + place * (kBlock / 2);
  UNROLLED
  for (int i = 0; i < kBlock; i += 2) {
    const int low = E2m1Code(__fdiv_rn(v[i], scale)), high = E2m1Code(__fdiv_rn(v[i + 1], scale));
    to[i / 2] = (unsigned char)(low | (high << 4));
  }
  codes[place] = (unsigned char)code;
}

// ---- By squared errors (quantizers/nvfp4_search.h). ----

constexpr int kMinSearchStart = 15;
constexpr float kSearchStartFactor = 1.714287f;

// RN(1 / E4M3(code)) * RN(1 / global_scale).
__device__ float Reciprocal(int code, float global_scale) {
  return __fmul_rn(__fdiv_rn(1.0f, PositiveE4m3Value(code)), __fdiv_rn(1.0f, global_scale));
}

__device__ float TimesSquare(float sum, int code) {
  const float scale = PositiveE4m3Value(code);
  return __fmul_rn(sum, __fmul_rn(scale, scale));
}

// The E2M1 magnitude nearest to x * r, the larger of two as near. A fused sum has its sign.
__device__ float NearestE2m1(float x, float r) {
  const int code = (__fmaf_rn(x, r, -0.25f) >= 0.0f) + (__fmaf_rn(x, r, -0.75f) >= 0.0f) +
                   (__fmaf_rn(x, r, -1.25f) >= 0.0f) + (__fmaf_rn(x, r, -1.75f) >= 0.0f) +
                   (__fmaf_rn(x, r, -2.5f) >= 0.0f) + (__fmaf_rn(x, r, -3.5f) >= 0.0f) +
                   (__fmaf_rn(x, r, -5.0f) >= 0.0f);
  return E2m1Value(code);
}

// Of magnitudes with a code; weights [16].
__device__ float SquaredError(const float* x, const float* weights, int code, float global_scale) {
  const float r = Reciprocal(code, global_scale);
  float sum = 0.0f;
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    const float d = __fmaf_rn(x[i], r, -NearestE2m1(x[i], r));
    sum = __fmaf_rn(__fmul_rn(weights[i], d), d, sum);
  }
  return TimesSquare(sum, code);
}

// The largest part of that error that is one saturated value's.
__device__ float SaturationCost(const float* x, const float* weights, int code,
                                float global_scale) {
  const float r = Reciprocal(code, global_scale);
  float most = 0.0f;
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    const float excess = __fmaf_rn(x[i], r, -6.0f);
    const float cost = __fmul_rn(__fmul_rn(weights[i], excess), excess);
    if (excess > 0.0f && cost > most) most = cost;
  }
  return TimesSquare(most, code);
}

__device__ int CodeOfSmallestSquares(const float* v, const float* weights, float global_scale) {
  float x[kBlock];
  UNROLLED
  for (int i = 0; i < kBlock; ++i) x[i] = v[i] < 0.0f ? -v[i] : v[i];
  const float quotient = RuleQuotient(v, global_scale);
  const int rule = E4m3Code(quotient);
  const float highest = __fmul_rn(quotient, kSearchStartFactor);
  const int above = E4m3Code(highest < 448.0f ? highest : 448.0f) + 1;
  int best = rule;
  float least = SquaredError(x, weights, rule, global_scale);
  for (int code = above < kMinSearchStart ? kMinSearchStart
                  : above > 126           ? 126
                                          : above;
       code >= 1; --code) {
    const float cost = SaturationCost(x, weights, code, global_scale);
    if (cost > least || (cost == least && best == rule)) break;
    const float error = SquaredError(x, weights, code, global_scale);
    if (error < least || (error == least && best != rule)) {
      best = code;
      least = error;
    }
  }
  return best;
}

// values [rows, columns], importance [columns] -> nibbles [rows, columns / 2], codes [rows,
// columns / 16]. A block of threads has a block of columns, a thread a row.
template <class Real>
__device__ void SearchBySquares(const Real* values, long long columns, int rows,
                                const float* importance, float global_scale, unsigned char* nibbles,
                                unsigned char* codes) {
  const int row = blockIdx.y * blockDim.x + threadIdx.x, column = blockIdx.x * kBlock;
  if (row >= rows) return;
  float v[kBlock], weights[kBlock];
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    v[i] = ValueOf(values[row * columns + column + i]);
    weights[i] = importance[column + i];
  }
  StoreBlock(v, CodeOfSmallestSquares(v, weights, global_scale), global_scale,
             (row * columns + column) / kBlock, nibbles, codes);
}

extern "C" __global__ void squares_bf16(const unsigned short* values, long long columns, int rows,
                                        const float* importance, float global_scale,
                                        unsigned char* nibbles, unsigned char* codes) {
  SearchBySquares(values, columns, rows, importance, global_scale, nibbles, codes);
}
extern "C" __global__ void squares_f32(const float* values, long long columns, int rows,
                                       const float* importance, float global_scale,
                                       unsigned char* nibbles, unsigned char* codes) {
  SearchBySquares(values, columns, rows, importance, global_scale, nibbles, codes);
}

// ---- By local Hessians (quantizers/nvfp4_local_hessian.h). ----

constexpr int kHessianCodesAbove = 8;      // the rule's
constexpr int kHessianUncheckedBelow = 2;  // codes below the rule's that are tried without a bound
constexpr float kTinyError = 7.888609052210118e-31f;  // 2^-100
constexpr float kBoundMargin = 0.0009765625f;         // 2^-10

// e^T H e of a block with a code, in units of global_scale^2. h: H's diagonal, and twice what is
// above it.
__device__ float LocalHessianError(const float* values, const float* scaled,
                                   const float (*h)[kBlock], int code, float global_scale) {
  const float step = PositiveE4m3Value(code);
  const float scale = __fmul_rn(step, global_scale);
  float e[kBlock];
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    const float nearest = E2m1Value(E2m1Code(__fdiv_rn(values[i], scale)));
    e[i] = __fmaf_rn(-nearest, step, scaled[i]);
  }
  float error = 0.0f;
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    float t = __fmul_rn(h[i][i], e[i]);
    UNROLLED
    for (int j = i + 1; j < kBlock; ++j) t = __fmaf_rn(h[i][j], e[j], t);
    error = __fmaf_rn(t, e[i], error);
  }
  return error;
}

// Scales below this one, in units of global_scale, have errors above `error`.
__device__ float LowestScale(const float* scaled, const float* widths, float error) {
  const float root = __fsqrt_rn(error > kTinyError ? error : kTinyError);
  float excess = 0.0f;
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    const float magnitude =
        __fmul_rn(scaled[i] < 0.0f ? -scaled[i] : scaled[i], 1.0f - kBoundMargin);
    const float beyond = __fmaf_rn(-widths[i], root, magnitude);
    if (beyond > excess) excess = beyond;
  }
  return __fdiv_rn(excess, 6.0f);
}

// The code with the smallest error: of equals the rule's, then the smallest.
__device__ int CodeOfSmallestForm(const float* values, const float (*h)[kBlock],
                                  const float* widths, float global_scale) {
  const float quotient = RuleQuotient(values, global_scale);
  const int rule = E4m3Code(quotient);
  float scaled[kBlock];
  int is_zero = 1;
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    if (values[i] != 0.0f) is_zero = 0;
    scaled[i] = __fmul_rn(values[i], __fdiv_rn(1.0f, global_scale));
  }
  if (is_zero || quotient >= 448.0f) return rule;
  int best = rule;
  float least = LocalHessianError(values, scaled, h, rule, global_scale), lowest = 0.0f;
  for (int code = rule + kHessianCodesAbove < 126 ? rule + kHessianCodesAbove : 126; code >= 1;
       --code) {
    if (code == rule - kHessianUncheckedBelow - 1) lowest = LowestScale(scaled, widths, least);
    if (PositiveE4m3Value(code) < lowest) break;
    const float error = LocalHessianError(values, scaled, h, code, global_scale);
    if (error < least || (error == least && best != rule)) {
      best = code;
      least = error;
    }
  }
  return best;
}

// values [rows, columns], hessians [columns / 16, 16, 16], widths [columns / 16, 16] -> nibbles
// [rows, columns / 2], codes [rows, columns / 16]. A block of threads has a block of columns, a
// thread a row.
template <class Real>
__device__ void SearchByLocalHessian(const Real* values, long long columns, int rows,
                                     const float* hessians, const float* widths, float global_scale,
                                     unsigned char* nibbles, unsigned char* codes) {
  __shared__ float h[kBlock][kBlock], widths_here[kBlock];
  const int column = blockIdx.x * kBlock;
  for (int i = threadIdx.x; i < kBlock * kBlock; i += blockDim.x) {
    const int at = i / kBlock, k = i % kBlock;
    const float element = hessians[(long long)column * kBlock + i];
    h[at][k] = at == k ? element : __fmul_rn(2.0f, element);
    if (at == k) widths_here[at] = widths[column + at];
  }
  __syncthreads();
  const int row = blockIdx.y * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  float v[kBlock];
  UNROLLED
  for (int i = 0; i < kBlock; ++i) v[i] = ValueOf(values[row * columns + column + i]);
  StoreBlock(v, CodeOfSmallestForm(v, h, widths_here, global_scale), global_scale,
             (row * columns + column) / kBlock, nibbles, codes);
}

extern "C" __global__ void local_hessian_bf16(const unsigned short* values, long long columns,
                                              int rows, const float* hessians, const float* widths,
                                              float global_scale, unsigned char* nibbles,
                                              unsigned char* codes) {
  SearchByLocalHessian(values, columns, rows, hessians, widths, global_scale, nibbles, codes);
}
extern "C" __global__ void local_hessian_f32(const float* values, long long columns, int rows,
                                             const float* hessians, const float* widths,
                                             float global_scale, unsigned char* nibbles,
                                             unsigned char* codes) {
  SearchByLocalHessian(values, columns, rows, hessians, widths, global_scale, nibbles, codes);
}

// ---- GPTQ (quantizers/nvfp4_gptq.h). ----
//
// Everything is laid out by position, rows side by side: w [K, N]. Positions are worked on in
// groups: one launch quantises a group's blocks, each of which makes up for its errors within the
// group; another makes up for the group's in what is behind it. The sums are made in the
// definition's order.

constexpr int kGroup = 128;         // positions of a group
constexpr int kGroupRows = 8;       // rows of a block of threads that quantises
constexpr int kGptqCodesBelow = 4;  // the rule's, from which on codes are tried
constexpr int kGptqCodes = 12;

// A block of values as they are with one scale: nibbles, and the errors that its columns make up
// for among each other.
struct Compensated {
  float errors[kBlock];
  unsigned char nibbles[kBlock];
  float cost;
};

// v [16]; u [16][16] of U, and the inverses of its diagonal.
__device__ void Compensate(const float* values, const float (*u)[kBlock], const float* inverses,
                           float scale, Compensated& made) {
  float v[kBlock];
  UNROLLED
  for (int i = 0; i < kBlock; ++i) v[i] = values[i];
  made.cost = 0.0f;
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    const int nibble = E2m1Code(__fdiv_rn(v[i], scale));
    const float error = __fmul_rn(__fmaf_rn(-E2m1Value(nibble), scale, v[i]), inverses[i]);
    made.nibbles[i] = (unsigned char)nibble;
    made.errors[i] = error;
    made.cost = __fmaf_rn(error, error, made.cost);
    UNROLLED
    for (int k = i + 1; k < kBlock; ++k) v[k] = __fmaf_rn(-error, u[i][k], v[k]);
  }
}

// What nothing can be made up for: each value by itself.
__device__ void EncodeAlone(const float* values, float scale, Compensated& made) {
  UNROLLED
  for (int i = 0; i < kBlock; ++i) {
    made.nibbles[i] = (unsigned char)E2m1Code(__fdiv_rn(values[i], scale));
    made.errors[i] = 0.0f;
  }
}

// Which of the codes around the rule's has the smallest cost: of equals the rule's, then the first;
// -1 where none is finite.
__device__ int Winner(const float* costs) {
  float least = __int_as_float(0x7F800000);
  int winner = -1;
  UNROLLED
  for (int i = -1; i < kGptqCodes; ++i) {
    const int code = i < 0 ? kGptqCodesBelow : i;
    if (costs[code] < least) {
      least = costs[code];
      winner = code;
    }
  }
  return winner;
}

// U of a block, and the inverses of its diagonal. u: its first element.
__device__ void LoadFactors(const float* u, long long stride, float (*factors)[kBlock],
                            float* inverses) {
  for (int i = threadIdx.x; i < kBlock * kBlock; i += kGroupRows * kBlock) {
    const int at = i / kBlock, k = i % kBlock;
    factors[at][k] = u[at * stride + k];
    if (at == k) inverses[at] = __fdiv_rn(1.0f, factors[at][k]);
  }
}

// Makes up for the errors of the block at `first` of a row's group in every 16th position behind
// it, from the lane's on. u: U's row of `first`.
__device__ void MakeUpInGroup(float* values, const float* u, long long stride, int first,
                              int positions, int lane) {
  for (int position = first + kBlock + lane; position < positions; position += kBlock) {
    float value = values[position];
    UNROLLED
    for (int i = 0; i < kBlock; ++i) {
      value = __fmaf_rn(-values[first + i], u[i * stride + position], value);
    }
    values[position] = value;
  }
}

// Quantises the blocks of a group, one after the other: w [positions, rows] -> nibbles [positions,
// rows], codes [positions / 16, rows], errors [positions, rows]. u: U from the group's first
// position on. 16 threads have a row: each tries a code, and makes up for positions.
extern "C" __global__ void gptq_group(const float* w, const float* u, long long stride,
                                      float global_scale, long long rows, int positions,
                                      unsigned char* nibbles, unsigned char* codes, float* errors) {
  __shared__ float values[kGroupRows][kGroup + 1];  // errors, once quantised
  __shared__ unsigned char made_nibbles[kGroupRows][kGroup];
  __shared__ float factors[kBlock][kBlock], inverses[kBlock];
  __shared__ float costs[kGroupRows][kBlock];
  const int thread = threadIdx.x;
  const int row = thread / kBlock, lane = thread % kBlock;
  const long long first_row = (long long)blockIdx.x * kGroupRows;
  for (int i = thread; i < positions * kGroupRows; i += kGroupRows * kBlock) {
    const int position = i / kGroupRows, r = i % kGroupRows;
    values[r][position] = w[position * rows + first_row + r];
  }
  for (int first = 0; first < positions; first += kBlock) {
    __syncthreads();
    LoadFactors(u + first * stride + first, stride, factors, inverses);
    __syncthreads();
    float v[kBlock];
    UNROLLED
    for (int i = 0; i < kBlock; ++i) v[i] = values[row][first + i];
    const int rule = RuleCode(v, global_scale);
    const int code = rule - kGptqCodesBelow + lane;
    Compensated made;
    if (lane < kGptqCodes && code >= 1 && code <= 126) {
      Compensate(v, factors, inverses, __fmul_rn(PositiveE4m3Value(code), global_scale), made);
      costs[row][lane] = made.cost;
    } else {
      costs[row][lane] = __int_as_float(0x7F800000);
    }
    __syncthreads();
    const int winner = Winner(costs[row]);
    if (lane == (winner < 0 ? kGptqCodesBelow : winner)) {
      if (winner < 0) {
        EncodeAlone(v, __fmul_rn(PositiveE4m3Value(rule), global_scale), made);
      }
      UNROLLED
      for (int i = 0; i < kBlock; ++i) {
        values[row][first + i] = made.errors[i];
        made_nibbles[row][first + i] = made.nibbles[i];
      }
      codes[first / kBlock * rows + first_row + row] = (unsigned char)code;
    }
    __syncthreads();
    MakeUpInGroup(values[row], u + first * stride, stride, first, positions, lane);
  }
  __syncthreads();
  for (int i = thread; i < positions * kGroupRows; i += kGroupRows * kBlock) {
    const int position = i / kGroupRows, r = i % kGroupRows;
    errors[position * rows + first_row + r] = values[r][position];
    nibbles[position * rows + first_row + r] = made_nibbles[r][position];
  }
}

// A block of threads makes up in a tile of positions by rows, a thread in 8 by 8 of it.
constexpr int kTilePositions = 64, kTileRows = 128;
constexpr int kOfThread = 8;
constexpr int kDepth = 16;  // errors that are looked at together

// Makes up for the errors [kGroup, rows] of a group in the `rest` positions behind it, which
// kOfThread divides: w [rest, rows]. u: U's rows of the group, from the first position behind it
// on. Its registers leave room for four blocks at once.
extern "C" __global__ void __launch_bounds__(128, 4)
    gptq_update(float* w, const float* u, long long stride, long long rows, const float* errors,
                int rest) {
  __shared__ Four<float> negated[kDepth][kTileRows / 4];
  __shared__ Four<float> factors[kDepth][kTilePositions / 4];
  const int thread = threadIdx.x;
  const int column = thread % (kTileRows / kOfThread), line = thread / (kTileRows / kOfThread);
  const int first = blockIdx.y * kTilePositions;
  const int mine = first + line * kOfThread;  // my first position
  // My rows: four neighbours, and those a half tile on.
  const long long row = (long long)blockIdx.x * kTileRows + 4 * column;
  const bool is_there = mine < rest;
  Four<float> v[kOfThread][2];
  UNROLLED
  for (int k = 0; k < kOfThread; ++k) {
    if (!is_there) continue;
    const float* from = w + (mine + k) * rows + row;
    v[k][0] = *(const Four<float>*)from;
    v[k][1] = *(const Four<float>*)(from + kTileRows / 2);
  }
  for (int depth = 0; depth < kGroup; depth += kDepth) {
    __syncthreads();
    for (int i = thread; i < kDepth * kTileRows; i += kTileRows) {
      const int at = i / kTileRows, r = i % kTileRows;
      negated[at][r / 4].of[r % 4] = -errors[(depth + at) * rows + blockIdx.x * kTileRows + r];
    }
    for (int i = thread; i < kDepth * kTilePositions; i += kTileRows) {
      const int at = i / kTilePositions, k = i % kTilePositions;
      const float factor = first + k < rest ? u[(depth + at) * stride + first + k] : 0.0f;
      factors[at][k / 4].of[k % 4] = factor;
    }
    __syncthreads();
    UNROLLED
    for (int i = 0; i < kDepth; ++i) {
      const Four<float> error[2] = {negated[i][column], negated[i][kTileRows / 8 + column]};
      const Four<float> factor[2] = {factors[i][2 * line], factors[i][2 * line + 1]};
      UNROLLED
      for (int k = 0; k < kOfThread; ++k) {
        UNROLLED
        for (int r = 0; r < kOfThread; ++r) {
          float& value = v[k][r / 4].of[r % 4];
          value = __fmaf_rn(error[r / 4].of[r % 4], factor[k / 4].of[k % 4], value);
        }
      }
    }
  }
  UNROLLED
  for (int k = 0; k < kOfThread; ++k) {
    if (!is_there) continue;
    float* to = w + (mine + k) * rows + row;
    *(Four<float>*)to = v[k][0];
    *(Four<float>*)(to + kTileRows / 2) = v[k][1];
  }
}
