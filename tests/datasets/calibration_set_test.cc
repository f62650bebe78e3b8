#include "datasets/calibration_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "tests/datasets/byte_tokenizer.h"
#include "tests/support/temp_dir.h"

namespace vernier::datasets {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CalibrationSetTest : public ::testing::Test {
 protected:
  DataSource Write(const std::string& name, const std::string& content, double weight = 1.0) const {
    WriteFileAtomically(dir_.path() / name, content);
    return {dir_.path() / name, SourceFormat::kAuto, weight};
  }

  // `count` documents of one repeated letter, one a line.
  DataSource WriteLetters(const std::string& name, char letter, size_t count, size_t length,
                          double weight = 1.0) const {
    std::string lines;
    for (size_t i = 0; i < count; ++i) {
      lines += R"({"text": ")" + std::string(length, letter) + "\"}\n";
    }
    return Write(name, lines, weight);
  }

  // Documents "doc000", "doc001" ...: all different.
  DataSource WriteNumbered(const std::string& name, int count) const {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      lines += R"({"text": "doc)" + std::to_string(1000 + i).substr(1) + "\"}\n";
    }
    return Write(name, lines);
  }

  testing::TempDir dir_;
};

CalibrationSpec Spec(std::vector<DataSource> sources, int64_t samples, int64_t sequence_length,
                     Packing packing = Packing::kPack) {
  CalibrationSpec spec;
  spec.sources = std::move(sources);
  spec.samples = samples;
  spec.sequence_length = sequence_length;
  spec.packing = packing;
  return spec;
}

std::vector<int32_t> RealIds(const CalibrationSet& set, int64_t sample) {
  const auto ids = set.Sample(sample);
  return {ids.begin(), ids.begin() + set.lengths.at(static_cast<size_t>(sample))};
}

std::map<int32_t, int> SamplesByFirstId(const CalibrationSet& set) {
  std::map<int32_t, int> counts;
  for (int64_t s = 0; s < set.samples; ++s) ++counts[set.Sample(s).front()];
  return counts;
}

