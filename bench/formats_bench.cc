// The kernels of every format but NVFP4 against memcpy: `long` runs go through buffers past any
// cache, `tile` runs write the same small target again and again, as a pipeline with a ring of
// buffers does.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/memcpy_baseline.h"
#include "quantizers/bf16.h"
#include "quantizers/float_formats.h"
#include "quantizers/fp8.h"
#include "quantizers/int4.h"
#include "quantizers/mxfp4.h"
#include "quantizers/mxfp8.h"

namespace vernier::bench {
namespace {

constexpr int64_t kColumns = 4096;
constexpr int64_t kTileRows = 128;
constexpr size_t kTileElements = kColumns * kTileRows;

// Everything that the kernels read and write. One tile of scales serves every tile.
struct Buffers {
  std::vector<uint16_t> weights = GaussianBf16();
  std::vector<uint8_t> codes;  // kBufferBytes of random codes, none of them NaN
  std::vector<float> fp8_row_scales = std::vector<float>(kTileRows * kColumns / 128, 0.0123f);
  std::vector<float> int4_scales = std::vector<float>(kTileRows * kColumns / 128, 0.0123f);
  std::vector<uint8_t> e8m0 = std::vector<uint8_t>(kTileElements / 32, 121);
  std::vector<std::byte> target = std::vector<std::byte>(4 * kBufferBytes);
  std::vector<std::byte> target_scales = std::vector<std::byte>(kBufferBytes / 8);

  Buffers() {
    codes.resize(kBufferBytes);
    uint32_t state = 1;
    for (uint8_t& code : codes) {
      state = state * 1664525u + 1013904223u;
      code = static_cast<uint8_t>((state >> 24) % 0x7F);
    }
  }
};

// One tile: what it reads begins at byte `source` of whichever input the kernel has, its results at
// byte `target`, its scales at byte `scales`.
struct Tile {
  Buffers& buffers;
  size_t source;
  size_t target;
  size_t scales;

