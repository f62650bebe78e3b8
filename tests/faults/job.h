// The commands that the fault tests disturb, on a small checkpoint, and what they must leave.
#ifndef VERNIER_TESTS_FAULTS_JOB_H_
#define VERNIER_TESTS_FAULTS_JOB_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "tests/support/command.h"
#include "tests/support/synthetic_checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {

enum class JobKind { kCalibrate, kExport, kConvert, kRun };

std::string JobName(JobKind kind);

// A command with a directory of its own: repeating it must always end in the same result.
struct Job {
  std::filesystem::path place = {};
  std::vector<std::string> arguments = {};
  std::filesystem::path output = {}, run_dir = {};

  CommandResult Run(CommandOptions options = {}) const;
};

struct JobBenchOptions {
  SyntheticOptions model;
  int64_t samples = 4;
  int64_t sequence_length = 64;
};

// Makes jobs on one source.
class JobBench {
 public:
  explicit JobBench(const JobBenchOptions& options);

  // A new job, of which nothing has been done. An export finds a finished calibration in its run
  // directory; the first one makes it. `arguments` go to the command.
  Job Make(JobKind kind, const std::vector<std::string>& arguments = {});

  const std::filesystem::path& directory() const { return dir_.path(); }
  std::filesystem::path Source() const { return dir_.path() / "source"; }

 private:
  std::filesystem::path NewPlace();
  Job MakeFromRecipe(const std::string& command, const std::vector<std::string>& arguments);
  const std::filesystem::path& CalibratedRun();

  TempDir dir_;
  Json recipe_;
  int places_ = 0;
  std::filesystem::path calibrated_;
};

// What a finished job left: the output's files by their hashes, the names of the files in the run
// directory, and the statistics in the store as text.
using JobResult = std::map<std::string, std::string>;
JobResult ResultOf(const Job& job);

// Expects that the job left `finished`; names the parts that differ, after `what` was done to it.
void ExpectResult(const Job& job, const JobResult& finished, const std::string& what);

// Expects what must hold at any instant, whatever happened to the job: SQLite finds the store
// intact (looking at a copy, so that nothing is repaired), and a file in the output that has a
// final name is one of the finished job, whose result is `finished`, with all of its bytes.
void ExpectConsistent(const Job& job, const JobResult& finished);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_FAULTS_JOB_H_
