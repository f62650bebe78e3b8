#include "datasets/normalizer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "base/error.h"
#include "datasets/sequence.h"
#include "datasets/utf8.h"

namespace vernier::datasets {
namespace {

// Replacements may multiply a text; more than this is a broken file, not a normalisation.
constexpr size_t kMaxGrowth = 256;
constexpr size_t kGrowthFloor = size_t{1} << 20;

std::string ApplyStep(const UnicodeForm& form, std::string_view text) {
  int options = UTF8PROC_STABLE | (form.compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
  if (form.compatibility) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                                             static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (size < 0) {
    throw Error(ErrorCode::kBadTokenizer, "Unicode normalization",
                fmt::format("a text of {} bytes failed: {}", text.size(), utf8proc_errmsg(size)),
                "Split the text into shorter documents");
  }
  return std::string(reinterpret_cast<const char*>(mapped), static_cast<size_t>(size));
}

std::string ApplyStep(const Replacement& replacement, std::string_view text) {
  std::string out;
  size_t copied = 0;
  for (const Span& match : replacement.pattern.FindAll(text)) {
    out += text.substr(copied, match.begin - copied);
    out += replacement.content;
    copied = match.end;
  }
  out += text.substr(copied);
  return out;
}

std::string ApplyStep(const Prefix& prefix, std::string_view text) {
  return text.empty() ? std::string() : prefix.text + std::string(text);
}

std::string ApplyStep(Lowercase, std::string_view text) {
  constexpr char32_t kCapitalIWithDot = 0x130;
  std::string out;
  out.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    const char32_t code_point = NextCodePoint(text, position);
    if (code_point == kCapitalIWithDot) {
      // The only unconditional lower case of two code points (Unicode's SpecialCasing.txt).
      out += "i\xCC\x87";
    } else {
      AppendUtf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code_point))),
                 out);
    }
  }
  return out;
}

std::string ApplyStep(const StripSpace& strip, std::string_view text) {
  if (strip.left) text.remove_prefix(LeadingWhiteSpace(text));
  if (strip.right) text.remove_suffix(TrailingWhiteSpace(text));
  return std::string(text);
}

NormalizerStep ParseStep(const JsonPart& part) {
  const std::string type = part.Text("type");
  if (type == "NFC") return UnicodeForm{.compose = true, .compatibility = false};
  if (type == "NFD") return UnicodeForm{.compose = false, .compatibility = false};
  if (type == "NFKC") return UnicodeForm{.compose = true, .compatibility = true};
  if (type == "NFKD") return UnicodeForm{.compose = false, .compatibility = true};
  if (type == "Replace") {
    return Replacement{Regex::FromJson(part.At("pattern")), part.Text("content")};
  }
  if (type == "Prepend") return Prefix{part.Text("prepend")};
  if (type == "Lowercase") return Lowercase{};
  if (type == "Strip") return StripSpace{part.Flag("strip_left"), part.Flag("strip_right")};
  part.RefuseUnsupported(fmt::format("the normalizer type \"{}\"", type));
}

}  // namespace

Normalizer Normalizer::FromJson(const JsonPart& file) {
  Normalizer normalizer;
  if (!file.Has("normalizer")) return normalizer;
  for (const JsonPart& part : FlattenSequence(file.At("normalizer"), "normalizers")) {
    normalizer.steps_.push_back(ParseStep(part));
  }
  return normalizer;
}

std::string Normalizer::Apply(std::string_view text) const {
  std::string current(text);
  const size_t limit = kGrowthFloor + kMaxGrowth * text.size();
  for (const NormalizerStep& step : steps_) {
    current = std::visit([&](const auto& action) { return ApplyStep(action, current); }, step);
    if (current.size() > limit) {
      throw Error(ErrorCode::kBadTokenizer, "normalizer",
                  fmt::format("{} bytes of text became {} bytes", text.size(), current.size()),
                  "Correct the normalizer of tokenizer.json");
    }
  }
  return current;
}

}  // namespace vernier::datasets
