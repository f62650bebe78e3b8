// The same weights and tokens through `vernier run` as through ModelOpt and llm-compressor: weights
// byte for byte where the peer computes in F32, scales of activations as close as two forward
// passes in BF16 can be. tests/data/conformance/README.md explains every difference that is allowed
// here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "quantizers/float_formats.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using checkpoint::Checkpoint;
using checkpoint::DType;

const fs::path kData = VERNIER_TEST_DATA;
const fs::path kPeers = kData / "conformance";

// Two BF16 steps: what transformers' own two attention implementations differ by.
constexpr double kForwardTolerance = 0.016;
// A BF16 rounding of the scale itself.
constexpr double kBf16Rounding = 1.0 / 256;

struct Case {
  const char* peer;   // folder
  const char* model;  // folder of tests/data/models
  std::vector<const char*> roles;
  const char* format = "nvfp4";
  bool calibrated = true;  // input scales
  const char* kv_cache = "none";
  bool all_experts = false;
};

std::string_view PeerOf(const Case& each) {
  return std::string_view(each.peer).starts_with("modelopt") ? "modelopt" : "compressed-tensors";
}

// A checkpoint of the model with a tokenizer, which a source must have.
fs::path MakeSource(const Case& each, const fs::path& place) {
  const fs::path source = place / "source";
  fs::create_directories(source);
  for (const char* file : {"config.json", "model.safetensors"}) {
    fs::copy_file(kData / "models" / each.model / file, source / file);
  }
  AddTokenizer(source);
  return source;
}

Json RecipeOf(const Case& each, const fs::path& place) {
  Json recipe = {{"version", 1},
                 {"source", MakeSource(each, place).string()},
                 {"output", (place / "out").string()},
                 {"run_dir", (place / "run").string()},
                 {"quantize", {{{"role", each.roles}, {"format", each.format}}}},
                 {"export", {{"dialect", PeerOf(each)}, {"kv_cache", each.kv_cache}}}};
  recipe["calibration"] = {{"data", {{{"path", (kPeers / "calibration_ids.jsonl").string()}}}},
                           {"samples", 8},
                           {"sequence_length", 64},
                           {"packing", "truncate"},
                           {"all_experts", each.all_experts}};
  if (!each.calibrated) recipe["activations"] = "none";
  return recipe;
}

// Writes the recipe, runs it, and opens what came out. A model whose config announces an MTP layer
// that transformers did not save fails its audit, and is whole all the same.
Checkpoint RunThrough(const Case& each, const fs::path& place) {
  const CommandResult result =
      RunVernier({"run", WriteRecipe(place, RecipeOf(each, place)), "--progress", "none"});
  if (result.exit_code != 0) {
    EXPECT_NE(result.output.find("V06"), std::string::npos) << result.errors;
  }
  return Checkpoint::Open(place / "out");
}

