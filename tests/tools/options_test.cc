// The tables of subcommands and options, and what is made of them: help, the manual, completions
// and docs/options.md.
#include "tools/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/support/command.h"
#include "tests/support/temp_dir.h"
#include "tools/command.h"
#include "tools/completion.h"
#include "tools/manual.h"

namespace vernier::tools {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAre;
using ::vernier::recipes::Option;
using ::vernier::testing::RunVernier;
using ::vernier::testing::TempDir;

const fs::path kRoot = VERNIER_SOURCE_DIR;

std::vector<std::string> Words(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

// What users' scripts may hold: an option that is gone breaks them.
const std::map<std::string, std::string>& PromisedOptions() {
  static const std::map<std::string, std::string> promised = {
      {"run",
       "--source --output --run-dir --data --device --device-memory --host-memory --stream-memory "
       "--threads --cpu-products --save-interval --non-finite --kv-cache --samples "
       "--sequence-length --batch-size "
       "--seed"},
      {"calibrate",
       "--source --output --run-dir --data --device --device-memory --host-memory --stream-memory "
       "--threads --cpu-products --save-interval --non-finite --kv-cache --samples "
       "--sequence-length --batch-size "
       "--seed"},
      {"export",
       "--source --output --run-dir --data --device --device-memory --host-memory --stream-memory "
       "--threads --cpu-products --save-interval --non-finite --kv-cache --samples "
       "--sequence-length --batch-size "
       "--seed"},
      {"convert",
       "--run-dir --stream-memory --non-finite --threads --recipe --layout --kv-cache --validate "
       "--weights --method --dialect --input-scale --importance"},
      {"dequantize", "--run-dir --stream-memory --non-finite --threads"},
      {"validate",
       "--source --engine --tensor-parallel --full --journal --json --report --explain "
       "--list-rules"},
      {"report", "--out"},
      {"status", "--json"},
      {"amax", "--out --diff --tolerance --merge --into"},
      {"plan",
       "--json --source --output --run-dir --data --device --device-memory --host-memory "
       "--stream-memory --threads --save-interval --non-finite --kv-cache --samples "
       "--sequence-length --batch-size --seed"},
      {"recipes", "--json"},
      {"inspect", "--json"},
      {"tokenize", "--jsonl"},
      {"trace",
       "--input-ids --out --perplexity --activations --dtype --device --device-memory "
       "--host-memory --batch-size --threads"},
      {"layertest",
       "--layer --recipe --input-ids --samples --dtype --device --device-memory --host-memory "
       "--batch-size --threads --json --out"},
      {"eval",
       "--reference --input-ids --data --tokenizer --window --stride --bos --column --chat-format "
       "--windows --variants --dtype --device --device-memory --host-memory --batch-size --threads "
       "--json --out"},
      {"generate",
       "--prompt --tokens --activations --tokenizer --dtype --device --device-memory --host-memory "
       "--batch-size --threads --json"},
  };
  return promised;
}

// Standard output of a shell's command, and its status.
struct ShellResult {
  std::string output;
  int status = 0;
};

ShellResult RunShell(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  ShellResult result;
  std::array<char, 4096> buffer;
  for (size_t got; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    result.output.append(buffer.data(), got);
  }
  result.status = pclose(pipe);
  return result;
}

bool HasProgram(const std::string& name) {
  return RunShell("command -v " + name + " >/dev/null").status == 0;
}

std::vector<std::string> FlagsOf(std::string_view command) {
  std::vector<std::string> flags;
  for (const Option* option : OptionsOf(command)) {
    if (option->IsFlag()) flags.push_back(option->name);
  }
  return flags;
}

TEST(OptionTableTest, SubcommandsTakeWhatTheyPromised) {
  for (const auto& [command, flags] : PromisedOptions()) {
    EXPECT_THAT(FlagsOf(command), IsSupersetOf(Words(flags))) << command;
  }
}

TEST(OptionTableTest, NoSubcommandTakesANameTwice) {
  for (const Command& command : Commands()) {
    std::set<std::string> names;
    for (const Option* option : OptionsOf(command.name)) {
      EXPECT_TRUE(names.insert(option->name).second) << command.name << " " << option->name;
    }
  }
}

TEST(OptionTableTest, RowsNameOnlyWhatThereIs) {
  std::set<std::string> commands = {std::string(kProgram)};
  for (const Command& command : Commands()) commands.emplace(command.name);
  for (const Option& option : Options()) {
    EXPECT_EQ(option.name.empty(), option.commands.empty()) << option.pointer;
    EXPECT_FALSE(option.help.empty() || option.help.ends_with('.')) << option.name;
    for (const std::string& command : Words(option.commands)) {
      EXPECT_TRUE(commands.contains(command)) << option.name << " is for " << command;
      for (const std::string& other : Words(option.excludes + " " + option.needs)) {
        const std::vector<std::string> flags = FlagsOf(command);
        EXPECT_NE(std::ranges::find(flags, other), flags.end()) << option.name << " " << other;
      }
    }
  }
}

// Every name that a subcommand asks for is in the table, and every row is asked for by somebody.
TEST(OptionTableTest, RowsAndTheirUsesAgree) {
  std::set<std::string> used = {"--progress"};
  for (const auto& entry : fs::directory_iterator(kRoot / "tools")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = ReadWholeFile(entry.path());
    static const std::regex kUse("rguments\\.(?:Read|ReadName|Has)\\(\\s*\"([^\"]+)\"");
    for (std::sregex_iterator it(text.begin(), text.end(), kUse), end; it != end; ++it) {
      used.insert((*it)[1]);
    }
  }
  std::set<std::string> rows;
  for (const Option& option : Options()) {
    if (option.name.empty()) continue;
    rows.insert(option.name);
    if (option.ReplacesField()) continue;  // Arguments::RecipeOverrides hands it on
    EXPECT_TRUE(used.contains(option.name)) << option.name << " is parsed and ignored";
  }
  for (const std::string& name : used) EXPECT_TRUE(rows.contains(name)) << name;
}

TEST(OptionTableTest, HelpHasEveryOptionOfTheSubcommand) {
  for (const Command& command : Commands()) {
    const std::string help = RunVernier({std::string(command.name), "--help"}).output;
    for (const Option* option : OptionsOf(command.name)) {
      EXPECT_THAT(help, HasSubstr("\n  " + option->name)) << command.name;
      const std::string group = GroupOf(*option, command.name);
      if (!group.empty()) {
        EXPECT_THAT(help, HasSubstr("\n" + group + ":\n")) << command.name;
      }
    }
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) {
      const bool heading = !line.starts_with("  ");
      EXPECT_TRUE(heading || line.size() <= 140) << line;
    }
  }
}

TEST(OptionTableTest, DefaultsAreTheRecipesOrSaid) {
  const auto text = [](std::string_view command, const std::string& name) {
    for (const Option* option : OptionsOf(command)) {
      if (option->name == name) return DefaultText(*option, command);
    }
    return std::string("no such option");
  };
  EXPECT_EQ(text("run", "--samples"), "");
  EXPECT_EQ(text("eval", "--dtype"), "bfloat16");
  EXPECT_EQ(text("trace", "--dtype"), "float32");
  EXPECT_EQ(text("layertest", "--dtype"), "");
  EXPECT_EQ(text("convert", "--dialect"), "modelopt");
  EXPECT_EQ(text("convert", "--weights"), "nvfp4");
  EXPECT_EQ(text("dequantize", "--stream-memory"), "1GiB");
  EXPECT_EQ(text("generate", "--tokens"), "32");
}

TEST(OptionTableTest, ListingRulesNeedsNoCheckpoint) {
  const auto result = RunVernier({"validate", "--list-rules"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("V11"));
}

TEST(OptionTableTest, ValuesThatAreNoneAreUsageErrors) {
  const std::vector<std::vector<std::string>> wrong = {
      {"eval", "x", "--data", "y", "--window", "many"},
      {"eval", "x", "--bos", "perhaps"},
      {"generate", "x", "--prompt", "a", "--tokens", "0"},
      {"run", "x", "--seed", "1.5"},
      {"amax", "x", "--tolerance", "-1", "--diff", "y"},
      {"convert", "x", "y", "--layout", "z"},
      {"amax", "x", "--merge", "y"},
      {"status", "x", "--progress", "loud"},
      {"convert", "x", "y", "--recipe", "r", "--weights", "fp8"},
      {"run", "x", "--samples", "1", "--samples", "2"}};
  for (const std::vector<std::string>& arguments : wrong) {
    const auto result = RunVernier(arguments);
    EXPECT_EQ(result.exit_code, 1) << arguments.back();
    EXPECT_THAT(result.errors, ::testing::StartsWith("vernier: VN-ARG-001: ")) << arguments.back();
    EXPECT_EQ(std::ranges::count(result.errors, '\n'), 1) << result.errors;
  }
}

TEST(ManualTest, HasEverySubcommandAndOption) {
  const std::string page = RunVernier({"man"}).output;
  EXPECT_EQ(page, ManualPage(VERNIER_VERSION));
  for (const Command& command : Commands()) {
    const size_t begin = page.find("\n.SS vernier " + std::string(command.name) + "\n");
    ASSERT_NE(begin, std::string::npos) << command.name;
    const std::string section = page.substr(begin, page.find("\n.S", begin + 1) - begin);
    for (const Option* option : OptionsOf(command.name)) {
      std::string name = option->name;
      for (size_t at = 0; (at = name.find('-', at)) != std::string::npos; at += 2) {
        name.insert(at, "\\");
      }
      EXPECT_THAT(section, HasSubstr("\n\\fB" + name + "\\fR")) << command.name;
    }
  }
}

TEST(ManualTest, GroffHasNothingToSay) {
  if (!HasProgram("groff")) GTEST_SKIP() << "no groff";
  const TempDir dir;
  const fs::path page = dir.path() / "vernier.1";
  WriteFileAtomically(page, ManualPage("1.0"));
  const ShellResult checked = RunShell("groff -man -ww -z -Tascii " + page.string() + " 2>&1");
  EXPECT_EQ(checked.output, "");
  const ShellResult shown =
      RunShell("groff -man -Tascii -P-cbou " + page.string() + " 2>/dev/null");
  EXPECT_THAT(shown.output, HasSubstr("--kv-cache"));
}

TEST(OptionsPageTest, DocumentationIsUpToDate) {
  EXPECT_EQ(OptionsPage(), ReadWholeFile(kRoot / "docs/options.md"))
      << "Write it anew: vernier options > docs/options.md";
}

// What bash offers behind `words`, the last of which is being written.
std::vector<std::string> BashCompletions(const std::string& words, const fs::path& directory) {
  const TempDir dir;
  const fs::path script = dir.path() / "vernier.bash";
  WriteFileAtomically(script, CompletionScript("bash"));
  const std::string command = "cd " + directory.string() + " && bash --norc -c 'source " +
                              script.string() + "; complete -p vernier >/dev/null || exit 1; " +
                              "COMP_WORDS=(vernier " + words +
                              "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _vernier; " +
                              "printf \"%s\\n\" \"${COMPREPLY[@]}\"'";
  const ShellResult result = RunShell(command);
  EXPECT_EQ(result.status, 0) << result.output;
  return Words(result.output);
}

class BashCompletionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HasProgram("bash")) GTEST_SKIP() << "no bash";
    fs::create_directories(dir_.path() / "model-a");
    fs::create_directories(dir_.path() / "model-b");
    WriteFileAtomically(dir_.path() / "modes.json", "{}");
  }

  std::vector<std::string> Complete(const std::string& words) {
    return BashCompletions(words, dir_.path());
  }

  TempDir dir_;
};

