#include "tests/datasets/golden_tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "base/file.h"
#include "datasets/special_ids.h"

namespace vernier::datasets {
namespace {

bool BeginsWith(const Ids& ids, const Ids& part) {
  return std::mismatch(part.begin(), part.end(), ids.begin(), ids.end()).first == part.end();
}

bool EndsWith(const Ids& ids, const Ids& part) {
  return std::mismatch(part.rbegin(), part.rend(), ids.rbegin(), ids.rend()).first == part.rend();
}

}  // namespace

std::filesystem::path GoldenPath(std::string_view name) {
  return std::filesystem::path(VERNIER_TEST_DATA) / "tokenizers" / name;
}

nlohmann::json ReadTokenizerJson(std::string_view name) {
  return nlohmann::json::parse(ReadWholeFile(GoldenPath(name) / "tokenizer.json"));
}

Tokenizer LoadSpliced(std::string_view name, std::string_view model_of) {
  nlohmann::json file = ReadTokenizerJson(name);
  nlohmann::json other = ReadTokenizerJson(model_of);
  for (const char* part : {"vocab", "merges"}) {
    file["model"][part] = std::move(other["model"][part]);
  }
  const std::string config = ReadWholeFile(GoldenPath(name) / "tokenizer_config.json");
  return Tokenizer::Parse(file.dump(), config, name);
}

Ids EncodeWithSpecialTokens(const Tokenizer& tokenizer, const Json& row) {
  Ids ids = tokenizer.Encode(row["text"].get<std::string>());
  AddPrefix(tokenizer.prefix(), &ids);
  AddSuffix(tokenizer.suffix(), &ids);
  return ids;
}

Ids WithoutDoubledSpecialTokens(const Tokenizer& tokenizer, const Json& row) {
  const auto text = row["ids"].get<Ids>();
  auto ids = row["with_special_tokens"].get<Ids>();
  if (BeginsWith(text, tokenizer.prefix())) {
    ids.erase(ids.begin(), std::next(ids.begin(), std::ssize(tokenizer.prefix())));
  }
  if (EndsWith(text, tokenizer.suffix())) ids.resize(ids.size() - tokenizer.suffix().size());
  return ids;
}

void ExpectLibraryAddsPrefixAndSuffix(const Tokenizer& tokenizer, const Json& row) {
  Ids ids = tokenizer.prefix();
  for (const Ids& part : {row["ids"].get<Ids>(), tokenizer.suffix()}) {
    ids.insert(ids.end(), part.begin(), part.end());
  }
  EXPECT_EQ(ids, row["with_special_tokens"].get<Ids>()) << row["text"];
}

}  // namespace vernier::datasets
