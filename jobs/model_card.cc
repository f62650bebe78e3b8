#include "jobs/model_card.h"

#include <filesystem>
#include <string_view>

#include "base/file.h"
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

report::CardScore ScoreOf(const calib::VariantResult& result) {
  report::CardScore score = {.variant = std::string(calib::EvalVariantName(result.variant)),
                             .perplexity = result.total.likelihood.perplexity.value};
  if (const auto& divergence = result.total.divergence) {
    score.mean_kl = divergence->mean_kl.value;
    score.same_top = divergence->same_top.value;
  }
  return score;
}

report::CardEvaluation CardEvaluationOf(const EvalSummary& summary) {
  report::CardEvaluation card = {.window = summary.data.window, .dtype = summary.dtype};
  for (const datasets::TextSource& source : summary.data.sources) {
    card.data.push_back(std::filesystem::path(source.name).filename().string());
    card.hashes.push_back(source.ids_hash);
    card.scored += source.scored;
  }
  for (const calib::VariantResult& result : summary.result.variants) {
    card.scores.push_back(ScoreOf(result));
  }
  return card;
}

}  // namespace

EvalSpec EvaluationOfOutput(const recipes::Recipe& recipe, const std::vector<std::string>& data) {
  EvalSpec spec;
  spec.checkpoint = recipe.output.string();
  spec.reference = recipe.source.string();
  spec.data = data;
  spec.windows.max_windows = kWindows;
  spec.forward = {.dtype = std::string(recipes::ComputeDtypeName(recipe.calibration.dtype)),
                  .device = recipe.compute.device,
                  .threads = recipe.compute.threads};
  return spec;
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
  if (request.evaluation != nullptr) content.evaluation = CardEvaluationOf(*request.evaluation);
  WriteFileAtomically(request.recipe.output / checkpoint::kModelCardFileName,
                      report::ModelCard(content));
}

}  // namespace vernier::jobs
