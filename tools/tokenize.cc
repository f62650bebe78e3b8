// `vernier tokenize`: text to ids and back, to see what calibration will see.
#include "jobs/tokenize.h"

#include <iostream>
#include <memory>

#include "base/error.h"
#include "tools/command.h"

namespace vernier::tools {
namespace {

void Tokenize(const jobs::TokenizeSpec& spec) {
  jobs::Tokenize(spec, std::cin, std::cout);
  if (std::cin.bad()) {
    throw Error(ErrorCode::kFileRead, "standard input", "cannot be read", "Check what feeds it");
  }
  if (!std::cout.flush()) {
    throw Error(ErrorCode::kFileWrite, "standard output", "cannot be written",
                "Check the disk or the program that reads it");
  }
}

}  // namespace

void AddTokenizeCommand(CLI::App& app, CommandContext& /*context*/) {
  CLI::App* command = app.add_subcommand(
      "tokenize", "Print the token ids of the text on standard input, as one JSON array");
  const auto options = std::make_shared<jobs::TokenizeSpec>();
  command
      ->add_option("TOKENIZER_DIR", options->directory,
                   "Directory with tokenizer.json, such as a checkpoint")
      ->required();
  command->add_flag("--jsonl", options->jsonl,
                    "Convert line by line: {\"text\": ...} to {\"ids\": ...} and back, and a chat, "
                    "{\"messages\": ...}, to the text of its template and its ids");
  command->callback([options] { Tokenize(*options); });
}

}  // namespace vernier::tools
