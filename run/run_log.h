// When what was done: the commands that worked on a run directory, and the phases of their work.
// Times are UTC, as "2026-01-31T12:00:00.000Z".
#ifndef VERNIER_RUN_RUN_LOG_H_
#define VERNIER_RUN_RUN_LOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vernier::run {

class Database;

extern const char kLogTables[];

enum class CommandOutcome {
  kFinished,
  kInterrupted,  // by a signal, between two units of work
  kFailed,
  kRefused,  // the store belongs to another run: the command did nothing here
};
std::string_view CommandOutcomeName(CommandOutcome outcome);  // "finished"

struct CommandRecord {
  int64_t id = 0;
  std::string started_at;
  std::string line;                        // what a shell takes to repeat it, folder included
  std::string steps;                       // "calibrate export validate", or some of them
  std::string ended_at, outcome, message;  // empty: it runs, or was killed
};

// Returns the id for EndCommand.
int64_t BeginCommand(const Database& database, std::string_view line, std::string_view steps);
void EndCommand(const Database& database, int64_t id, CommandOutcome outcome,
                std::string_view message);
// The newest one that was not refused.
std::optional<CommandRecord> LastCommand(const Database& database);
// All that were not refused, in order of their start.
std::vector<CommandRecord> Commands(const Database& database);

// A log of what happened when, for people.
struct EventRecord {
  std::string at;
  std::string kind;  // "resume", "busy", ...
  std::string detail;
};

void LogEvent(const Database& database, std::string_view kind, std::string_view detail);
std::vector<EventRecord> Events(const Database& database);  // in the order in which they happened

// A phase over all commands: its first start and its last end. `seconds` are those of commands that
// ended by themselves: a killed one cannot say how long it took.
struct PhaseRecord {
  std::string phase;
  double seconds = 0;
  std::string started_at;
  std::string ended_at;  // empty: no command that ended by itself was in it
};

void BeginPhase(const Database& database, std::string_view phase);
// `phase` has begun.
void EndPhase(const Database& database, std::string_view phase, double seconds);
std::vector<PhaseRecord> Phases(const Database& database);  // in order of their first start

}  // namespace vernier::run

#endif  // VERNIER_RUN_RUN_LOG_H_
