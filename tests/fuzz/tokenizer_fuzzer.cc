// Input: a tokenizer.json up to the first NUL byte, then a tokenizer_config.json up to the next,
// then text. Whatever they are, loading, encoding and decoding succeed or throw vernier::Error.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "datasets/special_ids.h"
#include "datasets/tokenizer.h"

namespace {

// Backtracking patterns are slow on long texts, which tells a fuzzer nothing.
constexpr size_t kMaxText = 256;

// Takes what is before the next NUL byte off the front of `input`.
std::string_view TakeField(std::string_view& input) {
  const size_t end = std::min(input.find('\0'), input.size());
  const std::string_view field = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return field;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view tokenizer_json = TakeField(text);
  const std::string_view config_json = TakeField(text);
  try {
    const auto tokenizer = vernier::datasets::Tokenizer::Parse(tokenizer_json, config_json, "fuzz");
    std::vector<int32_t> ids = tokenizer.Encode(text.substr(0, kMaxText));
    vernier::datasets::AddPrefix(tokenizer.prefix(), &ids);
    vernier::datasets::AddSuffix(tokenizer.suffix(), &ids);
    tokenizer.Decode(ids);
  } catch (const vernier::Error&) {
    // The documented way to refuse an input.
  }
  return 0;
}
