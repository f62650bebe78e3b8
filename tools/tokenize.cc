// `vernier tokenize`: text to ids and back, to see what calibration will see.
#include "jobs/tokenize.h"

#include <iostream>

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

int RunTokenize(const Arguments& arguments, const CommandContext&) {
  jobs::TokenizeSpec spec;
  spec.jsonl = arguments.Has("--jsonl");
  arguments.Read("TOKENIZER_DIR", spec.directory);
  Tokenize(spec);
  return 0;
}

}  // namespace vernier::tools
