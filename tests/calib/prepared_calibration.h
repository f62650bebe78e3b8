// A calibration as a recipe wants it, for tests of its loop.
#ifndef VERNIER_TESTS_CALIB_PREPARED_CALIBRATION_H_
#define VERNIER_TESTS_CALIB_PREPARED_CALIBRATION_H_

#include <optional>
#include <utility>

#include "calib/calibrate.h"
#include "calib/device.h"
#include "datasets/calibration_set.h"
#include "datasets/tokenizer.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"
#include "run/loop_sizes.h"

namespace vernier::calib {

struct PreparedCalibration {
  explicit PreparedCalibration(recipes::Recipe of)
      : recipe(std::move(of)),
        source(checkpoint::OpenSourceModel(recipe.source)),
        plan(recipes::MakePlan(source, recipe)),
        tokenizer(datasets::Tokenizer::Load(recipe.source)),
        tokens(datasets::BuildCalibrationSet(recipe.calibration.data, tokenizer)) {}

  // What fits `compute`, and the sizes that a store has kept.
  CalibrationBudget Budget(const ComputeSpec& compute,
                           const std::optional<run::LoopSizes>& kept = std::nullopt) const {
    return PlanBudget(source, compute, WorkloadOf(recipe, source.layout, plan),
                      ReadMachineMemory(ParseDevice(compute.device)), kept);
  }

  CalibrationRequest Request(const CalibrationBudget& budget) const {
    return {.source = source,
            .recipe = recipe,
            .plan = plan,
            .budget = budget,
            .tokens = tokens,
            .tokenizer = tokenizer.fingerprint()};
  }

  const recipes::Recipe recipe;
  const checkpoint::SourceModel source;
  const recipes::Plan plan;
  const datasets::Tokenizer tokenizer;
  const datasets::CalibrationSet tokens;
};

}  // namespace vernier::calib

#endif  // VERNIER_TESTS_CALIB_PREPARED_CALIBRATION_H_
