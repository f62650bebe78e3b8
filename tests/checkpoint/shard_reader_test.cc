#include "checkpoint/shard_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/file.h"
#include "tests/checkpoint/test_layout.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint {
namespace {

constexpr size_t kValues = 3'000'000;  // 6 MB: more than one direct read

class ShardReaderTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    std::vector<uint16_t> values(kValues);
    for (size_t i = 0; i < kValues; ++i) values[i] = static_cast<uint16_t>(i * 2654435761u >> 7);
    opened_.emplace(testing::OpenTensors(
        dir_.path(), {testing::MakeTensor("x.weight", DType::kBF16, {3, kValues / 3}, values)}));
    path_ = opened_->checkpoint.ShardPaths().front();
    content_ = ReadWholeFile(path_);
  }

  // Leaves only what is read from now on in the page cache.
  void DropFromPageCache() const {
    const File file = File::OpenForWrite(path_, /*truncate=*/false);
    file.Sync();
    ASSERT_EQ(posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED), 0);
  }

  std::string Read(ShardReader& reader, uint64_t begin, uint64_t end) const {
    const AlignedBuffer memory(ShardReader::Room(begin, end));
    reader.Read(0, begin, end, memory.data());
    const auto* first = reinterpret_cast<const char*>(memory.data() + ShardReader::Skip(begin));
    return {first, end - begin};
  }

  testing::TempDir dir_;
  std::optional<testing::OpenedTensors> opened_;
  std::filesystem::path path_;
  std::string content_;
};

TEST_P(ShardReaderTest, ReadsAnyRangeFromDiskAndFromThePageCache) {
  ShardReader reader(opened_->checkpoint, {.direct = GetParam()});
  const uint64_t size = content_.size();
  for (const auto& [begin, end] : {std::pair<uint64_t, uint64_t>{0, size},
                                   {1, size},
                                   {4095, 4097},
                                   {4096, 8192},
                                   {size - 1, size},
                                   {1'234'567, 5'678'901}}) {
    DropFromPageCache();
    EXPECT_TRUE(Read(reader, begin, end) == content_.substr(begin, end - begin));
  }
  // A part of it is in the page cache.
  DropFromPageCache();
  ReadWholeFile(path_);
  EXPECT_TRUE(Read(reader, 5, size) == content_.substr(5));
}

TEST_P(ShardReaderTest, AFileThatEndsTooEarlyIsAnError) {
  ShardReader reader(opened_->checkpoint, {.direct = GetParam()});
  std::filesystem::resize_file(path_, 5'000'000);
  EXPECT_VERNIER_ERROR(Read(reader, 4'999'000, 5'500'000), ErrorCode::kFileRead, "too early");
}

INSTANTIATE_TEST_SUITE_P(Ways, ShardReaderTest, ::testing::Bool(),
                         [](const auto& direct) { return direct.param ? "direct" : "buffered"; });

}  // namespace
}  // namespace vernier::checkpoint
