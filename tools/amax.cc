// vernier amax: calibrated statistics as a file, compared, or merged.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "run/amax_diff.h"
#include "run/amax_file.h"
#include "run/merge.h"
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

void WriteAmax(const run::Store& store, const std::filesystem::path& out) {
  if (out.empty()) return fmt::print("{}\n", run::AmaxJson(store).dump(2));
  if (out.extension() == ".safetensors") return run::WriteAmaxSafetensors(store, out);
  if (out.extension() == ".json") {
    return WriteFileAtomically(out, run::AmaxJson(store).dump(2) + "\n");
  }
  throw Error(ErrorCode::kBadArgument, "--out",
              fmt::format("\"{}\" ends in neither .json nor .safetensors", out.string()),
              "Name the file so that its ending says the format");
}

void PrintDifference(const run::ModuleDifference& difference) {
  fmt::print("{}: amax {} and {} ({:.3g}), tokens {} and {} ({:.3g})\n", difference.first.module,
             difference.first.amax, difference.second.amax, difference.amax_change,
             difference.first.tokens, difference.second.tokens, difference.tokens_change);
}

int Diff(const AmaxOptions& options) {
  const run::Store first = run::Store::OpenForReading(options.run);
  const run::Store second = run::Store::OpenForReading(options.diff);
  for (const std::string& text :
       run::IdentityDifferences(first.Identity(), second.Identity(), {"first", "second"})) {
    fmt::print("identity     {}\n", text);
  }
  const run::AmaxDiff diff = run::DiffAmax(first.Inputs(), second.Inputs(), options.tolerance);
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
  std::vector<std::filesystem::path> parents = {options.run};
  parents.insert(parents.end(), options.merge.begin(), options.merge.end());
  const run::Store merged = run::MergeStores(parents, options.into);
  fmt::print("merged       {} stores, {} statistics\n", parents.size(),
             HumanCount(merged.Inputs().size()));
  fmt::print("state        {}\n", merged.run_dir().string());
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
      WriteAmax(run::Store::OpenForReading(options->run), options->out);
    }
  });
}

}  // namespace vernier::tools
