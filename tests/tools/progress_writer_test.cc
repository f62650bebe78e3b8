#include "tools/progress_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace vernier::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ProgressWriterTest : public ::testing::Test {
 protected:
  ~ProgressWriterTest() override { std::fclose(stream_); }

  std::string Written() {
    std::string text(static_cast<size_t>(std::ftell(stream_)), '\0');
    std::rewind(stream_);
    EXPECT_EQ(std::fread(text.data(), 1, text.size(), stream_), text.size());
    return text;
  }

  std::FILE* stream_ = std::tmpfile();
};

TEST_F(ProgressWriterTest, JsonLinesAreObjectsWithFractionAndEta) {
  ProgressWriter writer(ProgressStyle::kJson, stream_);
  Progress progress(writer, {{"calibrate", 1.0}});
  progress.BeginPhase("calibrate", 4, 1);
  progress.Advance(1, "layer 2/4");
  progress.Advance(1, "layer 2/4");  // no news
  progress.EndPhase();
  std::istringstream lines(Written());
  std::vector<nlohmann::json> events;
  for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].at("event"), "begin");
  EXPECT_DOUBLE_EQ(events[0].at("fraction"), 0.25);
  EXPECT_EQ(events[1].at("event"), "progress");
  EXPECT_EQ(events[1].at("detail"), "layer 2/4");
  EXPECT_EQ(events[2].at("event"), "end");
  EXPECT_DOUBLE_EQ(events[2].at("fraction"), 1.0);
  EXPECT_DOUBLE_EQ(events[2].at("job_eta_seconds"), 0.0);
}

TEST_F(ProgressWriterTest, WarningsAreLinesInEveryStyle) {
  for (const ProgressStyle style : {ProgressStyle::kNone, ProgressStyle::kPlain}) {
    ProgressWriter(style, stream_).Warn("vLLM does not load it");
  }
  ProgressWriter(ProgressStyle::kJson, stream_).Warn("nor that");
  EXPECT_EQ(Written(),
            "vernier: warning: vLLM does not load it\nvernier: warning: vLLM does not load it\n"
            "{\"event\":\"warning\",\"detail\":\"nor that\"}\n");
}

TEST_F(ProgressWriterTest, OffATerminalLinesArePlain) {
  ProgressWriter writer(ProgressStyle::kAuto, stream_);
  Progress progress(writer, {{"export", 1.0}});
  progress.BeginPhase("export", 1);
  progress.EndPhase();
  const std::string text = Written();
  EXPECT_THAT(text, HasSubstr("[1/1] export 100%"));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
}

TEST_F(ProgressWriterTest, ABarIsErasedWhenItsPhaseEnds) {
  ProgressWriter writer(ProgressStyle::kBar, stream_);
  Progress progress(writer, {{"export", 1.0}});
  progress.BeginPhase("export", 1);
  progress.EndPhase();
  EXPECT_TRUE(Written().ends_with("\r\x1b[K"));
}

TEST_F(ProgressWriterTest, NoneIsSilent) {
  ProgressWriter writer(ProgressStyle::kNone, stream_);
  Progress progress(writer, {{"export", 1.0}});
  progress.BeginPhase("export", 1);
  progress.EndPhase();
  EXPECT_THAT(Written(), IsEmpty());
}

}  // namespace
}  // namespace vernier::tools
