#include "datasets/parquet_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "datasets/calibration_set.h"
#include "datasets/document_index.h"
#include "datasets/evaluation_set.h"
#include "tests/datasets/byte_tokenizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::datasets {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kData = fs::path(VERNIER_TEST_DATA) / "parquet";

// An environment variable as it is during a test.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value.c_str(), /*overwrite=*/1);
  }
  ~ScopedVariable() {
    if (old_) {
      setenv(name_, old_->c_str(), /*overwrite=*/1);
    } else {
      unsetenv(name_);
    }
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

std::vector<Json> ParseLines(const std::string& text) {
  std::vector<Json> rows;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    rows.push_back(ParseJson(text.substr(begin, end - begin), "a row"));
    begin = end + 1;
  }
  return rows;
}

std::vector<Json> RowsOf(const File& lines) {
  std::string text(lines.Size(), '\0');
  lines.ReadAt(0, std::as_writable_bytes(std::span(text)));
  return ParseLines(text);
}

std::vector<Json> ExpectedRows(const std::string& name) {
  return ParseLines(ReadWholeFile(kData / (name + ".jsonl")));
}

std::string MessageOf(const DataSource& source) {
  try {
    DocumentIndex::Scan(source);
  } catch (const Error& error) {
    EXPECT_EQ(CodeName(error.code()), CodeName(ErrorCode::kBadDataset)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << source.path << " was read";
  return {};
}

CalibrationSet Calibrate(DataSource source, int64_t samples = 5) {
  const CalibrationSpec spec = {.sources = {std::move(source)},
                                .samples = samples,
                                .sequence_length = 16,
                                .chat_format = ChatFormat::kPlain};
  return BuildCalibrationSet(spec, MakeByteTokenizer());
}

std::string WriteProgram(const fs::path& path, const std::string& script) {
  WriteFileAtomically(path, "#!/bin/sh\n" + script);
  chmod(path.c_str(), 0700);
  return path.string();
}

// With DuckDB, and a directory for temporary files in which nothing may stay.
class ParquetRowsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      ConvertParquetRows(kData / "text_none.parquet", "");
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNoProgram) throw;
      GTEST_SKIP() << "DuckDB's program is not installed (tools/install_duckdb.sh)";
    }
  }
  void TearDown() override { EXPECT_TRUE(fs::is_empty(scratch_.path())); }

  testing::TempDir scratch_;
  ScopedVariable tmpdir_{"TMPDIR", scratch_.path().string()};
};

TEST_F(ParquetRowsTest, EveryWritersTextIsReadAsItIs) {
  const std::vector<Json> expected = ExpectedRows("text");
  int files = 0;
  for (const auto& entry : fs::directory_iterator(kData)) {
    const std::string name = entry.path().filename().string();
    if (!GlobMatch("text_*.parquet", name)) continue;
    EXPECT_EQ(RowsOf(ConvertParquetRows(entry.path(), "")), expected) << name;
    ++files;
  }
  EXPECT_GE(files, 15);
}

TEST_F(ParquetRowsTest, NestedRowsAreReadAsTheyAre) {
  for (const std::string name : {"messages", "messages_row_groups", "messages_polars"}) {
    EXPECT_EQ(RowsOf(ConvertParquetRows(kData / (name + ".parquet"), "")), ExpectedRows("messages"))
        << name;
  }
  for (const std::string name : {"conversations", "nulls"}) {
    EXPECT_EQ(RowsOf(ConvertParquetRows(kData / (name + ".parquet"), "")), ExpectedRows(name));
  }
}

TEST_F(ParquetRowsTest, IdsMayBeOfAnyIntegerType) {
  for (const std::string name : {"ids_int32", "ids_int64", "ids_uint16"}) {
    EXPECT_EQ(RowsOf(ConvertParquetRows(kData / (name + ".parquet"), "")), ExpectedRows("ids"))
        << name;
  }
}

