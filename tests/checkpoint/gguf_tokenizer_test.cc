// What llama.cpp is told of tokenizers.
#include "checkpoint/containers/gguf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "checkpoint/containers/gguf_pre_tokenizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_tree.h"
#include "tests/support/temp_dir.h"

namespace vernier::checkpoint::gguf {
namespace {

using ::testing::ElementsAre;

class GgufTokenizer : public ::testing::Test {
 protected:
  std::map<std::string, GgufValue> Write(const Json& tokenizer, const Json& settings = {},
                                         int64_t vocab_size = 8, const Json& config = {}) {
    WriteFileAtomically(directory_.path() / "tokenizer.json", tokenizer.dump());
    if (!settings.is_null()) {
      WriteFileAtomically(directory_.path() / "tokenizer_config.json", settings.dump());
    }
    std::map<std::string, GgufValue> values;
    for (GgufEntry& entry : TokenizerMetadata(directory_.path(), config, vocab_size)) {
      values.emplace(std::move(entry.key), std::move(entry.value));
    }
    return values;
  }

  template <typename T>
  static T Get(const std::map<std::string, GgufValue>& values, const std::string& name) {
    return std::get<T>(values.at("tokenizer.ggml." + name));
  }

  testing::TempDir directory_;
};

Json ByteLevel(bool splits) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", splits}};
}

Json Tokenizer() {
  return {{"model",
           {{"type", "BPE"},
            {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"abb", 3}}},
            {"merges", Json::array({Json::array({"a", "b"}), Json::array({"ab", "b"})})}}},
          {"pre_tokenizer", ByteLevel(true)},
          {"added_tokens",
           {{{"id", 4}, {"content", "<s>"}, {"special", true}},
            {{"id", 5}, {"content", "<|x|>"}, {"special", false}},
            {{"id", 6}, {"content", "word"}, {"special", false}}}}};
}

TEST_F(GgufTokenizer, TokensHaveTheirTypesAndTheRestIsUnused) {
  const auto values =
      Write(Tokenizer(), {{"bos_token", "<s>"}, {"eos_token", {{"content", "word"}}}});
  EXPECT_EQ(Get<std::string>(values, "model"), "gpt2");
  EXPECT_EQ(Get<std::string>(values, "pre"), "gpt-2");
  EXPECT_THAT(Get<std::vector<std::string>>(values, "tokens"),
              ElementsAre("a", "b", "ab", "abb", "<s>", "<|x|>", "word", "[PAD7]"));
  EXPECT_THAT(Get<std::vector<int32_t>>(values, "token_type"), ElementsAre(1, 1, 1, 1, 3, 3, 4, 5));
  EXPECT_THAT(Get<std::vector<std::string>>(values, "merges"), ElementsAre("a b", "ab b"));
  EXPECT_EQ(Get<uint32_t>(values, "bos_token_id"), 4U);
  EXPECT_EQ(Get<uint32_t>(values, "eos_token_id"), 6U);
}

TEST_F(GgufTokenizer, ByteFallbackMeansScoresByTheOrderOfMerges) {
  Json tokenizer = Tokenizer();
  tokenizer["model"]["byte_fallback"] = true;
  tokenizer["model"]["vocab"]["<0x41>"] = 7;
  const auto values = Write(tokenizer);
  EXPECT_EQ(Get<std::string>(values, "model"), "llama");
  EXPECT_THAT(Get<std::vector<float>>(values, "scores"),
              ElementsAre(-1000, -1000, 0, -1, -1000, -1000, -1000, -1000));
  EXPECT_EQ(Get<std::vector<int32_t>>(values, "token_type").back(), 6);
  EXPECT_FALSE(values.contains("tokenizer.ggml.merges"));
  EXPECT_FALSE(Get<bool>(values, "add_space_prefix"));
  tokenizer["normalizer"] = {{"type", "Prepend"}, {"prepend", "_"}};
  EXPECT_FALSE(Write(tokenizer).contains("tokenizer.ggml.add_space_prefix"));
}

