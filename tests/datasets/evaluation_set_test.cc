#include "datasets/evaluation_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "tests/datasets/byte_tokenizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

namespace vernier::datasets {
namespace {

using ::testing::ElementsAre;

class EvaluationSetTest : public ::testing::Test {
 protected:
  std::filesystem::path Write(const std::string& name, const std::string& content) {
    WriteFileAtomically(dir_.path() / name, content);
    return dir_.path() / name;
  }

  EvaluationSet Build(const std::string& text, const WindowSpec& spec,
                      const ByteTokenizerOptions& options = {}) {
    const std::vector<std::filesystem::path> sources = {Write("text.txt", text)};
    return BuildEvaluationSet(sources, spec, MakeByteTokenizer(options));
  }

  testing::TempDir dir_;
};

// A window without its padding: scored ids in upper case, the others in lower case, BOS as "<".
std::string Show(const EvaluationSet& set, int64_t window) {
  std::string text;
  for (int32_t t = 0; t < set.tokens.lengths[static_cast<size_t>(window)]; ++t) {
    const auto at = static_cast<size_t>(window * set.tokens.sequence_length + t);
    const int32_t id = set.tokens.ids[at];
    const auto letter = static_cast<char>(id);
    text += id == kBos ? '<' : set.scored[at] ? static_cast<char>(std::toupper(letter)) : letter;
  }
  return text;
}

std::vector<std::string> ShowAll(const EvaluationSet& set) {
  std::vector<std::string> windows;
  for (int64_t window = 0; window < set.tokens.samples; ++window) {
    windows.push_back(Show(set, window));
  }
  return windows;
}

TEST(CutWindows, EveryIdIsNewInOneWindowWhateverTheSizes) {
  for (int64_t length = 0; length < 40; ++length) {
    for (int64_t capacity = 1; capacity < 12; ++capacity) {
      for (int64_t stride = 1; stride <= capacity; ++stride) {
        std::map<int64_t, int> times;
        for (const WindowCut& cut : CutWindows(length, capacity, stride)) {
          EXPECT_LE(cut.begin, cut.first_new);
          EXPECT_LT(cut.first_new, cut.end);
          EXPECT_LE(cut.end - cut.begin, capacity);
          EXPECT_EQ(cut.begin % stride, 0);
          for (int64_t i = cut.first_new; i < cut.end; ++i) ++times[i];
        }
        EXPECT_EQ(times.size(), static_cast<size_t>(length));
        for (const auto& [id, count] : times) EXPECT_EQ(count, 1) << id;
      }
    }
  }
}

TEST_F(EvaluationSetTest, WithoutOverlapAllButTheFirstOfAWindowAreScored) {
  const EvaluationSet set = Build("abcdefghij", {.window = 4});
  EXPECT_THAT(ShowAll(set), ElementsAre("aBCD", "eFGH", "iJ"));
  EXPECT_EQ(set.stride, 4);
  EXPECT_FALSE(set.window_bos);
  EXPECT_EQ(set.Scored(), 7);
  EXPECT_EQ(set.sources.at(0).scored, 7);
}

TEST_F(EvaluationSetTest, AnOverlapIsContext) {
  EXPECT_THAT(ShowAll(Build("abcdefg", {.window = 4, .stride = 2})),
              ElementsAre("aBCD", "cdEF", "efG"));
  EXPECT_THAT(ShowAll(Build("abcdef", {.window = 4, .stride = 1})),
              ElementsAre("aBCD", "bcdE", "cdeF"));
}

TEST_F(EvaluationSetTest, BosTakesAPlaceInEachWindowAndIsNeverScored) {
  const EvaluationSet set = Build("abcdefgh", {.window = 4, .bos = WindowBos::kYes});
  EXPECT_THAT(ShowAll(set), ElementsAre("<ABC", "<DEF", "<GH"));
  EXPECT_EQ(set.stride, 3);
  EXPECT_EQ(set.Scored(), 8) << "every token of the text";
}

TEST_F(EvaluationSetTest, AutoFollowsTheTokenizer) {
  const WindowSpec spec = {.window = 4};
  EXPECT_FALSE(Build("abcdefgh", spec).window_bos);
  // The document has a BOS of its own, so the first window gets no second one.
  EXPECT_THAT(ShowAll(Build("abcdefgh", spec, {.adds_bos = true})),
              ElementsAre("<AB", "<CDE", "<FGH"));
  EXPECT_THAT(ShowAll(Build("abcdefgh", {.window = 4, .bos = WindowBos::kNo}, {.adds_bos = true})),
              ElementsAre("<ABC", "dEFG"))
      << "a last token with nothing before it predicts nothing";
}

TEST_F(EvaluationSetTest, DocumentsAreJoinedInOrder) {
  const auto lines = Write("a.jsonl", "{\"text\": \"ab\"}\n{\"text\": \"\"}\n{\"text\": \"cd\"}\n");
  const std::vector<std::filesystem::path> sources = {lines};
  const Tokenizer tokenizer = MakeByteTokenizer({.adds_bos = true});
  EXPECT_THAT(ShowAll(BuildEvaluationSet(sources, {.window = 8, .bos = WindowBos::kNo}, tokenizer)),
              ElementsAre("<AB<CD"))
      << "the BOS of a document is context, and nothing predicts it";
}

TEST_F(EvaluationSetTest, TextComesFromTheNamedColumn) {
  const std::vector<std::filesystem::path> sources = {
      Write("a.jsonl", "{\"text\": \"no\", \"prompt\": \"abc\"}\n")};
  const WindowSpec spec = {.window = 8, .column = "prompt"};
  EXPECT_THAT(ShowAll(BuildEvaluationSet(sources, spec, MakeByteTokenizer())), ElementsAre("aBC"));
}

TEST_F(EvaluationSetTest, ChatsAreWrittenInTheFormatThatIsAskedFor) {
  const std::vector<std::filesystem::path> sources = {
      Write("a.jsonl", R"({"messages": [{"role": "user", "content": "abc"}]})")};
  const Tokenizer tokenizer = MakeByteTokenizer({.chat_template = "x{{ messages[0].content }}"});
  const EvaluationSet by_template = BuildEvaluationSet(sources, {.window = 8}, tokenizer);
  EXPECT_THAT(ShowAll(by_template), ElementsAre("xABC"));
  EXPECT_EQ(by_template.chat_format, ChatFormat::kTemplate);
  const EvaluationSet plain =
      BuildEvaluationSet(sources, {.window = 8, .chat_format = ChatFormat::kPlain}, tokenizer);
  EXPECT_THAT(ShowAll(plain), ElementsAre("aBC"));
  EXPECT_EQ(plain.chat_format, ChatFormat::kPlain);
}

TEST_F(EvaluationSetTest, SourcesFollowEachOtherAndArePadded) {
  const std::vector<std::filesystem::path> sources = {Write("a.txt", "abcdef"),
                                                      Write("b.txt", "uvwxyz")};
  const EvaluationSet set = BuildEvaluationSet(sources, {.window = 4}, MakeByteTokenizer());
  EXPECT_THAT(ShowAll(set), ElementsAre("aBCD", "eF", "uVWX", "yZ"));
  EXPECT_THAT(set.tokens.lengths, ElementsAre(4, 2, 4, 2));
  EXPECT_EQ(set.tokens.ids.size(), 16u);
  EXPECT_EQ(set.scored.size(), 16u);
  ASSERT_EQ(set.sources.size(), 2u);
  EXPECT_EQ(set.sources[1].name, sources[1].string());
  EXPECT_EQ(set.sources[1].first_window, 2);
  EXPECT_EQ(set.sources[1].windows, 2);
  EXPECT_EQ(set.sources[1].documents, 1);
  EXPECT_EQ(set.sources[1].text_hash, HashHex("uvwxyz"));
}

TEST_F(EvaluationSetTest, AtMostSoManyWindowsReadNoMoreThanTheyNeed) {
  const std::vector<std::filesystem::path> sources = {
      Write("a.jsonl", "{\"text\": \"abcdefgh\"}\n{\"text\": \"ij\"}\nthis is not JSON\n")};
  const EvaluationSet set = BuildEvaluationSet(
      sources, {.window = 4, .stride = 2, .max_windows = 3}, MakeByteTokenizer());
  EXPECT_THAT(ShowAll(set), ElementsAre("aBCD", "cdEF", "efGH"));
  EXPECT_EQ(set.sources[0].documents, 1);
  EXPECT_EQ(set.sources[0].tokens, 8);
}

TEST_F(EvaluationSetTest, EqualIdsHaveEqualHashesWhateverTheWindows) {
  const EvaluationSet small = Build("abcdefgh", {.window = 4});
  const EvaluationSet large = Build("abcdefgh", {.window = 6, .bos = WindowBos::kYes});
  EXPECT_EQ(small.sources[0].ids_hash, large.sources[0].ids_hash);
  EXPECT_NE(small.sources[0].ids_hash, Build("abcdefgi", {.window = 4}).sources[0].ids_hash);
  const CalibrationSet rows = {.samples = 2,
                               .sequence_length = 4,
                               .ids = ByteIds("abcdefgh"),
                               .lengths = {4, 4},
                               .fingerprint = {}};
  const EvaluationSet ready = EvaluationSetOfIds(rows, "ids");
  EXPECT_EQ(ready.sources[0].ids_hash, small.sources[0].ids_hash);
  EXPECT_THAT(ShowAll(ready), ElementsAre("aBCD", "eFGH"));
}

TEST_F(EvaluationSetTest, RefusesWhatMakesNoSense) {
  EXPECT_VERNIER_ERROR(Build("abc", {.window = 1}), ErrorCode::kBadArgument, "--window");
  EXPECT_VERNIER_ERROR(Build("abc", {.window = 4, .stride = 5}), ErrorCode::kBadArgument,
                       "1..4, a window's share");
  EXPECT_VERNIER_ERROR(Build("abc", {.window = 4, .stride = 4, .bos = WindowBos::kYes}),
                       ErrorCode::kBadArgument, "1..3");
  EXPECT_VERNIER_ERROR(Build("abc", {.window = 4, .stride = -1}), ErrorCode::kBadArgument,
                       "--stride");
  EXPECT_VERNIER_ERROR(Build("a", {.window = 4}), ErrorCode::kTooLittleData, "text.txt");
  EXPECT_VERNIER_ERROR(Build("", {.window = 4}), ErrorCode::kTooLittleData, "0 tokens");
  const CalibrationSet rows = {
      .samples = 2, .sequence_length = 1, .ids = {1, 2}, .lengths = {1, 1}, .fingerprint = {}};
  EXPECT_VERNIER_ERROR(EvaluationSetOfIds(rows, "ids"), ErrorCode::kBadTokenIds, "predict nothing");
  const Tokenizer plain =
      Tokenizer::Parse(R"({"version": "1.0", "added_tokens": [], "normalizer": null,
          "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
          "post_processor": null, "decoder": {"type": "ByteLevel"},
          "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})",
                       "", "plain");
  const std::vector<std::filesystem::path> sources = {Write("ab.txt", "abab")};
  EXPECT_VERNIER_ERROR(BuildEvaluationSet(sources, {.bos = WindowBos::kYes}, plain),
                       ErrorCode::kBadTokenizer, "no BOS");
}

}  // namespace
}  // namespace vernier::datasets
