#include "report/run_facts.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/statistics.h"
#include "run/module_record.h"
#include "run/record_json.h"
#include "run/run_log.h"
#include "run/run_status.h"

namespace vernier::report {
namespace {

constexpr size_t kNamesShown = 20;  // of modules without tokens
constexpr size_t kRecordsShown = 100;

std::optional<int64_t> Number(std::string_view text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

Json NumberOrNull(const std::optional<int64_t>& number) {
  return number ? Json(*number) : Json(nullptr);
}

std::optional<int64_t> Setting(const run::RunIdentity& identity, std::string_view field) {
  const auto found = identity.find(std::string(run::kCalibrationPrefix) + std::string(field));
  return found == identity.end() ? std::nullopt : Number(found->second);
}

// Modules that do the same in their layers: "routed_expert w1".
std::string KindOf(const run::ModuleRecord& module) {
  return module.role.empty() ? module.projection : module.role + " " + module.projection;
}

// What is told of one layer's inputs.
struct LayerInputs {
  int64_t modules = 0;
  int64_t unseen = 0;
  std::map<std::string, std::vector<float>> amax_by_kind;  // of modules that saw a token
  std::map<int, int64_t> tokens_by_expert;
};

std::map<int, LayerInputs> ByLayer(const std::vector<run::InputAmax>& inputs,
                                   const std::vector<run::ModuleRecord>& records) {
  std::map<std::string_view, const run::ModuleRecord*> record_of;
  for (const run::ModuleRecord& record : records) record_of.emplace(record.module, &record);
  std::map<int, LayerInputs> layers;
  for (const run::InputAmax& input : inputs) {
    LayerInputs& layer = layers[input.layer];
    ++layer.modules;
    if (input.tokens == 0) ++layer.unseen;
    const auto record = record_of.find(input.module);
    if (record == record_of.end()) continue;
    std::vector<float>& amax = layer.amax_by_kind[KindOf(*record->second)];
    if (input.tokens > 0) amax.push_back(input.amax);
    const int expert = record->second->expert;
    if (expert < 0) continue;
    int64_t& tokens = layer.tokens_by_expert[expert];
    tokens = std::max(tokens, input.tokens);
  }
  return layers;
}

Json StatisticsJson(const std::map<std::string, int64_t>& statistics) {
  Json json = Json::array();
  for (const auto& [name, count] : statistics) json.push_back({{"name", name}, {"count", count}});
  return json;
}

Json CalibrationJson(const run::RunStatus& status, const run::RunIdentity& identity,
                     const std::map<int, LayerInputs>& inputs) {
  Json layers = Json::array();
  for (const run::FinishedLayer& layer : status.layers) {
    const auto found = inputs.find(layer.layer);
    const bool known = found != inputs.end();
    layers.push_back({{"layer", layer.layer},
                      {"seconds", layer.seconds},
                      {"modules", known ? found->second.modules : 0},
                      {"unseen", known ? found->second.unseen : 0}});
  }
  const auto shown = std::min(kNamesShown, status.unseen.size());
  const std::vector<std::string> names(status.unseen.begin(), status.unseen.begin() + shown);
  const std::optional<int64_t> samples = Setting(identity, "samples");
  const std::optional<int64_t> length = Setting(identity, "sequence_length");
  return {{"finished", status.calibration_finished},
          {"total_layers", NumberOrNull(status.total_layers)},
          {"samples", NumberOrNull(samples)},
          {"sequence_length", NumberOrNull(length)},
          {"most_tokens", samples && length ? Json(*samples * *length) : Json(nullptr)},
          {"statistics", run::CountOf(status.statistics)},
          {"statistics_by_name", StatisticsJson(status.statistics)},
          {"unseen", status.unseen.size()},
          {"unseen_modules", names},
          {"layers", std::move(layers)}};
}

Json SettingsJson(const run::RunIdentity& identity) {
  Json settings = Json::array();
  for (const auto& [field, value] : identity) {
    if (!field.starts_with(run::kCalibrationPrefix)) continue;
    settings.push_back({{"name", field.substr(run::kCalibrationPrefix.size())}, {"value", value}});
  }
  return settings;
}

Json InputsJson(const std::map<int, LayerInputs>& layers) {
  Json inputs = Json::array();
  for (const auto& [layer, of_layer] : layers) {
    for (const auto& [kind, amax] : of_layer.amax_by_kind) {
      const audit::Distribution numbers = audit::DistributionOf(amax);
      inputs.push_back({{"layer", layer},
                        {"kind", kind},
                        {"count", numbers.count},
                        {"min", numbers.min},
                        {"lower_quartile", numbers.lower_quartile},
                        {"median", numbers.median},
                        {"upper_quartile", numbers.upper_quartile},
                        {"max", numbers.max}});
    }
  }
  return inputs;
}

Json ExpertTokensJson(const std::map<int, LayerInputs>& layers) {
  Json json = Json::array();
  for (const auto& [layer, inputs] : layers) {
    if (inputs.tokens_by_expert.empty()) continue;
    const int experts = inputs.tokens_by_expert.rbegin()->first + 1;
    std::vector<int64_t> tokens(static_cast<size_t>(experts), 0);
    for (const auto& [expert, count] : inputs.tokens_by_expert) {
      tokens[static_cast<size_t>(expert)] = count;
    }
    json.push_back({{"layer", layer}, {"tokens", tokens}});
  }
  return json;
}

Json NonFiniteJson(const run::RunStatus& status) {
  const size_t shown = std::min(kRecordsShown, status.non_finite.size());
  return {{"modules", status.non_finite.size()},
          {"records", run::RecordsJson(std::span(status.non_finite).first(shown))}};
}

// The last of them, as many as are shown.
std::vector<run::EventRecord> Latest(std::vector<run::EventRecord> events) {
  const size_t left_out = events.size() - std::min(kRecordsShown, events.size());
  events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(left_out));
  return events;
}

}  // namespace

Json RunFacts(const run::Store& store) {
  const run::RunStatus status = run::ReadRunStatus(store);
  const run::RunIdentity identity = store.Identity();
  const std::map<int, LayerInputs> inputs =
      ByLayer(store.Inputs(), run::ListModules(store.database()));
  return {{"directory", store.run_dir().string()},
          {"calibration", CalibrationJson(status, identity, inputs)},
          {"settings", SettingsJson(identity)},
          {"phases", run::RecordsJson(status.phases)},
          {"inputs", InputsJson(inputs)},
          {"expert_tokens", ExpertTokensJson(inputs)},
          {"non_finite", NonFiniteJson(status)},
          {"exports", run::RecordsJson(status.exports)},
          {"commands", run::RecordsJson(run::Commands(store.database()))},
          {"events", run::RecordsJson(Latest(run::Events(store.database())))}};
}

}  // namespace vernier::report
