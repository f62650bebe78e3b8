// Specifications from JSON. kBadArgument for what is missing, unknown or of the wrong kind.
#ifndef VERNIER_JOBS_SPEC_JSON_H_
#define VERNIER_JOBS_SPEC_JSON_H_

#include <filesystem>
#include <string_view>

#include "base/json.h"
#include "jobs/amax.h"
#include "jobs/convert.h"
#include "jobs/eval.h"
#include "jobs/generate.h"
#include "jobs/layertest.h"
#include "jobs/plan_report.h"
#include "jobs/report.h"
#include "jobs/trace.h"
#include "jobs/validate.h"
#include "recipes/recipe.h"

namespace vernier::jobs {

// A job on a recipe file, a shipped recipe, one that is part of the specification, or the default
// of the source.
struct RecipeJobSpec {
  recipes::Recipe recipe;  // with the specification's values in place of its own
  std::vector<std::string> evaluation_data;
  std::string command;  // see PipelineSpec
};
RecipeJobSpec ReadRecipeJob(const Json& spec, std::string_view job);

struct PlanSpec {
  recipes::Recipe recipe;
  SpeedFrom speed_from = SpeedFrom::kUsual;
};
PlanSpec ReadPlanSpec(const Json& spec);

std::filesystem::path ReadInspectSpec(const Json& spec);
std::filesystem::path ReadRecipesSpec(const Json& spec);  // empty: of no checkpoint
ConvertSpec ReadConvertSpec(const Json& spec);
DequantizeSpec ReadDequantizeSpec(const Json& spec);
ValidateSpec ReadValidateSpec(const Json& spec);
ReportSpec ReadReportSpec(const Json& spec);
std::filesystem::path ReadAmaxSpec(const Json& spec);
EvalSpec ReadEvalSpec(const Json& spec);
GenerateSpec ReadGenerateSpec(const Json& spec);
LayerTestSpec ReadLayerTestSpec(const Json& spec);
TraceSpec ReadTraceSpec(const Json& spec);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_SPEC_JSON_H_
