#include "calib/encoded_weight.h"

#include <gtest/gtest.h>

#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

TEST(EncodedWeightTest, DecodesAlikeOnEachDevice) {
  at::manual_seed(1);
  const at::Tensor values = at::randn({70, 96}) * at::rand({70, 1}).mul(8).sub(6).exp();
  const float scale = quantizers::Nvfp4GlobalScale(AmaxOf(values));
  const EncodedWeight encoded = Encode(values, quantizers::Nvfp4Options{.global_scale = scale});
  const at::Tensor expected = Decode(encoded, scale);
  EXPECT_LT((expected - values).norm().item<double>(), 0.12 * values.norm().item<double>());
  EXPECT_EQ(encoded.Bytes().size(), 70U * 96 / 2 + 70U * 96 / 16);
  for (const at::DeviceType device : kTestDevices) {
    if (!HasDevice(device)) continue;
    const at::Tensor decoded = Decode(encoded, scale, device);
    EXPECT_TRUE(at::allclose(decoded.cpu(), expected, 1e-6, 0)) << DeviceName(device);
  }
}

}  // namespace
}  // namespace vernier::calib
