#include "base/error.h"

#include <gtest/gtest.h>

namespace vernier {
namespace {

TEST(ErrorTest, MessageIsOneLineWithCodeSubjectProblemAndRemedy) {
  const Error error(ErrorCode::kTruncated, "a.safetensors", "it ends at byte 7", "Fetch it again");
  EXPECT_STREQ(error.what(), "VN-CKPT-003: a.safetensors: it ends at byte 7. Fetch it again.");
  EXPECT_EQ(error.code(), ErrorCode::kTruncated);
}

}  // namespace
}  // namespace vernier
