#include "run/source_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "checkpoint/tensor_digests.h"
#include "run/sqlite.h"
#include "tests/support/expect_error.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

namespace fs = std::filesystem;

using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::vernier::testing::MakeTensor;
using ::vernier::testing::TempDir;

class SourceLedgerTest : public ::testing::Test {
 protected:
  SourceLedgerTest() { WriteSource(4); }

  fs::path Directory() const { return directory_.path() / "source"; }
  fs::path Run() const { return directory_.path() / "run"; }
  fs::path File() const { return Directory() / "model.safetensors"; }

  void WriteSource(int64_t elements) const {
    const std::vector<uint8_t> values(static_cast<size_t>(elements), 7);
    ::vernier::testing::WriteCheckpoint(
        Directory(), Json::object(),
        {MakeTensor("a", checkpoint::DType::kU8, {elements}, values),
         MakeTensor("b", checkpoint::DType::kU8, {elements}, values)},
        1);
  }
  checkpoint::Checkpoint Source() const { return checkpoint::Checkpoint::Open(Directory()); }

  // Gives the file another modification time, and its last byte another value if asked.
  void Touch(bool change) const {
    const fs::file_time_type before = fs::last_write_time(File());
    const std::byte other{0x5A};
    if (change) {
      vernier::File::OpenForWrite(File(), /*truncate=*/false)
          .WriteAt(fs::file_size(File()) - 1, std::span(&other, 1));
    }
    fs::last_write_time(File(), before + std::chrono::seconds(5));
  }

 private:
  TempDir directory_;
};

TEST_F(SourceLedgerTest, AFileOfAnotherSizeIsRefusedWithBothSizes) {
  const Store store = Store::Open(Run());
  RequireSourceFiles(store, Source());
  RequireSourceFiles(store, Source());
  const uint64_t before = fs::file_size(File());
  WriteSource(8);
  EXPECT_VERNIER_ERROR(RequireSourceFiles(store, Source()), ErrorCode::kSourceChanged,
                       "model.safetensors: has " + std::to_string(fs::file_size(File())) +
                           " bytes, and had " + std::to_string(before) + " when the run began");
}

TEST_F(SourceLedgerTest, DigestsOutliveTheProcessOnceCommitted) {
  const checkpoint::Checkpoint source = Source();
  Store store = Store::Open(Run());
  SourceLedger first(store, source);
  first.OnDigest(source.Find("a"), "aaaa");
  first.OnDigest(source.Find("a"), "aaaa");
  first.Commit();
  first.Commit();
  first.OnDigest(source.Find("b"), "lost");

  SourceLedger second(store, source);
  second.OnDigest(source.Find("a"), "aaaa");
  second.OnDigest(source.Find("b"), "bbbb");
  EXPECT_VERNIER_ERROR(second.OnDigest(source.Find("a"), "cccc"), ErrorCode::kSourceChanged,
                       "model.safetensors: a has other bytes");
  second.Commit();
  EXPECT_EQ(store.database().QueryInteger("SELECT count(*) FROM source_tensor"), 2);
}

TEST_F(SourceLedgerTest, ATouchedFileIsReadAndKept) {
  Store store = Store::Open(Run());
  RequireSourceFiles(store, Source());
  {
    const checkpoint::Checkpoint source = Source();
    SourceLedger ledger(store, source);
    checkpoint::TensorDigests(source, &ledger).AddWhole(source.Find("b"));
    ledger.Commit();
  }
  Touch(/*change=*/false);
  {
    const checkpoint::Checkpoint source = Source();
    SourceLedger(store, source).RequireUnchanged(0);
  }
  Touch(/*change=*/true);
  const checkpoint::Checkpoint source = Source();
  SourceLedger ledger(store, source);
  EXPECT_VERNIER_ERROR(ledger.RequireUnchanged(0), ErrorCode::kSourceChanged, "b has other bytes");
  EXPECT_VERNIER_ERROR(ledger.RequireUnchanged(0), ErrorCode::kSourceChanged, "b has other bytes");
}

TEST_F(SourceLedgerTest, WhatWasNeverReadMayChange) {
  Store store = Store::Open(Run());
  RequireSourceFiles(store, Source());
  {
    const checkpoint::Checkpoint source = Source();
    SourceLedger ledger(store, source);
    checkpoint::TensorDigests(source, &ledger).AddWhole(source.Find("a"));
    ledger.Commit();
  }
  Touch(/*change=*/true);  // of b
  const checkpoint::Checkpoint source = Source();
  SourceLedger(store, source).RequireUnchanged(0);
}

TEST_F(SourceLedgerTest, TheReportOfMostElementsIsKept) {
  const checkpoint::Checkpoint source = Source();
  Store store = Store::Open(Run());
  SourceLedger first(store, source);
  EXPECT_THAT(first.Clamped(), IsEmpty());
  first.OnClamped({.tensor = 1, .count = 3, .first = 0, .value = "NaN"});
  first.OnClamped({.tensor = 1, .count = 1, .first = 2, .value = "inf"});
  first.Commit();
  first.OnClamped({.tensor = 1, .count = 3, .first = 0, .value = "NaN"});
  first.Commit();

  const std::vector<checkpoint::ClampedElements> stored = SourceLedger(store, source).Clamped();
  ASSERT_THAT(stored, SizeIs(1));
  EXPECT_EQ(stored[0].tensor, 1u);
  EXPECT_EQ(stored[0].count, 3);
  EXPECT_EQ(stored[0].first, 0);
  EXPECT_EQ(stored[0].value, "NaN");
  EXPECT_EQ(store.database().QueryText("SELECT detail FROM event WHERE kind = 'clamped'"),
            "b: 3 elements, the first is element 0: NaN");
  EXPECT_EQ(store.database().QueryInteger("SELECT count(*) FROM event"), 1);
}

}  // namespace
}  // namespace vernier::run