std::vector<uint8_t> Bytes(const Checkpoint& checkpoint, size_t tensor) {
  std::vector<uint8_t> bytes(checkpoint.tensor(tensor).info.Bytes());
  checkpoint.Read(tensor, 0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

double Scalar(const Checkpoint& checkpoint, size_t tensor) {
  const std::vector<uint8_t> bytes = Bytes(checkpoint, tensor);
  if (checkpoint.tensor(tensor).info.dtype == DType::kF32) {
    float value = 0;
    std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }
  uint16_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return quantizers::Bf16ToFloat(value);
}

bool EndsWithAny(std::string_view name, std::initializer_list<const char*> suffixes) {
  return std::ranges::any_of(suffixes, [&](const char* suffix) { return name.ends_with(suffix); });
}

bool IsActivationScale(std::string_view name) {
  return EndsWithAny(name, {".input_scale", ".input_global_scale", ".k_scale", ".v_scale"});
}
bool IsExpert(std::string_view name) { return name.find(".experts.") != std::string_view::npos; }

// Shares of values that differ, and the largest relative difference of scalars.
struct Difference {
  size_t tensors = 0;
  size_t values = 0;
  size_t different = 0;
  double largest = 0;

  double Share() const { return static_cast<double>(different) / static_cast<double>(values); }
};

class Conformance : public ::testing::Test {
 protected:
  // By kind of tensor ("weight", "weight_scale", ...), of all that the peer made.
  std::map<std::string, Difference> Compare(const Case& each) {
    const fs::path place = dir_.path() / each.peer;
    fs::create_directories(place);
    const Checkpoint ours = RunThrough(each, place), peer = Checkpoint::Open(kPeers / each.peer);
    std::map<std::string, Difference> kinds;
    for (size_t i = 0; i < peer.tensors().size(); ++i) {
      const checkpoint::TensorInfo& info = peer.tensor(i).info;
      const size_t own = ours.Find(info.name);
      if (own == Checkpoint::kNotFound) {
        ADD_FAILURE() << each.peer << " has " << info.name;
        continue;
      }
      const std::string kind = info.name.substr(info.name.rfind('.') + 1);
      if (kind == "e_score_correction_bias") continue;  // the source's own, widened to F32
      if (IsActivationScale(info.name)) {
        AddScalar(Scalar(ours, own), Scalar(peer, i),
                  kinds[IsExpert(info.name) ? "expert " + kind : kind]);
      } else {
        EXPECT_EQ(ours.tensor(own).info.shape, info.shape) << info.name;
        AddTensor(ours, own, peer, i, kinds[kind]);
      }
    }
    Print(each, kinds);
    return kinds;
  }

  static void AddScalar(double own, double peer, Difference& difference) {
    ++difference.tensors;
    ++difference.values;
    difference.different += own != peer;
    difference.largest = std::max(difference.largest, std::abs(own / peer - 1));
  }

  static void AddTensor(const Checkpoint& ours, size_t own, const Checkpoint& peer, size_t theirs,
                        Difference& difference) {
    if (peer.tensor(theirs).info.Elements() == 1) {
      return AddScalar(Scalar(ours, own), Scalar(peer, theirs), difference);
    }
    const std::vector<uint8_t> a = Bytes(ours, own), b = Bytes(peer, theirs);
    ASSERT_EQ(a.size(), b.size());
    ++difference.tensors;
    difference.values += a.size();
    for (size_t i = 0; i < a.size(); ++i) difference.different += a[i] != b[i];
  }

  static void Print(const Case& each, const std::map<std::string, Difference>& kinds) {
    for (const auto& [kind, difference] : kinds) {
      std::printf("%-40s %-26s %4zu tensors %8zu bytes or scalars %7.4f %% differ, at most %.5f\n",
                  each.peer, kind.c_str(), difference.tensors, difference.values,
                  100 * difference.Share(), difference.largest);
    }
  }

  static void ExpectEqual(const std::map<std::string, Difference>& kinds,
                          std::initializer_list<const char*> equal) {
    for (const char* kind : equal) {
      ASSERT_TRUE(kinds.contains(kind)) << kind;
      EXPECT_EQ(kinds.at(kind).different, 0u) << kind;
    }
  }

  TempDir dir_;
};

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
  const Case each = {.peer = "modelopt_qwen3_moe_nvfp4_kv_fp8",
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
  const Case each = {.peer = "modelopt_qwen3_moe_nvfp4_experts_only",
                     .model = "tiny-qwen3-moe",
                     .roles = {"routed_expert"}};
  ExpectEqual(Compare(each), {"weight", "weight_scale", "weight_scale_2"});
  const Checkpoint ours = Checkpoint::Open(dir_.path() / each.peer / "out");
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
    largest[layer_of(name)] = std::max(largest[layer_of(name)], Scalar(ours, i));
  }
  ASSERT_FALSE(largest.empty());
  for (size_t i = 0; i < peer.tensors().size(); ++i) {
    const std::string& name = peer.tensor(i).info.name;
    if (!name.ends_with(".input_scale")) continue;
    EXPECT_NEAR(largest.at(layer_of(name)) / Scalar(peer, i), 1, kForwardTolerance) << name;
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

// Peers round quotients to BF16 before they round them to E4M3; here they are rounded once.
TEST_F(Conformance, Fp8DiffersByThePeersSecondRounding) {
  for (const char* peer : {"modelopt_llama_fp8", "llmcompressor_llama_fp8"}) {
    const auto kinds = Compare({.peer = peer,
                                .model = "tiny-llama",
                                .roles = {"attention", "dense_mlp"},
                                .format = "fp8"});
    EXPECT_LE(kinds.at("weight").Share(), 0.035) << peer;
    EXPECT_GT(kinds.at("weight").different, 0u) << "else this test is out of date";
    EXPECT_EQ(kinds.at("weight_scale").different, 0u) << peer;
    EXPECT_LE(kinds.at("input_scale").largest, kForwardTolerance + kBf16Rounding) << peer;
  }
}

// llm-compressor computes NVFP4 scales in BF16, and shows every expert every token.
TEST_F(Conformance, LlmCompressorNvfp4) {
  const Case dense = {.peer = "llmcompressor_llama_nvfp4_kv_fp8_static",
                      .model = "tiny-llama",
                      .roles = {"attention", "dense_mlp"},
                      .kv_cache = "fp8"};
  const Case experts = {.peer = "llmcompressor_qwen3_moe_nvfp4_kv_fp8",
                        .model = "tiny-qwen3-moe",
                        .roles = {"attention", "dense_mlp", "routed_expert"},
                        .kv_cache = "fp8",
                        .all_experts = true};
  for (const Case& each : {dense, experts}) {
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
