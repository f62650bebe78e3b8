// What tests of layer tests share: a synthetic DeepSeek-V4 and conversions of it.
#ifndef VERNIER_TESTS_CALIB_LAYER_COMPARISON_FIXTURE_H_
#define VERNIER_TESTS_CALIB_LAYER_COMPARISON_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>

#include "calib/budget/budget.h"
#include "calib/layertest/result.h"
#include "datasets/calibration_set.h"
#include "tests/support/temp_dir.h"

namespace vernier::calib {

inline constexpr int64_t kComparedLayer = 2;  // with an indexer, and experts chosen by scores
inline constexpr float kInputScale = 0.004f;  // of all conversions that have any

class LayerComparisonTest : public ::testing::Test {
 protected:
  // Once: the source and
  //   "lossless"      experts in NVFP4 of the same values
  //   "coarse"        experts in NVFP4 of other values
  //   "packed"        the same, all else in BF16, as compressed-tensors
  //   "weights-only"  the same without input scales, as ModelOpt
  static void SetUpTestSuite();
  static void TearDownTestSuite();

  static std::filesystem::path Path(const std::string& name) { return dir_->path() / name; }

  // Of the source and `quantized`, with the members below.
  LayerTestResult Test(const std::filesystem::path& quantized,
                       int64_t layer = kComparedLayer) const;

  ComputeSpec compute_ = {.dtype = recipes::ComputeDtype::kFloat32};
  CalibrationBudget budget_;         // one batch
  datasets::CalibrationSet tokens_;  // three samples, two of them padded

  LayerComparisonTest();

 private:
  static inline testing::TempDir* dir_ = nullptr;
};

// Every stage that a result tells of.
void ForEachStage(const LayerTestResult& result,
                  const std::function<void(const std::string&, const StageErrors&)>& use);

// That of a module that got rows.
const LinearResult& FindLinear(const LayerTestResult& result, const std::string& module);

}  // namespace vernier::calib

#endif  // VERNIER_TESTS_CALIB_LAYER_COMPARISON_FIXTURE_H_
