#include "jobs/model_card.h"

#include <filesystem>
#include <limits>
#include <optional>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint_files.h"
#include "jobs/build_info.h"
#include "report/model_card.h"
#include "run/identity.h"

namespace vernier::jobs {
namespace {

constexpr int64_t kWindows = 64;  // of each source of text

// Calibration notes it (run/run_identity.h).
constexpr std::string_view kTokensField = "tokens";

std::string TokensOf(const run::Store& store) {
  const run::RunIdentity identity = run::LoadIdentity(store.database());
  const auto found = identity.find(std::string(kTokensField));
  return found == identity.end() ? std::string() : found->second;
}

// Of a kept evaluation (docs/eval.md has the fields). Infinities are null there.
double NumberAt(const Json& estimate) {
  const Json& value = estimate.at("value");
  return value.is_number() ? value.get<double>() : std::numeric_limits<double>::infinity();
}

report::CardScore ScoreOf(const Json& variant) {
  const Json& total = variant.at("total");
  report::CardScore score = {.variant = variant.at("variant").get<std::string>(),
                             .perplexity = NumberAt(total.at("perplexity"))};
  const Json& divergence = total.at("divergence");
  if (divergence.is_null()) return score;
  score.mean_kl = NumberAt(divergence.at("mean_kl"));
  score.same_top = NumberAt(divergence.at("same_top"));
  return score;
}

report::CardEvaluation CardEvaluationOf(const Json& evaluation) {
  report::CardEvaluation card;
  card.window = evaluation.at("protocol").at("window").get<int64_t>();
  card.dtype = evaluation.at("protocol").at("dtype").get<std::string>();
  for (const Json& source : evaluation.at("sources")) {
    const std::filesystem::path name = source.at("name").get<std::string>();
    card.data.push_back(name.filename().string());
    card.hashes.push_back(source.at("ids_xxh3_128").get<std::string>());
    card.scored += source.at("scored").get<int64_t>();
  }
  for (const Json& variant : evaluation.at("variants")) card.scores.push_back(ScoreOf(variant));
  return card;
}

std::optional<report::CardEvaluation> KeptEvaluation(const ModelCardRequest& request) {
  const std::filesystem::path path = request.store.run_dir() / kEvaluationFileName;
  if (!std::filesystem::is_regular_file(path)) return std::nullopt;
  const Json kept = ReadJsonFile(path);
  if (kept.value("plan_hash", "") != request.plan_hash) return std::nullopt;
  return CardEvaluationOf(kept.at("evaluation"));
}

}  // namespace

EvalSpec EvaluationOfOutput(const recipes::Recipe& recipe, const std::vector<std::string>& data) {
  EvalSpec spec;
  spec.checkpoint = recipe.output.string();
  spec.reference = recipe.source.string();
  spec.data = data;
  spec.windows.max_windows = kWindows;
  const recipes::ComputeSection& compute = recipe.compute;
  spec.forward = {.dtype = std::string(recipes::ComputeDtypeName(recipe.calibration.dtype)),
                  .device = compute.device,
                  .device_memory = compute.device_memory.Text(),
                  .host_memory = compute.host_memory.Text(),
                  .batch_size = recipe.calibration.batch_size,
                  .threads = compute.threads};
  return spec;
}

void SaveEvaluation(const std::filesystem::path& run_dir, const std::string& plan_hash,
                    const EvalSummary& summary) {
  const Json kept = {{"plan_hash", plan_hash}, {"evaluation", EvalJson(summary)}};
  WriteFileAtomically(run_dir / kEvaluationFileName,
                      kept.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void WriteModelCard(const ModelCardRequest& request) {
  const BuildInfo build = ReadBuildInfo();
  report::CardContent content = {.source = request.source,
                                 .recipe = request.recipe,
                                 .plan = request.plan,
                                 .version = build.version,
                                 .commit = build.commit,
                                 .tokens = TokensOf(request.store),
                                 .audit = request.audit};
  content.evaluation = KeptEvaluation(request);
  WriteFileAtomically(request.recipe.output / checkpoint::kModelCardFileName,
                      report::ModelCard(content));
}

}  // namespace vernier::jobs
