// The formats, scale methods and dialects that `vernier convert` writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/source_model.h"
#include "tests/support/command.h"
#include "tests/support/read_tensor.h"
#include "tests/support/small_llama.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/tools/convert_fixture.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

class ConvertFormatsTest : public ConvertFixture {
 protected:
  ConvertFormatsTest() { WriteLlama(); }

  // Of an audited conversion; FP8 with one scale wants one for its inputs too.
  static std::vector<std::string> Arguments(const std::string& format, const std::string& dialect) {
    std::vector<std::string> arguments = {"--weights", format, "--dialect", dialect, "--validate"};
    if (format == "fp8") arguments.insert(arguments.end(), {"--input-scale", "1"});
    return arguments;
  }
};

// Better searches make smaller errors, on weights that a search can improve.
TEST_F(ConvertFormatsTest, SearchesOrderByTheirError) {
  for (const char* method : {"max", "four_over_six", "mse"}) {
    Convert(Llama(), method, {"--method", method});
  }
  const double max = WeightError(Llama(), Place("max"));
  const double four_over_six = WeightError(Llama(), Place("four_over_six"));
  const double mse = WeightError(Llama(), Place("mse"));
  EXPECT_LT(max, 0.0095);
  EXPECT_LT(four_over_six, 0.9 * max);
  EXPECT_LT(mse, 0.8 * max);
}