TEST_F(BashCompletionTest, Subcommands) {
  EXPECT_THAT(Complete("co"), ElementsAre("convert"));
  const std::vector<std::string> all = Complete("\"\"");
  EXPECT_THAT(all, ::testing::Contains("layertest"));
  EXPECT_THAT(all, ::testing::Not(::testing::Contains("schema")));
  EXPECT_EQ(all.size(), PromisedOptions().size());
}

TEST_F(BashCompletionTest, FlagsOfASubcommand) {
  for (const Command& command : Commands()) {
    std::vector<std::string> expected = FlagsOf(command.name);
    expected.insert(expected.end(), {"--progress", "--help"});
    EXPECT_THAT(Complete(std::string(command.name) + " x --"),
                ::testing::UnorderedElementsAreArray(expected));
  }
  EXPECT_THAT(Complete("run x --kv"), ElementsAre("--kv-cache"));
  EXPECT_THAT(Complete("--progress json run x --kv"), ElementsAre("--kv-cache"));
}

TEST_F(BashCompletionTest, NamesOfValues) {
  EXPECT_THAT(Complete("run x --kv-cache \"\""),
              ElementsAre("none", "fp8", "fp8_cast", "nvfp4", "nvfp4_cast"));
  EXPECT_THAT(Complete("run x --kv-cache fp8"), ElementsAre("fp8", "fp8_cast"));
  EXPECT_THAT(Complete("convert a b --dialect = co"), ElementsAre("compressed-tensors"));
  EXPECT_THAT(Complete("convert a b --dialect ="),
              ElementsAre("modelopt", "compressed-tensors", "gguf"));
  EXPECT_THAT(Complete("validate x --tensor-parallel \"\""), ElementsAre("1", "2", "4", "8"));
  EXPECT_THAT(Complete("run --progress p"), ElementsAre("plain"));
  EXPECT_THAT(Complete("completion \"\""), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(Complete("run x --samples \"\""), ElementsAre());
}

TEST_F(BashCompletionTest, Paths) {
  EXPECT_THAT(Complete("inspect mod"), UnorderedElementsAre("model-a", "model-b"));
  EXPECT_THAT(Complete("run mod"), UnorderedElementsAre("model-a", "model-b", "modes.json"));
  EXPECT_THAT(Complete("run x --source mod"), UnorderedElementsAre("model-a", "model-b"));
  EXPECT_THAT(Complete("run x --data a.txt mode"),
              UnorderedElementsAre("model-a", "model-b", "modes.json"));
}

TEST(CompletionTest, EveryShellHasEverySubcommandAndOption) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto printed = RunVernier({"completion", shell});
    EXPECT_EQ(printed.exit_code, 0) << printed.errors;
    EXPECT_EQ(printed.output, CompletionScript(shell));
    for (const Command& command : Commands()) {
      if (command.hidden) continue;
      EXPECT_THAT(printed.output, HasSubstr(std::string(command.name))) << shell;
    }
    const std::string dashes = std::string(shell) == "fish" ? "-l " : "--";
    for (const Option& option : Options()) {
      if (!option.IsFlag()) continue;
      EXPECT_THAT(printed.output, HasSubstr(dashes + option.name.substr(2))) << shell;
    }
  }
}

TEST(CompletionTest, OtherShellsAcceptTheirScripts) {
  const TempDir dir;
  const std::map<std::string, std::string> checks = {{"zsh", "zsh -n "}, {"fish", "fish -n "}};
  for (const auto& [shell, check] : checks) {
    if (!HasProgram(shell)) continue;
    const fs::path script = dir.path() / shell;
    WriteFileAtomically(script, CompletionScript(shell));
    const ShellResult result = RunShell(check + script.string() + " 2>&1");
    EXPECT_EQ(result.status, 0) << result.output;
  }
}

}  // namespace
}  // namespace vernier::tools
