#include "audit/report_json.h"

#include <cmath>
#include <span>

namespace vernier::audit {
namespace {

Json FiniteOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json ErrorJson(const ErrorStatistics& error) {
  return {{"weights", error.weights},
          {"exact", error.exact},
          {"values", error.values},
          {"relative_error", FiniteOrNull(error.RelativeError())},
          {"sqnr_db", FiniteOrNull(error.SqnrDb())},
          {"max_abs_error", error.max_abs_error},
          {"saturated_share", error.SaturatedShare()}};
}

Json FindingJson(const Finding& finding) {
  Json engines = Json::array();
  for (const Engine engine : kEngines) {
    if (finding.engines.Has(engine)) engines.push_back(EngineName(engine));
  }
  return {{"rule", finding.rule},       {"severity", SeverityName(finding.severity)},
          {"what", finding.what},       {"engines", std::move(engines)},
          {"tensors", finding.tensors}, {"count", finding.tensor_count},
          {"remedy", finding.remedy}};
}

Json EngineJson(const EngineVerdict& verdict) {
  Json splits = Json::array();
  for (const TensorParallelVerdict& split : verdict.tensor_parallel) {
    splits.push_back({{"size", split.size},
                      {"problems", split.problems},
                      {"first_problem", split.first_problem}});
  }
  return {{"engine", EngineName(verdict.engine)},
          {"release", verdict.release},
          {"path", verdict.path},
          {"refusal", verdict.refusal},
          {"modules", verdict.modules},
          {"disagreements", verdict.disagreements},
          {"tensor_parallel", std::move(splits)}};
}

Json FormatsJson(const std::map<checkpoint::Format, int64_t>& formats) {
  Json json = Json::object();
  for (const auto& [format, count] : formats) {
    json[std::string(FormatName(format))] = count;
  }
  return json;
}

Json BlocksJson(const BlockStatistics& blocks) {
  return {{"count", blocks.blocks},
          {"by_exponent", blocks.by_exponent},
          {"at_maximum", blocks.at_maximum},
          {"zero", blocks.zero_blocks}};
}

Json DistributionJson(std::span<const float> values) {
  const Distribution numbers = DistributionOf(values);
  return {{"count", numbers.count},
          {"min", numbers.min},
          {"lower_quartile", numbers.lower_quartile},
          {"median", numbers.median},
          {"upper_quartile", numbers.upper_quartile},
          {"max", numbers.max}};
}

Json CellJson(const CellStatistics& cell) {
  return {{"layer", cell.layer},
          {"role", RoleName(cell.role)},
          {"weights", cell.weights},
          {"formats", FormatsJson(cell.formats)},
          {"error", cell.error.weights == 0 ? Json(nullptr) : ErrorJson(cell.error)},
          {"blocks", BlocksJson(cell.blocks)},
          {"weight_amax", DistributionJson(cell.weight_amax)},
          {"input_amax", DistributionJson(cell.input_amax)}};
}

Json WeightJson(const WeightError& weight) {
  Json json = ErrorJson(weight.error);
  json.erase("weights");
  json.erase("exact");
  json["module"] = weight.module;
  json["layer"] = weight.layer;
  json["role"] = RoleName(weight.role);
  json["format"] = FormatName(weight.format);
  json["zero_blocks"] = weight.zero_blocks;
  return json;
}

Json ChangeJson(const ConfigChange& change) {
  return {{"path", change.path},
          {"before", change.before},
          {"after", change.after},
          {"reason", change.reason}};
}

Json TokensJson(const ExpertTokens& layer) {
  return {{"layer", layer.layer}, {"tokens", layer.tokens}};
}

template <typename Items, typename ToJson>
Json ArrayJson(const Items& items, const ToJson& to_json) {
  Json array = Json::array();
  for (const auto& item : items) array.push_back(to_json(item));
  return array;
}

Json ErrorsJson(const AuditReport& report) {
  Json roles = Json::object();
  for (const RoleError& role : report.role_errors) {
    roles[std::string(RoleName(role.role))] = ErrorJson(role.statistics);
  }
  return {{"overall", ErrorJson(report.overall_error)},
          {"roles", std::move(roles)},
          {"worst", ArrayJson(report.worst_weights, WeightJson)}};
}

}  // namespace

Json ReportJson(const AuditReport& report) {
  return {{"directory", report.directory},
          {"source", report.source.empty() ? Json(nullptr) : Json(report.source)},
          {"depth", AuditDepthName(report.depth)},
          {"model_type", report.model_type},
          {"guessed_model", report.guessed_model},
          {"dialect", report.dialect},
          {"clean", report.Clean()},
          {"tensors", report.tensors},
          {"bytes", report.bytes},
          {"quantised_weights", FormatsJson(report.quantised_weights)},
          {"unclaimed", report.unclaimed},
          {"scale_bytes", report.scale_bytes},
          {"scale_bytes_read", report.scale_bytes_read},
          {"carried_tensors", report.carried_tensors},
          {"counts",
           {{"error", report.Count(Severity::kError)},
            {"warning", report.Count(Severity::kWarning)},
            {"info", report.Count(Severity::kInfo)}}},
          {"findings", ArrayJson(report.findings, FindingJson)},
          {"engines", ArrayJson(report.engines, EngineJson)},
          {"errors", ErrorsJson(report)},
          {"cells", ArrayJson(report.cells, CellJson)},
          {"config_changes", ArrayJson(report.config_changes, ChangeJson)},
          {"expert_tokens", ArrayJson(report.expert_tokens, TokensJson)}};
}

}  // namespace vernier::audit
