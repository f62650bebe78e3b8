// A source, a plan, a finished calibration and a place to export to.
#ifndef VERNIER_TESTS_EXPORT_EXPORT_FIXTURE_H_
#define VERNIER_TESTS_EXPORT_EXPORT_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/containers/container.h"
#include "checkpoint/source_model.h"
#include "export/exporter.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/store.h"
#include "tests/support/read_tensor.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::exporter {

// Routed experts NVFP4, everything else as released.
std::vector<recipes::Rule> HybridRules(
    recipes::ScaleMethod scale = recipes::ScaleMethod::kLossless);
// Attention projections and shared experts as well.
std::vector<recipes::Rule> FullRules();

class ExportFixture : public ::testing::Test {
 protected:
  std::filesystem::path Source() const { return directory_.path() / "source-model"; }
  std::filesystem::path Output() const { return directory_.path() / "out"; }
  std::filesystem::path RunDir() const { return directory_.path() / "run"; }

  // Writes a source whose shards part some experts' w1 from w3 and some weights from their scales.
  void WriteSource(const testing::SyntheticOptions& options = {.shards = 7});
  // Replaces bytes of a source tensor from its `offset` on.
  void Overwrite(std::string_view tensor, uint64_t offset, const std::vector<uint8_t>& bytes);

  // An amax for every observed module, different for each and never 0.
  static std::vector<run::InputAmax> Calibrated(const recipes::Plan& plan);

  // Opens the source and exports it with `rules`, calibrating first where there is no store.
  ExportSummary ExportTo(const std::filesystem::path& output,
                         const std::vector<recipes::Rule>& rules = HybridRules(), int threads = 2);
  ExportSummary Export() { return ExportTo(Output()); }

  // Used instead of Calibrated() when not empty.
  std::vector<run::InputAmax> inputs_;
  // What ExportTo writes into, instead of what the plan says.
  const checkpoint::Container* container_ = nullptr;
  // How exports stream; ExportTo sets the threads.
  StreamSettings settings_;

 private:
  testing::TempDir directory_;
};

recipes::Recipe MakeRecipe(const std::vector<recipes::Rule>& rules);

// Every regular file below `directory`, by its relative path.
std::map<std::string, std::string> ReadTree(const std::filesystem::path& directory);

using testing::ReadTensor;
float ReadScalar(const checkpoint::Checkpoint& checkpoint, std::string_view name);
// All values of a weight, dequantised.
std::vector<float> ReadValues(const checkpoint::SourceModel& model, std::string_view module);

}  // namespace vernier::exporter

#endif  // VERNIER_TESTS_EXPORT_EXPORT_FIXTURE_H_
