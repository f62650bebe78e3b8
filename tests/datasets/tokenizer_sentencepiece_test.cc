// Tokenizers that were converted from sentencepiece models (Llama 2, Mistral, Mixtral), against the
// Hugging Face library.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "datasets/token_decoder.h"
#include "datasets/tokenizer.h"

namespace vernier::datasets {
namespace {

class Sentencepiece : public ::testing::TestWithParam<const char*> {
 protected:
  const std::filesystem::path directory_ =
      std::filesystem::path(VERNIER_TEST_DATA) / "tokenizers" / GetParam();
  const Tokenizer tokenizer_ = Tokenizer::Load(directory_);
};

TEST_P(Sentencepiece, GivesTheExpectedIdsAndText) {
  const Json expected = ReadJsonFile(directory_ / "expected.json");
  ASSERT_GE(expected.size(), 20u);
  for (const Json& row : expected) {
    const auto text = row["text"].get<std::string>();
    const auto ids = row["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer_.Encode(text), ids) << text;
    EXPECT_EQ(tokenizer_.Decode(ids), row["decoded"].get<std::string>()) << text;
  }
}

TEST_P(Sentencepiece, BytesThatAreNoTextBecomeReplacements) {
  const auto byte = [&](unsigned char value) { return *tokenizer_.TokenId(TokenOfByte(value)); };
  EXPECT_EQ(tokenizer_.Decode(std::vector<int32_t>{byte(0xC3), byte(0xA9)}), "\u00e9");
  EXPECT_EQ(tokenizer_.Decode(std::vector<int32_t>{byte(0xA9), byte(0xC3)}), "\uFFFD\uFFFD");
}

INSTANTIATE_TEST_SUITE_P(Forms, Sentencepiece,
                         ::testing::Values("sentencepiece_llama", "sentencepiece_mistral"),
                         [](const auto& info) { return std::string(info.param); });

TEST(TokenOfByte, GoesBothWays) {
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(ByteOfToken(TokenOfByte(static_cast<unsigned char>(byte))), byte);
  }
  for (const char* other : {"<0x0>", "<0xG0>", "0x00", "<0x000>", "", "<s>"}) {
    EXPECT_EQ(ByteOfToken(other), -1) << other;
  }
}

}  // namespace
}  // namespace vernier::datasets
