// The same weights and tokens through `vernier run` as through ModelOpt and llm-compressor: weights
// byte for byte where the peer computes in F32, scales of activations as close as two forward
// passes in BF16 can be. tests/data/conformance/README.md explains every difference that is allowed
// here.
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/source_model.h"
#include "tests/support/read_tensor.h"
#include "tests/tools/conformance_fixture.h"

namespace vernier::testing {
namespace {

using checkpoint::Checkpoint;

// Two BF16 steps: what transformers' own two attention implementations differ by.
constexpr double kForwardTolerance = 0.016;
// A BF16 rounding of the scale itself.
constexpr double kBf16Rounding = 1.0 / 256;

void ExpectEqual(const Differences& kinds, std::initializer_list<const char*> equal) {
  for (const char* kind : equal) {
    ASSERT_TRUE(kinds.contains(kind)) << kind;
    EXPECT_EQ(kinds.at(kind).different, 0u) << kind;
  }
}

TEST_F(Conformance, ModeloptNvfp4OfADenseModel) {
  const auto kinds = Compare({.peer = "modelopt_llama_nvfp4_kv_fp8",
                              .model = "tiny-llama",
                              .roles = {"attention", "dense_mlp"},
                              .kv_cache = "fp8"});
  ExpectEqual(kinds, {"weight", "weight_scale", "weight_scale_2"});
  for (const char* kind : {"input_scale", "k_scale", "v_scale"}) {
    EXPECT_LE(kinds.at(kind).largest, kForwardTolerance) << kind;
  }
}

TEST_F(Conformance, ModeloptNvfp4OfExperts) {
  const ConformanceCase each = {.peer = "modelopt_qwen3_moe_nvfp4_kv_fp8",
                                .model = "tiny-qwen3-moe",
                                .roles = {"attention", "dense_mlp", "routed_expert"},
                                .kv_cache = "fp8"};
  const auto kinds = Compare(each);
  ExpectEqual(kinds, {"weight", "weight_scale", "weight_scale_2"});
  for (const char* kind : {"input_scale", "k_scale", "v_scale"}) {
    EXPECT_LE(kinds.at(kind).largest, kForwardTolerance) << kind;
  }
}

TEST_F(Conformance, ModeloptGivesExpertsOfALayerTheLargestOfTheirScales) {
  const ConformanceCase each = {.peer = "modelopt_qwen3_moe_nvfp4_experts_only",
                                .model = "tiny-qwen3-moe",
                                .roles = {"routed_expert"}};
  ExpectEqual(Compare(each), {"weight", "weight_scale", "weight_scale_2"});
  const Checkpoint ours = Checkpoint::Open(OutputOf(each));
  const Checkpoint peer = Checkpoint::Open(kPeers / each.peer);
  // "model.layers.1.mlp" + "down_proj" -> the largest scale of its experts.
  std::map<std::string, double> largest;
  const auto layer_of = [](const std::string& name) {
    const size_t experts = name.find(".experts.");
    const size_t projection = name.rfind('.', name.rfind('.') - 1);
    return name.substr(0, experts) + name.substr(projection);
  };
  for (size_t i = 0; i < ours.tensors().size(); ++i) {
    const std::string& name = ours.tensor(i).info.name;
    if (!name.ends_with(".input_scale")) continue;
    largest[layer_of(name)] = std::max(largest[layer_of(name)], ReadScalar(ours, i));
  }
  ASSERT_FALSE(largest.empty());
  for (size_t i = 0; i < peer.tensors().size(); ++i) {
    const std::string& name = peer.tensor(i).info.name;
    if (!name.ends_with(".input_scale")) continue;
    EXPECT_NEAR(largest.at(layer_of(name)) / ReadScalar(peer, i), 1, kForwardTolerance) << name;
  }
}

TEST_F(Conformance, ModeloptNvfp4OfLatentAttention) {
  // Its scales of the cache are of expanded keys and values, ours of the latents that are cached.
  const auto kinds = Compare({.peer = "modelopt_deepseek_v3_nvfp4_kv_fp8",
                              .model = "tiny-deepseek-v3",
                              .roles = {"attention", "dense_mlp", "shared_expert", "routed_expert"},
                              .kv_cache = "fp8"});
  ExpectEqual(kinds, {"weight", "weight_scale", "weight_scale_2"});
  EXPECT_LE(kinds.at("input_scale").largest, kForwardTolerance);
}

TEST_F(Conformance, ModeloptWithoutInputScales) {
  const std::vector<const char*> dense = {"attention", "dense_mlp"};
  const std::vector<const char*> experts = {"attention", "dense_mlp", "routed_expert"};
  ExpectEqual(Compare({.peer = "modelopt_llama_w4a16_nvfp4",
                       .model = "tiny-llama",
                       .roles = dense,
                       .calibrated = false}),
              {"weight", "weight_scale", "weight_scale_2"});
  for (const bool moe : {false, true}) {
    ExpectEqual(Compare({.peer = moe ? "modelopt_qwen3_moe_mxfp8" : "modelopt_llama_mxfp8",
                         .model = moe ? "tiny-qwen3-moe" : "tiny-llama",
                         .roles = moe ? experts : dense,
                         .format = "mxfp8",
                         .calibrated = false}),
                {"weight", "weight_scale"});
  }
}

TEST_F(Conformance, ModeloptNvfp4OfMlpsAlone) {
  const auto kinds = Compare(
      {.peer = "modelopt_llama_nvfp4_mlp_only", .model = "tiny-llama", .roles = {"dense_mlp"}});
  ExpectEqual(kinds, {"weight", "weight_scale", "weight_scale_2"});
  EXPECT_LE(kinds.at("input_scale").largest, kForwardTolerance);
}

// FP8 weights of the output and a peer's, by what shares a scale here.
struct Fp8Weights {
  explicit Fp8Weights(const std::filesystem::path& output, const std::filesystem::path& peer)
      : ours(checkpoint::OpenAnySourceModel(output)), theirs(checkpoint::Checkpoint::Open(peer)) {
    for (const checkpoint::LogicalWeight& weight : ours.layout.weights) {
      if (weight.format != checkpoint::formats::kFp8Tensor) continue;
      const std::string& group = weight.fused_group;
      groups[group.empty() ? weight.module : group].push_back(&weight);
    }
  }

