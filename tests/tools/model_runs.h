// Whole commands on models of tests/data/models, in folders of their own.
#ifndef VERNIER_TESTS_TOOLS_MODEL_RUNS_H_
#define VERNIER_TESTS_TOOLS_MODEL_RUNS_H_

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/store.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {

// What a command is given, in the folder `name`.
struct ModelRun {
  std::string name;
  std::string model;  // of tests/data/models
  Json quantize;      // the recipe's rules
  int64_t vocab = 0;  // ids of the calibration are below it; 0: the model's
  int64_t samples = 16;
  Json fields = Json::object();  // replace the recipe's
};

class ModelRunTest : public ::testing::Test {
 protected:
  std::string Place(const std::string& name, const std::string& part) const {
    return (dir_.path() / name / part).string();
  }

  // Writes recipe and calibration data, and returns {command, recipe, options...}.
  std::vector<std::string> ArgumentsOf(const std::string& command, const ModelRun& run,
                                       const std::vector<std::string>& options);
  // Of a run that reports its progress in JSON, on ids that every model has.
  std::vector<std::string> ArgumentsOfRun(ModelRun run, std::vector<std::string> options);
  // Expects success.
  CommandResult Run(const std::vector<std::string>& arguments);

  // Of what a run wrote: hashes by file, the manifest, the store.
  std::map<std::string, std::string> Output(const std::string& name) const;
  Json Manifest(const std::string& name) const;
  run::Store StoreOf(const std::string& name) const;

  TempDir dir_;
};

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_TOOLS_MODEL_RUNS_H_
