// Ids and decoded text of released tokenizers against the Hugging Face library's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"
#include "datasets/tokenizer.h"

namespace vernier::datasets {
namespace {

struct Released {
  std::string name;
  int32_t vocab_size;
  std::string bos;  // empty: none
  std::string eos;
  bool adds_bos;
};

void PrintTo(const Released& released, std::ostream* out) { *out << released.name; }

std::filesystem::path DirectoryOf(const Released& released) {
  return std::filesystem::path(VERNIER_TEST_DATA) / "tokenizers" / released.name;
}

// Loaded once for all tests: together the files are large.
const Tokenizer& Loaded(const Released& released) {
  static std::map<std::string, Tokenizer> loaded;
  const auto it = loaded.find(released.name);
  if (it != loaded.end()) return it->second;
  return loaded.emplace(released.name, Tokenizer::Load(DirectoryOf(released))).first->second;
}

class ReleasedTokenizer : public ::testing::TestWithParam<Released> {
 protected:
  const Tokenizer& tokenizer_ = Loaded(GetParam());
  Json expected_ = ReadJsonFile(DirectoryOf(GetParam()) / "expected.json");
};

TEST_P(ReleasedTokenizer, GivesTheExpectedIdsForEveryRow) {
  ASSERT_GT(expected_.size(), 20u);
  for (const Json& row : expected_) {
    const auto text = row["text"].get<std::string>();
    EXPECT_EQ(tokenizer_.Encode(text), row["ids"].get<std::vector<int32_t>>()) << text;
  }
}

TEST_P(ReleasedTokenizer, DecodesEveryRow) {
  for (const Json& row : expected_) {
    EXPECT_EQ(tokenizer_.Decode(row["ids"].get<std::vector<int32_t>>()),
              row["decoded"].get<std::string>());
  }
}

TEST_P(ReleasedTokenizer, ReadsItsConfiguration) {
  const Released& released = GetParam();
  EXPECT_EQ(tokenizer_.vocab_size(), released.vocab_size);
  const auto id_of = [&](const std::string& token) {
    return token.empty() ? std::nullopt : tokenizer_.TokenId(token);
  };
  EXPECT_EQ(tokenizer_.bos_id(), id_of(released.bos));
  EXPECT_EQ(tokenizer_.bos_id().has_value(), !released.bos.empty());
  EXPECT_EQ(tokenizer_.eos_id(), id_of(released.eos));
  EXPECT_TRUE(tokenizer_.eos_id().has_value());
  EXPECT_EQ(tokenizer_.prefix(), released.adds_bos ? std::vector<int32_t>{*tokenizer_.bos_id()}
                                                   : std::vector<int32_t>{});
  EXPECT_TRUE(tokenizer_.suffix().empty());
}

TEST_P(ReleasedTokenizer, DecodesEachOfItsIds) {
  for (int32_t id = 0; id < tokenizer_.vocab_size(); ++id) {
    EXPECT_FALSE(tokenizer_.Decode(std::vector<int32_t>{id}).empty()) << id;
  }
}

TEST_P(ReleasedTokenizer, EncodesInManyThreads) {
  const auto text = expected_.back()["text"].get<std::string>();
  const std::vector<int32_t> ids = tokenizer_.Encode(text);
  std::vector<std::vector<int32_t>> found(4);
  {
    std::vector<std::jthread> threads;
    for (auto& slot : found) threads.emplace_back([&] { slot = tokenizer_.Encode(text); });
  }
  EXPECT_THAT(found, ::testing::Each(ids));
}

INSTANTIATE_TEST_SUITE_P(All, ReleasedTokenizer,
                         ::testing::Values(Released{.name = "deepseek_v3",
                                                    .vocab_size = 128815,
                                                    .bos = "<｜begin▁of▁sentence｜>",
                                                    .eos = "<｜end▁of▁sentence｜>",
                                                    .adds_bos = true},
                                           Released{.name = "llama3",
                                                    .vocab_size = 128256,
                                                    .bos = "<|begin_of_text|>",
                                                    .eos = "<|end_of_text|>",
                                                    .adds_bos = false},
                                           Released{.name = "qwen3",
                                                    .vocab_size = 151669,
                                                    .bos = "",
                                                    .eos = "<|im_end|>",
                                                    .adds_bos = false},
                                           Released{.name = "smollm2_1000_merges",
                                                    .vocab_size = 1252,
                                                    .bos = "<|im_start|>",
                                                    .eos = "<|im_end|>",
                                                    .adds_bos = false}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace vernier::datasets