// The two dialects differ in names and in the global scale's direction, not in a single nibble.
TEST_F(ConvertFormatsTest, BothDialectsHoldTheSameCodes) {
  Convert(Llama(), "modelopt", {"--method", "max"});
  Convert(Llama(), "compressed", {"--method", "max", "--dialect", "compressed-tensors"});
  const checkpoint::SourceModel left = checkpoint::OpenAnySourceModel(Place("modelopt"));
  const checkpoint::SourceModel right = checkpoint::OpenAnySourceModel(Place("compressed"));
  int compared = 0;
  for (const checkpoint::LogicalWeight& weight : left.layout.weights) {
    if (weight.format != checkpoint::formats::kNvfp4) continue;
    const checkpoint::LogicalWeight* other = right.layout.FindModule(weight.module);
    ASSERT_NE(other, nullptr) << weight.module;
    for (const auto part : {&checkpoint::LogicalWeight::main, &checkpoint::LogicalWeight::scale}) {
      std::vector<std::byte> a(left.checkpoint.tensor(weight.*part).info.Bytes());
      std::vector<std::byte> b(right.checkpoint.tensor(other->*part).info.Bytes());
      left.checkpoint.Read(weight.*part, 0, a);
      right.checkpoint.Read(other->*part, 0, b);
      EXPECT_EQ(a, b) << weight.module;
    }
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

// Every format in every dialect that has it can be written, read back, and is near the source.
TEST_F(ConvertFormatsTest, EveryFormatIsWrittenAndReadBack) {
  struct Case {
    const char* format;
    double largest_error;
  };
  for (const Case& test :
       {Case{"nvfp4", 0.02}, Case{"mxfp4", 0.04}, Case{"mxfp8", 0.002}, Case{"fp8", 0.002},
        Case{"fp8_channel", 0.002}, Case{"fp8_block", 0.002}, Case{"int4", 0.03}}) {
    for (const std::string dialect : {"modelopt", "compressed-tensors"}) {
      if (std::string(test.format) == "int4" && dialect == "modelopt") continue;
      SCOPED_TRACE(test.format + (" " + dialect));
      const std::string name = test.format + ("-" + dialect);
      Convert(Llama(), name, Arguments(test.format, dialect));
      const double error = WeightError(Llama(), Place(name));
      EXPECT_GT(error, 0);
      EXPECT_LT(error, test.largest_error);
      Dequantize(Place(name), name + "-back");
      EXPECT_LT(WeightError(Llama(), Place(name + "-back")), 1.1 * test.largest_error);
    }
  }
}

// The audit knows what it reads: outputs of a model with experts, in every format and dialect, with
// static input scales and without, and outputs made from one another.
TEST_F(ConvertFormatsTest, TheAuditAcceptsEveryFormatOfDeepseekV4) {
  WriteSource();
  Dequantize(Source(), "bf16");
  for (const std::string format :
       {"nvfp4", "mxfp4", "mxfp8", "fp8", "fp8_channel", "fp8_block", "int4"}) {
    for (const std::string dialect : {"modelopt", "compressed-tensors"}) {
      // Its routed experts, of which engines load no FP8 by rows or blocks there.
      const bool refused = format == "fp8_channel" || format == "fp8_block" || format == "int4";
      if (refused && dialect == "modelopt") continue;
      SCOPED_TRACE(format + " " + dialect);
      Convert(Place("bf16"), format + dialect, Arguments(format, dialect));
    }
  }
}

TEST_F(ConvertFormatsTest, WhatNoEngineLoadsIsRefusedBeforeItIsWritten) {
  WriteSource();
  Dequantize(Source(), "bf16");
  const auto refuse = [&](const std::string& format, const std::string& dialect,
                          const std::string& remedy) {
    const CommandResult result =
        RunVernier({"convert", Place("bf16").string(), Place("out").string(), "--weights", format,
                    "--dialect", dialect});
    ExpectFailure(result, "VN-RECIPE-003", {"no engine loads it", remedy});
    EXPECT_FALSE(fs::exists(Place("out")));
  };
  refuse("fp8_channel", "modelopt", "compressed-tensors");
  refuse("fp8_block", "modelopt", "compressed-tensors");
  refuse("fp8", "compressed-tensors", "fp8_channel");
}

// SmolLM2 has 576 columns: said before anything is written, and by the audit behind it.
TEST_F(ConvertFormatsTest, BlocksThatDivideNoSideAreWarnedAbout) {
  const LlamaShape shape = {.layers = 1, .hidden = 320, .wide = 512};
  WriteCheckpoint(Place("odd"), SmallLlamaConfig(nullptr, shape),
                  SmallLlamaTensors(PlainLinear, shape), /*shards=*/1);
  for (const std::string dialect : {"modelopt", "compressed-tensors"}) {
    const fs::path output = Place("odd-" + dialect);
    const CommandResult result =
        RunVernier({"convert", Place("odd").string(), output.string(), "--weights", "fp8_block",
                    "--dialect", dialect, "--progress", "none"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_NE(result.errors.find("vernier: warning: "), std::string::npos) << result.errors;
    EXPECT_NE(result.errors.find("fp8_channel has no blocks"), std::string::npos);
    const CommandResult audit = RunVernier({"validate", output.string(), "--engine", "vllm"});
    EXPECT_EQ(audit.exit_code, 1) << audit.output;
    EXPECT_NE(audit.output.find("V05"), std::string::npos) << audit.output;
  }
  const CommandResult quiet = RunVernier({"convert", Llama().string(), Place("even").string(),
                                          "--weights", "fp8_block", "--progress", "none"});
  EXPECT_EQ(quiet.errors.find("warning"), std::string::npos) << quiet.errors;
}

// Engines have one weight scale for a fused matrix, and round parts with others a second time.
TEST_F(ConvertFormatsTest, PartsOfAFusedMatrixShareTheirFp8Scale) {
  for (const std::string dialect : {"modelopt", "compressed-tensors"}) {
    SCOPED_TRACE(dialect);
    Convert(Llama(), dialect, Arguments("fp8", dialect));
    const checkpoint::SourceModel model = checkpoint::OpenAnySourceModel(Place(dialect));
    std::map<std::string, std::set<std::vector<std::byte>>> scales;
    std::set<std::vector<std::byte>> all;
    for (const checkpoint::LogicalWeight& weight : model.layout.weights) {
      if (weight.format != checkpoint::formats::kFp8Tensor) continue;
      std::vector<std::byte> scale(model.checkpoint.tensor(weight.scale).info.Bytes());
      model.checkpoint.Read(weight.scale, 0, scale);
      scales[weight.fused_group.empty() ? weight.module : weight.fused_group].insert(scale);
      all.insert(scale);
    }
    EXPECT_EQ(scales.size(), 2u * 4) << "qkv, o, gate and up, and down in two layers";
    for (const auto& [group, distinct] : scales) EXPECT_EQ(distinct.size(), 1u) << group;
    EXPECT_GT(all.size(), 1u);
  }
}

// What stands beside it is the manifest and the card, and no audit reads it.
TEST_F(ConvertFormatsTest, AGgufFileIsAWholeModel) {
  Convert(Llama(), "gguf", {"--weights", "q8_0", "--dialect", "gguf", "--validate"});
  EXPECT_TRUE(fs::exists(Place("gguf") / "model-00001-of-00002.gguf"));
  EXPECT_FALSE(fs::exists(Place("gguf") / "config.json"));
  EXPECT_THAT(RunVernier({"validate", Place("gguf").string()}).errors,
              ::testing::HasSubstr("is of GGUF files, and the audit judges what vLLM"));
  ExpectFailure(RunVernier({"convert", Llama().string(), Place("packs").string(), "--dialect",
                            "gguf", "--layout", "swizzle-128x4"}),
                "VN-ARG-001", {"--layout", "gguf"});
  ExpectFailure(
      RunVernier({"convert", Llama().string(), Place("int8").string(), "--weights", "q8_0"}),
      "VN-RECIPE-003", {"modelopt cannot hold q8_0"});
}

// Weights that the model needs may be packed under another name, and formats may be mixed.
TEST_F(ConvertFormatsTest, TheAuditAcceptsMixedFormats) {
  WriteSource();
  Dequantize(Source(), "bf16");
  for (const std::string dialect : {"modelopt", "compressed-tensors"}) {
    const Json recipe = {{"version", 1},
                         {"source", Place("bf16").string()},
                         {"output", Place(dialect).string()},
                         {"activations", "none"},
                         {"export", {{"dialect", dialect}}},
                         {"quantize",
                          {{{"role", "routed_expert"}, {"format", "mxfp8"}},
                           {{"role", "shared_expert"}, {"format", "nvfp4"}}}}};
    const fs::path file = Place(dialect + ".json");
    WriteFileAtomically(file, recipe.dump());
    Convert(Place("bf16"), dialect, {"--recipe", file.string(), "--validate"});
  }
}

TEST_F(ConvertFormatsTest, TheAuditAcceptsInputScalesAndOtherDialects) {
  for (const std::string dialect : {"modelopt", "compressed-tensors"}) {
    SCOPED_TRACE(dialect);
    for (const std::string format : {"nvfp4", "fp8"}) {
      Convert(Llama(), format + dialect,
              {"--weights", format, "--dialect", dialect, "--input-scale", "0.5", "--validate"});
    }
    Convert(Place("nvfp4" + dialect), "again" + dialect,
            {"--weights", "fp8_channel", "--dialect", dialect, "--validate"});
  }
}

// An input scale that the configuration announces is missed, and one it does not is not.
TEST_F(ConvertFormatsTest, TheAuditTellsFormatsApart) {
  Convert(Llama(), "nvfp4", {"--weights", "nvfp4", "--dialect", "compressed-tensors"});
  const fs::path config_path = Place("nvfp4") / "config.json";
  Json config = ReadJsonFile(config_path);
  Json& group = config["quantization_config"]["config_groups"]["group_0"];
  group["input_activations"] = group["weights"];
  WriteFileAtomically(config_path, config.dump());
  const CommandResult missing = RunVernier({"validate", Place("nvfp4").string()});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_NE(missing.output.find("V02"), std::string::npos) << missing.output;
  group["weights"]["strategy"] = "channel";
  group["weights"]["num_bits"] = 8;
  WriteFileAtomically(config_path, config.dump());
  const CommandResult other = RunVernier({"validate", Place("nvfp4").string()});
  EXPECT_NE(other.output.find("V05"), std::string::npos) << other.output;
}

// Importance moves errors to where they do not matter.
TEST_F(ConvertFormatsTest, ImportanceProtectsTheChannelsItNames) {
  const checkpoint::SourceModel source = checkpoint::OpenAnySourceModel(Llama());
  const std::string module = "model.layers.1.mlp.up_proj";
  const checkpoint::LogicalWeight& weight = *source.layout.FindModule(module);
  std::vector<float> importance(static_cast<size_t>(weight.columns()), 0.01f);
  for (size_t i = 0; i < importance.size(); i += 16) importance[i] = 1.0f;
  const fs::path file = Place("importance.safetensors");
  WriteSafetensors(file,
                   {MakeTensor(module, checkpoint::DType::kF32, {weight.columns()}, importance)});
  Convert(Llama(), "plain", {"--method", "mse"});
  Convert(Llama(), "weighted", {"--method", "mse", "--importance", file.string()});

  const std::vector<float> wanted = ReadWeight(source.checkpoint, weight);
  const auto weighted_error = [&](const std::string& name) {
    const checkpoint::SourceModel model = checkpoint::OpenAnySourceModel(Place(name));
    const std::vector<float> got = ReadWeight(model.checkpoint, *model.layout.FindModule(module));
    double error = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      error += importance[i % importance.size()] * (got[i] - wanted[i]) * (got[i] - wanted[i]);
    }
    return error;
  };
  EXPECT_LT(weighted_error("weighted"), weighted_error("plain"));
}

}  // namespace
}  // namespace vernier::testing
