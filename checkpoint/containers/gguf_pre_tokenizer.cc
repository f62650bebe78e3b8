#include "checkpoint/containers/gguf_pre_tokenizer.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace vernier::checkpoint::gguf {
namespace {

// A step of a pre-tokenizer, as text: a Split by its regular expression, others by their type and
// the option that matters.
using Steps = std::vector<std::string>;

constexpr std::string_view kByteLevel = "ByteLevel";        // bytes alone
constexpr std::string_view kByteLevelSplit = "ByteLevel+";  // GPT-2's expression too
constexpr std::string_view kDigits = "Digits";              // each alone

// Line ends as characters or as escapes: both are in use for the same expression.
std::string Normalised(std::string_view expression) {
  std::string text;
  for (const char c : expression) {
    if (c == '\r') {
      text += "\\r";
    } else if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text;
}

using nlohmann::json;

// Sequences of sequences are none that anybody writes.
constexpr int kMostNested = 4;

void AddSteps(const json& node, int nested, Steps& steps) {
  const std::string type = node.value("type", "");
  if (type == "Sequence" && nested < kMostNested) {
    for (const json& step : node.value("pretokenizers", json::array())) {
      AddSteps(step, nested + 1, steps);
    }
    return;
  }
  if (type == "Split") {
    const json pattern = node.value("pattern", json::object());
    return steps.push_back(Normalised(pattern.value("Regex", "")));
  }
  if (type == "ByteLevel") {
    const bool splits = node.value("use_regex", true);
    steps.emplace_back(splits ? kByteLevelSplit : kByteLevel);
    return;
  }
  const bool digits = type == "Digits" && node.value("individual_digits", false);
  steps.push_back(digits ? std::string(kDigits) : type);
}

// clang-format off: an expression is one line.
// llama-vocab.cpp has these expressions by their names there.
struct Known {
  std::string_view name;
  std::array<std::string_view, 4> steps;
};
constexpr auto kKnown = std::to_array<Known>({
    {"llama-bpe",
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      kByteLevel}},
    {"qwen2",
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      kByteLevel}},
    {"tekken",
     {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      kByteLevel}},
    {"deepseek-v3",
     {R"(\p{N}{1,3})", "[一-龥\u3040-ゟ゠-ヿ]+",
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      kByteLevel}},
    {"smollm", {kDigits, kByteLevelSplit}},
    {"gpt-2", {kByteLevelSplit}},
});
// clang-format on

bool AreStepsOf(const Known& known, const Steps& steps) {
  const auto end = std::ranges::find(known.steps, std::string_view());
  return std::equal(known.steps.begin(), end, steps.begin(), steps.end());
}

}  // namespace

std::string_view PreTokenizerName(const json& pre_tokenizer) {
  if (!pre_tokenizer.is_object()) return {};
  Steps steps;
  AddSteps(pre_tokenizer, 0, steps);
  for (const Known& known : kKnown) {
    if (AreStepsOf(known, steps)) return known.name;
  }
  return {};
}

}  // namespace vernier::checkpoint::gguf
