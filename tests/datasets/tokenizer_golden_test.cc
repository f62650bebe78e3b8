// Ids and decoded text of released tokenizers against the Hugging Face library's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/datasets/golden_tokenizer.h"

namespace vernier::datasets {
namespace {

struct Released {
  std::string name;
  int32_t vocab_size;
  std::string bos;  // empty: none
  std::string eos;
  bool adds_bos;
  std::string model_of = "";  // whose vocabulary and merges it has; empty: its own
};

void PrintTo(const Released& released, std::ostream* out) { *out << released.name; }

Tokenizer Load(const Released& released) {
  if (!released.model_of.empty()) return LoadSpliced(released.name, released.model_of);
  return Tokenizer::Load(GoldenPath(released.name));
}

// Loaded once for all tests: together the files are large.
const Tokenizer& Loaded(const Released& released) {
  static std::map<std::string, Tokenizer> loaded;
  const auto it = loaded.find(released.name);
  if (it != loaded.end()) return it->second;
  return loaded.emplace(released.name, Load(released)).first->second;
}

class ReleasedTokenizer : public ::testing::TestWithParam<Released> {
 protected:
  const Tokenizer& tokenizer_ = Loaded(GetParam());
  Json expected_ = ReadJsonFile(GoldenPath(GetParam().name) / "expected.json");
};

TEST_P(ReleasedTokenizer, GivesTheExpectedIdsForEveryRow) {
  ASSERT_GE(expected_.size(), 20u);
  for (const Json& row : expected_) {
    const auto text = row["text"].get<std::string>();
    EXPECT_EQ(tokenizer_.Encode(text), row["ids"].get<Ids>()) << text;
  }
}

TEST_P(ReleasedTokenizer, DecodesEveryRow) {
  for (const Json& row : expected_) {
    EXPECT_EQ(tokenizer_.Decode(row["ids"].get<Ids>()), row["decoded"].get<std::string>());
  }
}

TEST_P(ReleasedTokenizer, GivesTheExpectedIdsWithSpecialTokens) {
  for (const Json& row : expected_) {
    ExpectLibraryAddsPrefixAndSuffix(tokenizer_, row);
    EXPECT_EQ(EncodeWithSpecialTokens(tokenizer_, row),
              WithoutDoubledSpecialTokens(tokenizer_, row))
        << row["text"];
  }
}

// Texts that begin with BOS and the like: the library adds another one, Vernier none.
TEST_P(ReleasedTokenizer, AddsNoSecondBos) {
  const Json rows = ReadJsonFile(GoldenPath(GetParam().name) / "special_texts.json");
  size_t doubled = 0;
  for (const Json& row : rows) {
    const auto text = row["text"].get<std::string>();
    EXPECT_EQ(tokenizer_.Encode(text), row["ids"].get<Ids>()) << text;
    EXPECT_EQ(tokenizer_.Decode(row["ids"].get<Ids>()), row["decoded"].get<std::string>());
    ExpectLibraryAddsPrefixAndSuffix(tokenizer_, row);
    const Ids ids = EncodeWithSpecialTokens(tokenizer_, row);
    EXPECT_EQ(ids, WithoutDoubledSpecialTokens(tokenizer_, row)) << text;
    doubled += ids != row["with_special_tokens"].get<Ids>();
  }
  EXPECT_EQ(doubled > 0, GetParam().adds_bos);
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
  EXPECT_EQ(tokenizer_.prefix(), released.adds_bos ? Ids{*tokenizer_.bos_id()} : Ids{});
  EXPECT_TRUE(tokenizer_.suffix().empty());
}

TEST_P(ReleasedTokenizer, DecodesEachOfItsIds) {
  for (int32_t id = 0; id < tokenizer_.vocab_size(); ++id) {
    // Twice, because a space at the beginning may be stripped.
    EXPECT_FALSE(tokenizer_.Decode(Ids{id, id}).empty()) << id;
  }
}

TEST_P(ReleasedTokenizer, EncodesInManyThreads) {
  const auto text = expected_.back()["text"].get<std::string>();
  const Ids ids = tokenizer_.Encode(text);
  std::vector<Ids> found(4);
  {
    std::vector<std::jthread> threads;
    for (auto& slot : found) threads.emplace_back([&] { slot = tokenizer_.Encode(text); });
  }
  EXPECT_THAT(found, ::testing::Each(ids));
}

constexpr const char* kDeepSeekBos = "<｜begin▁of▁sentence｜>";
constexpr const char* kDeepSeekEos = "<｜end▁of▁sentence｜>";
constexpr const char* kLlamaBos = "<|begin_of_text|>";
constexpr const char* kLlamaEos = "<|end_of_text|>";

std::string TestName(const ::testing::TestParamInfo<Released>& info) {
  std::string name = info.param.name;
  std::ranges::replace(name, '/', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    AsReleased, ReleasedTokenizer,
    ::testing::Values(Released{"deepseek_v3", 128815, kDeepSeekBos, kDeepSeekEos, true},
                      Released{"llama3", 128256, kLlamaBos, kLlamaEos, false},
                      Released{"llama3_1", 128256, kLlamaBos, "<|eot_id|>", true, "llama3"},
                      Released{"qwen3", 151669, "", "<|im_end|>", false}),
    TestName);

INSTANTIATE_TEST_SUITE_P(
    CutOrMade, ReleasedTokenizer,
    ::testing::Values(Released{"smollm2_1000_merges", 1252, "<|im_start|>", "<|im_end|>", false},
                      Released{"gemma3_5000_merges", 3375, "<bos>", "<end_of_turn>", true},
                      Released{"gpt_oss_1000_merges", 1277, "<|startoftext|>", "<|return|>", false},
                      Released{"mistral_tekken_1000_merges", 1276, "<s>", "</s>", false},
                      Released{"qwen3_6_1000_merges", 1262, "", "<|im_end|>", false},
                      Released{"sentencepiece_llama", 859, "<s>", "</s>", true},
                      Released{"sentencepiece_mistral", 859, "<s>", "</s>", true}),
    TestName);

// Without add_bos_token, which transformers 5 drops, only a template says that BOS is added.
INSTANTIATE_TEST_SUITE_P(
    SavedAgain, ReleasedTokenizer,
    ::testing::Values(Released{"saved_again/deepseek_v3", 128815, kDeepSeekBos, kDeepSeekEos, false,
                               "deepseek_v3"},
                      Released{"saved_again/llama3", 128256, kLlamaBos, kLlamaEos, false, "llama3"},
                      Released{"saved_again/qwen3", 151669, "", "<|im_end|>", false, "qwen3"},
                      Released{"saved_again/smollm2_1000_merges", 1252, "<|im_start|>",
                               "<|im_end|>", false, "smollm2_1000_merges"},
                      Released{"saved_again/gemma3_5000_merges", 3375, "<bos>", "<end_of_turn>",
                               true, "gemma3_5000_merges"},
                      Released{"saved_again/sentencepiece_llama", 859, "<s>", "</s>", false,
                               "sentencepiece_llama"},
                      Released{"saved_again/sentencepiece_mistral", 859, "<s>", "</s>", false,
                               "sentencepiece_mistral"},
                      Released{"saved_again/llama_class", 859, "<s>", "</s>", true,
                               "sentencepiece_llama"}),
    TestName);

}  // namespace
}  // namespace vernier::datasets
