#include "jobs/catalogue.h"

#include <array>
#include <string>
#include <vector>

#include "audit/report_json.h"
#include "base/error.h"
#include "base/text.h"
#include "jobs/amax.h"
#include "jobs/inspect.h"
#include "jobs/pipeline.h"
#include "jobs/plan_report.h"
#include "jobs/recipes.h"
#include "jobs/spec_json.h"
#include "jobs/summary_json.h"

namespace vernier::jobs {
namespace {

bool Never(const Json&) { return false; }
bool Always(const Json&) { return true; }

bool PlanNeeds(const Json& spec) {
  const PlanSpec plan = ReadPlanSpec(spec);
  return PlanNeedsModels(plan.recipe, plan.speed_from);
}

bool CalibrationNeeds(const Json& spec) {
  return recipes::ObservesInputs(ReadRecipeJob(spec, "calibrate").recipe);
}

bool ExportNeeds(const Json& spec) {
  return !ReadRecipeJob(spec, "export").evaluation_data.empty();
}

bool RunNeeds(const Json& spec) {
  const RecipeJobSpec job = ReadRecipeJob(spec, "run");
  return recipes::ObservesInputs(job.recipe) || !job.evaluation_data.empty();
}

Json RunSteps(const Json& spec, std::string_view job, std::vector<Step> steps,
              const ModelJobs* models, ProgressListener& listener) {
  RecipeJobSpec given = ReadRecipeJob(spec, job);
  return PipelineJson(RunPipeline({.recipe = std::move(given.recipe),
                                   .steps = std::move(steps),
                                   .evaluation_data = std::move(given.evaluation_data),
                                   .command = std::move(given.command)},
                                  models, listener));
}

Json InspectJob(const Json& spec, const ModelJobs*, ProgressListener&) {
  return InspectJson(Inspect(ReadInspectSpec(spec)));
}

Json RecipesJob(const Json& spec, const ModelJobs*, ProgressListener&) {
  return RecipesJson(ListRecipes(ReadRecipesSpec(spec)));
}

Json PlanJob(const Json& spec, const ModelJobs* models, ProgressListener&) {
  PlanSpec plan = ReadPlanSpec(spec);
  return PlanJson(MakePlanReport(std::move(plan.recipe), plan.speed_from, models));
}

Json ConvertJob(const Json& spec, const ModelJobs*, ProgressListener& listener) {
  return PipelineJson(Convert(ReadConvertSpec(spec), listener));
}

Json DequantizeJob(const Json& spec, const ModelJobs*, ProgressListener& listener) {
  return PipelineJson(Dequantize(ReadDequantizeSpec(spec), listener));
}

Json CalibrateJob(const Json& spec, const ModelJobs* models, ProgressListener& listener) {
  return RunSteps(spec, "calibrate", {Step::kCalibrate}, models, listener);
}

Json ExportJob(const Json& spec, const ModelJobs* models, ProgressListener& listener) {
  return RunSteps(spec, "export", {Step::kExport, Step::kValidate}, models, listener);
}

Json RunJob(const Json& spec, const ModelJobs* models, ProgressListener& listener) {
  return RunSteps(spec, "run", {Step::kCalibrate, Step::kExport, Step::kValidate}, models,
                  listener);
}

Json ValidateJob(const Json& spec, const ModelJobs*, ProgressListener& listener) {
  return audit::ReportJson(Validate(ReadValidateSpec(spec), listener));
}

Json ReportJob(const Json& spec, const ModelJobs*, ProgressListener& listener) {
  return ReportJson(WriteReport(ReadReportSpec(spec), listener));
}

Json AmaxJob(const Json& spec, const ModelJobs*, ProgressListener&) {
  return ReadAmax(ReadAmaxSpec(spec));
}

Json EvalJob(const Json& spec, const ModelJobs* models, ProgressListener& listener) {
  return EvalJson(RequireModels(models, "eval").Evaluate(ReadEvalSpec(spec), listener));
}

Json GenerateJob(const Json& spec, const ModelJobs* models, ProgressListener& listener) {
  const GenerateSpec given = ReadGenerateSpec(spec);
  return {{"texts", GenerateJson(RequireModels(models, "generate").Generate(given, {}, listener))}};
}

Json LayerTestJob(const Json& spec, const ModelJobs* models, ProgressListener& listener) {
  return LayerTestJson(
      RequireModels(models, "layertest").TestLayer(ReadLayerTestSpec(spec), listener));
}

Json TraceJob(const Json& spec, const ModelJobs* models, ProgressListener& listener) {
  return TraceJson(RequireModels(models, "trace").Trace(ReadTraceSpec(spec), listener));
}

constexpr auto kJobs = std::to_array<Job>({{"inspect", Never, InspectJob},
                                           {"recipes", Never, RecipesJob},
                                           {"plan", PlanNeeds, PlanJob},
                                           {"convert", Never, ConvertJob},
                                           {"dequantize", Never, DequantizeJob},
                                           {"calibrate", CalibrationNeeds, CalibrateJob},
                                           {"export", ExportNeeds, ExportJob},
                                           {"run", RunNeeds, RunJob},
                                           {"validate", Never, ValidateJob},
                                           {"report", Never, ReportJob},
                                           {"amax", Never, AmaxJob},
                                           {"eval", Always, EvalJob},
                                           {"generate", Always, GenerateJob},
                                           {"layertest", Always, LayerTestJob},
                                           {"trace", Always, TraceJob}});

}  // namespace

std::span<const Job> AllJobs() { return kJobs; }

const Job& FindJob(std::string_view name) {
  std::vector<std::string> names;
  for (const Job& job : kJobs) {
    if (job.name == name) return job;
    names.emplace_back(job.name);
  }
  throw Error(ErrorCode::kBadArgument, "\"" + std::string(name) + "\"", "is no job",
              "Give one of " + JoinNames(names));
}

}  // namespace vernier::jobs
