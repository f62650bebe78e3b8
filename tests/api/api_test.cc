// libvernier as a program outside sees it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "vernier/vernier.h"

namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::vernier::testing::TempDir;
using Json = nlohmann::ordered_json;

const std::string kModel = VERNIER_SOURCE_DIR "/examples/mini-deepseek-v4";

vernier::ConvertSpec ConvertInto(const TempDir& directory) {
  vernier::ConvertSpec spec;
  spec.source = kModel;
  spec.output = (directory.path() / "out").string();
  spec.input_scale = 1.0;  // its FP8 weights stay, beside which engines need input scales
  return spec;
}

// The error of a job that must fail.
vernier::Error FailureOf(const std::string& job, const std::string& specification) {
  try {
    vernier::RunJob(job, specification);
  } catch (const vernier::Error& error) {
    return error;
  }
  ADD_FAILURE() << job << " " << specification << " did not fail";
  return vernier::Error("{}");
}

TEST(Api, InspectGivesFieldsAndTheirJson) {
  const vernier::InspectSummary summary = vernier::Inspect({kModel});
  EXPECT_EQ(summary.model_type, "deepseek_v4");
  EXPECT_GT(summary.layers, 0);
  EXPECT_THAT(summary.missing, IsEmpty());
  const Json json = Json::parse(summary.json);
  EXPECT_EQ(json.at("layers"), summary.layers);
  EXPECT_EQ(json.at("totals").at("bytes"), summary.bytes);
}

TEST(Api, ConvertReportsProgressAndWritesWhatTheAuditFindsClean) {
  const TempDir directory;
  vernier::ConvertSpec spec = ConvertInto(directory);
  spec.validate = true;
  std::vector<std::string> phases;
  double last = 0;
  const vernier::PipelineSummary summary =
      vernier::Convert(spec, [&](const vernier::Progress& progress) {
        if (progress.event == VERNIER_PHASE_BEGINS) phases.emplace_back(progress.phase);
        last = progress.fraction;
        EXPECT_LE(progress.number, progress.phases);
        return true;
      });
  EXPECT_THAT(phases, ::testing::ElementsAre("export", "validate"));
  EXPECT_DOUBLE_EQ(last, 1.0);
  EXPECT_TRUE(summary.clean);
  EXPECT_GT(summary.converted_tensors, 0);
  EXPECT_TRUE(fs::exists(fs::path(summary.output) / "vernier_manifest.json"));
  EXPECT_EQ(Json::parse(summary.json).at("run_dir"), summary.run_dir);

  const vernier::ValidateSummary audit =
      vernier::Validate({.checkpoint = summary.output, .source = kModel});
  EXPECT_TRUE(audit.clean);
  EXPECT_EQ(audit.errors, 0);
}

TEST(Api, AStoppedJobGoesOnWhereItStopped) {
  const TempDir directory;
  const vernier::ConvertSpec spec = ConvertInto(directory);
  const auto stop = [](const vernier::Progress&) { return false; };
  EXPECT_THROW(vernier::Convert(spec, stop), vernier::Stopped);
  EXPECT_FALSE(fs::exists(fs::path(spec.output) / "vernier_manifest.json"));
  EXPECT_THAT(::vernier::testing::RunVernier({"status", spec.output + ".run"}).output,
              HasSubstr("the same job of the program that began it"));
  EXPECT_TRUE(vernier::Convert(spec).clean);
  EXPECT_TRUE(fs::exists(fs::path(spec.output) / "vernier_manifest.json"));
}

TEST(Api, WhatTheProgressFunctionThrowsComesOut) {
  const TempDir directory;
  const auto fail = [](const vernier::Progress&) -> bool { throw std::range_error("mine"); };
  EXPECT_THROW(vernier::Convert(ConvertInto(directory), fail), std::range_error);
}

TEST(Api, ErrorsHaveACodeAndTheirParts) {
  const vernier::Error error = FailureOf("inspect", R"({"checkpoint": "/nowhere"})");
  EXPECT_EQ(error.code(), "VN-CKPT-001");
  EXPECT_THAT(error.meaning(), HasSubstr("no safetensors checkpoint"));
  EXPECT_THAT(error.subject(), HasSubstr("/nowhere"));
  EXPECT_THAT(std::vector({error.problem(), error.remedy()}), Each(Not(IsEmpty())));
  EXPECT_THAT(error.what(), AllOf(HasSubstr(error.code()), HasSubstr(error.problem()),
                                  HasSubstr(error.remedy())));
}

TEST(Api, RecipesThatFitAndTheDefaultOfASource) {
  const Json fitting =
      Json::parse(vernier::RunJob("recipes", R"({"checkpoint": ")" + kModel + R"("})"));
  EXPECT_EQ(fitting.at("default").get<std::string>(), "deepseek-v4-nvfp4-experts");
  const Json plan = Json::parse(
      vernier::RunJob("plan", R"({"source": ")" + kModel + R"(", "output": "/nowhere"})"));
  EXPECT_EQ(plan.at("recipe").get<std::string>(), "deepseek-v4-nvfp4-experts");
  EXPECT_THAT(FailureOf("run", R"({"output": "/nowhere"})").what(), HasSubstr("a source"));
}

