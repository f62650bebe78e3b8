// Sources of which the commands make nothing: one line with a code, no output, the source as it
// was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "tests/support/command.h"
#include "tests/support/small_llama.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

using checkpoint::DType;
using ::testing::AllOf;
using ::testing::HasSubstr;

using Arguments = std::vector<std::string>;

Json Rule(const char* role, const char* format) { return {{"role", role}, {"format", format}}; }

class RefusedSourceTest : public ::testing::Test {
 protected:
  fs::path Source() const { return dir_.path() / "source"; }
  fs::path Output() const { return dir_.path() / "out"; }

  void WriteSource(const Json& config, const std::vector<TestTensor>& tensors, int shards = 1) {
    WriteCheckpoint(Source(), config, tensors, shards);
  }

  // The path of a recipe for weights alone, which needs no libtorch.
  std::string Recipe(const Json& rules) const {
    const Json recipe = {{"version", 1},
                         {"source", Source().string()},
                         {"output", Output().string()},
                         {"activations", "none"},
                         {"quantize", rules}};
    const fs::path path = dir_.path() / "recipe.json";
    WriteFileAtomically(path, recipe.dump());
    return path.string();
  }

  Arguments Convert(const Arguments& options = {}) const {
    Arguments arguments = {"convert", Source().string(), Output().string()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return arguments;
  }
  Arguments Dequantize() const { return {"dequantize", Source().string(), Output().string()}; }

  // Every command that makes something of the source; `rules` are those of the recipe.
  std::vector<Arguments> Commands(const Json& rules) const {
    const std::string recipe = Recipe(rules);
    return {{"plan", recipe}, {"run", recipe}, Convert(), Convert({"--recipe", recipe})};
  }

  // Expects that the command fails with one line, leaves nothing behind and the source as it was.
  void ExpectRefusal(const Arguments& arguments, const std::string& code,
                     const std::vector<std::string>& parts) {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    const std::map<std::string, std::string> before = HashTree(Source());
    ExpectOneLine(RunVernier(arguments), code, parts);
    EXPECT_FALSE(fs::exists(Output()));
    EXPECT_FALSE(fs::exists(Output().string() + ".run"));
    EXPECT_EQ(HashTree(Source()), before);
  }

  TempDir dir_;
};

TEST_F(RefusedSourceTest, NothingIsQuantisedSoNothingIsDequantised) {
  WriteSource(SmallLlamaConfig(), SmallLlamaTensors());
  const std::vector<std::string> parts = {Source().string(), "none of its weights is quantised"};
  ExpectRefusal(Dequantize(), "VN-CKPT-014", parts);
  ExpectRefusal(Convert({"--weights", "bf16"}), "VN-CKPT-014", parts);
}

TEST_F(RefusedSourceTest, ConvertNamesTheLinearLayersThatItDoesNotKnow) {
  WriteSource({{"model_type", "future"}},
              {RandomBf16("blob.a.weight", {32, 32}), RandomBf16("blob.b.weight", {32, 32})});
  ExpectRefusal(Convert(), "VN-CKPT-014", {Source().string(), "blob.a, blob.b", "--recipe"});
}

TEST_F(RefusedSourceTest, RulesThatKeepEveryWeightMakeACopy) {
  WriteSource(SmallLlamaConfig(), SmallLlamaTensors());
  for (const Json& rules : {Json::array(), Json::array({Rule("attention", "keep")})}) {
    const std::string recipe = Recipe(rules);
    for (const Arguments& arguments :
         std::vector<Arguments>{{"plan", recipe}, {"run", recipe}, Convert({"--recipe", recipe})}) {
      ExpectRefusal(arguments, "VN-CKPT-014", {Source().string(), "would be a copy"});
    }
  }
}

TEST_F(RefusedSourceTest, RulesThatMatchNothing) {
  WriteSource(SmallLlamaConfig(), SmallLlamaTensors());
  for (const Json& rule : {Rule("routed_expert", "nvfp4"), Rule("attention", "bf16")}) {
    const std::string recipe = Recipe(Json::array({rule}));
    for (const Arguments& arguments :
         std::vector<Arguments>{{"plan", recipe}, {"run", recipe}, Convert({"--recipe", recipe})}) {
      ExpectRefusal(arguments, "VN-RECIPE-002", {"/quantize/0"});
    }
  }
}

// A format that is not read: all tensors of a linear layer in it.
struct Foreign {
  std::string name;    // for people
  std::string format;  // for programs
  Json quantization;
  StoreLinear store;
};

void PrintTo(const Foreign& foreign, std::ostream* out) { *out << foreign.name; }

std::vector<TestTensor> GptqLinear(const std::string& module, int64_t rows, int64_t columns) {
  return {Zeros(module + ".qweight", DType::kI32, {columns / 8, rows}),
          Zeros(module + ".qzeros", DType::kI32, {columns / 32, rows / 8}),
          Zeros(module + ".scales", DType::kF16, {columns / 32, rows}),
          Zeros(module + ".g_idx", DType::kI32, {columns})};
}

std::vector<TestTensor> AwqLinear(const std::string& module, int64_t rows, int64_t columns) {
  return {Zeros(module + ".qweight", DType::kI32, {columns, rows / 8}),
          Zeros(module + ".qzeros", DType::kI32, {columns / 32, rows / 8}),
          Zeros(module + ".scales", DType::kF16, {columns / 32, rows})};
}

std::vector<TestTensor> BitsAndBytesLinear(const std::string& module, int64_t rows,
                                           int64_t columns) {
  const std::string weight = module + ".weight";
  return {Zeros(weight, DType::kU8, {rows * columns / 2, 1}),
          Zeros(weight + ".absmax", DType::kF32, {rows * columns / 64}),
          Zeros(weight + ".quant_map", DType::kF32, {16}),
          Zeros(weight + ".quant_state.bitsandbytes__nf4", DType::kU8, {80})};
}

std::vector<TestTensor> Int8Linear(const std::string& module, int64_t rows, int64_t columns) {
  return {Zeros(module + ".weight", DType::kI8, {rows, columns}),
          Zeros(module + ".weight_scale", DType::kBF16, {rows, 1})};
}

Json Int8Quantization() {
  const Json weights = {{"num_bits", 8}, {"type", "int"}, {"strategy", "channel"}};
  const Json inputs = {{"num_bits", 8}, {"type", "int"}, {"strategy", "token"}, {"dynamic", true}};
  const Json group = {{"targets", {"Linear"}}, {"weights", weights}, {"input_activations", inputs}};
  return {{"quant_method", "compressed-tensors"},
          {"format", "int-quantized"},
          {"ignore", {"lm_head"}},
          {"config_groups", {{"group_0", group}}}};
}

std::vector<Foreign> ForeignFormats() {
  return {{"GPTQ", "gptq", {{"quant_method", "gptq"}}, GptqLinear},
          {"AWQ", "awq", {{"quant_method", "awq"}}, AwqLinear},
          {"bitsandbytes", "bitsandbytes", {{"quant_method", "bitsandbytes"}}, BitsAndBytesLinear},
          {"INT8", "int8", Int8Quantization(), Int8Linear}};
}

class ForeignSourceTest : public RefusedSourceTest, public ::testing::WithParamInterface<Foreign> {
 protected:
  ForeignSourceTest() {
    WriteSource(SmallLlamaConfig(GetParam().quantization), SmallLlamaTensors(GetParam().store));
  }
};

TEST_P(ForeignSourceTest, IsRefusedByName) {
  std::vector<Arguments> commands = Commands(Json::array({Rule("attention", "nvfp4")}));
  commands.push_back(Dequantize());
  const auto method = GetParam().quantization["quant_method"].get<std::string>();
  for (const Arguments& arguments : commands) {
    ExpectRefusal(arguments, "VN-CKPT-013",
                  {"model.layers.0.", "is " + GetParam().name, "(quant_method " + method + ")",
                   "which Vernier does not read"});
  }
}

TEST_P(ForeignSourceTest, InspectShowsItAndSaysThatItIsNotRead) {
  const CommandResult text = RunVernier({"inspect", Source().string()});
  EXPECT_EQ(text.exit_code, 0) << text.errors;
  EXPECT_THAT(text.output, AllOf(HasSubstr(GetParam().format), HasSubstr("VN-CKPT-013"),
                                 HasSubstr("is " + GetParam().name)));
  const CommandResult json = RunVernier({"inspect", Source().string(), "--json"});
  const Json report = Json::parse(json.output);
  const bool listed = std::ranges::any_of(report["formats"], [](const Json& format) {
    return format["format"] == GetParam().format && format["weights"] == 7;
  });
  EXPECT_TRUE(listed) << report["formats"];
  EXPECT_THAT(report["notes"].dump(), HasSubstr("VN-CKPT-013"));
}

TEST_P(ForeignSourceTest, TheAuditDoesNotJudgeIt) {
  const CommandResult result = RunVernier({"validate", Source().string()});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  EXPECT_THAT(result.output, AllOf(HasSubstr("J02"), HasSubstr("(" + GetParam().format + ")")));
}

INSTANTIATE_TEST_SUITE_P(Formats, ForeignSourceTest, ::testing::ValuesIn(ForeignFormats()),
                         [](const auto& info) { return info.param.name; });

// The first of two blocks of 128 rows ends within the second matrix of 96.
TEST_F(RefusedSourceTest, AStackWhoseScalesBelongToTwoMatrices) {
  const std::string stack = "model.layers.0.mlp.experts.gate_up_proj";
  WriteSource(
      {{"model_type", "qwen3_5_moe"},
       {"num_hidden_layers", 1},
       {"quantization_config", {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}}}},
      {RandomFp8(stack, {4, 192, 128}), Zeros(stack + "_scale_inv", DType::kF32, {4, 2, 1}),
       RandomBf16("model.layers.0.self_attn.q_proj.weight", {32, 128})});
  std::vector<Arguments> commands = Commands(Json::array({Rule("attention", "nvfp4")}));
  commands.push_back(Dequantize());
  for (const Arguments& arguments : commands) {
    ExpectRefusal(arguments, "VN-CKPT-013",
                  {stack, "is FP8 with all experts of a layer in one tensor", "quant_method fp8",
                   "blocks of scales belong to one matrix each"});
  }
}

