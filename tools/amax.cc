// vernier amax: calibrated statistics as a file, compared, or merged.
#include "jobs/amax.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "tools/command.h"

namespace vernier::tools {
namespace {

constexpr int kExitDifferent = 1;
constexpr int kExitNotCompared = 2;

struct AmaxOptions {
  std::string run, out, diff, into;
  std::vector<std::string> merge;
  double tolerance = 0;
};

AmaxOptions ReadOptions(const Arguments& arguments) {
  AmaxOptions options;
  arguments.Read("RUN", options.run);
  arguments.Read("--out", options.out);
  arguments.Read("--diff", options.diff);
  arguments.Read("--tolerance", options.tolerance);
  arguments.Read("--merge", options.merge);
  arguments.Read("--into", options.into);
  return options;
}

void PrintDifference(const run::ModuleDifference& difference) {
  fmt::print("{}: {} {} and {} ({:.3g}), tokens {} and {} ({:.3g})\n", difference.of.module,
             difference.of.name, difference.first, difference.second, difference.change,
             difference.first_tokens, difference.second_tokens, difference.tokens_change);
}

void PrintOnly(const std::vector<run::StatisticName>& names, std::string_view where) {
  for (const run::StatisticName& only : names) {
    fmt::print("{}: {} only in the {}\n", only.module, only.name, where);
  }
}

int Diff(const AmaxOptions& options) {
  const auto [identity, diff] = jobs::DiffAmax(
      {.first = options.run, .second = options.diff, .tolerance = options.tolerance});
  for (const std::string& text : identity) fmt::print("identity     {}\n", text);
  PrintOnly(diff.only_in_first, "first");
  PrintOnly(diff.only_in_second, "second");
  for (const run::ModuleDifference& difference : diff.differing) PrintDifference(difference);
  fmt::print(
      "{} statistics in both, {} differ by more than {}, {} only in the first, {} only in the "
      "second\n",
      diff.compared, diff.differing.size(), options.tolerance, diff.only_in_first.size(),
      diff.only_in_second.size());
  return diff.Equal() ? 0 : kExitDifferent;
}

// An exit code of its own tells "could not look" from "different".
int DiffOrExplain(const AmaxOptions& options) {
  try {
    return Diff(options);
  } catch (const Error& error) {
    fmt::print(stderr, "vernier: {}\n", error.what());
    return kExitNotCompared;
  }
}

void Merge(const AmaxOptions& options) {
  jobs::AmaxMergeSpec spec{.runs = {options.run}, .into = options.into};
  spec.runs.insert(spec.runs.end(), options.merge.begin(), options.merge.end());
  const jobs::AmaxMergeSummary merged = jobs::MergeAmax(spec);
  fmt::print("merged       {} stores, {} statistics\n", spec.runs.size(),
             HumanCount(static_cast<uint64_t>(merged.statistics)));
  fmt::print("state        {}\n", merged.run_dir.string());
}

void Print(const AmaxOptions& options) {
  if (options.out.empty()) {
    fmt::print("{}\n", jobs::ReadAmax(options.run).dump(2));
  } else {
    jobs::WriteAmax(options.run, options.out);
  }
}

}  // namespace

int RunAmax(const Arguments& arguments, const CommandContext&) {
  const AmaxOptions options = ReadOptions(arguments);
  if (!options.diff.empty()) return DiffOrExplain(options);
  if (!options.merge.empty()) {
    Merge(options);
  } else {
    Print(options);
  }
  return 0;
}

}  // namespace vernier::tools
