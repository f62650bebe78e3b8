// The device's GPTQ kernels, as C++ on the CPU: byte for byte what quantizers/ makes. With a CUDA
// device also there.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "calib/encoded_weight.h"
#include "calib/gptq_device.h"
#include "calib/gptq_factor.h"
#include "quantizers/float_formats.h"
#include "quantizers/nvfp4_gptq.h"
#include "tests/calib/cuda_on_cpu.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

namespace gptq_kernel {

using namespace cuda;
#include "calib/common_kernel.cu"
#include "calib/gptq_kernel.cu"

}  // namespace gptq_kernel

static_assert(gptq_kernel::kBlock == quantizers::kNvfp4BlockSize);
static_assert(gptq_kernel::kCodesBelow == quantizers::kGptqCodesBelowRule);
static_assert(gptq_kernel::kCodes ==
              gptq_kernel::kCodesBelow + 1 + quantizers::kGptqCodesAboveRule);

// More columns than make up for each other together, and rows than a block of threads has.
constexpr int64_t kGptqColumns = 272, kGptqWeightRows = 150;

struct Problem {
  at::Tensor values;
  GptqFactor factor;
  float global_scale = 0.002F;
};

Problem MakeProblem(at::Device device = at::kCPU) {
  at::manual_seed(1);
  const at::Tensor mix =
      at::randn({kGptqColumns, kGptqColumns}) * at::rand({kGptqColumns}).mul(3).exp();
  const at::Tensor x = at::randn({500, kGptqColumns}).mm(mix);
  Problem problem;
  problem.values = at::randn({kGptqWeightRows, kGptqColumns}) *
                   at::rand({kGptqWeightRows, 1}).mul(6).sub(4).exp();
  problem.values[3].zero_();
  problem.values[4][17] = 1e6;  // saturates
  problem.values[5][40] = std::numeric_limits<float>::quiet_NaN();
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
    quantizers::QuantizeNvfp4Gptq(rows, kGptqColumns, options, codes, scales);
  });
}

GptqOnDevice Emulated() {
  using namespace gptq_kernel;
  return GptqOnDevice(std::make_unique<KernelsOnCpu>(std::map<std::string, KernelsOnCpu::Known>{
      {"gptq_group", {MakeKernel(gptq_group), true}},
      {"gptq_update", {MakeKernel(gptq_update), true}}}));
}

TEST(GptqKernel, MakesTheBytesOfTheDefinition) {
  const Problem problem = MakeProblem();
  const EncodedWeight expected = Expected(problem);
  const EncodedWeight emulated =
      Emulated().Start(problem.values, problem.global_scale, problem.factor);
  EXPECT_EQ(emulated.Bytes(), expected.Bytes());
}

TEST(GptqKernel, EveryScaleAndEveryNibbleIsUnderstood) {
  for (int code = 1; code <= 126; ++code) {
    const float value = gptq_kernel::PositiveE4m3Value(code);
    EXPECT_EQ(value, quantizers::E4m3ToFloat(static_cast<uint8_t>(code)));
    EXPECT_EQ(gptq_kernel::E4m3Code(value), code);
    const float above =
        value + (code < 126 ? gptq_kernel::PositiveE4m3Value(code + 1) - value : 0) * 0.5F;
    EXPECT_EQ(gptq_kernel::E4m3Code(above), quantizers::FloatToE4m3(above)) << above;
  }
  for (int code = 0; code < 16; ++code) {
    EXPECT_EQ(gptq_kernel::E2m1Value(code), quantizers::kE2m1Values[static_cast<size_t>(code)]);
  }
}

TEST(GptqKernel, MakesThemOnCudaToo) {
  if (!HasDevice(at::kCUDA)) GTEST_SKIP() << "there is no CUDA device";
  const Problem problem = MakeProblem(at::kCUDA);
  std::string problem_text;
  const auto on_device = GptqOnDevice::Make(at::Device(at::kCUDA, 0), problem_text);
  ASSERT_TRUE(on_device) << problem_text;
  const EncodedWeight expected = Expected(problem);
  for (const at::Tensor& values : {problem.values, problem.values.cuda()}) {
    const EncodedWeight made = on_device->Start(values, problem.global_scale, problem.factor);
    EXPECT_EQ(made.Bytes(), expected.Bytes());
  }
}

// The machine that tests usually run on has none.
TEST(GptqKernel, WithoutCudaItSaysSo) {
  if (HasDevice(at::kCUDA)) GTEST_SKIP() << "there is a CUDA device";
  std::string problem;
  EXPECT_EQ(GptqOnDevice::Make(at::kCPU, problem), nullptr);
  EXPECT_NE(problem, "");
}

}  // namespace
}  // namespace vernier::calib