TEST_F(ParquetRowsTest, ANamedColumnIsReadAloneWhateverItsName) {
  const std::string column = "the \"prompt\"; it's";
  EXPECT_EQ(RowsOf(ConvertParquetRows(kData / "columns.parquet", column)), ExpectedRows("columns"));
  EXPECT_VERNIER_ERROR(
      ConvertParquetRows(kData / "columns.parquet", "Prompt"), ErrorCode::kBadDataset,
      "has no column \"Prompt\" (its columns: id, the \"prompt\"; it's, score, image)");
}

TEST_F(ParquetRowsTest, TheFilesNameIsNoPattern) {
  testing::TempDir dir;
  for (const std::string name : {"it's [a] * {b}?.parquet", "$HOME \"x\" \\n.txt", "-c"}) {
    fs::copy(kData / "text_zstd.parquet", dir.path() / name);
    EXPECT_EQ(RowsOf(ConvertParquetRows(dir.path() / name, "")), ExpectedRows("text")) << name;
  }
}

TEST_F(ParquetRowsTest, SamplesAreThoseOfTheSameRowsAsJsonLines) {
  for (const std::string name : {"text_zstd", "messages", "conversations", "ids_int64"}) {
    const std::string lines = name.substr(0, name.find('_')) + ".jsonl";
    const int64_t samples = name == "text_zstd" ? 50 : 1;
    EXPECT_EQ(Calibrate({.path = kData / (name + ".parquet")}, samples).fingerprint,
              Calibrate({.path = kData / lines}, samples).fingerprint)
        << name;
  }
}

TEST_F(ParquetRowsTest, AnEvaluationsTextIsThatOfTheSameRowsAsJsonLines) {
  const auto ids = [](const std::string& name) {
    const std::vector<fs::path> sources = {kData / name};
    return BuildEvaluationSet(sources, {.window = 32}, MakeByteTokenizer()).tokens.ids;
  };
  EXPECT_FALSE(ids("text.jsonl").empty());
  EXPECT_EQ(ids("text_snappy.parquet"), ids("text.jsonl"));
}

TEST_F(ParquetRowsTest, AColumnOfTextCanBeNamed) {
  EXPECT_EQ(Calibrate({.path = kData / "columns.parquet", .column = "the \"prompt\"; it's"}, 1)
                .RealTokens(),
            16);
}

TEST_F(ParquetRowsTest, ADocumentsOriginIsItsRow) {
  const DocumentIndex index = DocumentIndex::Scan({.path = kData / "text_row_groups.parquet"});
  const DocumentIndex copy = index;
  ASSERT_EQ(index.size(), ExpectedRows("text").size());
  EXPECT_EQ(index.Read(8).origin, (kData / "text_row_groups.parquet").string() + ":row 9");
  EXPECT_EQ(ParseJson(copy.Read(8).content, "row"), ParseJson("{\"text\": \"null\"}", "row"));
}

TEST_F(ParquetRowsTest, ADirectorysFilesAreReadInOrderOfTheirNames) {
  testing::TempDir dir;
  fs::copy(kData / "ids_int32.parquet", dir.path() / "b.parquet");
  fs::copy(kData / "conversations.parquet", dir.path() / "a.parquet");
  WriteFileAtomically(dir.path() / "c.jsonl", "{\"text\": \"c\"}\n");
  WriteFileAtomically(dir.path() / "README.md", "no data");
  const DocumentIndex all = DocumentIndex::Scan({.path = dir.path()});
  ASSERT_EQ(all.size(), 14u);
  EXPECT_THAT(all.Read(0).origin, ::testing::EndsWith("a.parquet:row 1"));
  EXPECT_THAT(all.Read(5).origin, ::testing::EndsWith("b.parquet:row 1"));
  EXPECT_THAT(all.Read(13).origin, ::testing::EndsWith("c.jsonl:1"));
  const auto size = [&](SourceFormat format) {
    return DocumentIndex::Scan({.path = dir.path(), .format = format}).size();
  };
  EXPECT_EQ(size(SourceFormat::kParquet), 13u);
  EXPECT_EQ(size(SourceFormat::kJsonl), 1u);
}

