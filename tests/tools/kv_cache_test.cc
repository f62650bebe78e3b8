// Shipped recipes with an FP8 key/value cache, from the command line to a checkpoint that the audit
// accepts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/numbers.h"
#include "tests/support/command.h"
#include "tests/support/source_tree.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kData = VERNIER_TEST_DATA;

class KvCacheCommandTest : public ::testing::Test {
 protected:
  // A model of tests/data/models, with the tokenizer that it lacks.
  fs::path Source(const std::string& model) {
    const fs::path source = dir_.path() / model;
    fs::copy(kData / "models" / model, source);
    AddTokenizer(source);
    return source;
  }

  // `vernier run` of a shipped recipe on random tokens.
  CommandResult Run(const fs::path& recipe, const fs::path& source,
                    const std::vector<std::string>& more = {}) {
    SyntheticRecipe(dir_.path(), source, /*vocab=*/512, /*samples=*/4, /*sequence_length=*/32);
    std::vector<std::string> arguments = {"run",
                                          recipe.string(),
                                          "--source",
                                          source.string(),
                                          "--output",
                                          Output().string(),
                                          "--data",
                                          (dir_.path() / "ids.jsonl").string(),
                                          "--samples",
                                          "4",
                                          "--sequence-length",
                                          "32",
                                          "--progress",
                                          "none"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult result = RunVernier(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.errors << result.output;
    return result;
  }

  // The store's amax by module.
  std::map<std::string, float> Amax() const {
    const CommandResult result = RunVernier({"amax", RunDir().string()});
    std::map<std::string, float> amax;
    const Json file = ParseJson(result.output, "amax");
    for (const Json& input : file.at("inputs")) {
      amax[input.at("module").get<std::string>()] = input.at("amax").get<float>();
    }
    return amax;
  }

  float Number(const std::string& tensor) const {
    const checkpoint::Checkpoint output = checkpoint::Checkpoint::Open(Output());
    const size_t index = output.Find(tensor);
    if (index == checkpoint::Checkpoint::kNotFound) {
      ADD_FAILURE() << "no tensor " << tensor;
      return 0;
    }
    std::vector<std::byte> bytes(output.tensor(index).info.Bytes());
    output.Read(index, 0, bytes);
    return checkpoint::NumberFromBytes(bytes, output.tensor(index).info.dtype);
  }

  Json Config() const { return ReadJsonFile(Output() / "config.json")["quantization_config"]; }
  Json Peer(const std::string& file) const { return ReadJsonFile(kData / "peers" / file); }

  fs::path Output() const { return dir_.path() / "out"; }
  fs::path RunDir() const { return dir_.path() / "out.run"; }

  TempDir dir_;
};

TEST_F(KvCacheCommandTest, LlamaGetsCalibratedScalesAsModeloptWritesThem) {
  const CommandResult result = Run(kSourceTree / "recipes/nvfp4.json", Source("tiny-llama"),
                                   {"--kv-cache", "fp8", "--effort", "fast"});
  EXPECT_THAT(result.output, HasSubstr("KV cache     fp8: scales of 6 caches"));
  const std::map<std::string, float> amax = Amax();
  for (const std::string layer : {"0", "1", "2"}) {
    const std::string attention = "model.layers." + layer + ".self_attn";
    EXPECT_GT(amax.at(attention + ".k_cache"), 0);
    EXPECT_EQ(Number(attention + ".k_proj.k_scale"), amax.at(attention + ".k_cache") / 448.0f);
    EXPECT_EQ(Number(attention + ".v_proj.v_scale"), amax.at(attention + ".v_cache") / 448.0f);
    for (const std::string leaf : {".q_proj", ".v_proj"}) {
      EXPECT_EQ(Number(attention + leaf + ".input_scale"),
                Number(attention + ".k_proj.input_scale"));
    }
  }
  EXPECT_EQ(Config()["kv_cache_scheme"],
            Peer("modelopt_nvfp4_kv_fp8/config.json")["quantization_config"]["kv_cache_scheme"]);
  EXPECT_EQ(
      ReadJsonFile(Output() / "hf_quant_config.json")["quantization"]["kv_cache_quant_algo"],
      Peer("modelopt_nvfp4_kv_fp8/hf_quant_config.json")["quantization"]["kv_cache_quant_algo"]);
  const CommandResult status = RunVernier({"status", RunDir().string()});
  EXPECT_THAT(status.output,
              HasSubstr("69 statistics (6 cache_amax, 21 input_amax, 21 input_block_hessian, 21 "
                        "input_square_sum)"));
  const CommandResult audit = RunVernier({"validate", Output().string()});
  EXPECT_EQ(audit.exit_code, 0) << audit.output;
  EXPECT_THAT(audit.output, ::testing::Not(HasSubstr("V07"))) << audit.output;
}

// vLLM reads either form: utils/torch_utils.py, get_kv_cache_quant_algo_string.
TEST_F(KvCacheCommandTest, AnNvfp4CacheHasTheSameScalesAndCostsMore) {
  const CommandResult run =
      Run(kSourceTree / "recipes/nvfp4-w4a16.json", Source("tiny-llama"), {"--kv-cache", "nvfp4"});
  EXPECT_THAT(run.output, HasSubstr("KV cache     nvfp4: scales of 6 caches"));
  EXPECT_EQ(Number("model.layers.2.self_attn.v_proj.v_scale"),
            Amax().at("model.layers.2.self_attn.v_cache") / 448.0f);
  EXPECT_EQ(Config()["kv_cache_scheme"], "NVFP4");
  EXPECT_EQ(ReadJsonFile(Output() / "hf_quant_config.json")["quantization"]["kv_cache_quant_algo"],
            "NVFP4");
  const CommandResult audit = RunVernier({"validate", Output().string()});
  EXPECT_EQ(audit.exit_code, 0) << audit.output;
  EXPECT_THAT(audit.output, ::testing::Not(HasSubstr("V07"))) << audit.output;
  EXPECT_THAT(ReadWholeFile(Output() / "README.md"), HasSubstr("--kv-cache-dtype nvfp4"));
}

TEST_F(KvCacheCommandTest, LatentsAreNotKeptInNvfp4) {
  const CommandResult run =
      RunVernier({"run", (kSourceTree / "recipes/nvfp4.json").string(), "--source",
                  Source("tiny-deepseek-v3").string(), "--output", Output().string(), "--kv-cache",
                  "nvfp4_cast", "--data", (dir_.path() / "none").string()});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.errors, HasSubstr("engines keep no latent vectors of attention in NVFP4"));
}

TEST_F(KvCacheCommandTest, AnAnnouncedNvfp4CacheNeedsWholeBlocks) {
  const fs::path source = Source("llama_bias");  // heads of 24 channels
  WriteFileAtomically(source / "hf_quant_config.json",
                      R"({"quantization": {"kv_cache_quant_algo": "NVFP4"}})");
  WriteFileAtomically(dir_.path() / "text.txt", "A vernier is a fine scale.");
  const CommandResult result =
      RunVernier({"eval", source.string(), "--data", (dir_.path() / "text.txt").string()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.errors, AllOf(HasSubstr("VN-CKPT-008"), HasSubstr("no whole blocks of 16")));
}

TEST_F(KvCacheCommandTest, CompressedTensorsHasThemBesideTheAttention) {
  Json recipe = ReadJsonFile(kSourceTree / "recipes/nvfp4.json", JsonComments::kAllow);
  recipe["export"] = {{"dialect", "compressed-tensors"}, {"kv_cache", "fp8"}};
  Run(WriteRecipe(dir_.path(), recipe), Source("tiny-qwen3-moe"));
  const std::string attention = "model.layers.1.self_attn";
  EXPECT_EQ(Number(attention + ".k_scale"),
            checkpoint::RoundNumber(Amax().at(attention + ".k_cache") / 448.0f,
                                    checkpoint::DType::kBF16));
  EXPECT_GT(Number(attention + ".v_scale"), 0);
}

// Weights alone, and a cache that is calibrated all the same.
TEST_F(KvCacheCommandTest, WeightsInFp4MayStandBesideAnFp8Cache) {
  const CommandResult result =
      Run(kSourceTree / "recipes/nvfp4-w4a16.json", Source("tiny-llama"), {"--kv-cache", "fp8"});
  EXPECT_THAT(result.output, ::testing::Not(HasSubstr("fallbacks")));
  const std::map<std::string, float> amax = Amax();
  EXPECT_EQ(amax.size(), 6u) << "nothing but the caches is observed";
  EXPECT_EQ(Number("model.layers.2.self_attn.v_proj.v_scale"),
            amax.at("model.layers.2.self_attn.v_cache") / 448.0f);
  EXPECT_EQ(Config()["quant_algo"], "W4A16_NVFP4");
}

// One vector is key and value: both names have its scale. The source is quantised here, because the
// recipe begins with FP8.
TEST_F(KvCacheCommandTest, DeepseekV3sLatentCacheHasOneScale) {
  const fs::path bf16 = Source("tiny-deepseek-v3"), fp8 = dir_.path() / "fp8";
  Json config = ReadJsonFile(bf16 / "config.json");
  config["num_nextn_predict_layers"] = 0;  // it has no such layer
  WriteFileAtomically(bf16 / "config.json", config.dump());
  const CommandResult converted = RunVernier({"convert", bf16.string(), fp8.string(), "--weights",
                                              "fp8_block", "--dialect", "compressed-tensors"});
  ASSERT_EQ(converted.exit_code, 0) << converted.errors;
  Json recipe = ReadJsonFile(kSourceTree / "recipes/deepseek-v3-nvfp4.json", JsonComments::kAllow);
  Run(WriteRecipe(dir_.path(), recipe), fp8, {"--kv-cache", "fp8"});
  const std::map<std::string, float> amax = Amax();
  for (const std::string layer : {"0", "1", "2"}) {
    const std::string attention = "model.layers." + layer + ".self_attn";
    const float scale = amax.at(attention + ".kv_cache") / 448.0f;
    EXPECT_EQ(Number(attention + ".k_proj.k_scale"), scale);
    EXPECT_EQ(Number(attention + ".v_proj.v_scale"), scale);
  }
  EXPECT_EQ(Config()["kv_cache_scheme"]["num_bits"], 8);
}

// A checkpoint with scales of its own, calibrated anew under the same names: the audit takes the
// manifest's word that the old ones are gone.
TEST_F(KvCacheCommandTest, TheSourcesScalesAreReplaced) {
  Run(kSourceTree / "recipes/nvfp4.json", Source("tiny-llama"), {"--kv-cache", "fp8"});
  const fs::path first = dir_.path() / "first";
  fs::rename(Output(), first);
  fs::remove_all(RunDir());
  const Json recipe = {{"version", 1},
                       {"source", "set by a flag"},
                       {"output", "set by a flag too"},
                       {"calibration", {{"data", {{{"path", "ids.jsonl"}}}}}},
                       {"quantize",
                        {{{"name", "*"}, {"format", "bf16"}},
                         {{"role", {"attention", "dense_mlp"}}, {"format", "fp8"}}}},
                       {"export", {{"kv_cache", "fp8"}}}};
  const CommandResult result = Run(WriteRecipe(dir_.path(), recipe), first);
  EXPECT_THAT(result.output, HasSubstr("27 dropped"));  // 21 input scales, 6 of the cache
  EXPECT_THAT(result.output, HasSubstr("no errors"));
  EXPECT_EQ(Number("model.layers.0.self_attn.k_proj.k_scale"),
            Amax().at("model.layers.0.self_attn.k_cache") / 448.0f);
}

TEST_F(KvCacheCommandTest, ThePlanSaysWhatBecomesOfTheCache) {
  const std::vector<std::string> arguments = {
      "plan",     (kSourceTree / "recipes/nvfp4.json").string(),
      "--source", Source("tiny-llama").string(),
      "--output", Output().string()};
  const auto plan = [&](const std::string& kv_cache) {
    std::vector<std::string> all = arguments;
    all.insert(all.end(), {"--kv-cache", kv_cache});
    return RunVernier(all).output;
  };
  EXPECT_THAT(plan("fp8"), HasSubstr("fp8, calibrated scales of 6 caches"));
  EXPECT_THAT(plan("fp8_cast"), HasSubstr("fp8_cast, all scales 1"));
  EXPECT_THAT(plan("none"), ::testing::Not(HasSubstr("KV cache")));
}

TEST_F(KvCacheCommandTest, AConversionCanOnlyCast) {
  const std::string source = Source("tiny-llama").string();
  const CommandResult refused =
      RunVernier({"convert", source, Output().string(), "--kv-cache", "fp8"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("--kv-cache fp8_cast"));
  for (const std::string dialect : {"modelopt", "compressed-tensors"}) {
    fs::remove_all(Output());
    fs::remove_all(RunDir());
    const CommandResult cast = RunVernier({"convert", source, Output().string(), "--kv-cache",
                                           "fp8_cast", "--dialect", dialect, "--validate"});
    EXPECT_EQ(cast.exit_code, 0) << cast.errors << cast.output;
    EXPECT_THAT(cast.output, HasSubstr("fp8_cast: all scales 1"));
    EXPECT_EQ(Config()["kv_cache_scheme"]["num_bits"], 8);
  }
  EXPECT_EQ(Number("model.layers.0.self_attn.k_scale"), 1.0f);
}

}  // namespace
}  // namespace vernier::testing