// Runs `build` and returns the Error's text, having checked its code.
template <typename Build>
std::string FailureOf(ErrorCode code, Build build) {
  try {
    build();
  } catch (const Error& error) {
    EXPECT_EQ(CodeName(error.code()), CodeName(code)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

std::string FailureOf(ErrorCode code, const CalibrationSpec& spec) {
  return FailureOf(code, [&] { BuildCalibrationSet(spec, MakeByteTokenizer()); });
}

TEST_F(CalibrationSetTest, SameSpecGivesSameSet) {
  const auto spec = Spec({WriteNumbered("a.jsonl", 50), WriteNumbered("b.jsonl", 50)}, 20, 8);
  const CalibrationSet first = BuildCalibrationSet(spec, MakeByteTokenizer());
  const CalibrationSet second = BuildCalibrationSet(spec, MakeByteTokenizer());
  EXPECT_EQ(first.ids, second.ids);
  EXPECT_EQ(first.lengths, second.lengths);
  EXPECT_EQ(first.fingerprint, second.fingerprint);
}

// Pinned: another value means that everyone's samples change with this version.
TEST_F(CalibrationSetTest, ChoiceIsTheSameOnEveryPlatform) {
  const auto spec = Spec({WriteNumbered("a.jsonl", 10)}, 4, 6, Packing::kTruncate);
  const CalibrationSet set = BuildCalibrationSet(spec, MakeByteTokenizer());
  std::vector<std::string> texts;
  for (int64_t s = 0; s < set.samples; ++s) {
    const auto ids = set.Sample(s);
    texts.emplace_back(ids.begin(), ids.end());
  }
  EXPECT_THAT(texts, ElementsAre("doc004", "doc006", "doc001", "doc000"));
  EXPECT_EQ(set.fingerprint, "db11db1ad8b27b0a0edfb514acfdb214");
}

TEST_F(CalibrationSetTest, SeedChangesChoiceAndOrder) {
  auto spec = Spec({WriteNumbered("a.jsonl", 40)}, 40, 6, Packing::kTruncate);
  const CalibrationSet first = BuildCalibrationSet(spec, MakeByteTokenizer());
  spec.seed = 1;
  const CalibrationSet second = BuildCalibrationSet(spec, MakeByteTokenizer());
  EXPECT_NE(first.ids, second.ids);
  EXPECT_NE(first.fingerprint, second.fingerprint);
  const auto sorted = [](const CalibrationSet& set) {
    std::vector<std::vector<int32_t>> samples;
    for (int64_t s = 0; s < set.samples; ++s) samples.push_back(RealIds(set, s));
    std::ranges::sort(samples);
    return samples;
  };
  EXPECT_EQ(sorted(first), sorted(second)) << "all documents are needed, so only the order differs";
}

TEST_F(CalibrationSetTest, FingerprintCoversShapeAndLengths) {
  const DataSource nuls = Write("a.jsonl", R"({"input_ids": [0, 0, 0, 0, 0, 0]})");
  const DataSource fewer = Write("b.jsonl", R"({"input_ids": [0, 0, 0, 0, 0]})");
  const Tokenizer tokenizer = MakeByteTokenizer();
  const auto fingerprint = [&](const DataSource& source, int64_t samples, int64_t length) {
    return BuildCalibrationSet(Spec({source}, samples, length), tokenizer).fingerprint;
  };
  EXPECT_NE(fingerprint(nuls, 2, 3), fingerprint(nuls, 3, 2)) << "equal ids, another shape";
  EXPECT_NE(fingerprint(nuls, 2, 3), fingerprint(fewer, 2, 3)) << "equal ids, another length";
}

TEST_F(CalibrationSetTest, SourcesShareByWeight) {
  const auto spec =
      Spec({WriteLetters("a.jsonl", 'a', 100, 8, 3.0), WriteLetters("b.jsonl", 'b', 100, 8, 1.0)},
           10, 8);
  const auto counts = SamplesByFirstId(BuildCalibrationSet(spec, MakeByteTokenizer()));
  EXPECT_EQ(counts.at('a'), 8) << "7.5 and 2.5: equal remainders, the earlier source first";
  EXPECT_EQ(counts.at('b'), 2);
}

TEST_F(CalibrationSetTest, OtherSourcesMakeUpForAShortOne) {
  const auto spec =
      Spec({WriteLetters("a.jsonl", 'a', 3, 8, 1.0), WriteLetters("b.jsonl", 'b', 100, 8, 1.0),
            WriteLetters("c.jsonl", 'c', 100, 8, 2.0)},
           24, 8, Packing::kTruncate);
  const auto counts = SamplesByFirstId(BuildCalibrationSet(spec, MakeByteTokenizer()));
  EXPECT_EQ(counts.at('a'), 3);
  EXPECT_EQ(counts.at('b'), 6 + 1);
  EXPECT_EQ(counts.at('c'), 12 + 2);
}

TEST_F(CalibrationSetTest, SourcesAreMixedInTheOrderOfSamples) {
  const auto spec =
      Spec({WriteLetters("a.jsonl", 'a', 50, 8), WriteLetters("b.jsonl", 'b', 50, 8)}, 40, 8);
  const CalibrationSet set = BuildCalibrationSet(spec, MakeByteTokenizer());
  int changes = 0;
  for (int64_t s = 1; s < set.samples; ++s) {
    changes += set.Sample(s).front() != set.Sample(s - 1).front();
  }
  EXPECT_GT(changes, 5);
}

TEST_F(CalibrationSetTest, ShorterPieceIsUsedOnlyWhenNothingElseIsLeft) {
  const DataSource short_one = Write("a.jsonl", R"({"text": "aaaaaaaaaa"})");  // 8 + 2
  const DataSource long_one =
      Write("b.jsonl", R"({"text": "bbbbbbbbbbbbbbbbbbbbbbbbbbb"})");  // 3*8+3
  const Tokenizer tokenizer = MakeByteTokenizer();
  EXPECT_THAT(BuildCalibrationSet(Spec({short_one, long_one}, 4, 8), tokenizer).lengths, Each(8));

  const CalibrationSet all = BuildCalibrationSet(Spec({short_one, long_one}, 6, 8), tokenizer);
  auto lengths = all.lengths;
  std::ranges::sort(lengths);
  EXPECT_THAT(lengths, ElementsAre(2, 3, 8, 8, 8, 8));
  EXPECT_EQ(all.RealTokens(), 37);
}

TEST_F(CalibrationSetTest, PaddingIsZeroAndOutsideTheLength) {
  const auto spec = Spec({Write("a.jsonl", R"({"text": "abc"})")}, 1, 6, Packing::kTruncate);
  const CalibrationSet set = BuildCalibrationSet(spec, MakeByteTokenizer());
  EXPECT_THAT(set.lengths, ElementsAre(3));
  EXPECT_THAT(set.Sample(0), ElementsAre('a', 'b', 'c', 0, 0, 0));
  EXPECT_EQ(set.RealTokens(), 3);
}

TEST_F(CalibrationSetTest, TruncateTakesTheBeginningOfEachDocument) {
  const auto spec = Spec({Write("a.jsonl", R"({"text": "abcdef"})")}, 1, 4, Packing::kTruncate);
  const CalibrationSet set =
      BuildCalibrationSet(spec, MakeByteTokenizer({.adds_bos = true, .adds_eos = true}));
  EXPECT_THAT(set.Sample(0), ElementsAre(kBos, 'a', 'b', 'c'));
}

TEST_F(CalibrationSetTest, EmptyDocumentsAreNoSamples) {
  const auto spec = Spec({Write("a.jsonl",
                                "\n{\"text\": \"\"}\n \r\n{\"messages\": []}\n"
                                "{\"input_ids\": []}\r\n{\"text\": \"x\"}\r\n")},
                         1, 4, Packing::kTruncate);
  const CalibrationSet set = BuildCalibrationSet(spec, MakeByteTokenizer({.adds_bos = true}));
  EXPECT_EQ(RealIds(set, 0), (std::vector<int32_t>{kBos, 'x'}));
}

TEST_F(CalibrationSetTest, DirectoryIsReadInNameOrderWhateverWasWrittenFirst) {
  Write("b.txt", "bbbb");
  Write("a.jsonl", R"({"text": "aaaa"})");
  Write("c.json", R"({"text": "cccc"})");
  Write("notes.md", "not read");
  const DataSource directory{dir_.path(), SourceFormat::kAuto, 1.0};
  const CalibrationSet set =
      BuildCalibrationSet(Spec({directory}, 3, 4, Packing::kTruncate), MakeByteTokenizer());
  const auto counts = SamplesByFirstId(set);
  EXPECT_EQ(counts, (std::map<int32_t, int>{{'a', 1}, {'b', 1}, {'c', 1}}));

  testing::TempDir other;
  for (const char* name : {"c.json", "a.jsonl", "b.txt"}) {
    std::filesystem::copy(dir_.path() / name, other.path() / name);
  }
  const DataSource copy{other.path(), SourceFormat::kAuto, 1.0};
  EXPECT_EQ(BuildCalibrationSet(Spec({copy}, 3, 4, Packing::kTruncate), MakeByteTokenizer()).ids,
            set.ids);
}

TEST_F(CalibrationSetTest, FormatOverridesTheFileName) {
  DataSource source = Write("a.jsonl", "{\"text\": 1}");
  source.format = SourceFormat::kText;
  const CalibrationSet text = BuildCalibrationSet(Spec({source}, 1, 16), MakeByteTokenizer());
  EXPECT_EQ(RealIds(text, 0), ByteIds("{\"text\": 1}"));

  source = Write("a.log", R"({"text": "hello"})");
  source.format = SourceFormat::kJsonl;
  const CalibrationSet rows = BuildCalibrationSet(Spec({source}, 1, 16), MakeByteTokenizer());
  EXPECT_EQ(RealIds(rows, 0), ByteIds("hello"));
}

TEST_F(CalibrationSetTest, DocumentsNotNeededAreNotRead) {
  std::string lines;
  for (int i = 0; i < 100; ++i)
    lines += R"({"text": "aaaaaaaa"})"
             "\n";
  lines += "broken\n";
  const auto spec = Spec({Write("a.jsonl", lines)}, 2, 8);
  EXPECT_EQ(BuildCalibrationSet(spec, MakeByteTokenizer()).samples, 2);
}

TEST_F(CalibrationSetTest, TooLittleDataSaysHowMuchThereIs) {
  const DataSource source = Write("a.jsonl", R"({"text": "aaaaaaaaaa"})");
  const std::string packed = FailureOf(ErrorCode::kTooLittleData, Spec({source}, 5, 4));
  EXPECT_THAT(packed, HasSubstr("a.jsonl"));
  EXPECT_THAT(packed, HasSubstr("3 sequences of up to 4 tokens for 5 samples"));
  EXPECT_THAT(packed, HasSubstr("lower samples"));

  const auto spec = Spec({source}, 5, 4, Packing::kTruncate);
  EXPECT_THAT(FailureOf(ErrorCode::kTooLittleData, spec), HasSubstr("1 documents for 5 samples"));
}

TEST_F(CalibrationSetTest, EmptyFilesAreTooLittleData) {
  for (const char* name : {"empty.jsonl", "empty.txt"}) {
    EXPECT_THAT(FailureOf(ErrorCode::kTooLittleData, Spec({Write(name, "")}, 1, 4)),
                HasSubstr("0 sequences"));
  }
}

TEST_F(CalibrationSetTest, SpecThatMakesNoSenseIsRefused) {
  const DataSource source = WriteLetters("a.jsonl", 'a', 4, 8);
  const auto failure = [](const CalibrationSpec& spec) {
    return FailureOf(ErrorCode::kBadDataset, spec);
  };
  EXPECT_THAT(failure(Spec({source}, 0, 8)), HasSubstr("samples: 0"));
  EXPECT_THAT(failure(Spec({source}, -3, 8)), HasSubstr("samples: -3"));
  EXPECT_THAT(failure(Spec({source}, int64_t{1} << 40, 8)), HasSubstr("samples: 1099511627776"));
  EXPECT_THAT(failure(Spec({source}, 1, 1)), HasSubstr("sequence_length: 1"));
  EXPECT_THAT(failure(Spec({source}, 1, int64_t{1} << 31)),
              HasSubstr("sequence_length: 2147483648"));
  EXPECT_THAT(failure(Spec({}, 1, 8)), HasSubstr("sources"));
  for (const double weight : {0.0, -1.0, std::numeric_limits<double>::infinity(),
                              std::numeric_limits<double>::quiet_NaN()}) {
    DataSource weighted = source;
    weighted.weight = weight;
    EXPECT_THAT(failure(Spec({source, weighted}, 1, 8)), HasSubstr("the weight"));
  }
}

TEST_F(CalibrationSetTest, PathThatHoldsNothingIsRefused) {
  const DataSource missing{dir_.path() / "absent.jsonl", SourceFormat::kAuto, 1.0};
  EXPECT_THAT(FailureOf(ErrorCode::kFileOpen, Spec({missing}, 1, 4)), HasSubstr("absent.jsonl"));

  Write("notes.md", "not read");
  const DataSource directory{dir_.path(), SourceFormat::kAuto, 1.0};
  EXPECT_THAT(FailureOf(ErrorCode::kBadDataset, Spec({directory}, 1, 4)),
              HasSubstr("no .jsonl, .json, .parquet or .txt file"));
}

TEST_F(CalibrationSetTest, WhatIsNoTextIsRefusedByItsContent) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {std::string("\x1F\x8B\x08\0", 4), "is a gzip file"},
      {std::string("\x28\xB5\x2F\xFD\x04", 5), "is a zstd file"},
      {std::string("ARROW1\0\0", 8), "is an Arrow file"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"},
      {std::string("ab\0cd", 5), "its byte 2 is NUL"}};
  for (const char* name : {"data.bin", "data.jsonl", "data.json"}) {
    for (const auto& [content, problem] : files) {
      const DataSource source = Write(name, content);
      EXPECT_THAT(FailureOf(ErrorCode::kBadDataset, Spec({source}, 1, 4)), HasSubstr(problem));
    }
  }
}

TEST_F(CalibrationSetTest, ATextIsUtf8) {
  EXPECT_THAT(FailureOf(ErrorCode::kBadDataset, Spec({Write("a.txt", "caf\xe9 au lait")}, 1, 4)),
              HasSubstr("at its byte 3"));
  const DataSource cut = Write("b.txt", std::string((1 << 20) - 1, 'a') + "\u00e9");
  EXPECT_EQ(BuildCalibrationSet(Spec({cut}, 1, 4), MakeByteTokenizer()).samples, 1);
}

TEST_F(CalibrationSetTest, WhatIsCalledParquetMustBeIt) {
  EXPECT_THAT(FailureOf(ErrorCode::kBadDataset, Spec({Write("a.parquet", "<html>")}, 1, 4)),
              HasSubstr("is no Parquet file"));
}

TEST_F(CalibrationSetTest, PipesAreRefused) {
  const std::filesystem::path pipe = dir_.path() / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(FailureOf(ErrorCode::kBadDataset, Spec({{pipe, SourceFormat::kAuto, 1.0}}, 1, 4)),
              HasSubstr("is a pipe"));
}

TEST_F(CalibrationSetTest, NamesMayBeInUpperCaseAndHiddenFilesAreNotData) {
  Write("A.JSONL", "{\"text\": \"a\"}\n");
  Write("B.TXT", "b");
  Write(".hidden.txt", "h");
  const DataSource directory{dir_.path(), SourceFormat::kAuto, 1.0};
  const CalibrationSet set =
      BuildCalibrationSet(Spec({directory}, 2, 8, Packing::kTruncate), MakeByteTokenizer());
  EXPECT_EQ(SamplesByFirstId(set), (std::map<int32_t, int>{{'a', 1}, {'b', 1}}));
}

TEST_F(CalibrationSetTest, ElementsOfAJsonArrayAreDocuments) {
  const DataSource source =
      Write("a.json",
            " [\n {\"text\": \"a]\\\"},[\"},\n{\"text\": \"b\", \"more\": [1, {\"x\": []}]}\n]\n");
  const CalibrationSet set =
      BuildCalibrationSet(Spec({source}, 2, 8, Packing::kTruncate), MakeByteTokenizer());
  const auto counts = SamplesByFirstId(set);
  EXPECT_EQ(counts, (std::map<int32_t, int>{{'a', 1}, {'b', 1}}));
  EXPECT_THAT(
      FailureOf(ErrorCode::kBadDataset, Spec({Write("c.json", "[{\"text\": \"a\"}")}, 1, 4)),
      HasSubstr("does not end"));
  EXPECT_THAT(FailureOf(ErrorCode::kBadDataset, Spec({Write("d.jsonl", "[1]\n[2]\n")}, 1, 4)),
              HasSubstr("something follows"));
  EXPECT_THAT(FailureOf(ErrorCode::kBadDataset, Spec({Write("e.json", "[\n{},\n3]")}, 2, 4)),
              HasSubstr("e.json:"));
}

TEST(CalibrationSetSamples, FillTheQuickStart) {
  const std::filesystem::path root = VERNIER_SOURCE_DIR;
  const Tokenizer tokenizer = Tokenizer::Load(root / "examples/mini-deepseek-v4");
  const auto spec = Spec({{root / "datasets/samples", SourceFormat::kAuto, 1.0}}, 32, 512);
  const CalibrationSet set = BuildCalibrationSet(spec, tokenizer);
  EXPECT_EQ(set.samples, 32);
  EXPECT_EQ(set.ids.size(), 32u * 512u);
  EXPECT_THAT(set.lengths, Each(512));
  EXPECT_GE(std::ranges::count(set.ids, tokenizer.bos_id().value()), 5) << "documents begin by BOS";
  EXPECT_THAT(set.ids,
              Each(::testing::AllOf(::testing::Ge(0), ::testing::Lt(tokenizer.vocab_size()))));
}

}  // namespace
}  // namespace vernier::datasets
