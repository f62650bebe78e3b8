// vernier amax: calibrated statistics as a file, compared, or merged.
#include "jobs/amax.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
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

void PrintDifference(const run::ModuleDifference& difference) {
  fmt::print("{}: amax {} and {} ({:.3g}), tokens {} and {} ({:.3g})\n", difference.first.module,
             difference.first.amax, difference.second.amax, difference.amax_change,
             difference.first.tokens, difference.second.tokens, difference.tokens_change);
}

int Diff(const AmaxOptions& options) {
  const auto [identity, diff] = jobs::DiffAmax(
      {.first = options.run, .second = options.diff, .tolerance = options.tolerance});
  for (const std::string& text : identity) fmt::print("identity     {}\n", text);
  for (const std::string& module : diff.only_in_first)
    fmt::print("{}: only in the first\n", module);
  for (const std::string& module : diff.only_in_second) {
    fmt::print("{}: only in the second\n", module);
  }
  for (const run::ModuleDifference& difference : diff.differing) PrintDifference(difference);
  fmt::print(
      "{} modules in both, {} differ by more than {}, {} only in the first, {} only in the "
      "second\n",
      diff.modules, diff.differing.size(), options.tolerance, diff.only_in_first.size(),
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

void AddAmaxCommand(CLI::App& app, CommandContext& context) {
  CLI::App* command = app.add_subcommand(
      "amax",
      "Print a run's calibrated amax values as JSON, compare those of two runs, or merge runs over "
      "different data. Exit code of --diff: 0 equal, 1 different, 2 could not compare.");
  auto options = std::make_shared<AmaxOptions>();
  command->add_option("RUN", options->run, "A run directory, or its store file")->required();
  CLI::Option* out =
      command->add_option("--out", options->out, "Write FILE.json or FILE.safetensors instead");
  CLI::Option* diff =
      command->add_option("--diff", options->diff, "Compare with this run instead")->excludes(out);
  command
      ->add_option("--tolerance", options->tolerance,
                   "Relative change of amax or tokens above which a module differs")
      ->needs(diff)
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  CLI::Option* merge =
      command
          ->add_option("--merge", options->merge, "Merge with these runs: largest amax, all tokens")
          ->excludes(out)
          ->excludes(diff);
  CLI::Option* into =
      command->add_option("--into", options->into, "The new run directory for --merge")
          ->needs(merge);
  merge->needs(into);
  command->callback([&context, options] {
    if (!options->diff.empty()) {
      context.exit_code = DiffOrExplain(*options);
    } else if (!options->merge.empty()) {
      Merge(*options);
    } else {
      Print(*options);
    }
  });
}

}  // namespace vernier::tools
