// What a loader does beside loading: keeping values, and loading others in their place.
#include "calib/tensor_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/calib/deepseek_v4_support.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;

class TensorLoaderTest : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (!HasDevice(GetParam())) GTEST_SKIP() << "no such device in this build or machine";
  }

  const LogicalWeight& Expert(int expert, std::string_view part) const {
    return *source_.layout.FindModule("layers.1.ffn.experts." + std::to_string(expert) + "." +
                                      std::string(part));
  }

  const checkpoint::SourceModel source_ = checkpoint::OpenSourceModel(kTinyModel);
  // Weights are read ahead on the CPU too.
  TensorLoader loader_{source_, GetParam(), at::kFloat, {}, WeightStreamOptions{.ring_bytes = 1}};
};

TEST_P(TensorLoaderTest, KeepsWhatIsLoadedUntilItIsTaken) {
  const LogicalWeight &kept = Expert(0, "w1"), &other = Expert(0, "w2");
  ASSERT_TRUE(loader_.ReadAhead({.layer = 1, .experts = {0}}));
  loader_.Keep({&kept});
  EXPECT_FALSE(loader_.TakeKept(other).defined());
  const at::Tensor loaded = loader_.LoadAhead(kept.name);
  loader_.LoadAhead(other.name);
  EXPECT_TRUE(loader_.TakeKept(kept).is_same(loaded));
  EXPECT_FALSE(loader_.TakeKept(kept).defined()) << "only once";
  EXPECT_FALSE(loader_.TakeKept(other).defined());

  loader_.Keep({&other});
  loader_.LoadAhead(other.name);
  loader_.Keep({});
  EXPECT_FALSE(loader_.TakeKept(other).defined()) << "forgotten";
}

// Has one expert.
class OneExpert final : public Substitutes {
 public:
  bool Has(const LogicalWeight& weight) const override { return weight.expert == 0; }
  void Expect(const std::vector<const LogicalWeight*>& weights) override { expected = weights; }
  at::Tensor Of(const LogicalWeight& weight, at::Device device) override {
    return at::full(weight.shape, 7, at::TensorOptions(device).dtype(at::kFloat));
  }

  std::vector<const LogicalWeight*> expected;
};

TEST_P(TensorLoaderTest, LoadsSubstitutesBesideWhatIsReadAhead) {
  const LogicalWeight &ours = Expert(0, "w1"), &theirs = Expert(1, "w1");
  const at::Tensor original = loader_.Load(ours.name), expected = loader_.Load(theirs.name);
  OneExpert substitutes;
  {
    const TensorLoader::Substituting substituting(loader_, substitutes);
    loader_.Keep({&ours});
    ASSERT_TRUE(loader_.ReadAhead({.layer = 1, .experts = {0, 1}}));
    EXPECT_THAT(substitutes.expected,
                ::testing::UnorderedElementsAre(&ours, &Expert(0, "w2"), &Expert(0, "w3")));
    EXPECT_TRUE(loader_.LoadAhead(ours.name).eq(7).all().item<bool>());
    EXPECT_TRUE(at::equal(loader_.LoadAhead(theirs.name), expected));
    EXPECT_FALSE(loader_.TakeKept(ours).defined()) << "values of the checkpoint are wanted";
  }
  EXPECT_TRUE(at::equal(loader_.LoadAhead(ours.name), original));
}

INSTANTIATE_TEST_SUITE_P(Devices, TensorLoaderTest, ::testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& device) {
                           return device.param == at::kCPU ? "cpu" : "cuda";
                         });

}  // namespace
}  // namespace vernier::calib
