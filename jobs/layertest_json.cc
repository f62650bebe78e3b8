#include <cmath>

#include "jobs/layertest.h"

namespace vernier::jobs {
namespace {

using calib::ErrorStats;
using calib::ExpertResult;
using calib::LayerTestResult;
using calib::LinearResult;
using calib::StageErrors;

constexpr std::string_view kLeftPlain = "not-emulated";

// Infinities become null.
Json StatsJson(const std::optional<ErrorStats>& stats) {
  if (!stats) return nullptr;
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
  return {{"rows", stats->rows},
          {"cosine", number(stats->cosine)},
          {"relative_error", number(stats->relative_error)},
          {"sqnr_db", number(stats->sqnr_db)},
          {"max_abs_error", number(stats->max_abs_error)}};
}

Json ErrorsJson(const StageErrors& errors) {
  return {{"weights", StatsJson(errors.weights)},
          {"activations", StatsJson(errors.activations)},
          {"both", StatsJson(errors.both)}};
}

}  // namespace

std::vector<std::string> NotEmulated(const LayerTestResult& result) {
  std::vector<std::string> modules;
  for (const LinearResult& linear : result.linears) {
    if (linear.activations == kLeftPlain) modules.push_back(linear.module);
  }
  return modules;
}

std::optional<std::string> Dominant(const StageErrors& output) {
  if (!output.activations) return std::nullopt;
  const double weights = output.weights->relative_error;
  const double activations = output.activations->relative_error;
  if (weights == activations) return std::nullopt;
  return weights > activations ? "weights" : "activations";
}

Json LayerTestJson(const LayerTestResult& result) {
  const std::optional<std::string> dominant = Dominant(result.output);
  Json json = {{"layer", result.layer},
               {"layers", result.layers},
               {"samples", result.samples},
               {"tokens", result.tokens},
               {"experts", result.experts},
               {"dominant", dominant ? Json(*dominant) : Json()},
               {"not_emulated", NotEmulated(result)},
               {"linears", Json::array()}};
  for (const LinearResult& linear : result.linears) {
    json["linears"].push_back({{"module", linear.module},
                               {"role", linear.role},
                               {"expert", linear.expert < 0 ? Json() : Json(linear.expert)},
                               {"weight_format", linear.weight_format},
                               {"activation_format", linear.activations},
                               {"errors", ErrorsJson(linear.errors)}});
  }
  json["shared_experts"] = result.shared_experts ? ErrorsJson(*result.shared_experts) : Json();
  json["routed_experts"] = Json::array();
  for (const ExpertResult& expert : result.routed_experts) {
    json["routed_experts"].push_back(
        {{"expert", expert.expert}, {"errors", ErrorsJson(expert.errors)}});
  }
  json["ffn"] = ErrorsJson(result.ffn);
  json["behind_attention"] = ErrorsJson(result.behind_attention);
  json["output"] = ErrorsJson(result.output);
  return json;
}

}  // namespace vernier::jobs