TEST_F(ParquetRowsTest, ContentDecidesWhateverTheName) {
  testing::TempDir dir;
  const fs::path parquet = dir.path() / "rows.jsonl", lines = dir.path() / "rows.parquet";
  fs::copy(kData / "ids_int32.parquet", parquet);
  WriteFileAtomically(lines, "{\"text\": \"c\"}\n");
  EXPECT_EQ(DocumentIndex::Scan({.path = parquet}).size(), 8u);
  EXPECT_THAT(MessageOf({.path = parquet, .format = SourceFormat::kJsonl}),
              HasSubstr("is a Parquet file, not text. Name the source's format \"parquet\""));
  EXPECT_THAT(MessageOf({.path = lines, .format = SourceFormat::kParquet}),
              HasSubstr("is no Parquet file. Fetch the file again, or name"));
}

TEST_F(ParquetRowsTest, WhatCannotBeReadIsOneLineWithTheFilesName) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(kData)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("bad_")) continue;
    const std::string message = MessageOf({.path = entry.path()});
    EXPECT_THAT(message, AllOf(HasSubstr(entry.path().string() + ": "), Not(HasSubstr("\n")),
                               Not(HasSubstr("/proc/"))));
    ++files;
  }
  EXPECT_GE(files, 10);
  EXPECT_THAT(MessageOf({.path = kData / "bad_no_column.parquet"}),
              HasSubstr("has no column \"input_ids\" or \"messages\" or \"conversations\" or "
                        "\"text\" (its columns: Text, y)"));
  EXPECT_THAT(MessageOf({.path = kData / "bad_no_rows.parquet"}), HasSubstr("has no rows"));
  EXPECT_THAT(MessageOf({.path = kData / "bad_encrypted.parquet"}), HasSubstr("is encrypted"));
}

// A program in DuckDB's place.
class ParquetProgramTest : public ::testing::Test {
 protected:
  std::string MessageWith(const std::string& script) {
    const ScopedVariable program("VERNIER_DUCKDB", WriteProgram(dir_.path() / "program", script));
    return MessageOf({.path = kData / "text_none.parquet"});
  }

  testing::TempDir dir_;
};

TEST_F(ParquetProgramTest, AMissingProgramIsSaidWithTheWaysOut) {
  const ScopedVariable program("VERNIER_DUCKDB", (dir_.path() / "absent").string());
  const auto scan = [] { DocumentIndex::Scan({.path = kData / "text_none.parquet"}); };
  EXPECT_VERNIER_ERROR(scan(), ErrorCode::kNoProgram, "text_none.parquet: ");
  EXPECT_VERNIER_ERROR(scan(), ErrorCode::kNoProgram, (dir_.path() / "absent").string());
  EXPECT_VERNIER_ERROR(scan(), ErrorCode::kNoProgram, "Run tools/install_duckdb.sh, or write it");
}

TEST_F(ParquetProgramTest, AProgramThatFailsIsQuotedInOneLine) {
  EXPECT_THAT(MessageWith("exit 0"), HasSubstr("DuckDB ended without a word"));
  EXPECT_THAT(MessageWith("echo what >&2; kill -SEGV $$"), HasSubstr("as Parquet: what."));
  EXPECT_THAT(MessageWith("printf '%s' '{\"exception_message\": \"one!\\ntwo\"}' >&2; exit 1"),
              HasSubstr("as Parquet: one. "));
  EXPECT_THAT(MessageWith("echo '[\"text\"]'; echo later >&2; exit 1"),
              HasSubstr("as Parquet: later."));
}

TEST_F(ParquetProgramTest, AFullDiskHasItsOwnCode) {
  const ScopedVariable program(
      "VERNIER_DUCKDB",
      WriteProgram(dir_.path() / "program", "echo 'write: No space left on device' >&2; exit 1"));
  EXPECT_VERNIER_ERROR(ConvertParquetRows(kData / "text_none.parquet", ""), ErrorCode::kNoSpace,
                       fs::temp_directory_path().string());
}

TEST_F(ParquetProgramTest, ADirectoryForTemporaryFilesMustBeOne) {
  const ScopedVariable tmpdir("TMPDIR", (dir_.path() / "absent").string());
  EXPECT_VERNIER_ERROR(ConvertParquetRows(kData / "text_none.parquet", ""), ErrorCode::kFileOpen,
                       "TMPDIR");
}

}  // namespace
}  // namespace vernier::datasets
