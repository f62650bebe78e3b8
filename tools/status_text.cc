#include "tools/status_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/text.h"
#include "run/record_json.h"

namespace vernier::tools {
namespace {

using run::RunStatus;

constexpr size_t kRecordsShown = 5;

std::string Line(std::string_view label, std::string_view text) {
  return fmt::format("{:<12} {}\n", label, text);
}

std::string Process(const RunStatus& status) {
  if (!status.holder) return "none is using this run directory";
  return *status.holder == 0 ? "one is using this run directory"
                             : fmt::format("{} is using this run directory", *status.holder);
}

// "6 cache_amax, 21 input_amax"
std::string Names(const std::map<std::string, int64_t>& statistics) {
  std::vector<std::string> names;
  for (const auto& [name, count] : statistics) names.push_back(fmt::format("{} {}", count, name));
  return JoinNames(names);
}

std::string Calibration(const RunStatus& status) {
  if (!status.total_layers && status.layers.empty()) return "none";
  std::string text = fmt::format("{} of {} layers, {} statistics", status.layers.size(),
                                 status.total_layers.value_or(status.layers.size()),
                                 run::CountOf(status.statistics));
  if (status.statistics.size() > 1) text += fmt::format(" ({})", Names(status.statistics));
  if (status.solved > 0) text += fmt::format(", {} weights solved", status.solved);
  if (!status.unseen.empty()) {
    text += fmt::format(", {} modules saw no token", status.unseen.size());
  }
  return text + (status.calibration_finished ? ", finished" : "");
}

std::string Partial(const run::PartialLayer& partial) {
  return fmt::format("layer {}: stage {}, {} done there, {}", partial.layer, partial.stage,
                     partial.next, HumanDuration(partial.seconds));
}

std::string Export(const run::ExportRecord& record) {
  return fmt::format("{} of {} shards, {} of {}, to {}{}", record.shards_done, record.shards,
                     HumanBytes(record.bytes_done), HumanBytes(record.bytes), record.output,
                     record.finished_at.empty() ? "" : ", finished " + record.finished_at);
}

std::string Audit(const run::ExportRecord& record) {
  if (record.audited_at.empty()) return "none";
  if (record.audit_errors == 0) return "no errors, " + record.audited_at;
  return fmt::format("{} errors, {}", record.audit_errors, record.audited_at);
}

std::string Phase(const run::PhaseRecord& phase) {
  return fmt::format("{} to {}, {}", phase.started_at,
                     phase.ended_at.empty() ? "now or a kill" : phase.ended_at,
                     HumanDuration(phase.seconds));
}

std::string NonFinite(const run::NonFiniteRecord& record) {
  return fmt::format("{}: {} values, the first {} in sample {}", record.module, record.count,
                     record.value, record.sample);
}

std::string Files(const RunStatus& status) {
  std::vector<std::string> names;
  for (const run::NeededFile& file : status.files) {
    names.push_back(file.name + (file.present ? "" : " (missing)"));
  }
  return JoinNames(names);
}

std::string Ending(const RunStatus& status) {
  const run::CommandRecord& command = *status.command;
  if (!command.outcome.empty()) {
    return fmt::format("{} {}{}{}", command.outcome, command.ended_at,
                       command.message.empty() ? "" : ": ", command.message);
  }
  return status.holder ? "running" : "killed, or stopped with the machine";
}

bool Finished(const RunStatus& status) {
  return status.command->outcome == CommandOutcomeName(run::CommandOutcome::kFinished);
}

// Empty: there is nothing to continue.
std::string Continuation(const RunStatus& status) {
  if (!status.command || Finished(status) || status.holder) return {};
  return status.command->line;
}

std::string WhatToDo(const RunStatus& status) {
  if (status.holder) return "wait: a process is at work";
  if (!status.command || Finished(status)) return "nothing left to do";
  return Continuation(status);
}

std::string Details(const RunStatus& status) {
  std::string text;
  if (status.partial) text += Line("", Partial(*status.partial));
  for (const run::ExportRecord& record : status.exports) {
    text += Line("export", Export(record)) + Line("audit", Audit(record));
  }
  for (const run::PhaseRecord& phase : status.phases) {
    text += Line("time", fmt::format("{:<9} {}", phase.phase, Phase(phase)));
  }
  for (size_t i = 0; i < std::min(kRecordsShown, status.non_finite.size()); ++i) {
    text += Line(i == 0 ? "clamped" : "", NonFinite(status.non_finite[i]));
  }
  if (status.non_finite.size() > kRecordsShown) {
    text += Line("", fmt::format("... {} in all", status.non_finite.size()));
  }
  return text;
}

Json PartialJson(const RunStatus& status) {
  if (!status.partial) return nullptr;
  return {{"layer", status.partial->layer},
          {"stage", status.partial->stage},
          {"next", status.partial->next},
          {"seconds", status.partial->seconds}};
}

Json CalibrationJson(const RunStatus& status) {
  Json layers = Json::array();
  for (const run::FinishedLayer& layer : status.layers) {
    layers.push_back(
        {{"layer", layer.layer}, {"seconds", layer.seconds}, {"finished_at", layer.finished_at}});
  }
  return {{"finished", status.calibration_finished},
          {"total_layers", status.total_layers ? Json(*status.total_layers) : Json(nullptr)},
          {"layers", std::move(layers)},
          {"partial", PartialJson(status)},
          {"statistics", run::CountOf(status.statistics)},
          {"statistics_by_name", status.statistics},
          {"solved_weights", status.solved},
          {"unseen", status.unseen}};
}

}  // namespace

std::string StatusText(const RunStatus& status) {
  std::string text = Line("run", std::filesystem::absolute(status.run_dir).string());
  text += Line("process", Process(status));
  if (status.command) {
    text += Line("command", status.command->line);
    text += Line("", fmt::format("begun {}, {}", status.command->started_at, Ending(status)));
  }
  text += Line("calibration", Calibration(status)) + Details(status);
  text += Line("copy", Files(status));
  const std::vector<std::string> left = WorkLeft(status);
  if (!left.empty()) text += Line("left", JoinNames(left));
  return text + Line("continue", WhatToDo(status));
}

Json StatusJson(const RunStatus& status) {
  Json files = Json::array();
  for (const run::NeededFile& file : status.files) {
    files.push_back({{"name", file.name}, {"present", file.present}});
  }
  const std::string continuation = Continuation(status);
  return {{"run_dir", std::filesystem::absolute(status.run_dir).string()},
          {"process", status.holder ? Json(*status.holder) : Json(nullptr)},
          {"calibration", CalibrationJson(status)},
          {"exports", run::RecordsJson(status.exports)},
          {"phases", run::RecordsJson(status.phases)},
          {"non_finite", run::RecordsJson(status.non_finite)},
          {"files", std::move(files)},
          {"command", status.command ? run::RecordJson(*status.command) : Json(nullptr)},
          {"left", WorkLeft(status)},
          {"continue", continuation.empty() ? Json(nullptr) : Json(continuation)}};
}

}  // namespace vernier::tools
