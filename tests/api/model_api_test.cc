// Jobs that run a model, for which libvernier loads libtorch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "vernier/vernier.h"

namespace {

const std::string kModel = VERNIER_SOURCE_DIR "/examples/mini-deepseek-v4";

TEST(ModelApi, GeneratesAndReportsProgress) {
  int events = 0;
  const std::string text = vernier::RunJob(
      "generate", R"({"checkpoint": ")" + kModel + R"(", "prompts": ["a"], "tokens": 1})",
      [&](const vernier::Progress& progress) {
        EXPECT_STREQ(progress.phase, "generate");
        ++events;
        return true;
      });
  EXPECT_GT(events, 2);
  EXPECT_EQ(nlohmann::json::parse(text).at("texts").at(0).at("ids").size(), 1u);
}

TEST(ModelApi, ErrorsAndStoppingCrossBothLibraries) {
  const std::string spec = R"({"checkpoint": ")" + kModel + R"(", "prompts": ["a"], "tokens": 4})";
  EXPECT_THROW(vernier::RunJob("generate", spec, [](const vernier::Progress&) { return false; }),
               vernier::Stopped);
  try {
    vernier::Eval({.checkpoint = kModel});
    FAIL() << "evaluated without data";
  } catch (const vernier::Error& error) {
    EXPECT_EQ(error.code(), "VN-ARG-001");
    EXPECT_THAT(error.problem(), ::testing::HasSubstr("no text"));
  }
}

}  // namespace
