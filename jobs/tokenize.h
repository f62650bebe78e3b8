// Text to token ids and back, to see what calibration will see.
#ifndef VERNIER_JOBS_TOKENIZE_H_
#define VERNIER_JOBS_TOKENIZE_H_

#include <filesystem>
#include <iosfwd>

namespace vernier::jobs {

struct TokenizeSpec {
  std::filesystem::path directory;  // with tokenizer.json, such as a checkpoint
  // Line by line: {"text": ...} to {"ids": ...} and back, and a chat, {"messages": ...}, to the
  // text of its template and its ids. Otherwise the whole input to one array of ids.
  bool jsonl = false;
};

// Errors: those of the tokenizer, and kBadJson or kBadTokenIds for a line that is no good. Whether
// the streams failed is the caller's to see.
void Tokenize(const TokenizeSpec& spec, std::istream& in, std::ostream& out);

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_TOKENIZE_H_
