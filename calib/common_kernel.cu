// What kernels share: put before the source of each. CUDA C, and C++ that tests compile.

__device__ float ValueOf(float x) { return x; }
__device__ float ValueOf(unsigned short bf16) { return __int_as_float((int)bf16 << 16); }

// Four neighbours that are loaded and stored together.
template <class Real>
struct alignas(4 * sizeof(Real)) Four {
  Real of[4];
};

// Code 8 is 0, without a sign.
__device__ float E2m1Value(int code) {
  const int magnitude = code & 7;
  const float value = magnitude < 4   ? 0.5f * (float)magnitude
                      : magnitude < 6 ? (float)(magnitude - 2)
                                      : (float)(2 * magnitude - 8);
  return code & 8 ? 0.0f - value : value;
}
