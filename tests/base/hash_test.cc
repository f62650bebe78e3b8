#include "base/hash.h"

#include <gtest/gtest.h>

namespace vernier {
namespace {

TEST(HashTest, EmptyInputHasThePublishedXxh3Value) {
  // XXH3_128bits of nothing with seed 0, from the xxHash test vectors.
  EXPECT_EQ(HashHex(""), "99aa06d3014798d86001c324468d497f");
}

TEST(HashTest, PiecesEqualTheWhole) {
  Hasher pieces;
  pieces.Update("calib");
  pieces.Update("ration");
  EXPECT_EQ(pieces.Hex(), HashHex("calibration"));
  EXPECT_NE(pieces.Hex(), HashHex("calibratioN"));
}

}  // namespace
}  // namespace vernier
