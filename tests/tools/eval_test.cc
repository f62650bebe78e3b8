// `vernier eval` as a user runs it: what a lossless and a coarse conversion cost, and errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <span>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/support/source_tree.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kReference = kSourceTree / "tests/data/models/mini-deepseek-v4-reference";

constexpr std::string_view kText =
    "The following options are supported by the command. When a package is installed, the "
    "administrator may change its configuration files, and later versions must respect what was "
    "changed. See the manual page for a list of all environment variables that are read.\n";

class EvalTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new TempDir();
    Make({"convert", kExample, Path("lossless"), "--input-scale", "0.01"});
    Make({"dequantize", kExample, Path("bf16")});
    Make({"convert", Path("bf16"), Path("coarse"), "--method", "max"});
    WriteFileAtomically(Path("text.txt"), kText);
    WriteFileAtomically(Path("rows.jsonl"),
                        "{\"text\": \"To install the package, type:\"}\n"
                        "{\"text\": \"This manual page documents the format of the file.\"}\n");
  }
  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }

  static fs::path Path(const std::string& name) { return dir_->path() / name; }

  static void Make(const std::vector<std::string>& arguments) {
    const CommandResult result = RunVernier(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }

  static CommandResult Run(std::vector<std::string> options) {
    options.insert(options.begin(), "eval");
    options.insert(options.end(), {"--progress", "none"});
    return RunVernier(options);
  }

  static Json RunJson(std::vector<std::string> options) {
    options.push_back("--json");
    const CommandResult result = Run(options);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return ParseJson(result.output, "eval");
  }

  static inline TempDir* dir_ = nullptr;
};

double MeanKl(const Json& variant) {
  return variant.at("total").at("divergence").at("mean_kl").at("value");
}

TEST_F(EvalTest, ALosslessConversionIsExactAndItsActivationsAreNot) {
  const Json result =
      RunJson({Path("lossless"), "--reference", kExample, "--data", Path("text.txt"), "--data",
               Path("rows.jsonl"), "--window", "32", "--stride", "16"});
  const Json& variants = result.at("variants");
  ASSERT_EQ(variants.size(), 3u);
  EXPECT_EQ(variants[0].at("variant"), "reference");
  EXPECT_TRUE(variants[0].at("total").at("divergence").is_null());
  EXPECT_EQ(variants[1].at("variant"), "weights");
  EXPECT_EQ(MeanKl(variants[1]), 0.0);
  const Json& exact = variants[1].at("total").at("divergence");
  EXPECT_EQ(exact.at("max_kl"), 0.0);
  EXPECT_EQ(exact.at("same_top").at("value"), 1.0);
  EXPECT_EQ(exact.at("perplexity_ratio").at("value"), 1.0);
  EXPECT_EQ(exact.at("rms_delta_p"), 0.0);
  EXPECT_EQ(variants[2].at("variant"), "weights+activations");
  EXPECT_GT(MeanKl(variants[2]), 0.0);
  const Json& quantised = variants[2].at("total").at("divergence");
  EXPECT_LE(quantised.at("median_kl"), quantised.at("kl_99"));
  EXPECT_LE(quantised.at("kl_99"), quantised.at("kl_99.9"));
  EXPECT_LE(quantised.at("kl_99.9"), quantised.at("max_kl"));
}

