#include "tools/manual.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "tools/command.h"
#include "tools/command_app.h"
#include "tools/options.h"

namespace vernier::tools {
namespace {

using recipes::Option;

// `text` as groff shows it: a hyphen that can be copied, no escapes, no requests.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char letter : text) {
    if (letter == '-') {
      escaped += "\\-";
    } else if (letter == '\\') {
      escaped += "\\e";
    } else {
      if (escaped.empty() && (letter == '.' || letter == '\'')) escaped += "\\&";
      escaped += letter;
    }
  }
  return escaped;
}

std::string_view LibtorchText(Libtorch libtorch) {
  switch (libtorch) {
    case Libtorch::kNever:
      return "";
    case Libtorch::kToCalibrate:
      return " Needs libtorch where something is calibrated.";
    case Libtorch::kAlways:
      break;
  }
  return " Needs libtorch.";
}

// "/calibration/data/*/path" as "calibration.data.path".
std::string FieldText(const Option& option) {
  std::string text;
  for (size_t begin = 1; begin < option.pointer.size();) {
    const size_t end = std::min(option.pointer.find('/', begin), option.pointer.size());
    const std::string step = option.pointer.substr(begin, end - begin);
    if (step != "*") text += (text.empty() ? "" : ".") + step;
    begin = end + 1;
  }
  return text;
}

// "Not with --out or --merge.": what else is to be said of an option in a subcommand.
std::string Conditions(const Option& option, std::string_view command) {
  const auto with_or = [](const std::string& names) {
    std::vector<std::string> words;
    for (size_t begin = 0; begin < names.size();) {
      const size_t end = std::min(names.find(' ', begin), names.size());
      words.push_back(names.substr(begin, end - begin));
      begin = end + 1;
    }
    return JoinNames(words, " or ");
  };
  std::string text;
  if (!option.excludes.empty()) text += fmt::format(" Not with {}.", with_or(option.excludes));
  if (!option.needs.empty()) text += fmt::format(" Only with {}.", with_or(option.needs));
  const std::string standard = DefaultText(option, command);
  if (!standard.empty()) text += fmt::format(" Default: {}.", standard);
  return text;
}

std::string ManualOption(const Option& option, std::string_view command) {
  std::string entry = fmt::format(".TP\n\\fB{}\\fR", Escaped(option.name));
  const std::string value = ValueText(option);
  if (option.IsFlag() && !value.empty()) entry += fmt::format(" \\fI{}\\fR", Escaped(value));
  return entry + "\n" + Escaped(Sentences(option) + Conditions(option, command)) + "\n";
}

std::string ManualOptions(std::string_view command) {
  std::string text;
  for (const Option* option : OptionsOf(command)) text += ManualOption(*option, command);
  return text;
}

std::string ManualCommand(const Command& command) {
  const std::string positional = PositionalText(command.name);
  return fmt::format(
             ".SS vernier {}\n.B vernier {}\n[\\fIoption\\fR ...]{}\n.PP\n{}\n", command.name,
             command.name,
             positional.empty() ? "" : fmt::format(" \\fI{}\\fR", Escaped(positional)),
             Escaped(fmt::format("{}{}", command.summary, LibtorchText(command.libtorch)))) +
         ManualOptions(command.name);
}

constexpr std::string_view kManualHead = R"(.SH NAME
vernier \- calibrate large language models and write quantised checkpoints
.SH SYNOPSIS
.B vernier
[\fB\-\-progress\fR \fISTYLE\fR] \fIcommand\fR [\fIoption\fR ...] [\fIargument\fR ...]
.br
.B vernier
\fB\-\-help\fR | \fB\-\-version\fR
.br
.B vernier
\fIcommand\fR \fB\-\-help\fR
)";

constexpr std::string_view kManualTail = R"(.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
An error, which is one line on standard error with a code such as VN\-ARG\-001; or \fBvalidate\fR
found defects, or \fBamax \-\-diff\fR differences.
.TP
.B 2
\fBvalidate\fR or \fBamax \-\-diff\fR could not look.
.TP
.B 130
Interrupted. The same command goes on where it was.
.SH ENVIRONMENT
.TP
.B VERNIER_IO
How files are read and written: \fBthreads\fR instead of io_uring, \fBbuffered\fR through the page
cache, or \fBthreads,buffered\fR.
.TP
.B VERNIER_DUCKDB
The program that reads Parquet.
.TP
.B TMPDIR
Where hidden states that do not fit the memory go while nothing is calibrated.
.SH EXAMPLES
.nf
vernier run MODEL OUT \-\-data text.jsonl
vernier convert MODEL OUT \-\-weights nvfp4 \-\-method mse
vernier validate OUT \-\-source MODEL
.fi
)";

// Cells of a Markdown table.
std::string MarkdownRow(const std::vector<std::string>& cells) {
  std::string row = "|";
  for (std::string cell : cells) {
    for (size_t at = cell.find('|'); at != std::string::npos; at = cell.find('|', at + 2)) {
      cell.insert(at, "\\");
    }
    row += " " + cell + " |";
  }
  return row + "\n";
}

std::string Code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

std::string CommandsText(const Option& option) {
  std::vector<std::string> names;
  if (option.TakenBy(kProgram)) names.emplace_back("all");
  for (const Command& command : Commands()) {
    if (option.TakenBy(command.name)) names.emplace_back(command.name);
  }
  return JoinNames(names);
}

}  // namespace

std::string ManualPage(std::string_view version) {
  std::string page = fmt::format(".TH VERNIER 1 \"\" \"vernier {}\" \"User Commands\"\n", version);
  page += kManualHead;
  page += fmt::format(".SH DESCRIPTION\n{}\n.SH OPTIONS\nOf every command:\n",
                      Escaped(kProgramSummary));
  page += ManualOptions(kProgram);
  page += ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nPrint the options, of a command its own.\n";
  page += ".TP\n\\fB\\-\\-version\\fR\nPrint the version.\n.SH COMMANDS\n";
  for (const Command& command : Commands()) page += ManualCommand(command);
  page += kManualTail;
  return page;
}

std::string OptionsPage() {
  std::string page =
      "# Options\n\n"
      "Every option of every subcommand, as `--help` and `man vernier` have them too. An option "
      "with "
      "a recipe's field replaces\nthat field. `vernier options` prints this page.\n\n";
  page += MarkdownRow({"option", "value", "recipe's field", "subcommands", "meaning"});
  page += "|---|---|---|---|---|\n";
  for (const Option& option : Options()) {
    if (option.name.empty()) continue;
    page += MarkdownRow({Code(option.name), Code(ValueText(option)),
                         option.ReplacesField() ? Code(FieldText(option)) : "",
                         CommandsText(option), Sentences(option)});
  }
  return page;
}

}  // namespace vernier::tools
