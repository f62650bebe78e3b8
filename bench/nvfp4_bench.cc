// NVFP4 and amax kernels on BF16 weights, against memcpy.
#include <cmath>
#include <span>
#include <vector>

#include "bench/memcpy_baseline.h"
#include "quantizers/amax.h"
#include "quantizers/nvfp4.h"

namespace vernier::bench {
namespace {

using quantizers::Nvfp4Options;
using quantizers::Nvfp4Search;

constexpr int64_t kColumns = 4096;
constexpr size_t kRowBytes = kColumns * sizeof(uint16_t);
// One tile at a time, as the exporter works.
constexpr size_t kTileBytes = size_t{1} << 20;
constexpr size_t kWeights = kBufferBytes / sizeof(uint16_t);
// Five deviations of the weights become 6 * 256 times the global scale.
constexpr float kGlobalScale = 5 * 0.02f / (6 * 256);
static_assert(kTileBytes % kRowBytes == 0 && kBufferBytes % kTileBytes == 0);

// Local Hessians of channels with deviations of 1 to 3, whose correlation is `correlation` to the
// power of their distance. The smallest eigenvalue of the correlations decides how much is
// searched: 0.48 for 0.35 and 0.14 for 0.75. In SmolLM2-135M its medians are 0.4 to 0.6, and 0.15
// in front of attention's output projection.
std::vector<float> CorrelatedHessians(float correlation) {
  std::vector<float> hessians(kColumns * quantizers::kNvfp4BlockSize);
  const auto deviation = [](size_t column) {
    return 1.0f + static_cast<float>(column * 7 % 11) / 5;
  };
  for (size_t i = 0; i < hessians.size(); ++i) {
    const size_t row = i / 16;
    const size_t column = row / 16 * 16 + i % 16;
    const float distance = std::fabs(static_cast<float>(row) - static_cast<float>(column));
    hessians[i] = deviation(row) * deviation(column) * std::pow(correlation, distance);
  }
  return hessians;
}

struct Buffers {
  std::vector<uint16_t> weights = GaussianBf16();
  std::vector<float> importance = std::vector<float>(kColumns, 1.0f);
  std::vector<float> hessians = CorrelatedHessians(0.35f);
  std::vector<float> strong_hessians = CorrelatedHessians(0.75f);
  std::vector<uint8_t> packed = std::vector<uint8_t>(kWeights / 2);
  std::vector<uint8_t> scales = std::vector<uint8_t>(kWeights / 16);
  std::vector<uint16_t> restored = std::vector<uint16_t>(kWeights);
};

void RegisterQuantizer(const char* name, Buffers& buffers, const Nvfp4Options& options) {
  const auto run = [&buffers, options](size_t begin, size_t end) {
    for (size_t tile = begin; tile < end; tile += kTileBytes) {
      const size_t first = tile / sizeof(uint16_t);
      const size_t count = kTileBytes / sizeof(uint16_t);
      quantizers::QuantizeNvfp4(std::span<const uint16_t>(buffers.weights).subspan(first, count),
                                kColumns, options,
                                std::span(buffers.packed).subspan(first / 2, count / 2),
                                std::span(buffers.scales).subspan(first / 16, count / 16));
    }
  };
  RegisterAgainstMemcpy({name, kTileBytes, 0.5625 / 2, run},
                        std::as_bytes(std::span(buffers.weights)));
}

void RegisterDequantizer(Buffers& buffers) {
  const auto run = [&buffers](size_t begin, size_t end) {
    for (size_t tile = begin; tile < end; tile += kTileBytes) {
      const size_t first = tile / sizeof(uint16_t);
      const size_t count = kTileBytes / sizeof(uint16_t);
      quantizers::DequantizeNvfp4(std::span(buffers.packed).subspan(first / 2, count / 2),
                                  std::span(buffers.scales).subspan(first / 16, count / 16),
                                  kColumns, kGlobalScale,
                                  std::span(buffers.restored).subspan(first, count));
    }
  };
  RegisterAgainstMemcpy({"dequantize", kTileBytes, 2 / 0.5625, run, 0.5625 / 2},
                        std::as_bytes(std::span(buffers.weights)));
}

void RegisterAmax(Buffers& buffers) {
  const auto run = [&buffers](size_t begin, size_t end) {
    const auto slice = std::span<const uint16_t>(buffers.weights)
                           .subspan(begin / sizeof(uint16_t), (end - begin) / sizeof(uint16_t));
    benchmark::DoNotOptimize(quantizers::FindAmax(slice));
  };
  RegisterAgainstMemcpy({"amax", kTileBytes, 0, run}, std::as_bytes(std::span(buffers.weights)));
}

void RegisterAll(Buffers& buffers) {
  RegisterAmax(buffers);
  RegisterQuantizer("max", buffers, {.global_scale = kGlobalScale});
  RegisterQuantizer("four_over_six", buffers,
                    {.global_scale = kGlobalScale, .search = Nvfp4Search::kFourOverSix});
  RegisterQuantizer("mse", buffers, {.global_scale = kGlobalScale, .search = Nvfp4Search::kMse});
  RegisterQuantizer("mse_weighted", buffers,
                    {.global_scale = kGlobalScale,
                     .search = Nvfp4Search::kMse,
                     .importance = buffers.importance});
  RegisterQuantizer("local_hessian", buffers,
                    {.global_scale = kGlobalScale,
                     .search = Nvfp4Search::kLocalHessian,
                     .local_hessian = buffers.hessians});
  RegisterQuantizer("local_hessian_strong", buffers,
                    {.global_scale = kGlobalScale,
                     .search = Nvfp4Search::kLocalHessian,
                     .local_hessian = buffers.strong_hessians});
  RegisterDequantizer(buffers);
}

}  // namespace
}  // namespace vernier::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  vernier::bench::Buffers buffers;
  vernier::bench::RegisterAll(buffers);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
