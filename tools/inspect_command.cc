// `vernier inspect`: the report as text or JSON.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "tools/command.h"
#include "tools/inspect.h"
#include "tools/text_table.h"

namespace vernier::tools {
namespace {

constexpr size_t kListedLines = 10;  // of a long list; --json has all

std::vector<std::string> TotalsCells(const InspectTotals& totals) {
  return {HumanCount(static_cast<uint64_t>(totals.weights)),
          HumanCount(static_cast<uint64_t>(totals.tensors)),
          HumanCount(static_cast<uint64_t>(totals.parameters)), HumanBytes(totals.bytes)};
}

std::vector<std::string> Row(std::vector<std::string> cells, const InspectTotals& totals) {
  for (std::string& cell : TotalsCells(totals)) cells.push_back(std::move(cell));
  return cells;
}

std::vector<TextColumn> TotalsColumns(std::vector<TextColumn> columns) {
  for (const char* title : {"weights", "tensors", "parameters", "bytes"}) {
    columns.push_back({title, /*right_aligned=*/true});
  }
  return columns;
}

std::string RoleTable(const InspectReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const InspectRole& role : report.roles) rows.push_back(Row({role.role}, role.totals));
  rows.push_back(Row({"total"}, report.totals));
  return FormatTable(TotalsColumns({{"role"}}), rows);
}

std::string FormatsTable(const InspectReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const InspectRole& role : report.roles) {
    for (const InspectFormat& each : role.formats) {
      rows.push_back(Row({role.role, each.format, each.dtype, each.scales}, each.totals));
    }
  }
  return FormatTable(TotalsColumns({{"role"}, {"format"}, {"dtype"}, {"scales"}}), rows);
}

std::string UnknownTable(const InspectReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const InspectTensors& each : report.not_understood) {
    rows.push_back(
        {each.pattern, each.dtype, HumanCount(static_cast<uint64_t>(each.tensors)), each.reason});
  }
  return FormatTable({{"name"}, {"dtype"}, {"tensors", true}, {"why"}}, rows);
}

// "0-2, 5"
std::string LayerRanges(const std::vector<int>& layers) {
  std::vector<std::string> ranges;
  for (size_t i = 0; i < layers.size();) {
    size_t end = i + 1;
    while (end < layers.size() && layers[end] == layers[end - 1] + 1) ++end;
    ranges.push_back(end == i + 1 ? std::to_string(layers[i])
                                  : fmt::format("{}-{}", layers[i], layers[end - 1]));
    i = end;
  }
  return JoinNames(ranges);
}

std::string Heading(const InspectReport& report) {
  std::string text =
      fmt::format("{}\n  model_type      {}\n  layers          {}\n", report.directory,
                  report.model_type.empty() ? "not given" : report.model_type, report.layers);
  text += fmt::format("  MTP layers      {}\n", report.mtp_layers);
  if (report.experts > 0) {
    text += fmt::format("  routed experts  {} per layer", report.experts);
    if (report.experts_per_token > 0) {
      text += fmt::format(", {} per token", report.experts_per_token);
    }
    text += fmt::format("\n  hash routing    {}\n",
                        report.hash_routed_layers.empty()
                            ? "none"
                            : "layers " + LayerRanges(report.hash_routed_layers));
  }
  uint64_t bytes = 0;
  for (const InspectFile& file : report.files) bytes += file.bytes;
  return text + fmt::format("  files           {}, {}\n", report.files.size(), HumanBytes(bytes));
}

std::string FirstLines(const std::vector<std::string>& lines) {
  std::string text;
  for (size_t i = 0; i < lines.size() && i < kListedLines; ++i) text += "  " + lines[i] + '\n';
  if (lines.size() > kListedLines) {
    text += fmt::format("  ... and {} more\n", HumanCount(lines.size() - kListedLines));
  }
  return text;
}

std::string UnknownText(const InspectReport& report) {
  if (!report.not_understood.empty()) return "\nNot understood\n" + UnknownTable(report);
  return "\nNot understood: nothing\n";
}

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

std::string InspectText(const InspectReport& report) {
  std::string text = Heading(report);
  text += report.roles_guessed ? "\nRoles (guessed from tensor names)\n" : "\nRoles\n";
  text += RoleTable(report);
  text += "\nFormats\n" + FormatsTable(report);
  if (!report.missing.empty()) text += "\nMissing tensors\n" + FirstLines(report.missing);
  text += UnknownText(report);
  if (!report.notes.empty()) text += "\nNotes\n" + FirstLines(report.notes);
  return text;
}

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

void AddInspectCommand(CLI::App& app, CommandContext& /*context*/) {
  struct Options {
    std::filesystem::path directory;
    bool json = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "inspect",
      "Shows what a checkpoint holds: layers, roles, formats, sizes, and anything that "
      "Vernier does not understand. Reads headers only");
  command->add_option("directory", options->directory, "The checkpoint's directory")->required();
  command->add_flag("--json", options->json, "Print one JSON object instead of text");
  command->callback([options] {
    const InspectReport report =
        BuildInspectReport(checkpoint::Checkpoint::Open(options->directory));
    fmt::print("{}", options->json ? InspectJson(report).dump(2) + '\n' : InspectText(report));
  });
}

}  // namespace vernier::tools