TEST_F(RefusedSourceTest, AFolderWithAGgufFileIsToldSo) {
  WriteSource(SmallLlamaConfig(), SmallLlamaTensors());
  fs::remove(Source() / "model.safetensors");
  WriteFileAtomically(Source() / "model-Q4_K_M.gguf", "GGUF");
  const std::vector<std::string> parts = {Source().string(), "model-Q4_K_M.gguf",
                                          "GGUF weights are not read"};
  std::vector<Arguments> commands = Commands(Json::array({Rule("attention", "nvfp4")}));
  commands.push_back(Dequantize());
  commands.push_back({"inspect", Source().string()});
  for (const Arguments& arguments : commands) ExpectRefusal(arguments, "VN-CKPT-001", parts);
  const CommandResult audit = RunVernier({"validate", Source().string()});
  EXPECT_EQ(audit.exit_code, 2);
  EXPECT_THAT(audit.errors, AllOf(HasSubstr("vernier: VN-CKPT-001: "), HasSubstr(parts[2])));
}

TEST_F(RefusedSourceTest, WeightsThatTheModelNeedsAreMissing) {
  std::vector<TestTensor> tensors = SmallLlamaTensors();
  std::erase_if(tensors, [](const TestTensor& tensor) {
    return tensor.spec.name == "model.norm.weight" ||
           tensor.spec.name == "model.layers.0.mlp.up_proj.weight";
  });
  WriteSource(SmallLlamaConfig(), tensors);
  for (const Arguments& arguments : Commands(Json::array({Rule("attention", "nvfp4")}))) {
    ExpectRefusal(arguments, "VN-CKPT-010",
                  {"model.layers.0.mlp.up_proj.weight", "model.norm.weight", "a llama needs"});
  }
}

