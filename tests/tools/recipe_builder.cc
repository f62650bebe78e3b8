#include "tests/tools/recipe_builder.h"

#include <random>

#include "base/file.h"
#include "tests/support/source_tree.h"

namespace vernier::testing {
namespace {

Json BaseRecipe(const std::filesystem::path& directory, const std::filesystem::path& source,
                const std::filesystem::path& data, int64_t samples, int64_t sequence_length) {
  return {{"version", 1},
          {"source", source.string()},
          {"output", (directory / "out").string()},
          {"run_dir", (directory / "run").string()},
          {"calibration",
           {{"data", {{{"path", data.string()}}}},
            {"samples", samples},
            {"sequence_length", sequence_length}}},
          {"quantize", {{{"role", "routed_expert"}, {"format", "nvfp4"}}}}};
}

}  // namespace

Json ExampleRecipe(const std::filesystem::path& directory) {
  return BaseRecipe(directory, kExample,
                    kSourceTree / "datasets/samples/postgresql-sqlite-docs.jsonl", /*samples=*/4,
                    /*sequence_length=*/160);
}

Json SyntheticRecipe(const std::filesystem::path& directory, const std::filesystem::path& source,
                     int64_t vocab, int64_t samples, int64_t sequence_length) {
  std::mt19937 random(7);
  std::string lines;
  for (int64_t sample = 0; sample < samples; ++sample) {
    Json ids = Json::array();
    for (int64_t t = 0; t < sequence_length; ++t) {
      ids.push_back(random() % static_cast<uint64_t>(vocab));
    }
    lines += Json({{"input_ids", ids}}).dump() + "\n";
  }
  const std::filesystem::path data = directory / "ids.jsonl";
  WriteFileAtomically(data, lines);
  return BaseRecipe(directory, source, data, samples, sequence_length);
}

std::string WriteRecipe(const std::filesystem::path& directory, const Json& recipe,
                        const std::string& file_name) {
  const std::filesystem::path path = directory / file_name;
  WriteFileAtomically(path, recipe.dump(2));
  return path.string();
}

std::filesystem::path CopyTestModel(const std::filesystem::path& directory,
                                    const std::string& model) {
  const std::filesystem::path copy = directory / (model + "-source");
  if (std::filesystem::exists(copy)) return copy;
  std::filesystem::copy(std::filesystem::path(VERNIER_TEST_DATA) / "models" / model, copy);
  AddTokenizer(copy);
  return copy;
}

void AddTokenizer(const std::filesystem::path& checkpoint) {
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
    std::filesystem::copy_file(kSourceTree / "examples/mini-deepseek-v4" / file, checkpoint / file);
  }
}

}  // namespace vernier::testing
