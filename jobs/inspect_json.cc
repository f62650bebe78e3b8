#include <string>
#include <utility>
#include <vector>

#include "jobs/inspect.h"

namespace vernier::jobs {
namespace {

Json TotalsJson(const InspectTotals& totals) {
  return {{"weights", totals.weights},
          {"tensors", totals.tensors},
          {"parameters", totals.parameters},
          {"bytes", totals.bytes}};
}

Json FormatsJson(const std::vector<InspectFormat>& formats) {
  Json list = Json::array();
  for (const InspectFormat& each : formats) {
    Json entry = {{"format", each.format}, {"dtype", each.dtype}, {"scales", each.scales}};
    entry.update(TotalsJson(each.totals));
    list.push_back(std::move(entry));
  }
  return list;
}

Json RolesJson(const std::vector<InspectRole>& roles) {
  Json list = Json::array();
  for (const InspectRole& role : roles) {
    Json entry = {{"role", role.role}};
    entry.update(TotalsJson(role.totals));
    entry["formats"] = FormatsJson(role.formats);
    list.push_back(std::move(entry));
  }
  return list;
}

Json TensorsJson(const std::vector<InspectTensors>& tensors) {
  Json list = Json::array();
  for (const InspectTensors& each : tensors) {
    list.push_back({{"pattern", each.pattern},
                    {"dtype", each.dtype},
                    {"tensors", each.tensors},
                    {"reason", each.reason}});
  }
  return list;
}

}  // namespace

Json InspectJson(const InspectReport& report) {
  Json files = Json::array();
  for (const InspectFile& file : report.files) {
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"tensors", file.tensors}});
  }
  return {{"directory", report.directory},
          {"model_type", report.model_type},
          {"roles_guessed", report.roles_guessed},
          {"layers", report.layers},
          {"mtp_layers", report.mtp_layers},
          {"experts", report.experts},
          {"experts_per_token", report.experts_per_token},
          {"hash_routed_layers", report.hash_routed_layers},
          {"totals", TotalsJson(report.totals)},
          {"roles", RolesJson(report.roles)},
          {"formats", FormatsJson(report.formats)},
          {"files", std::move(files)},
          {"left_out", report.left_out},
          {"not_understood", TensorsJson(report.not_understood)},
          {"skipped", TensorsJson(report.skipped)},
          {"missing", report.missing},
          {"notes", report.notes}};
}

}  // namespace vernier::jobs
