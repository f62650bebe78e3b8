// ReadAhead and DirectOutput, over every way of input and output.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/direct_output.h"
#include "base/error.h"
#include "base/file.h"
#include "base/read_ahead.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

struct Way {
  const char* name;
  IoBackend backend;
  bool direct;
};

class StreamingIoTest : public ::testing::TestWithParam<Way> {
 protected:
  // Small requests, so that every range takes several.
  IoOptions Options() const {
    return {.backend = GetParam().backend,
            .direct = GetParam().direct,
            .depth = 4,
            .request_bytes = 2 * kIoAlignment};
  }

  fs::path WriteRandomFile(const std::string& name, uint64_t size) {
    const fs::path path = directory_.path() / name;
    std::string content(size, '\0');
    std::mt19937 random(static_cast<uint32_t>(size));
    for (char& c : content) c = static_cast<char>(random());
    WriteFileAtomically(path, content);
    return path;
  }

  testing::TempDir directory_;
};

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::function<std::optional<ReadAhead::Job>()> Jobs(std::vector<ReadAhead::Job> jobs) {
  return [jobs = std::move(jobs), next = size_t{0}]() mutable -> std::optional<ReadAhead::Job> {
    if (next == jobs.size()) return std::nullopt;
    return jobs[next++];
  };
}

TEST_P(StreamingIoTest, ReadsRangesOfManyFilesInTheOrderAskedFor) {
  const std::vector<fs::path> files = {WriteRandomFile("a", 100'003), WriteRandomFile("b", 5)};
  const std::vector<std::string> content = {ReadWholeFile(files[0]), ReadWholeFile(files[1])};
  const std::vector<ReadAhead::Job> jobs = {{{0, 99'000, 100'003}, {1, 0, 5}},
                                            {{0, 0, 100'003}},
                                            {{1, 2, 2}, {1, 4, 5}},
                                            {},
                                            {{0, 4095, 4097}, {0, 8192, 12'288}}};
  ReadAhead reader(files, Jobs(jobs), /*window_bytes=*/1, BufferPool::Make(1 << 20), Options());
  for (const ReadAhead::Job& job : jobs) {
    const auto blocks = reader.Next();
    ASSERT_TRUE(blocks.has_value());
    ASSERT_EQ(blocks->size(), job.size());
    for (size_t i = 0; i < job.size(); ++i) {
      EXPECT_EQ(Text((*blocks)[i].bytes()),
                content[job[i].file].substr(job[i].begin, job[i].end - job[i].begin));
    }
  }
  EXPECT_FALSE(reader.Next().has_value());
  EXPECT_FALSE(reader.Next().has_value());
}

TEST_P(StreamingIoTest, AFileThatBecameShorterIsNoticed) {
  const fs::path path = WriteRandomFile("a", 60'000);
  for (const uint64_t left : {uint64_t{0}, 2 * kIoAlignment, uint64_t{59'999}}) {
    SCOPED_TRACE(left);
    fs::resize_file(path, left);
    ReadAhead reader({path}, Jobs({{{0, 0, 60'000}}}), 1 << 20, BufferPool::Make(0), Options());
    EXPECT_VERNIER_ERROR(reader.Next(), ErrorCode::kFileRead, "too early");
  }
}

TEST_P(StreamingIoTest, AMissingFileIsNamed) {
  const fs::path path = directory_.path() / "absent";
  ReadAhead reader({path}, Jobs({{{0, 0, 1}}}), 1 << 20, BufferPool::Make(0), Options());
  EXPECT_VERNIER_ERROR(reader.Next(), ErrorCode::kFileOpen, "absent");
}

TEST_P(StreamingIoTest, AReaderMayBeDroppedWhileItReads) {
  const fs::path path = WriteRandomFile("a", 1 << 20);
  ReadAhead reader({path}, Jobs({{{0, 0, 4096}}, {{0, 4096, 1 << 20}}}), 1 << 20,
                   BufferPool::Make(0), Options());
  EXPECT_TRUE(reader.Next().has_value());
}

// Pieces of every size and alignment, written in random order, make the file.
TEST_P(StreamingIoTest, WritesPiecesOfAnyOrderAndAlignment) {
  for (const uint64_t size : {uint64_t{1}, kIoAlignment, uint64_t{150'001}}) {
    SCOPED_TRACE(size);
    const fs::path expected = WriteRandomFile("expected", size);
    const std::string content = ReadWholeFile(expected);
    std::mt19937 random(1);
    std::vector<std::pair<uint64_t, uint64_t>> pieces;
    for (uint64_t begin = 0; begin < size;) {
      const uint64_t longest = random() % 4 == 0 ? 40'000 : 300;
      const uint64_t end = std::min(size, begin + random() % longest);
      pieces.emplace_back(begin, end);
      begin = end;
    }
    std::shuffle(pieces.begin(), pieces.end(), random);

    const fs::path path = directory_.path() / "written";
    DirectOutput output(path, size, Options());
    for (const auto& [begin, end] : pieces) {
      output.Write(begin, std::as_bytes(std::span(content).subspan(begin, end - begin)));
    }
    output.Finish();
    EXPECT_EQ(ReadWholeFile(path), content);
  }
}

TEST_P(StreamingIoTest, AnEmptyFileIsWritten) {
  const fs::path path = directory_.path() / "empty";
  WriteFileAtomically(path, "something longer before");
  DirectOutput output(path, 0, Options());
  output.Finish();
  EXPECT_EQ(fs::file_size(path), 0u);
}

INSTANTIATE_TEST_SUITE_P(Ways, StreamingIoTest,
                         ::testing::Values(Way{"UringDirect", IoBackend::kUring, true},
                                           Way{"UringBuffered", IoBackend::kUring, false},
                                           Way{"ThreadsDirect", IoBackend::kThreads, true},
                                           Way{"ThreadsBuffered", IoBackend::kThreads, false}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(IoOptionsTest, TheEnvironmentChoosesAWay) {
  ::setenv("VERNIER_IO", "threads,buffered", 1);
  const IoOptions options = IoOptionsFromEnvironment();
  EXPECT_EQ(options.backend, IoBackend::kThreads);
  EXPECT_FALSE(options.direct);
  ::setenv("VERNIER_IO", "telepathy", 1);
  EXPECT_VERNIER_ERROR(IoOptionsFromEnvironment(), ErrorCode::kBadArgument, "telepathy");
  ::unsetenv("VERNIER_IO");
  EXPECT_TRUE(IoOptionsFromEnvironment().direct);
}

TEST(BufferPoolTest, GivesMemoryAgainAndKeepsNoMoreThanAllowed) {
  const auto pool = BufferPool::Make(/*keep_bytes=*/1 << 20);
  const std::byte* first = nullptr;
  {
    const PooledBuffer buffer = pool->Take(500'000);
    first = buffer.data();
    EXPECT_EQ(buffer.size(), 500'000u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % kIoAlignment, 0u);
  }
  const PooledBuffer again = pool->Take(499'000);
  EXPECT_EQ(again.data(), first);
  EXPECT_EQ(again.size(), 499'000u);
  { const PooledBuffer large = pool->Take(2 << 20); }
  EXPECT_EQ(pool->Take(0).size(), 0u);
}

}  // namespace
}  // namespace vernier
