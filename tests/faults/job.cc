#include "tests/faults/job.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>

#include "base/hash.h"
#include "run/input_amax.h"
#include "run/sqlite.h"
#include "run/statistic_rows.h"
#include "run/store.h"
#include "tests/tools/recipe_builder.h"

namespace vernier::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 4> kNames = {"calibrate", "export", "convert", "run"};
constexpr const char* kStoreFile = "vernier.sqlite";
constexpr const char* kOutputPrefix = "output/";

std::string DumpStatistics(const fs::path& run_dir) {
  if (!fs::exists(run_dir / kStoreFile)) return "";
  const run::Store store = run::Store::Open(run_dir);
  std::string dump = store.CalibrationFinished() ? "finished\n" : "unfinished\n";
  for (const run::InputAmax& input : store.Inputs()) {
    dump += fmt::format("{} {} {:08x} {}\n", input.layer, input.module,
                        std::bit_cast<uint32_t>(input.amax), input.tokens);
  }
  for (const run::StatisticKey& key : run::ListStatistics(store.database())) {
    if (run::IsAmax(key.name)) continue;
    const statistics::Bytes bytes = run::ReadStatistic(store, key);
    Hasher hasher;
    hasher.Update(bytes);
    dump += fmt::format("{} {} {} {}\n", key.unit, key.module, key.name, hasher.Hex());
  }
  return dump;
}

std::string CheckIntegrity(const fs::path& run_dir) {
  const TempDir copy;
  for (const auto& entry : fs::directory_iterator(run_dir)) {
    const fs::path name = entry.path().filename();
    if (name.string().starts_with(kStoreFile)) fs::copy_file(entry.path(), copy.path() / name);
  }
  return run::Database(copy.path() / kStoreFile).QueryText("PRAGMA integrity_check");
}

}  // namespace

std::string JobName(JobKind kind) { return kNames[static_cast<size_t>(kind)]; }

CommandResult Job::Run(CommandOptions options) const {
  return RunVernier(arguments, std::move(options));
}

JobBench::JobBench(const JobBenchOptions& options) {
  WriteSyntheticDeepseekV4(Source(), options.model);
  AddTokenizer(Source());
  recipe_ = SyntheticRecipe(dir_.path(), Source(), options.model.vocab, options.samples,
                            options.sequence_length);
}

fs::path JobBench::NewPlace() {
  const fs::path place = dir_.path() / fmt::format("place-{}", places_++);
  fs::create_directories(place);
  return place;
}

Job JobBench::MakeFromRecipe(const std::string& command,
                             const std::vector<std::string>& arguments) {
  Job job{.place = NewPlace()};
  job.output = job.place / "out";
  job.run_dir = job.place / "run";
  Json recipe = recipe_;
  recipe["output"] = job.output.string();
  recipe["run_dir"] = job.run_dir.string();
  job.arguments = {command, WriteRecipe(job.place, recipe), "--progress", "json"};
  job.arguments.insert(job.arguments.end(), arguments.begin(), arguments.end());
  return job;
}

const fs::path& JobBench::CalibratedRun() {
  if (!calibrated_.empty()) return calibrated_;
  const Job job = MakeFromRecipe(JobName(JobKind::kCalibrate), {});
  const CommandResult result = job.Run();
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  return calibrated_ = job.run_dir;
}

Job JobBench::Make(JobKind kind, const std::vector<std::string>& arguments) {
  if (kind != JobKind::kConvert) {
    Job job = MakeFromRecipe(JobName(kind), arguments);
    if (kind == JobKind::kExport) fs::copy(CalibratedRun(), job.run_dir);
    return job;
  }
  Job job{.place = NewPlace()};
  job.output = job.place / "out";
  job.run_dir = job.place / "out.run";
  // DeepSeek-V4's other weights stay FP8, and engines know no weight-only experts beside them.
  job.arguments = {"convert", Source().string(), job.output.string(), "--input-scale",
                   "1.0",     "--validate",      "--progress",        "json"};
  job.arguments.insert(job.arguments.end(), arguments.begin(), arguments.end());
  return job;
}

JobResult ResultOf(const Job& job) {
  JobResult result;
  for (const auto& [name, hash] : HashTree(job.output)) result[kOutputPrefix + name] = hash;
  for (const auto& entry : fs::directory_iterator(job.run_dir)) {
    result["run/" + entry.path().filename().string()] = "";
  }
  result["statistics"] = DumpStatistics(job.run_dir);
  return result;
}

void ExpectResult(const Job& job, const JobResult& finished, const std::string& what) {
  const JobResult result = ResultOf(job);
  for (const auto& [part, content] : finished) {
    const auto it = result.find(part);
    EXPECT_TRUE(it != result.end()) << part << " is absent: " << what;
    EXPECT_TRUE(it == result.end() || it->second == content) << part << " differs: " << what;
  }
  for (const auto& [part, content] : result) {
    EXPECT_TRUE(finished.contains(part)) << part << " is left over: " << what;
  }
}

void ExpectConsistent(const Job& job, const JobResult& finished) {
  if (fs::exists(job.run_dir / kStoreFile)) {
    EXPECT_EQ(CheckIntegrity(job.run_dir), "ok");
  }
  for (const auto& [name, hash] : HashTree(job.output)) {
    if (name.ends_with(".partial")) continue;
    const auto it = finished.find(kOutputPrefix + name);
    if (it == finished.end()) {
      ADD_FAILURE() << name << " is in the output, and not in the finished one";
    } else {
      EXPECT_EQ(hash, it->second) << name << " has its final name and not its final bytes";
    }
  }
}

}  // namespace vernier::testing