TEST(Api, SpecificationsAreChecked) {
  EXPECT_THAT(FailureOf("inspect", R"({"checkpoint": "a", "chekpoint": 1})").what(),
              HasSubstr("unknown field \"chekpoint\""));
  EXPECT_THAT(FailureOf("inspect", "{}").what(), HasSubstr("lacks the field \"checkpoint\""));
  EXPECT_THAT(FailureOf("inspect", R"({"checkpoint": 5})").what(), HasSubstr("5 and not a string"));
  EXPECT_THAT(FailureOf("inspect", "[]").what(), HasSubstr("not a JSON object"));
  EXPECT_THAT(FailureOf("inspect", "{").code(), "VN-FILE-005");
  EXPECT_THAT(FailureOf("inspekt", "{}").remedy(), HasSubstr("inspect, recipes, plan, convert"));
  const std::string places = R"({"source": "a", "output": "b", )";
  EXPECT_THAT(FailureOf("convert", places + R"("weights": "nvfp5"})").remedy(), HasSubstr("nvfp4"));
  const vernier::Error threads =
      FailureOf("convert", R"({"source": ")" + kModel + R"(", "output": "b", "threads": 1.5})");
  EXPECT_EQ(threads.code(), "VN-ARG-001");
  EXPECT_EQ(threads.subject(), "\"threads\" of convert");
  EXPECT_THAT(FailureOf("validate", R"({"checkpoint": "a", "full": 1})").what(),
              HasSubstr("1 and not true or false"));
  EXPECT_THAT(FailureOf("convert", places + R"("layouts": "a"})").what(),
              HasSubstr("list of strings"));
  EXPECT_THAT(FailureOf("convert", places + R"("recipe": "c", "weights": "nvfp4"})").what(),
              HasSubstr("beside a recipe"));
  EXPECT_THAT(FailureOf("validate", R"({"checkpoint": "a", "tensor_parallel": 3})").what(),
              HasSubstr("1, 2, 4 or 8"));
  EXPECT_THAT(FailureOf("run", R"({"recipe": {"version": 1, "sauce": "a"}})").code(),
              "VN-RECIPE-001");
}

TEST(Api, CTakesNullForWhatIsNotWanted) {
  EXPECT_EQ(vernier_run_job(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr), VERNIER_FAILED);
  char* error = nullptr;
  EXPECT_EQ(vernier_run_job("inspect", nullptr, nullptr, nullptr, nullptr, &error), VERNIER_FAILED);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(Json::parse(error).at("code"), "VN-FILE-005");
  vernier_free(error);
  vernier_free(nullptr);
}

TEST(Api, CReadsTensorsIntoTheCallersMemory) {
  vernier_tensors* tensors = nullptr;
  char* text = nullptr;
  ASSERT_EQ(vernier_open_weights(kModel.c_str(), &tensors, &text, nullptr), VERNIER_OK);
  const Json list = Json::parse(text);
  vernier_free(text);
  const auto found = std::ranges::find(list, "layers.0.ffn_norm.weight", [](const Json& row) {
    return row.at("name").get<std::string>();
  });
  ASSERT_NE(found, list.end());
  const auto rows = found->at("shape").at(0).get<int64_t>();
  std::vector<double> memory(static_cast<size_t>(rows));  // twice of what F32 takes
  const size_t bytes = static_cast<size_t>(rows) * sizeof(float);
  const char* name = "layers.0.ffn_norm.weight";
  EXPECT_EQ(vernier_read_tensor(tensors, name, 0, rows, memory.data(), bytes, nullptr), VERNIER_OK);
  EXPECT_NE(memory.front(), 0);
  EXPECT_EQ(memory.back(), 0);  // nothing behind the values

  for (const auto& [place, first, size] :
       {std::tuple{memory.data(), int64_t{0}, bytes - 1}, {memory.data(), int64_t{1}, bytes}}) {
    char* error = nullptr;
    EXPECT_EQ(vernier_read_tensor(tensors, name, first, rows, place, size, &error), VERNIER_FAILED);
    EXPECT_EQ(Json::parse(error).at("code"), "VN-ARG-001");
    vernier_free(error);
  }
  char* error = nullptr;
  char* unaligned = reinterpret_cast<char*>(memory.data()) + 1;
  EXPECT_EQ(vernier_read_tensor(tensors, name, 0, rows, unaligned, bytes, &error), VERNIER_FAILED);
  EXPECT_THAT(error, HasSubstr("eight bytes"));
  vernier_free(error);
  vernier_close_tensors(tensors);
  vernier_close_tensors(nullptr);
}

TEST(Api, CTellsWhyThereAreNoTensors) {
  vernier_tensors* tensors = nullptr;
  char *list = nullptr, *error = nullptr;
  EXPECT_EQ(vernier_open_statistics("/nowhere", &tensors, &list, &error), VERNIER_FAILED);
  EXPECT_EQ(tensors, nullptr);
  EXPECT_EQ(list, nullptr);
  EXPECT_THAT(error, HasSubstr("/nowhere"));
  vernier_free(error);
}

TEST(Api, SaysWhichVernierItIs) {
  const Json build = Json::parse(vernier::Build());
  EXPECT_EQ(build.at("version"), vernier::Version());
  EXPECT_THAT(build.at("simd_targets"), Not(IsEmpty()));
  EXPECT_THAT(build.at("simd_targets"), ::testing::Contains(build.at("simd_target")));
}

}  // namespace
