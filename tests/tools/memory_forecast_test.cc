// The memory that `vernier plan` forecasts for a calibration is the memory that it takes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/json.h"
#include "quantizers/float_formats.h"
#include "tests/support/command.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

using checkpoint::DType;

// How far the forecast may be off, one way and the other.
constexpr double kMostAboveForecast = 1.2;
constexpr double kMostBelowForecast = 1.3;

// The example's tokenizer knows no higher ids.
constexpr int64_t kTokenizerVocab = 4096;

struct LlamaShape {
  int64_t hidden, heads, key_value_heads, mlp, layers, vocab;
};

// A weight [rows, columns] that keeps the size of what it is applied to; a norm's, of one row,
// is 1.
TestTensor Bf16Weight(const std::string& name, int64_t rows, int64_t columns) {
  std::mt19937 random(static_cast<uint32_t>(rows + columns));
  std::normal_distribution<float> normal(0.0f, 1.0f / std::sqrt(static_cast<float>(columns)));
  std::vector<uint16_t> row(static_cast<size_t>(columns + 1), quantizers::FloatToBf16(1));
  if (rows > 1) {
    for (uint16_t& value : row) value = quantizers::FloatToBf16(normal(random));
  }
  std::vector<uint16_t> values(static_cast<size_t>(rows * columns));
  // Rows that differ, of values that repeat: large weights are made fast.
  for (size_t i = 0; i < values.size(); ++i) values[i] = row[i % row.size()];
  std::vector<int64_t> shape = {rows, columns};
  if (rows == 1) shape = {columns};
  return MakeTensor(name, DType::kBF16, shape, values);
}

void WriteLlama(const std::filesystem::path& directory, const LlamaShape& shape) {
  const int64_t d = shape.hidden, keys = d / shape.heads * shape.key_value_heads;
  const Json config = {{"architectures", {"LlamaForCausalLM"}},
                       {"model_type", "llama"},
                       {"hidden_act", "silu"},
                       {"hidden_size", d},
                       {"intermediate_size", shape.mlp},
                       {"num_hidden_layers", shape.layers},
                       {"num_attention_heads", shape.heads},
                       {"num_key_value_heads", shape.key_value_heads},
                       {"vocab_size", shape.vocab},
                       {"tie_word_embeddings", false}};
  std::vector<TestTensor> tensors = {Bf16Weight("model.embed_tokens.weight", shape.vocab, d),
                                     Bf16Weight("model.norm.weight", 1, d),
                                     Bf16Weight("lm_head.weight", shape.vocab, d)};
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const auto add = [&](const std::string& name, int64_t rows, int64_t columns) {
      tensors.push_back(Bf16Weight("model.layers." + std::to_string(layer) + "." + name + ".weight",
                                   rows, columns));
    };
    add("input_layernorm", 1, d);
    add("post_attention_layernorm", 1, d);
    add("self_attn.q_proj", d, d);
    add("self_attn.k_proj", keys, d);
    add("self_attn.v_proj", keys, d);
    add("self_attn.o_proj", d, d);
    add("mlp.gate_proj", shape.mlp, d);
    add("mlp.up_proj", shape.mlp, d);
    add("mlp.down_proj", d, shape.mlp);
  }
  WriteCheckpoint(directory, config, tensors, /*shards=*/1);
}

// Plans and calibrates a model that a test has written to Source(), and compares.
class MemoryForecastTest : public ::testing::Test {
 protected:
  std::filesystem::path Source() const { return dir_.path() / "source"; }

  Json Recipe(int64_t samples, int64_t sequence_length, const std::vector<std::string>& roles) {
    AddTokenizer(Source());
    Json recipe = SyntheticRecipe(dir_.path(), Source(), kTokenizerVocab, samples, sequence_length);
    recipe["quantize"] = {{{"role", roles}, {"format", "nvfp4"}}};
    return recipe;
  }

  // The plan's object "calibration", for more to be asked of it.
  Json Compare(const Json& recipe, std::vector<std::string> flags) {
    const std::string file = WriteRecipe(dir_.path(), recipe);
    flags.insert(flags.begin(), {file, "--threads", "2"});
    const auto run = [&](const std::string& command, const std::vector<std::string>& more) {
      std::vector<std::string> arguments = {command};
      arguments.insert(arguments.end(), flags.begin(), flags.end());
      arguments.insert(arguments.end(), more.begin(), more.end());
      CommandResult result = RunVernier(arguments);
      EXPECT_EQ(result.exit_code, 0) << result.errors;
      return result;
    };
    const Json plan = ParseJson(run("plan", {"--json"}).output, "plan");
    const double forecast = plan["calibration"]["host_peak_bytes"].get<double>();
    const auto measured = static_cast<double>(run("calibrate", {}).peak_bytes);
    RecordProperty("forecast", std::to_string(forecast));
    RecordProperty("measured", std::to_string(measured));
    EXPECT_LE(measured, kMostAboveForecast * forecast);
    EXPECT_LE(forecast, kMostBelowForecast * measured);
    return plan["calibration"];
  }

  TempDir dir_;
};

// A wide MLP sets the peak. Of the vocabulary, 256 MiB, only rows are read.
TEST_F(MemoryForecastTest, DenseModelWithALargeVocabulary) {
  WriteLlama(Source(), {.hidden = 1024,
                        .heads = 16,
                        .key_value_heads = 4,
                        .mlp = 4096,
                        .layers = 2,
                        .vocab = 65536});
  const Json plan = Compare(Recipe(/*samples=*/8, 512, {"attention", "dense_mlp"}), {});
  EXPECT_GT(plan["batch_bytes"], uint64_t{150} << 20);
}

// Two groups of experts, the one that computes and the one that is read, set it.
TEST_F(MemoryForecastTest, ExpertsInSeveralGroups) {
  WriteSyntheticDeepseekV4(Source(), {.layers = 2,
                                      .experts = 48,
                                      .hidden = 1024,
                                      .moe_width = 1024,
                                      .vocab = kTokenizerVocab,
                                      .mtp_layers = 0});
  const Json plan =
      Compare(Recipe(/*samples=*/4, 256, {"routed_expert"}), {"--device-memory", "300MiB"});
  EXPECT_GE(plan["expert_groups"], 2);
  EXPECT_GT(2 * plan["experts_per_group"].get<uint64_t>() * plan["expert_bytes"].get<uint64_t>(),
            uint64_t{150} << 20);
}

// Scores of long sequences in F32 set it, while hidden states are in files.
TEST_F(MemoryForecastTest, LongSequencesInFiles) {
  WriteLlama(Source(), {.hidden = 512,
                        .heads = 8,
                        .key_value_heads = 2,
                        .mlp = 2048,
                        .layers = 2,
                        .vocab = kTokenizerVocab});
  Json recipe = Recipe(/*samples=*/8, 2048, {"attention", "dense_mlp"});
  recipe["calibration"]["dtype"] = "float32";
  const Json plan = Compare(recipe, {"--batch-size", "4", "--host-memory", "8MiB"});
  EXPECT_TRUE(plan["spill_hidden"]);
  EXPECT_GT(plan["batch_bytes"], uint64_t{200} << 20);
}

}  // namespace
}  // namespace vernier::testing
