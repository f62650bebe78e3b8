#include "calib/pinned_ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "base/aligned_buffer.h"

namespace vernier::calib {
namespace {

constexpr uint64_t kPage = kIoAlignment;

TEST(PinnedRingTest, GivesWhatItHasAndNoMore) {
  PinnedRing ring(4 * kPage, at::kCPU);
  EXPECT_EQ(ring.Reserve(3 * kPage - 1), 0u);
  EXPECT_FALSE(ring.Reserve(2 * kPage).has_value());
  EXPECT_EQ(ring.Reserve(1), 3 * kPage);
  EXPECT_FALSE(ring.Reserve(1).has_value()) << "it is full";
  ring.ReleaseOldest();
  EXPECT_EQ(ring.Reserve(2 * kPage), 0u) << "from the beginning again";
  EXPECT_EQ(ring.Reserve(kPage), 2 * kPage);
  EXPECT_FALSE(ring.Reserve(1).has_value());
}

TEST(PinnedRingTest, StretchesThatAreInUseNeverMeet) {
  PinnedRing ring(16 * kPage, at::kCPU);
  struct Used {
    uint64_t begin, bytes;
    int mark;
  };
  std::deque<Used> used;
  std::mt19937 random(7);
  for (int i = 0; i < 2000; ++i) {
    const uint64_t bytes = 1 + random() % (5 * kPage);
    if (const auto begin = ring.Reserve(bytes)) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(ring.Address(*begin)) % kPage, 0u);
      used.push_back({*begin, bytes, i % 200});
      ring.Bytes(*begin, bytes).fill_(i % 200);
      continue;
    }
    ASSERT_FALSE(used.empty()) << "an empty ring holds any stretch";
    const Used& oldest = used.front();
    EXPECT_TRUE(ring.Bytes(oldest.begin, oldest.bytes).eq(oldest.mark).all().item<bool>());
    used.pop_front();
    ring.ReleaseOldest();
  }
}

}  // namespace
}  // namespace vernier::calib