TEST_F(EvalTest, TheProtocolIsNamedInFull) {
  const Json result = RunJson({Path("bf16"), "--data", Path("text.txt"), "--data",
                               Path("rows.jsonl"), "--window", "32", "--stride", "16", "--windows",
                               "3", "--dtype", "float32", "--out", Path("out.json")});
  EXPECT_EQ(result, ReadJsonFile(Path("out.json")));
  const Json& protocol = result.at("protocol");
  EXPECT_EQ(protocol.at("window"), 32);
  EXPECT_EQ(protocol.at("stride"), 16);
  EXPECT_EQ(protocol.at("window_bos"), true);
  EXPECT_EQ(protocol.at("document_bos"), true);
  EXPECT_EQ(protocol.at("document_eos"), false);
  EXPECT_EQ(protocol.at("dtype"), "float32");
  EXPECT_EQ(protocol.at("tokenizer").get<std::string>().size(), 32u);
  const Json& sources = result.at("sources");
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].at("text_xxh3_128"), HashHex(kText));
  EXPECT_EQ(sources[0].at("windows"), 3);
  EXPECT_EQ(sources[1].at("documents"), 2);
  // An unquantised checkpoint is one row, whose parts add up.
  ASSERT_EQ(result.at("variants").size(), 1u);
  const Json& rows = result.at("variants")[0].at("sources");
  int64_t scored = 0;
  double nll = 0;
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(rows[i].at("source"), sources[i].at("name"));
    EXPECT_EQ(rows[i].at("scored"), sources[i].at("scored"));
    scored += rows[i].at("scored").get<int64_t>();
    nll += rows[i].at("scored").get<double>() * rows[i].at("mean_nll").at("value").get<double>();
  }
  const Json& total = result.at("variants")[0].at("total");
  EXPECT_EQ(total.at("scored"), scored);
  EXPECT_NEAR(total.at("mean_nll").at("value"), nll / static_cast<double>(scored), 1e-9);
  EXPECT_NEAR(total.at("perplexity").at("value"), std::exp(nll / static_cast<double>(scored)),
              1e-6);
  ASSERT_EQ(result.at("activations").size(), 1u);
  EXPECT_EQ(result.at("activations")[0].at("format"), "none");
}

void SetNumber(const fs::path& checkpoint, const std::string& tensor, float value) {
  Overwrite(checkpoint, tensor, 0, std::as_bytes(std::span(&value, 1)));
}

// What vLLM and FlashInfer do where the experts of a layer have scales of their own.
TEST_F(EvalTest, ExpertsHaveTheLargestInputScaleOfTheirLayerOrTheirOwn) {
  const auto evaluate = [&](const fs::path& checkpoint, const std::string& scale) {
    return RunJson({checkpoint, "--reference", Path("bf16"), "--data", Path("rows.jsonl"),
                    "--window", "32", "--dtype", "float32", "--variants", "weights+activations",
                    "--expert-input-scale", scale});
  };
  const fs::path equal = Path("lossless"), uneven = Path("uneven");
  EXPECT_EQ(evaluate(equal, "largest").at("raised_scales"), 0);
  EXPECT_EQ(MeanKl(evaluate(equal, "largest").at("variants")[1]),
            MeanKl(evaluate(equal, "own").at("variants")[1]));
  fs::copy(equal, uneven);
  SetNumber(uneven, "layers.1.ffn.experts.3.w2.input_scale", 1.0f);
  const Json largest = evaluate(uneven, "largest"), own = evaluate(uneven, "own");
  EXPECT_EQ(largest.at("expert_input_scale"), "largest");
  EXPECT_EQ(largest.at("raised_scales"), 15) << "of 16 experts";
  EXPECT_EQ(own.at("raised_scales"), 0);
  EXPECT_NE(MeanKl(largest.at("variants")[1]), MeanKl(own.at("variants")[1]));
}

// A part of a fused matrix with a scale of its own, as other toolkits write.
TEST_F(EvalTest, Fp8WithSeveralScalesIsRoundedAgain) {
  Make({"convert", Path("bf16"), Path("fp8"), "--weights", "fp8", "--input-scale", "0.01"});
  const auto evaluate = [&] {
    return RunJson(
        {Path("fp8"), "--data", Path("rows.jsonl"), "--window", "32", "--variants", "weights"});
  };
  EXPECT_EQ(evaluate().at("requantised_weights"), 0) << "what Vernier writes has one scale";
  SetNumber(Path("fp8"), "layers.1.ffn.experts.3.w1.weight_scale", 0.125f);
  EXPECT_EQ(evaluate().at("requantised_weights"), 2) << "w1 and w3";
  const CommandResult text =
      Run({Path("fp8"), "--data", Path("rows.jsonl"), "--window", "32", "--variants", "weights"});
  EXPECT_THAT(text.output, HasSubstr("FP8: 2 parts of fused matrices are rounded again"));
}

