#include "datasets/sequence_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/datasets/byte_tokenizer.h"
#include "tests/support/temp_dir.h"

namespace vernier::datasets {
namespace {

constexpr int kDocuments = 30;
constexpr uint64_t kSeed = 11;

// Documents of 1 to 30 letters, each of another letter.
class SequenceStreamTest : public ::testing::Test {
 protected:
  SequenceStreamTest() {
    std::string lines;
    for (int i = 0; i < kDocuments; ++i) {
      lines += R"({"text": ")" + std::string(static_cast<size_t>(i + 1), Letter(i)) + "\"}\n";
    }
    source_.path = dir_.path() / "data.jsonl";
    WriteFileAtomically(source_.path, lines);
  }

  static char Letter(int i) { return static_cast<char>('A' + i + (i >= 26 ? 6 : 0)); }

  DocumentStream Documents(uint64_t seed = kSeed) const {
    return DocumentStream(DocumentIndex::Scan(source_), encoder_, seed);
  }

  testing::TempDir dir_;
  DataSource source_;
  Tokenizer tokenizer_ = MakeByteTokenizer({.adds_bos = true, .adds_eos = true});
  DocumentEncoder encoder_{tokenizer_, ChatFormat::kPlain};
};

TEST_F(SequenceStreamTest, EveryDocumentComesOnceInAnOrderOfTheSeed) {
  std::vector<int32_t> first, second;
  DocumentStream documents = Documents(1), others = Documents(2);
  while (const auto ids = documents.Next()) first.push_back((*ids)[1]);
  while (const auto ids = others.Next()) second.push_back((*ids)[1]);
  EXPECT_EQ(std::set(first.begin(), first.end()).size(), size_t{kDocuments});
  EXPECT_THAT(second, ::testing::UnorderedElementsAreArray(first));
  EXPECT_NE(first, second);
}

TEST_F(SequenceStreamTest, PackingLosesAndAddsNoToken) {
  TokenIds stream;
  for (DocumentStream documents = Documents(); const auto ids = documents.Next();) {
    stream.insert(stream.end(), ids->begin(), ids->end());
  }
  for (const int64_t length : {2, 7, 64, 10000}) {
    SequenceStream sequences(Documents(), Packing::kPack, length);
    TokenIds cut;
    while (const auto sequence = sequences.Next()) {
      ASSERT_EQ(static_cast<int64_t>(sequence->size()), length);
      cut.insert(cut.end(), sequence->begin(), sequence->end());
    }
    if (const auto rest = sequences.TakeRest()) {
      EXPECT_LT(static_cast<int64_t>(rest->size()), length);
      cut.insert(cut.end(), rest->begin(), rest->end());
    }
    EXPECT_EQ(cut, stream) << "sequence length " << length;
    EXPECT_FALSE(sequences.TakeRest()) << "the rest is given once";
  }
}

TEST_F(SequenceStreamTest, TruncatingGivesTheBeginningOfEachDocument) {
  constexpr size_t kLength = 10;
  DocumentStream documents = Documents();
  SequenceStream sequences(Documents(), Packing::kTruncate, kLength);
  while (auto document = documents.Next()) {
    if (document->size() > kLength) document->resize(kLength);
    EXPECT_EQ(sequences.Next(), document);
  }
  EXPECT_FALSE(sequences.Next());
  EXPECT_FALSE(sequences.TakeRest());
}

TEST_F(SequenceStreamTest, LongDocumentsAndLinesCrossReadChunks) {
  const std::string text(3 << 20, 'x');
  WriteFileAtomically(source_.path, R"({"text": "a"})"
                                    "\n"
                                    R"({"text": ")" +
                                        text +
                                        "\"}\n\n"
                                        R"({"text": "b"})");
  const DocumentIndex index = DocumentIndex::Scan(source_);
  ASSERT_EQ(index.size(), 3u);
  EXPECT_EQ(index.Read(0).content, R"({"text": "a"})");
  EXPECT_EQ(index.Read(1).content.size(), text.size() + 12);
  EXPECT_EQ(index.Read(2).content, R"({"text": "b"})");
  EXPECT_EQ(index.Read(2).origin, source_.path.string() + ":4") << "empty lines are counted";
}

}  // namespace
}  // namespace vernier::datasets
