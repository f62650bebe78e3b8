#include "tests/export/export_fixture.h"

#include <cstring>
#include <utility>

#include "base/file.h"
#include "base/progress.h"
#include "recipes/plan_shards.h"

namespace vernier::exporter {

using checkpoint::Checkpoint;
using checkpoint::Role;
using recipes::ScaleMethod;
namespace formats = checkpoint::formats;

std::vector<recipes::Rule> HybridRules(ScaleMethod scale) {
  return {
      {.roles = {Role::kRoutedExpert}, .name_glob = "", .format = formats::kNvfp4, .scale = scale}};
}

std::vector<recipes::Rule> FullRules() {
  std::vector<recipes::Rule> rules = HybridRules();
  for (const Role role : {Role::kSharedExpert, Role::kAttention}) {
    rules.push_back(
        {.roles = {role}, .name_glob = "", .format = formats::kNvfp4, .scale = ScaleMethod::kMax});
  }
  return rules;
}

recipes::Recipe MakeRecipe(const std::vector<recipes::Rule>& rules) {
  recipes::Recipe recipe;
  recipe.description = "a test";
  recipe.rules = rules;
  return recipe;
}

void ExportFixture::WriteSource(const testing::SyntheticOptions& options) {
  testing::WriteSyntheticDeepseekV4(Source(), options);
}

void ExportFixture::Overwrite(std::string_view tensor, uint64_t offset,
                              const std::vector<uint8_t>& bytes) {
  testing::Overwrite(Source(), tensor, offset, std::as_bytes(std::span(bytes)));
}

std::vector<run::InputAmax> ExportFixture::Calibrated(const recipes::Plan& plan) {
  std::vector<run::InputAmax> inputs;
  for (const std::string& module : plan.observed_modules) {
    const auto number = static_cast<float>(inputs.size() + 1);
    inputs.push_back({.module = module, .layer = 0, .amax = 0.37f * number, .tokens = 100});
  }
  return inputs;
}

ExportSummary ExportFixture::ExportTo(const std::filesystem::path& output,
                                      const std::vector<recipes::Rule>& rules, int threads) {
  const checkpoint::SourceModel source = checkpoint::OpenSourceModel(Source());
  const recipes::Recipe recipe = MakeRecipe(rules);
  recipes::Plan plan = recipes::MakePlan(source, recipe);
  if (container_ != nullptr) {
    plan.container = container_;
    recipes::LayOutShards(source, plan);
  }
  run::Store store = run::Store::Open(RunDir());
  if (!store.CalibrationFinished()) store.FinishCalibration();
  Progress progress = Progress::Silent();
  settings_.threads = threads;
  return exporter::Export({.source = source,
                           .plan = plan,
                           .recipe = recipe,
                           .inputs = inputs_.empty() ? Calibrated(plan) : inputs_,
                           .store = store,
                           .output = output,
                           .settings = settings_,
                           .progress = progress});
}

std::map<std::string, std::string> ReadTree(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    files[std::filesystem::relative(entry.path(), directory).string()] =
        ReadWholeFile(entry.path());
  }
  return files;
}

float ReadScalar(const Checkpoint& checkpoint, std::string_view name) {
  const std::vector<std::byte> bytes = ReadTensor(checkpoint, name);
  float value = 0;
  EXPECT_EQ(bytes.size(), sizeof(value));
  if (bytes.size() == sizeof(value)) std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

std::vector<float> ReadValues(const checkpoint::SourceModel& model, std::string_view module) {
  const checkpoint::LogicalWeight* weight = model.layout.FindModule(module);
  if (weight == nullptr) {
    ADD_FAILURE() << "no module " << module;
    return {};
  }
  return testing::ReadWeight(model.checkpoint, *weight);
}

}  // namespace vernier::exporter