TEST_F(EvalTest, AParquetFileIsItsRows) {
  const fs::path data = kSourceTree / "tests/data/parquet";
  const auto evaluate = [&](const char* name) {
    return Run({Path("bf16"), "--data", data / name, "--window", "32", "--json"});
  };
  const CommandResult parquet = evaluate("conversations.parquet");
  if (parquet.errors.find("VN-RUN-002") != std::string::npos) {
    GTEST_SKIP() << "DuckDB's program is not installed (tools/install_duckdb.sh)";
  }
  ASSERT_EQ(parquet.exit_code, 0) << parquet.errors;
  const CommandResult lines = evaluate("conversations.jsonl");
  ASSERT_EQ(lines.exit_code, 0) << lines.errors;
  const auto total = [](const CommandResult& result) {
    return ParseJson(result.output, "eval").at("variants")[0].at("total");
  };
  EXPECT_EQ(total(parquet), total(lines));
}

TEST_F(EvalTest, CoarseWeightsCostSomethingAndTheTableSaysWhat) {
  const CommandResult result = Run({Path("coarse"), "--reference", Path("bf16"), "--data",
                                    Path("text.txt"), "--out", Path("coarse.json")});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output,
              AllOf(HasSubstr("one every 511 tokens of text"), HasSubstr("each beginning with BOS"),
                    HasSubstr("mean KLD"), HasSubstr("same top p"), HasSubstr("PPL / reference"),
                    HasSubstr("Inputs of linear layers: ")));
  const Json json = ReadJsonFile(Path("coarse.json"));
  ASSERT_EQ(json.at("variants").size(), 2u) << "no activations are quantised";
  EXPECT_GT(MeanKl(json.at("variants")[1]), 1e-5);
  EXPECT_LT(MeanKl(json.at("variants")[1]), 0.1);
}

