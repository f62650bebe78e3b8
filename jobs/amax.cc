#include "jobs/amax.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "run/amax_file.h"
#include "run/merge.h"
#include "run/statistic_rows.h"
#include "run/store.h"

namespace vernier::jobs {

Json ReadAmax(const std::filesystem::path& run) {
  return run::AmaxJson(run::Store::OpenForReading(run));
}

void WriteAmax(const std::filesystem::path& run, const std::filesystem::path& out) {
  const run::Store store = run::Store::OpenForReading(run);
  if (out.extension() == checkpoint::kSafetensorsExtension) {
    return run::WriteAmaxSafetensors(store, out);
  }
  if (out.extension() == ".json") {
    return WriteFileAtomically(out, run::AmaxJson(store).dump(2) + "\n");
  }
  throw Error(ErrorCode::kBadArgument, "--out",
              fmt::format("\"{}\" ends in neither .json nor {}", out.string(),
                          checkpoint::kSafetensorsExtension),
              "Name the file so that its ending says the format");
}

AmaxDiffSummary DiffAmax(const AmaxDiffSpec& spec) {
  const run::Store first = run::Store::OpenForReading(spec.first);
  const run::Store second = run::Store::OpenForReading(spec.second);
  return {.identity =
              run::IdentityDifferences(first.Identity(), second.Identity(), {"first", "second"}),
          .diff = run::DiffStatistics(first, second, spec.tolerance)};
}

AmaxMergeSummary MergeAmax(const AmaxMergeSpec& spec) {
  const run::Store merged = run::MergeStores(spec.runs, spec.into);
  return {.statistics = run::CountOf(run::CountStatistics(merged.database())),
          .run_dir = merged.run_dir()};
}

}  // namespace vernier::jobs
