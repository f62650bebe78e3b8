// Checkpoints of llm-compressor against the logits that transformers and compressed-tensors give
// for them (tests/data/conformance): weights alone, with quantised inputs, with an FP8 cache.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "calib/activation_quantizer.h"
#include "calib/kv_caches.h"
#include "calib/round_trip.h"
#include "tests/calib/model_support.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

const std::filesystem::path kPeers = std::filesystem::path(VERNIER_TEST_DATA) / "conformance";

constexpr double kPeerTolerance = 2e-5;

// Leaves the cache alone.
class InputsOnly final : public Tap {
 public:
  explicit InputsOnly(ActivationQuantizer& quantizer) : quantizer_(quantizer) {}
  at::Tensor Replace(std::string_view module, const at::Tensor& x) override {
    return quantizer_.Replace(module, x);
  }

 private:
  ActivationQuantizer& quantizer_;
};

class PeerLogits : public ::testing::TestWithParam<const char*> {
 protected:
  // Compressed-tensors rounds dequantised weights to BF16 before it computes, in F32 as well.
  void SetUp() override {
    const testing::CommandResult result = testing::RunVernier(
        {"dequantize", directory_.string(), rounded_.string(), "--progress", "none"});
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }

  // Relative errors of the logits of each position, BF16 weights in F32, against the golden `name`.
  std::vector<double> ErrorsOf(const std::string& name, Tap& tap) const {
    const std::map<std::string, at::Tensor> golden = ReadTensors(directory_ / "logits.safetensors");
    const LoadedModel model(rounded_, at::kFloat);
    const TokenBatch batch{golden.at("input_ids"), {}};
    const at::Tensor logits =
        RunModel(*model.decoder, batch, /*query_chunk=*/64, tap).logits.flatten(0, 1);
    const at::Tensor expected = golden.at(name).flatten(0, 1);
    std::vector<double> errors;
    for (int64_t row = 0; row < logits.size(0); ++row) {
      errors.push_back(RelativeError(logits[row], expected[row]));
    }
    std::printf("%-38s %-14s largest error %.1e, %4.1f %% of positions below %.0e\n", GetParam(),
                name.c_str(), *std::max_element(errors.begin(), errors.end()),
                100 * ShareBelow(errors, kPeerTolerance), kPeerTolerance);
    return errors;
  }

  static double ShareBelow(const std::vector<double>& errors, double bound) {
    const auto count = std::ranges::count_if(errors, [&](double error) { return error <= bound; });
    return static_cast<double>(count) / static_cast<double>(errors.size());
  }

  testing::TempDir place_;
  const std::filesystem::path directory_ = kPeers / GetParam();
  const std::filesystem::path rounded_ = place_.path() / "bf16";
};

TEST_P(PeerLogits, AgreeForWeightsInputsAndCache) {
  const checkpoint::SourceModel quantized = checkpoint::OpenSourceModel(directory_);
  Tap nobody;
  EXPECT_EQ(ShareBelow(ErrorsOf("f32.weights", nobody), kPeerTolerance), 1.0);
  ActivationQuantizer quantizer(quantized, ExpertInputScale::kOwn);  // as the library has it
  InputsOnly inputs(quantizer);
  // A value between two codes may round to the other one, which all later positions of that
  // sequence see: of two sequences, one may differ.
  EXPECT_GE(ShareBelow(ErrorsOf("f32.inputs", inputs), kPeerTolerance), 0.5);
  EXPECT_GE(ShareBelow(ErrorsOf("f32.inputs_kv", quantizer), kPeerTolerance), 0.5);
  EXPECT_EQ(ShareBelow(ErrorsOf("f32.inputs_kv", nobody), kPeerTolerance), 0.0);
  EXPECT_LT(ShareBelow(ErrorsOf("f32.inputs_kv", inputs), kPeerTolerance), 0.1)
      << "the cache matters";
}

TEST_P(PeerLogits, HaveAScaleForEveryCache) {
  const checkpoint::SourceModel quantized = checkpoint::OpenSourceModel(directory_);
  const KvCaches caches = ReadKvCaches(quantized);
  EXPECT_EQ(caches.size(), 6u) << "keys and values of three layers";
  for (const auto& [entry, cache] : caches) {
    EXPECT_EQ(cache.format, ActivationFormat::kFp8Tensor) << entry;
    EXPECT_GT(cache.scale, 0) << entry;
    EXPECT_LT(cache.scale, 1) << entry;
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, PeerLogits,
                         ::testing::Values("llmcompressor_llama_nvfp4_kv_fp8",
                                           "llmcompressor_qwen3_moe_nvfp4_kv_fp8"),
                         [](const auto& info) { return std::string(info.param); });

TEST(KvCaches, AreThereOnlyWhereTheCheckpointSaysSo) {
  const std::filesystem::path peers = std::filesystem::path(VERNIER_TEST_DATA) / "peers";
  EXPECT_TRUE(ReadKvCaches(checkpoint::OpenSourceModel(kTestModels / "tiny-llama")).empty());
  EXPECT_TRUE(ReadKvCaches(checkpoint::OpenSourceModel(peers / "llmcompressor_nvfp4a16")).empty());
  const KvCaches caches =
      ReadKvCaches(checkpoint::OpenSourceModel(peers / "modelopt_nvfp4_kv_fp8"));
  EXPECT_EQ(caches.size(), 4u);
  EXPECT_TRUE(caches.contains("model.layers.1.self_attn.v_cache"));
}

// The same scales, over blocks of 16 channels.
TEST(KvCaches, AreNvfp4WhereTheConfigurationSaysSo) {
  const std::filesystem::path peers = std::filesystem::path(VERNIER_TEST_DATA) / "peers";
  const vernier::testing::TempDir dir;
  std::filesystem::copy(peers / "modelopt_nvfp4_kv_fp8", dir.path() / "nvfp4");
  Json config = ReadJsonFile(dir.path() / "nvfp4/config.json");
  config["quantization_config"]["kv_cache_scheme"] = "NVFP4";
  WriteFileAtomically(dir.path() / "nvfp4/config.json", config.dump());
  const checkpoint::SourceModel model = checkpoint::OpenSourceModel(dir.path() / "nvfp4");
  const std::string entry = "model.layers.1.self_attn.v_cache";
  const ActivationQuantization cache = ReadKvCaches(model).at(entry);
  EXPECT_EQ(cache.format, ActivationFormat::kNvfp4);
  ActivationQuantizer quantizer(model);
  const at::Tensor x = at::arange(0, 256, at::kFloat).view({2, 128}).sin();
  EXPECT_TRUE(at::equal(quantizer.ReplaceCache(entry, x), RoundTripNvfp4(x, cache.scale)));
  EXPECT_FALSE(at::equal(RoundTripNvfp4(x, cache.scale), RoundTripFp8(x, cache.scale)));
}

}  // namespace
}  // namespace vernier::calib
