// The device's NVFP4 kernels, as C++ on the CPU: byte for byte what quantizers/ makes. With a CUDA
// device also there.
#include "calib/device_nvfp4.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "calib/device.h"
#include "calib/encoded_weight.h"
#include "calib/gptq_factor.h"
#include "quantizers/float_formats.h"
#include "quantizers/nvfp4_gptq.h"
#include "quantizers/nvfp4_local_hessian.h"
#include "quantizers/nvfp4_search.h"
#include "tests/calib/cuda_on_cpu.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

namespace nvfp4_kernel {

using namespace cuda;
#include "calib/common_kernel.cu"
#include "calib/nvfp4_kernel.cu"

}  // namespace nvfp4_kernel

static_assert(nvfp4_kernel::kBlock == quantizers::kNvfp4BlockSize);
static_assert(nvfp4_kernel::kMinSearchStart == quantizers::kMinSearchStart);
static_assert(nvfp4_kernel::kSearchStartFactor == quantizers::kSearchStartFactor);
static_assert(nvfp4_kernel::kHessianCodesAbove == quantizers::kCodesAboveRule);
static_assert(nvfp4_kernel::kHessianUncheckedBelow == quantizers::kUncheckedBelowRule);
static_assert(nvfp4_kernel::kTinyError == quantizers::kTinyError);
static_assert(nvfp4_kernel::kBoundMargin == quantizers::kBoundMargin);
static_assert(nvfp4_kernel::kGroup == kGptqGroup && nvfp4_kernel::kGroupRows == kGptqGroupRows);
static_assert(nvfp4_kernel::kTilePositions == kGptqTilePositions);
static_assert(nvfp4_kernel::kTileRows == kGptqTileRows);
static_assert(nvfp4_kernel::kGptqCodesBelow == quantizers::kGptqCodesBelowRule);
static_assert(nvfp4_kernel::kGptqCodes ==
              nvfp4_kernel::kGptqCodesBelow + 1 + quantizers::kGptqCodesAboveRule);

// More columns than make up for each other together, and rows than a block of threads has.
constexpr int64_t kGptqColumns = 272, kGptqWeightRows = 150;

struct Problem {
  at::Tensor values;
  GptqFactor factor;
  float global_scale = 0.002F;
};

Problem MakeProblem(at::Device device = at::kCPU, int64_t rows = kGptqWeightRows,
                    int64_t columns = kGptqColumns) {
  at::manual_seed(1);
  const at::Tensor mix = at::randn({columns, columns}) * at::rand({columns}).mul(3).exp();
  const at::Tensor x = at::randn({500, columns}).mm(mix);
  Problem problem;
  problem.values = at::randn({rows, columns}) * at::rand({rows, 1}).mul(6).sub(4).exp();
  problem.values[3].zero_();
  problem.values[4][17] = 1e6;  // saturates
  problem.values[5][40] = std::numeric_limits<float>::quiet_NaN();
  problem.values[6][50] = std::numeric_limits<float>::infinity();
  problem.factor = FactorOf(x.t().mm(x).triu().to(device)).value();
  return problem;
}

EncodedWeight Expected(const Problem& problem) {
  const at::Tensor upper = problem.factor.upper.cpu();
  const quantizers::Nvfp4GptqOptions options = {
      .global_scale = problem.global_scale,
      .order = problem.factor.order,
      .factor = {upper.data_ptr<float>(), static_cast<size_t>(upper.numel())}};
  return Encode(problem.values, [&](auto rows, auto codes, auto scales) {
    quantizers::QuantizeNvfp4Gptq(rows, problem.values.size(1), options, codes, scales);
  });
}

// Kernels that the CPU runs.
const DeviceKernels& Emulated() {
  using namespace nvfp4_kernel;
  static const auto& kernels =
      *new KernelsOnCpu({{"gptq_group", {MakeKernel(gptq_group), /*waits=*/true}},
                         {"gptq_update", {MakeKernel(gptq_update), true}},
                         {"squares_bf16", {MakeKernel(squares_bf16)}},
                         {"squares_f32", {MakeKernel(squares_f32)}},
                         {"local_hessian_bf16", {MakeKernel(local_hessian_bf16), true}},
                         {"local_hessian_f32", {MakeKernel(local_hessian_f32), true}}});
  return kernels;
}

void ExpectGptq(const DeviceNvfp4& device, at::Device at) {
  struct Shape {
    int64_t rows, columns;
    at::ScalarType dtype;
  };
  for (const Shape& shape : {Shape{kGptqWeightRows, kGptqColumns, at::kFloat},
                             Shape{128, 128, at::kBFloat16},  // one group, no rows beside
                             Shape{7, 144, at::kBFloat16}}) {
    Problem problem = MakeProblem(at, shape.rows, shape.columns);
    problem.values = problem.values.to(shape.dtype);
    const EncodedWeight made =
        device.Gptq(problem.values.to(at), problem.global_scale, problem.factor);
    EXPECT_EQ(made.Bytes(), Expected(problem).Bytes()) << shape.rows << " x " << shape.columns;
  }
}

