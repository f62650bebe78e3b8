// GPTQ of NVFP4 on a device (quantizers/nvfp4_gptq.h has the definition, and the bytes are its):
// CUDA C that is compiled when it is first needed, and C++ that a test compiles (with functions of
// its own for the intrinsics). Everything is laid out by position, rows side by side: w [K, N].

#define BLOCK 16
#define CODES_BELOW 4
#define CODES_ABOVE 7

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
  if (value < 0.015625f) return __float_as_int(__fadd_rn(value, 16384.0f)) - __float_as_int(16384.0f);
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

__device__ int RuleCode(const float* v, float global_scale) {
  float amax = 0.0f;
  int is_finite = 1;
  UNROLLED
  for (int i = 0; i < BLOCK; ++i) {
    const float magnitude = v[i] < 0.0f ? -v[i] : v[i];
    if (!(magnitude <= 3.402823466e+38f)) is_finite = 0;
    if (magnitude > amax) amax = magnitude;
  }
  if (!is_finite) return 126;
  const float quotient = __fdiv_rn(amax, __fmul_rn(6.0f, global_scale));
  const float scale = quotient == 0.0f ? 1.0f : quotient;
  return E4m3Code(scale < 0.001953125f ? 0.001953125f : scale > 448.0f ? 448.0f : scale);
}

// The errors of a block's values as its columns make up for each other: v [16], its part of U, of
// which inverses has the diagonal's. Calls each(i, nibble, error).
template <class Each>
__device__ void Compensate(const float* values, const float* u, long long stride,
                           const float* inverses, float scale, Each each) {
  float v[BLOCK];
  UNROLLED
  for (int i = 0; i < BLOCK; ++i) v[i] = values[i];
  UNROLLED
  for (int i = 0; i < BLOCK; ++i) {
    const int nibble = E2m1Code(__fdiv_rn(v[i], scale));
    const float error = __fmul_rn(__fmaf_rn(-E2m1Value(nibble), scale, v[i]), inverses[i]);
    each(i, nibble, error);
    UNROLLED
    for (int k = i + 1; k < BLOCK; ++k) v[k] = __fmaf_rn(-error, u[i * stride + k], v[k]);
  }
}

// Quantises a block: w [16, rows] -> nibbles [16, rows], codes [rows], errors [16, rows].
extern "C" __global__ void gptq_block(const float* w, const float* u, long long stride,
                                      float global_scale, int rows, unsigned char* nibbles,
                                      unsigned char* codes, float* errors) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  float v[BLOCK], inverses[BLOCK];
  UNROLLED
  for (int i = 0; i < BLOCK; ++i) {
    v[i] = w[(long long)i * rows + row];
    inverses[i] = __fdiv_rn(1.0f, u[i * stride + i]);
  }
  const int rule = RuleCode(v, global_scale);
  int best = rule;
  const float infinity = __int_as_float(0x7F800000);
  float least = infinity;
  // The rule's code first: of equals, the first one stays.
  for (int c = -CODES_BELOW - 1; c <= CODES_ABOVE; ++c) {
    const int code = c < -CODES_BELOW ? rule : rule + c;
    if (code < 1 || code > 126) continue;
    float cost = 0.0f;
    Compensate(v, u, stride, inverses, __fmul_rn(PositiveE4m3Value(code), global_scale),
               [&](int, int, float error) { cost = __fmaf_rn(error, error, cost); });
    if (cost < least) {
      least = cost;
      best = code;
    }
  }
  codes[row] = (unsigned char)best;
  const float scale = __fmul_rn(PositiveE4m3Value(best), global_scale);
  const auto put = [&](int i, int nibble, float error) {
    nibbles[(long long)i * rows + row] = (unsigned char)nibble;
    errors[(long long)i * rows + row] = error;
  };
  if (least < infinity) {
    Compensate(v, u, stride, inverses, scale, put);
    return;
  }
  UNROLLED
  for (int i = 0; i < BLOCK; ++i) put(i, E2m1Code(__fdiv_rn(v[i], scale)), 0.0f);
}

#define TILE 16

struct alignas(16) Neighbours {
  float of[TILE];
};

// Makes up for the errors of some positions, errors [positions, rows], in the `rest` of those behind
// them, a multiple of TILE: w [rest, rows]. u: U's rows of these positions, from the first of those
// behind on. A thread has a row and TILE positions.
extern "C" __global__ void gptq_update(float* w, const float* u, long long stride, int rows,
                                       const float* errors, int positions) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  float* behind = w + (long long)blockIdx.y * TILE * rows + row;
  float v[TILE];
  for (int k = 0; k < TILE; ++k) v[k] = behind[(long long)k * rows];
  for (int i = 0; i < positions; ++i) {
    const float error = errors[(long long)i * rows + row];
    const Neighbours factors = *(const Neighbours*)(u + i * stride + blockIdx.y * TILE);
    for (int k = 0; k < TILE; ++k) v[k] = __fmaf_rn(-error, factors.of[k], v[k]);
  }
  for (int k = 0; k < TILE; ++k) behind[(long long)k * rows] = v[k];
}