  double OurScale(const checkpoint::LogicalWeight& weight) const {
    return ReadScalar(ours.checkpoint, weight.scale);
  }
  double TheirScale(const checkpoint::LogicalWeight& weight) const {
    return ReadScalar(theirs, theirs.Find(weight.module + ".weight_scale"));
  }
  // Adds the codes of a weight.
  void Compare(const checkpoint::LogicalWeight& weight, Difference* difference) const {
    const std::vector<std::byte> a = ReadTensor(ours.checkpoint, weight.name);
    const std::vector<std::byte> b = ReadTensor(theirs, weight.name);
    ASSERT_EQ(a.size(), b.size());
    difference->values += a.size();
    for (size_t i = 0; i < a.size(); ++i) difference->different += a[i] != b[i];
  }

  checkpoint::SourceModel ours;
  checkpoint::Checkpoint theirs;
  std::map<std::string, std::vector<const checkpoint::LogicalWeight*>> groups;
};

// Peers give each part of a fused matrix a scale of its own, where here all have the largest; and
// they round quotients to BF16 before they round them to E4M3, where here they are rounded once.
TEST_F(Conformance, Fp8DiffersByThePeersSecondRoundingAndScalesOfParts) {
  for (const char* peer : {"modelopt_llama_fp8", "llmcompressor_llama_fp8"}) {
    const ConformanceCase each = {
        .peer = peer, .model = "tiny-llama", .roles = {"attention", "dense_mlp"}, .format = "fp8"};
    const auto kinds = Compare(each);
    EXPECT_LE(kinds.at("input_scale").largest, kForwardTolerance + kBf16Rounding) << peer;
    const Fp8Weights weights(OutputOf(each), kPeers / peer);
    EXPECT_EQ(weights.groups.size(), 3u * 4) << "qkv, o, gate and up, and down in three layers";
    Difference of_equal_scales;
    size_t of_their_own = 0;
    for (const auto& [group, members] : weights.groups) {
      double largest = 0;
      for (const auto* weight : members) largest = std::max(largest, weights.TheirScale(*weight));
      for (const auto* weight : members) {
        EXPECT_EQ(weights.OurScale(*weight), largest) << peer << " " << weight->module;
        const bool equal = weights.TheirScale(*weight) == largest;
        of_their_own += equal ? 0 : 1;
        if (equal) weights.Compare(*weight, &of_equal_scales);
      }
    }
    EXPECT_EQ(of_their_own, 3u * 3) << "all but the largest of q, k and v, and of gate and up";
    EXPECT_LE(of_equal_scales.Share(), 0.035) << peer;
    EXPECT_GT(of_equal_scales.different, 0u) << "else this test is out of date";
  }
}

// llm-compressor computes NVFP4 scales in BF16, and shows every expert every token.
TEST_F(Conformance, LlmCompressorNvfp4) {
  const ConformanceCase dense = {.peer = "llmcompressor_llama_nvfp4_kv_fp8_static",
                                 .model = "tiny-llama",
                                 .roles = {"attention", "dense_mlp"},
                                 .kv_cache = "fp8"};
  const ConformanceCase experts = {.peer = "llmcompressor_qwen3_moe_nvfp4_kv_fp8",
                                   .model = "tiny-qwen3-moe",
                                   .roles = {"attention", "dense_mlp", "routed_expert"},
                                   .kv_cache = "fp8",
                                   .all_experts = true};
  for (const ConformanceCase& each : {dense, experts}) {
    const auto kinds = Compare(each);
    EXPECT_LE(kinds.at("weight_global_scale").largest, 1.5 * kBf16Rounding);
    EXPECT_LE(kinds.at("weight_scale").Share(), 0.04);
    EXPECT_LE(kinds.at("weight_packed").Share(), 0.025) << "bytes of two codes";
    EXPECT_LE(kinds.at("input_global_scale").largest, kForwardTolerance + kBf16Rounding);
    if (!each.all_experts) continue;
    EXPECT_LE(kinds.at("expert input_global_scale").largest, kForwardTolerance + kBf16Rounding);
  }
}

}  // namespace
}  // namespace vernier::testing