TEST_F(GgufTokenizer, WhatIsPutBeforeATextComesFromThePostProcessor) {
  Json tokenizer = Tokenizer();
  const Json bos = {{"SpecialToken", {{"id", "<s>"}}}}, text = {{"Sequence", {{"id", "A"}}}};
  tokenizer["post_processor"] = {{"type", "TemplateProcessing"},
                                 {"single", Json::array({bos, text})}};
  const Json settings = {{"bos_token", "<s>"}, {"add_bos_token", false}, {"add_eos_token", true}};
  const auto values = Write(tokenizer, settings);
  EXPECT_TRUE(Get<bool>(values, "add_bos_token"));
  EXPECT_TRUE(Get<bool>(values, "add_eos_token"));
}

TEST_F(GgufTokenizer, ItsTemplateComesFromEitherFile) {
  WriteFileAtomically(directory_.path() / "chat_template.jinja", "from a file");
  EXPECT_EQ(std::get<std::string>(Write(Tokenizer()).at("tokenizer.chat_template")), "from a file");
  const auto values = Write(Tokenizer(), {{"chat_template", "from settings"}});
  EXPECT_EQ(std::get<std::string>(values.at("tokenizer.chat_template")), "from settings");
}

TEST_F(GgufTokenizer, WhatLlamaCppDoesNotHaveIsRefused) {
  Json tokenizer = Tokenizer();
  tokenizer["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "x"}}}};
  EXPECT_VERNIER_ERROR(Write(tokenizer), ErrorCode::kBadTokenizer, "pre_tokenizer");
  tokenizer = Tokenizer();
  tokenizer["model"]["type"] = "Unigram";
  EXPECT_VERNIER_ERROR(Write(tokenizer), ErrorCode::kBadTokenizer, "BPE");
  tokenizer = Tokenizer();
  tokenizer["added_tokens"][0]["content"] = 7;
  EXPECT_VERNIER_ERROR(Write(tokenizer), ErrorCode::kBadTokenizer, "malformed");
  EXPECT_VERNIER_ERROR(Write(Tokenizer(), {}, 3), ErrorCode::kBadTokenizer, "vocab_size");
}

TEST_F(GgufTokenizer, WithoutAFileThereAreIdsAlone) {
  const GgufMetadata metadata = TokenizerMetadata(directory_.path(), Json::object(), 8);
  ASSERT_EQ(metadata.size(), 1U);
  EXPECT_EQ(std::get<std::string>(metadata.front().value), "none");
}

// The release's own pre-tokenizer: three expressions, one with line ends as characters.
TEST(GgufPreTokenizer, DeepseekV4HasDeepseekV3s) {
  const Json tokenizer = ReadJsonFile(testing::kExample + "/tokenizer.json");
  EXPECT_EQ(PreTokenizerName(nlohmann::json(tokenizer["pre_tokenizer"])), "deepseek-v3");
}

// Those of releases, as tests of tokenizers have them.
TEST(GgufPreTokenizer, ReleasesAreKnownByWhatTheirsDoes) {
  const std::map<std::string, std::string> expected = {
      {"llama3", "llama-bpe"},           {"qwen3", "qwen2"},
      {"deepseek_v3", "deepseek-v3"},    {"mistral_tekken_1000_merges", "tekken"},
      {"smollm2_1000_merges", "smollm"}, {"gpt_oss_1000_merges", ""}};
  for (const auto& [name, pre] : expected) {
    const std::string path =
        std::string(VERNIER_TEST_DATA) + "/tokenizers/" + name + "/tokenizer.json";
    const nlohmann::json tokenizer = nlohmann::json::parse(ReadWholeFile(path));
    EXPECT_EQ(PreTokenizerName(tokenizer["pre_tokenizer"]), pre) << name;
  }
}

TEST(GgufPreTokenizer, StepsCountAndTheirOrder) {
  using nlohmann::json;
  const json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const auto sequence = [](json steps) {
    return json({{"type", "Sequence"}, {"pretokenizers", std::move(steps)}});
  };
  EXPECT_EQ(PreTokenizerName(sequence({digits, json(ByteLevel(true))})), "smollm");
  EXPECT_EQ(PreTokenizerName(sequence({json(ByteLevel(true)), digits})), "");
  EXPECT_EQ(PreTokenizerName(sequence({digits, json(ByteLevel(false))})), "");
  EXPECT_EQ(PreTokenizerName(json()), "");
}

}  // namespace
}  // namespace vernier::checkpoint::gguf
