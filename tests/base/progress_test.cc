#include "base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

namespace vernier {
namespace {

class ProgressTest : public ::testing::Test {
 protected:
  ~ProgressTest() override { std::fclose(stream_); }

  std::string Written() {
    std::string text(static_cast<size_t>(std::ftell(stream_)), '\0');
    std::rewind(stream_);
    EXPECT_EQ(std::fread(text.data(), 1, text.size(), stream_), text.size());
    return text;
  }

  std::FILE* stream_ = std::tmpfile();
};

TEST_F(ProgressTest, EtaScalesTheForecastOfLaterPhasesByWhatWasMeasured) {
  Progress progress(ProgressStyle::kNone, stream_, {{"calibrate", 1.0}, {"export", 3.0}});
  EXPECT_DOUBLE_EQ(progress.EtaSeconds(), 4.0);
  progress.BeginPhase("calibrate", 10);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  progress.Advance(5, "half");
  // Half of the phase took at least 50 ms: the rest takes as long, and the second phase, forecast
  // to be three times the first, three times the whole.
  const double eta = progress.EtaSeconds();
  EXPECT_GE(eta, 0.05 + 3 * 0.1);
  EXPECT_LT(eta, 3.0) << "the forecast was not replaced by the measurement";
}

TEST_F(ProgressTest, ResumedWorkDoesNotCountTowardsTheSpeed) {
  Progress progress(ProgressStyle::kNone, stream_, {{"export", 1.0}});
  progress.BeginPhase("export", 100, 90);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  progress.Advance(5, "");
  EXPECT_GE(progress.EtaSeconds(), 0.019);
}

TEST_F(ProgressTest, JsonLinesAreObjectsWithFractionAndEta) {
  Progress progress(ProgressStyle::kJson, stream_, {{"calibrate", 1.0}});
  progress.BeginPhase("calibrate", 4, 1);
  progress.Note("resumed");
  progress.EndPhase();
  std::istringstream lines(Written());
  std::vector<nlohmann::json> events;
  for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].at("event"), "begin");
  EXPECT_DOUBLE_EQ(events[0].at("fraction"), 0.25);
  EXPECT_EQ(events[1].at("text"), "resumed");
  EXPECT_DOUBLE_EQ(events[2].at("fraction"), 1.0);
  EXPECT_DOUBLE_EQ(events[2].at("job_eta_seconds"), 0.0);
}

TEST_F(ProgressTest, OffATerminalLinesArePlain) {
  {
    Progress progress(ProgressStyle::kAuto, stream_, {{"export", 1.0}});
    progress.BeginPhase("export", 1);
    progress.EndPhase();
  }
  const std::string text = Written();
  EXPECT_THAT(text, ::testing::HasSubstr("[1/1] export 100%"));
  EXPECT_THAT(text, ::testing::Not(::testing::HasSubstr("\r")));
}

}  // namespace
}  // namespace vernier
