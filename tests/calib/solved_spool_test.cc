#include "calib/solved_spool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "run/run_files.h"
#include "run/store.h"
#include "tests/run/value_files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SolvedSpoolTest : public ::testing::Test {
 protected:
  static constexpr int64_t kBatch = 1000;

  static std::byte ByteOf(const std::string& module) {
    return static_cast<std::byte>(module.back());
  }

  // Without bytes: 0.
  void Add(const std::string& module, int64_t bytes) {
    spool_.Add({.module = module, .method = "gptq", .bytes = {}}, EncodedOf(module, bytes));
  }
  static EncodedWeight EncodedOf(const std::string& module, int64_t bytes) {
    if (bytes == 0) return {};
    const at::Tensor codes = at::full({bytes - 1}, static_cast<int>(ByteOf(module)), at::kByte);
    return {codes, codes.slice(0, 0, 1)};
  }

  testing::TempDir dir_;
  SolvedSpool spool_{{.run_dir = dir_.path(), .batch_bytes = kBatch}};
};

TEST_F(SolvedSpoolTest, FewBytesStayInMemory) {
  spool_.BeginLayer(3);
  Add("a", kBatch - 1);
  EXPECT_EQ(spool_.MemoryBytes(), uint64_t{kBatch - 1});
  EXPECT_THAT(run::ValueFiles(dir_.path()), IsEmpty());
  const std::vector<run::SolvedWeight> taken = spool_.Take();
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].bytes.size(), size_t{kBatch - 1});
  EXPECT_EQ(spool_.MemoryBytes(), 0U);
  EXPECT_THAT(spool_.Take(), IsEmpty());
}

TEST_F(SolvedSpoolTest, ManyGoToFilesInTheirOrder) {
  spool_.BeginLayer(3);
  for (const char* module : {"a", "few", "b", "c", "d"}) {
    Add(module, module == std::string("few") ? 0 : 600);
    EXPECT_LE(spool_.MemoryBytes(), uint64_t{2 * kBatch + 600});
  }
  std::vector<std::string> modules;
  for (const run::SolvedWeight* weight : spool_.All()) modules.push_back(weight->module);
  EXPECT_THAT(modules, ElementsAre("a", "few", "b", "c", "d"));
  EXPECT_THAT(run::ValueFiles(dir_.path()), ElementsAre(dir_.path() / "solved-0003-0.values",
                                                        dir_.path() / "solved-0003-1.values"));
  for (const run::SolvedWeight& weight : spool_.Take()) {
    const bool few = weight.module == "few";
    EXPECT_TRUE(weight.bytes.empty()) << weight.module;
    EXPECT_EQ(weight.HasBytes(), !few);
    EXPECT_EQ(run::ReadSolvedWeight(dir_.path(), weight),
              std::vector<std::byte>(few ? 0 : 600, ByteOf(weight.module)));
  }
}

// A layer before is committed, and cleans up, while this one is solved.
TEST_F(SolvedSpoolTest, FilesStayWhileAnEarlierLayerIsCommitted) {
  const run::Store store = run::Store::Open(dir_.path());
  spool_.BeginLayer(3);
  Add("a", kBatch);
  spool_.All();
  run::RemoveStaleFiles(dir_.path(), run::NeededFiles(store), /*through=*/2);
  EXPECT_THAT(run::ValueFiles(dir_.path()), ElementsAre(dir_.path() / "solved-0003-0.values"));
  run::RemoveStaleFiles(dir_.path(), run::NeededFiles(store));
  EXPECT_THAT(run::ValueFiles(dir_.path()), IsEmpty()) << "nobody will name it after a crash";
}

TEST_F(SolvedSpoolTest, WhatGoesWrongIsSaid) {
  SolvedSpool lost({.run_dir = dir_.path() / "nowhere", .batch_bytes = kBatch});
  lost.BeginLayer(0);
  lost.Add({.module = "a", .method = "gptq", .bytes = {}}, EncodedOf("a", kBatch));
  EXPECT_VERNIER_ERROR(lost.Take(), ErrorCode::kFileOpen, "nowhere");
  EXPECT_EQ(lost.MemoryBytes(), 0U);
}

}  // namespace
}  // namespace vernier::calib
