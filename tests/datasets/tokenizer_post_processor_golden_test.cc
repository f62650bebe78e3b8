// Every form of post-processor against the Hugging Face library's ids.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/datasets/golden_tokenizer.h"

namespace vernier::datasets {
namespace {

// Of a golden of post_processors.json, without a configuration.
Tokenizer OfGolden(const Json& golden) {
  nlohmann::json file = ReadTokenizerJson(golden["tokenizer"].get<std::string>());
  file["post_processor"] = golden["post_processor"];
  return Tokenizer::Parse(file.dump(), "", golden["name"].get<std::string>());
}

TEST(PostProcessorGoldens, GiveTheLibrarysIdsButNoSecondBosOrEos) {
  const Json goldens = ReadJsonFile(GoldenPath("post_processors.json"));
  ASSERT_EQ(goldens.size(), 30u);
  for (const Json& golden : goldens) {
    SCOPED_TRACE(golden["name"]);
    const Tokenizer tokenizer = OfGolden(golden);
    for (const Json& row : golden["rows"]) {
      ExpectLibraryAddsPrefixAndSuffix(tokenizer, row);
      EXPECT_EQ(EncodeWithSpecialTokens(tokenizer, row),
                WithoutDoubledSpecialTokens(tokenizer, row))
          << row["text"];
    }
  }
}

}  // namespace
}  // namespace vernier::datasets
