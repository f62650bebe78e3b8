#include "tools/inspect_text.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/text.h"
#include "tools/text_table.h"

namespace vernier::tools {
namespace {

using jobs::InspectFile;
using jobs::InspectFormat;
using jobs::InspectReport;
using jobs::InspectRole;
using jobs::InspectTensors;
using jobs::InspectTotals;

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

}  // namespace vernier::tools
