#include "base/error.h"

#include <gtest/gtest.h>

namespace vernier {
namespace {

TEST(ErrorTest, MessageIsOneLineWithCodeSubjectProblemAndRemedy) {
  const Error error(ErrorCode::kTruncated, "a.safetensors", "it ends at byte 7", "Fetch it again");
  EXPECT_STREQ(error.what(), "VN-CKPT-003: a.safetensors: it ends at byte 7. Fetch it again.");
  EXPECT_EQ(error.code(), ErrorCode::kTruncated);
}

// Names come from files.
TEST(ErrorTest, WhateverANameHoldsTheMessageStaysOneLine) {
  const Error error(ErrorCode::kWrongDtype, "a\nb\r\x1b[2J\x7f", "is \xc3\xa9", "Rename it");
  EXPECT_STREQ(error.what(), "VN-CKPT-006: a\\nb\\x0d\\x1b[2J\\x7f: is \xc3\xa9. Rename it.");
}

}  // namespace
}  // namespace vernier
