// Facts of config.json under each of their names, in the order of docs/config.md.
#include "checkpoint/config_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace vernier::checkpoint {
namespace {

using ::testing::ElementsAre;

Json Quantization(const std::string& method) { return {{"quant_method", method}}; }

TEST(ConfigFacts, QuantizationStandsInThreePlaces) {
  Json config = {{"compression_config", Quantization("last")}};
  EXPECT_EQ(FindQuantizationConfig(config).pointer, "/compression_config");
  config["text_config"] = {{"quantization_config", Quantization("second")}};
  EXPECT_EQ(FindQuantizationConfig(config).pointer, "/text_config/quantization_config");
  EXPECT_EQ(QuantMethod(config), "second");
  config["quantization_config"] = Quantization("first");
  EXPECT_EQ(QuantMethod(config), "first");
  EXPECT_THAT(QuantizationConfigPlaces(config),
              ElementsAre("/quantization_config", "/text_config/quantization_config",
                          "/compression_config"));
  config["quantization_config"] = nullptr;
  EXPECT_EQ(QuantMethod(config), "second") << "null is no configuration";
}

TEST(ConfigFacts, WithoutQuantizationThereIsNoMethod) {
  EXPECT_FALSE(FindQuantizationConfig(Json::object()));
  EXPECT_EQ(QuantMethod(Json::object()), "");
  EXPECT_EQ(QuantMethod({{"quantization_config", 3}}), "");
  EXPECT_EQ(QuantMethod({{"quantization_config", {{"quant_method", 3}}}}), "");
  EXPECT_TRUE(QuantizationConfigPlaces(Json::object()).empty());
}

TEST(ConfigFacts, TheTextConfigHasSeveralNames) {
  for (const std::string place :
       {"/text_config", "/llm_config", "/language_config", "/thinker_config/text_config"}) {
    Json config = {{"hidden_size", 1}};
    config[Json::json_pointer(place)] = {{"hidden_size", 2}};
    EXPECT_EQ(FindTextConfig(config).pointer, place);
    EXPECT_EQ(*FindModelField(config, "hidden_size").value, 2);
    EXPECT_EQ(FindModelField(config, "hidden_size").pointer, place + "/hidden_size");
  }
  const Json flat = {{"hidden_size", 1}, {"text_config", "no object"}};
  EXPECT_EQ(FindTextConfig(flat).pointer, "");
  EXPECT_EQ(*FindModelField(flat, "hidden_size").value, 1);
}

TEST(ConfigFacts, AFieldBesideTheTextConfigCountsWhereThatLacksIt) {
  const Json config = {{"vocab_size", 7}, {"text_config", {{"hidden_size", 2}}}};
  EXPECT_EQ(*FindModelField(config, "vocab_size").value, 7);
  const std::array<std::string_view, 2> names = {"n_embd", "hidden_size"};
  EXPECT_EQ(FindModelField(config, names).pointer, "/text_config/hidden_size");
  EXPECT_FALSE(FindModelField(config, "absent"));
  EXPECT_FALSE(FindModelField(Json::array(), "hidden_size"));
}

TEST(ConfigFacts, MtpLayersAreCountedUnderFourNames) {
  for (const char* name :
       {"mtp_num_hidden_layers", "num_nextn_predict_layers", "num_mtp_layers", "num_mtp_modules"}) {
    const auto flat = FindMtpCount({{name, 2}});
    ASSERT_TRUE(flat.has_value()) << name;
    EXPECT_EQ(flat->layers, 2);
    EXPECT_EQ(flat->name, name);
    EXPECT_EQ(FindMtpCount({{"text_config", {{name, 3}}}})->layers, 3);
  }
  const Json both = {{"num_nextn_predict_layers", 0}, {"mtp_num_hidden_layers", 1}};
  EXPECT_EQ(FindMtpCount(both)->layers, 1);
  EXPECT_FALSE(FindMtpCount(Json::object()).has_value());
  EXPECT_FALSE(FindMtpCount({{"num_mtp_layers", "one"}}).has_value());
}

TEST(ConfigFacts, TiedEmbeddingsAreSaidByTheTextConfigFirst) {
  EXPECT_EQ(FindTiedEmbeddings({{"tie_word_embeddings", true}}), true);
  EXPECT_EQ(FindTiedEmbeddings(
                {{"tie_word_embeddings", false}, {"text_config", {{"tie_word_embeddings", true}}}}),
            true);
  EXPECT_EQ(FindTiedEmbeddings(Json::object()), std::nullopt);
}

}  // namespace
}  // namespace vernier::checkpoint