  std::span<const uint16_t> Weights() const {
    return std::span(buffers.weights).subspan(source / 2, kTileElements);
  }
  std::span<const uint8_t> Codes(size_t count) const {
    return std::span(buffers.codes).subspan(source, count);
  }
  template <typename T>
  std::span<T> Target(size_t count) const {
    return {reinterpret_cast<T*>(buffers.target.data() + target), count};
  }
  template <typename T>
  std::span<T> Scales(size_t count) const {
    return {reinterpret_cast<T*>(buffers.target_scales.data() + scales), count};
  }
};

struct TileKernel {
  std::string name;
  size_t read;     // bytes of the source per tile
  size_t written;  // bytes of the target per tile, scales left out
  void (*run)(const Tile& tile);
};

void DecodeFp8(const Tile& tile) {
  quantizers::DequantizeFp8Rows(tile.Codes(kTileElements), kColumns, 128,
                                tile.buffers.fp8_row_scales, tile.Target<uint16_t>(kTileElements));
}

void DecodeMxfp8(const Tile& tile) {
  quantizers::DequantizeMxfp8(tile.Codes(kTileElements), tile.buffers.e8m0, kColumns,
                              tile.Target<uint16_t>(kTileElements));
}

void DecodeMxfp4(const Tile& tile) {
  quantizers::DequantizeMxfp4(tile.Codes(kTileElements / 2), tile.buffers.e8m0, kColumns,
                              tile.Target<uint16_t>(kTileElements));
}

void DecodeInt4(const Tile& tile) {
  quantizers::DequantizeInt4(tile.Codes(kTileElements / 2), tile.buffers.int4_scales, kColumns, 128,
                             tile.Target<uint16_t>(kTileElements));
}

void CastMxfp4(const Tile& tile) {
  quantizers::CastMxfp4ToNvfp4(tile.Codes(kTileElements / 2), tile.buffers.e8m0, kColumns, 0,
                               tile.Target<uint8_t>(kTileElements / 2),
                               tile.Scales<uint8_t>(kTileElements / 16));
}

void EncodeFp8Tensor(const Tile& tile) {
  quantizers::QuantizeFp8(tile.Weights(), 2.3e-4f, tile.Target<uint8_t>(kTileElements));
}

void EncodeFp8Blocks(const Tile& tile) {
  quantizers::QuantizeFp8Blocks(tile.Weights(), kColumns, 128, 128, quantizers::Fp8ScaleKind::kF32,
                                tile.Target<uint8_t>(kTileElements),
                                tile.Scales<float>(kColumns / 128));
}

void EncodeMxfp8(const Tile& tile) {
  quantizers::QuantizeMxfp8(tile.Weights(), kColumns, tile.Target<uint8_t>(kTileElements),
                            tile.Scales<uint8_t>(kTileElements / 32));
}

void EncodeMxfp4Max(const Tile& tile) {
  quantizers::QuantizeMxfp4(tile.Weights(), kColumns, quantizers::Mxfp4Search::kMax, {},
                            tile.Target<uint8_t>(kTileElements / 2),
                            tile.Scales<uint8_t>(kTileElements / 32));
}

void EncodeMxfp4Mse(const Tile& tile) {
  quantizers::QuantizeMxfp4(tile.Weights(), kColumns, quantizers::Mxfp4Search::kMse, {},
                            tile.Target<uint8_t>(kTileElements / 2),
                            tile.Scales<uint8_t>(kTileElements / 32));
}

void EncodeInt4(const Tile& tile) {
  quantizers::QuantizeInt4(tile.Weights(), kColumns, 128, tile.Target<uint8_t>(kTileElements / 2),
                           tile.Scales<uint16_t>(kTileElements / 128));
}

void WidenBf16(const Tile& tile) {
  quantizers::Bf16ToFloat(tile.Weights(), tile.Target<float>(kTileElements));
}

const TileKernel kKernels[] = {
    {"fp8_rows_to_bf16", kTileElements, 2 * kTileElements, DecodeFp8},
    {"mxfp8_to_bf16", kTileElements, 2 * kTileElements, DecodeMxfp8},
    {"mxfp4_to_bf16", kTileElements / 2, 2 * kTileElements, DecodeMxfp4},
    {"int4_to_bf16", kTileElements / 2, 2 * kTileElements, DecodeInt4},
    {"mxfp4_to_nvfp4", kTileElements / 2, kTileElements / 2, CastMxfp4},
    {"bf16_to_fp8_tensor", 2 * kTileElements, kTileElements, EncodeFp8Tensor},
    {"bf16_to_fp8_blocks", 2 * kTileElements, kTileElements, EncodeFp8Blocks},
    {"bf16_to_mxfp8", 2 * kTileElements, kTileElements, EncodeMxfp8},
    {"bf16_to_mxfp4_max", 2 * kTileElements, kTileElements / 2, EncodeMxfp4Max},
    {"bf16_to_mxfp4_mse", 2 * kTileElements, kTileElements / 2, EncodeMxfp4Mse},
    {"bf16_to_int4", 2 * kTileElements, kTileElements / 2, EncodeInt4},
    {"bf16_to_f32", 2 * kTileElements, 4 * kTileElements, WidenBf16},
};

// With `reuse` every tile of a thread goes to the thread's first target, which stays in a cache.
void Register(const TileKernel& kernel, bool reuse, Buffers& buffers) {
  const auto run = [&kernel, &buffers, reuse](size_t begin, size_t end) {
    for (size_t source = begin; source < end; source += kernel.read) {
      const size_t tile = (reuse ? begin : source) / kernel.read;
      kernel.run({buffers, source, tile * kernel.written, tile * kTileElements / 16});
    }
  };
  const double ratio = static_cast<double>(kernel.written) / static_cast<double>(kernel.read);
  const bool reads_weights = kernel.read == 2 * kTileElements;
  RegisterAgainstMemcpy({kernel.name + (reuse ? "/tile" : "/long"), kernel.read, ratio, run},
                        reads_weights ? std::as_bytes(std::span(buffers.weights))
                                      : std::as_bytes(std::span(buffers.codes)));
}

}  // namespace
}  // namespace vernier::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  vernier::bench::Buffers buffers;
  for (const auto& kernel : vernier::bench::kKernels) {
    for (const bool reuse : {false, true}) vernier::bench::Register(kernel, reuse, buffers);
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
