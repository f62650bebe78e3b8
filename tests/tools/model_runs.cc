#include "tests/tools/model_runs.h"

#include <filesystem>

#include "base/file.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {

namespace fs = std::filesystem;

std::vector<std::string> ModelRunTest::ArgumentsOf(const std::string& command, const ModelRun& run,
                                                   const std::vector<std::string>& options) {
  const fs::path place = dir_.path() / run.name, source = CopyTestModel(dir_.path(), run.model);
  fs::create_directories(place);
  const int64_t vocab = run.vocab > 0
                            ? run.vocab
                            : ReadJsonFile(source / "config.json").at("vocab_size").get<int64_t>();
  Json recipe = SyntheticRecipe(place, source, vocab, run.samples, /*sequence_length=*/64);
  recipe["quantize"] = run.quantize;
  recipe.update(run.fields);
  std::vector<std::string> arguments = {command, WriteRecipe(place, recipe)};
  arguments.insert(arguments.end(), options.begin(), options.end());
  return arguments;
}

std::vector<std::string> ModelRunTest::ArgumentsOfRun(ModelRun run,
                                                      std::vector<std::string> options) {
  constexpr int64_t kIdsOfEveryModel = 512;
  run.vocab = kIdsOfEveryModel;
  options.insert(options.begin(), {"--progress", "json"});
  return ArgumentsOf("run", run, options);
}

CommandResult ModelRunTest::Run(const std::vector<std::string>& arguments) {
  const CommandResult result = RunVernier(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.errors << result.output;
  return result;
}

std::map<std::string, std::string> ModelRunTest::Output(const std::string& name) const {
  return HashTree(dir_.path() / name / "out");
}

Json ModelRunTest::Manifest(const std::string& name) const {
  return ReadJsonFile(Place(name, "out/vernier_manifest.json"));
}

run::Store ModelRunTest::StoreOf(const std::string& name) const {
  return run::Store::OpenForReading(Place(name, "run"));
}

}  // namespace vernier::testing