// The released experts' MXFP4 activations are not emulated.
TEST_F(EvalTest, WhatIsNotEmulatedIsSaid) {
  const CommandResult result = Run({kExample, "--data", Path("text.txt"), "--variants", "weights"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, AllOf(HasSubstr("Not emulated: the activations of 288 linear layers"),
                                   HasSubstr(".ffn.experts.")));
}

// transformers' logits of one sequence.
TEST_F(EvalTest, PerplexityIsThatOfTheReferenceLogits) {
  const auto logits =
      ReadFileTensor(kReference / "reference_logits.safetensors", "f32.logits").As<float>();
  const auto ids =
      ReadFileTensor(kReference / "reference_hidden.safetensors", "input_ids").As<int64_t>();
  ASSERT_FALSE(ids.empty());
  const size_t vocab = logits.size() / ids.size();
  double total = 0;
  for (size_t t = 0; t + 1 < ids.size(); ++t) {
    const float* row = &logits[t * vocab];
    double sum = 0;
    for (size_t i = 0; i < vocab; ++i) sum += std::exp(static_cast<double>(row[i]));
    total += std::log(sum) - row[ids[t + 1]];
  }
  const Json result = RunJson({kExample, "--input-ids", kReference / "reference_hidden.safetensors",
                               "--dtype", "float32", "--variants", "weights"});
  EXPECT_EQ(result.at("protocol").at("data"), "input_ids");
  EXPECT_TRUE(result.at("protocol").at("tokenizer").is_null());
  const Json& row = result.at("variants")[0].at("total");
  EXPECT_EQ(row.at("scored"), ids.size() - 1);
  EXPECT_NEAR(row.at("mean_nll").at("value"), total / static_cast<double>(ids.size() - 1), 1e-4);
}

TEST_F(EvalTest, ErrorsAreOneLine) {
  const std::string text = Path("text.txt");
  ExpectOneLine(Run({kExample}), "VN-ARG-001", {"no text"});
  ExpectOneLine(Run({kExample, "--data", text, "--input-ids", text}), "VN-ARG-001", {"two kinds"});
  ExpectOneLine(Run({Path("bf16"), "--data", text, "--variants", "weights+activations"}),
                "VN-ARG-001", {"no quantised activations"});
  ExpectOneLine(Run({kExample, "--data", text, "--stride", "600"}), "VN-ARG-001", {"1..511"});
  ExpectOneLine(Run({kExample, "--data", Path("none.txt")}), "VN-FILE-001", {"none.txt"});
  ExpectOneLine(Run({Path("none"), "--data", text}), "VN-CKPT-001", {"none"});
  ExpectOneLine(Run({kExample, "--data", text, "--device-memory", "1KiB"}), "VN-RECIPE-004",
                {"device_memory"});
  ExpectOneLine(Run({kExample, "--data", text, "--host-memory", "much"}), "VN-ARG-001", {"much"});
  WriteFileAtomically(Path("empty.txt"), "");
  ExpectOneLine(Run({kExample, "--data", text, "--data", Path("empty.txt")}), "VN-DATA-003",
                {"empty.txt"});
  WriteSyntheticDeepseekV4(Path("other"), {.layers = 6, .vocab = 256});
  ExpectOneLine(Run({kExample, "--reference", Path("other"), "--data", text}), "VN-ARG-001",
                {"its vocabulary is 4096, not 256"});
  ExpectOneLine(Run({Path("other"), "--data", text}), "VN-DATA-001", {"tokenizer.json"});
  ExpectOneLine(Run({Path("other"), "--tokenizer", kExample, "--data", text}), "VN-CALIB-004",
                {"vocabulary of 256"});
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--variants", "activations"},
        std::vector<std::string>{"--bos", "perhaps"},
        std::vector<std::string>{"--input-ids", "x", "--window", "64"}}) {
    std::vector<std::string> arguments = {kExample, "--data", text};
    arguments.insert(arguments.end(), options.begin(), options.end());
    ExpectOneLine(Run(arguments), "VN-ARG-001", {options[0]});
  }
}

// Models of 4 and of 16 layers, whose scores would take over a GiB at once.
TEST_F(EvalTest, MemoryGrowsNeitherWithTheModelNorWithTheLogits) {
  constexpr int64_t kVocab = 1 << 16, kTokens = 512;
  std::vector<int32_t> ids(kTokens);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i * 37 % kVocab);
  WriteSafetensors(Path("ids.safetensors"),
                   {MakeTensor("input_ids", checkpoint::DType::kI32, {1, kTokens}, ids)});
  const auto peak = [](int64_t layers) {
    const std::string name = "deep-" + std::to_string(layers);
    WriteSyntheticDeepseekV4(Path(name), {.layers = layers,
                                          .experts = 8,
                                          .hidden = 256,
                                          .moe_width = 512,
                                          .vocab = kVocab,
                                          .shards = 4});
    const CommandResult result =
        Run({Path(name), "--reference", Path(name), "--input-ids", Path("ids.safetensors"),
             "--device-memory", "256MiB", "--variants", "weights"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    fs::remove_all(Path(name));
    return result.peak_bytes;
  };
  const uint64_t small = peak(4), large = peak(16);
  EXPECT_LT(static_cast<double>(large), 1.10 * static_cast<double>(small))
      << small << " bytes with 4 layers, " << large << " with 16";
#ifndef __SANITIZE_ADDRESS__  // which needs more memory than the evaluation
  EXPECT_LT(large, uint64_t{800} << 20);
#endif
}

}  // namespace
}  // namespace vernier::testing