class IndexedSourceTest : public RefusedSourceTest {
 protected:
  IndexedSourceTest() { WriteSource(SmallLlamaConfig(), SmallLlamaTensors(), /*shards=*/3); }

  std::string Index() const { return (Source() / "model.safetensors.index.json").string(); }
  static std::string Shard(int number) {
    return "model-0000" + std::to_string(number) + "-of-00003.safetensors";
  }

  void ExpectRefusedByAll(const std::string& code, const std::vector<std::string>& parts) {
    std::vector<Arguments> commands = Commands(Json::array({Rule("attention", "nvfp4")}));
    commands.push_back(Dequantize());
    commands.push_back({"inspect", Source().string()});
    for (const Arguments& arguments : commands) ExpectRefusal(arguments, code, parts);
  }
};

TEST_F(IndexedSourceTest, AMissingShardIsNamedWithWhatIsThere) {
  fs::remove(Source() / Shard(2));
  ExpectRefusedByAll("VN-CKPT-004", {Index(), "names 1 of 3 shards that are not here: " + Shard(2),
                                     "the directory has " + Shard(1), "Fetch the missing shards"});
}

TEST_F(IndexedSourceTest, AnIndexOfAnotherRevisionIsToldSo) {
  for (const int shard : {1, 2, 3}) fs::remove(Source() / Shard(shard));
  WriteSafetensors(Source() / "model.safetensors", SmallLlamaTensors());
  ExpectRefusedByAll("VN-CKPT-004", {Index(), "names 3 of 3 shards that are not here",
                                     "the directory has model.safetensors", "or remove it"});
}

TEST_F(IndexedSourceTest, AnIndexThatListsWhatNoShardHolds) {
  Json index = ReadJsonFile(Index());
  index["weight_map"]["model.layers.0.extra.weight"] = Shard(3);
  WriteFileAtomically(Index(), index.dump());
  ExpectRefusedByAll("VN-CKPT-004", {Index(), "\"model.layers.0.extra.weight\"", Shard(3)});
}

}  // namespace
}  // namespace vernier::testing
