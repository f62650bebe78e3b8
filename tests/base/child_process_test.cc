#include "base/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace vernier {
namespace {

using std::chrono::seconds;
using ::testing::Optional;

TEST(ChildProcess, AnswersLineByLine) {
  auto child = ChildProcess::Start({.arguments = {"cat"}});
  ASSERT_TRUE(child);
  for (const std::string& line : {std::string("one"), std::string(), std::string("h\xC3\xA9")}) {
    ASSERT_TRUE(child->WriteLine(line));
    EXPECT_THAT(child->ReadLine(), Optional(line));
  }
  EXPECT_EQ(child->Wait(), 0);
}

TEST(ChildProcess, LinesMayBeLong) {
  auto child = ChildProcess::Start(
      {.arguments = {"sh", "-c", "read -r line; printf '%s\\n' \"$line\" \"${#line}\""}});
  ASSERT_TRUE(child);
  const std::string line(300'000, 'x');
  ASSERT_TRUE(child->WriteLine(line));
  EXPECT_THAT(child->ReadLine(), Optional(line));
  EXPECT_THAT(child->ReadLine(), Optional(std::string("300000")));
  EXPECT_EQ(child->ReadLine(), std::nullopt);
}

TEST(ChildProcess, ArgumentsAreNoShellText) {
  auto child = ChildProcess::Start({.arguments = {"echo", "$HOME; 'a' *"}});
  ASSERT_TRUE(child);
  EXPECT_THAT(child->ReadLine(), Optional(std::string("$HOME; 'a' *")));
}

TEST(ChildProcess, TellsHowItEnded) {
  auto failed = ChildProcess::Start({.arguments = {"sh", "-c", "echo why >&2; echo >&2; exit 3"}});
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->Wait(), 3);
  EXPECT_EQ(failed->LastComplaint(), "why");
  auto killed = ChildProcess::Start({.arguments = {"sh", "-c", "kill -9 $$"}});
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->Wait(), 128 + 9);
  EXPECT_EQ(killed->LastComplaint(), "");
}

TEST(ChildProcess, AnUnknownProgramIsNone) {
  EXPECT_FALSE(ChildProcess::Start({.arguments = {"/nonexistent/program"}}));
  EXPECT_FALSE(ChildProcess::Start({.arguments = {"no-such-program-anywhere"}}));
}

TEST(ChildProcess, WritingToOneThatEndedFails) {
  auto child = ChildProcess::Start({.arguments = {"true"}});
  ASSERT_TRUE(child);
  EXPECT_EQ(child->ReadLine(), std::nullopt);  // it ended
  EXPECT_FALSE(child->WriteLine("anything"));
}

TEST(ChildProcess, PatienceEnds) {
  const auto begin = std::chrono::steady_clock::now();
  {
    auto child = ChildProcess::Start({.arguments = {"sleep", "100"}, .patience = seconds(1)});
    ASSERT_TRUE(child);
    EXPECT_EQ(child->ReadLine(), std::nullopt);
    EXPECT_EQ(child->Wait(), 128 + 9);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(60));
}

}  // namespace
}  // namespace vernier
