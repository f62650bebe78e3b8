#include "run/run_log.h"

#include <fmt/format.h>

#include <utility>

#include "run/sqlite.h"
#include "run/store_schema.h"

namespace vernier::run {
const char kLogTables[] = R"sql(
CREATE TABLE phase (
  phase      TEXT PRIMARY KEY,
  seconds    REAL NOT NULL,
  started_at TEXT NOT NULL,
  ended_at   TEXT
);
CREATE TABLE command (
  id         INTEGER PRIMARY KEY,
  started_at TEXT NOT NULL,
  line       TEXT NOT NULL,
  steps      TEXT NOT NULL,
  ended_at   TEXT,
  outcome    TEXT,
  message    TEXT
);
CREATE TABLE event (
  id     INTEGER PRIMARY KEY,
  at     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  kind   TEXT NOT NULL,
  detail TEXT NOT NULL
);
)sql";

namespace {

// Those that were not refused, by id as `order` says.
std::vector<CommandRecord> SelectCommands(const Database& database, std::string_view order) {
  Statement rows = database.Prepare(
      fmt::format("SELECT id, started_at, line, steps, ended_at, outcome, message FROM command"
                  " WHERE outcome IS NOT ?1 ORDER BY id {}",
                  order));
  rows.Bind(1, CommandOutcomeName(CommandOutcome::kRefused));
  std::vector<CommandRecord> commands;
  while (rows.Step()) {
    commands.push_back({.id = rows.Integer(0),
                        .started_at = rows.Text(1),
                        .line = rows.Text(2),
                        .steps = rows.Text(3),
                        .ended_at = rows.Text(4),
                        .outcome = rows.Text(5),
                        .message = rows.Text(6)});
  }
  return commands;
}

}  // namespace

std::string_view CommandOutcomeName(CommandOutcome outcome) {
  switch (outcome) {
    case CommandOutcome::kFinished:
      return "finished";
    case CommandOutcome::kInterrupted:
      return "interrupted";
    case CommandOutcome::kFailed:
      return "failed";
    case CommandOutcome::kRefused:
      break;
  }
  return "refused";
}

int64_t BeginCommand(const Database& database, std::string_view line, std::string_view steps) {
  Statement insert = database.Prepare(fmt::format(
      "INSERT INTO command (started_at, line, steps) VALUES ({}, ?1, ?2) RETURNING id", kNowSql));
  insert.Bind(1, line).Bind(2, steps).Step();
  const int64_t id = insert.Integer(0);
  insert.Step();  // to the end: only then is it committed
  return id;
}

void EndCommand(const Database& database, int64_t id, CommandOutcome outcome,
                std::string_view message) {
  database
      .Prepare(fmt::format(
          "UPDATE command SET ended_at = {}, outcome = ?2, message = ?3 WHERE id = ?1", kNowSql))
      .Bind(1, id)
      .Bind(2, CommandOutcomeName(outcome))
      .Bind(3, message)
      .Run();
}

std::optional<CommandRecord> LastCommand(const Database& database) {
  std::vector<CommandRecord> last = SelectCommands(database, "DESC LIMIT 1");
  if (last.empty()) return std::nullopt;
  return std::move(last.front());
}

std::vector<CommandRecord> Commands(const Database& database) {
  return SelectCommands(database, "ASC");
}

void LogEvent(const Database& database, std::string_view kind, std::string_view detail) {
  database.Prepare("INSERT INTO event (kind, detail) VALUES (?1, ?2)")
      .Bind(1, kind)
      .Bind(2, detail)
      .Run();
}

std::vector<EventRecord> Events(const Database& database) {
  std::vector<EventRecord> events;
  Statement rows = database.Prepare("SELECT at, kind, detail FROM event ORDER BY id");
  while (rows.Step()) {
    events.push_back({.at = rows.Text(0), .kind = rows.Text(1), .detail = rows.Text(2)});
  }
  return events;
}

void BeginPhase(const Database& database, std::string_view phase) {
  database
      .Prepare(fmt::format("INSERT INTO phase (phase, seconds, started_at) VALUES (?1, 0, {})"
                           " ON CONFLICT (phase) DO NOTHING",
                           kNowSql))
      .Bind(1, phase)
      .Run();
}

void EndPhase(const Database& database, std::string_view phase, double seconds) {
  database
      .Prepare(fmt::format(
          "UPDATE phase SET seconds = seconds + ?2, ended_at = {} WHERE phase = ?1", kNowSql))
      .Bind(1, phase)
      .Bind(2, seconds)
      .Run();
}

std::vector<PhaseRecord> Phases(const Database& database) {
  std::vector<PhaseRecord> phases;
  Statement rows =
      database.Prepare("SELECT phase, seconds, started_at, ended_at FROM phase ORDER BY rowid");
  while (rows.Step()) {
    phases.push_back({.phase = rows.Text(0),
                      .seconds = rows.Real(1),
                      .started_at = rows.Text(2),
                      .ended_at = rows.Text(3)});
  }
  return phases;
}

}  // namespace vernier::run