TEST(GptqKernel, MakesTheBytesOfTheDefinition) { ExpectGptq(DeviceNvfp4(Emulated()), at::kCPU); }

TEST(GptqKernel, EveryScaleAndEveryNibbleIsUnderstood) {
  for (int code = 1; code <= 126; ++code) {
    const float value = nvfp4_kernel::PositiveE4m3Value(code);
    EXPECT_EQ(value, quantizers::E4m3ToFloat(static_cast<uint8_t>(code)));
    EXPECT_EQ(nvfp4_kernel::E4m3Code(value), code);
    const float above =
        value + (code < 126 ? nvfp4_kernel::PositiveE4m3Value(code + 1) - value : 0) * 0.5F;
    EXPECT_EQ(nvfp4_kernel::E4m3Code(above), quantizers::FloatToE4m3(above)) << above;
  }
  for (int code = 0; code < 16; ++code) {
    EXPECT_EQ(nvfp4_kernel::E2m1Value(code), quantizers::kE2m1Values[static_cast<size_t>(code)]);
  }
}

// Blocks' second moments: of correlated inputs, none at all, some columns of zeros, and two columns
// of the same values, which bound nothing.
at::Tensor MakeHessians() {
  constexpr int64_t kBlocks = kGptqColumns / 16;
  at::manual_seed(2);
  const at::Tensor x = at::randn({kBlocks, 100, 16}).bmm(at::randn({kBlocks, 16, 16}));
  x[1].zero_();
  x[2].slice(1, 3, 6).zero_();
  x[3].select(1, 7).copy_(x[3].select(1, 8));
  const at::Tensor hessians = x.transpose(1, 2).bmm(x);
  const float nobody_reads = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor below = at::ones({16, 16}, at::kBool).tril(-1);
  return (hessians / hessians.max()).masked_fill(below, nobody_reads);
}

// Some rows with scales near both ends, and all that GPTQ's problem has.
at::Tensor ValuesOfAllKinds(at::ScalarType dtype) {
  const at::Tensor values = MakeProblem().values.clone();
  values[6].mul_(1e-6);
  values[7].mul_(1e3);
  values[8][3] = std::numeric_limits<float>::infinity();
  values[9].copy_(at::arange(kGptqColumns).remainder(25).mul(0.0005));  // halfway between codes
  return values.to(dtype);
}

std::span<const float> Floats(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

// Compares `make(device, values)` with what the CPU makes with `options`.
template <class Make>
void ExpectTheBytesOf(quantizers::Nvfp4Options options, const DeviceNvfp4& device, at::Device at,
                      const Make& make) {
  for (const float global_scale : {0.002F, 0x1p-100F}) {
    options.global_scale = global_scale;
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const at::Tensor values = ValuesOfAllKinds(dtype);
      const EncodedWeight made = make(device, values.to(at), global_scale);
      EXPECT_EQ(made.Bytes(), Encode(values, options).Bytes());
    }
  }
}

void ExpectLocalHessians(const DeviceNvfp4& device, at::Device at) {
  const at::Tensor hessians = MakeHessians();
  ExpectTheBytesOf(
      {.search = quantizers::Nvfp4Search::kLocalHessian, .local_hessian = Floats(hessians)}, device,
      at, [&](const DeviceNvfp4& on, const at::Tensor& values, float scale) {
        return on.LocalHessian(values, scale, hessians.to(at));
      });
}

void ExpectSquares(const DeviceNvfp4& device, at::Device at) {
  at::manual_seed(3);
  const at::Tensor importance = at::rand({kGptqColumns}).pow(4);
  importance.slice(0, 20, 24).zero_();
  importance.slice(0, 64, 80).zero_();
  ExpectTheBytesOf({.search = quantizers::Nvfp4Search::kMse, .importance = Floats(importance)},
                   device, at, [&](const DeviceNvfp4& on, const at::Tensor& values, float scale) {
                     return on.Squares(values, scale, importance.to(at));
                   });
}

TEST(LocalHessianKernel, MakesTheBytesOfTheDefinition) {
  ExpectLocalHessians(DeviceNvfp4(Emulated()), at::kCPU);
}

TEST(SquaresKernel, MakesTheBytesOfTheDefinition) {
  ExpectSquares(DeviceNvfp4(Emulated()), at::kCPU);
}

TEST(DeviceNvfp4Test, MakesThemOnCudaToo) {
  if (!HasDevice(at::kCUDA)) GTEST_SKIP() << "there is no CUDA device";
  const auto device = DeviceNvfp4::Find(ParseDevice("cuda"));
  ASSERT_TRUE(device) << DeviceNvfp4::ProblemOf(ParseDevice("cuda"));
  ExpectGptq(*device, at::kCUDA);
  ExpectLocalHessians(*device, at::kCUDA);
  ExpectSquares(*device, at::kCUDA);
}

// The machine that tests usually run on has none.
TEST(DeviceNvfp4Test, OfTheCpuThereIsNone) {
  EXPECT_FALSE(DeviceNvfp4::Find(at::kCPU));
  EXPECT_EQ(DeviceNvfp4::ProblemOf(at::kCPU), "");
}

}  // namespace
}  // namespace vernier::calib
