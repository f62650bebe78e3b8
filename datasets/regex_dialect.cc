#include "datasets/regex_dialect.h"

#include <fmt/format.h>

#include <array>
#include <cctype>

namespace vernier::datasets {
namespace {

// The members of a class, without its brackets. White_Space ends in \p{Zs} so that a hyphen after
// it stays a literal hyphen, as after \s. PCRE2's own \s has U+180E too, its \w lacks marks.
constexpr std::string_view kSpace = R"(\x{9}-\x{d}\x{85}\x{2028}\x{2029}\p{Zs})";
constexpr std::string_view kNotSpace =
    R"(\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff})"
    R"(\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{N}\p{Pc})";
constexpr std::string_view kHexDigit = "0-9a-fA-F";

// Escapes that mean the same in both engines, in and outside a class.
constexpr std::string_view kSameEscapes = "nrtfaedD";
// The same, outside a class only.
constexpr std::string_view kSameAssertions = "AzZ";

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  TranslatedPattern Run() {
    while (at_ < in_.size() && !unsupported_) Step();
    if (!unsupported_ && in_class_) Reject("an unterminated character class");
    return {std::move(out_), std::move(unsupported_)};
  }

 private:
  bool Follows(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  void Reject(std::string what) { unsupported_ = std::move(what); }

  void Copy(size_t count) {
    out_ += in_.substr(at_, count);
    at_ += count;
  }

  void Replace(size_t count, std::string_view replacement) {
    out_ += replacement;
    at_ += count;
  }

  void Step() {
    if (in_[at_] == '\\') return Escape();
    if (in_class_) return ClassMember();
    switch (in_[at_]) {
      case '[':
        return OpenClass();
      case '(':
        return OpenGroup();
      case '{':
        return Interval();
      default:
        return Copy(1);
    }
  }

  void OpenClass() {
    in_class_ = true;
    Copy(Follows("[^") ? 2 : 1);
    if (at_ < in_.size() && in_[at_] == ']') Reject("an empty or ]-first character class");
  }

  void ClassMember() {
    if (in_[at_] == '[') return Reject("a character class inside another");
    if (Follows("&&")) return Reject("a class intersection (&&)");
    if (in_[at_] == ']') in_class_ = false;
    Copy(1);
  }

  void OpenGroup() {
    // (?i) applies to the rest of its group in PCRE2, and also binds alternatives in Oniguruma:
    // they agree at the very start.
    if (at_ == 0 && Follows("(?i)")) return Copy(4);
    static constexpr std::array<std::string_view, 7> kSameGroups = {"(?:",  "(?=",   "(?!", "(?>",
                                                                    "(?i:", "(?-i:", "(?<"};
    for (const std::string_view group : kSameGroups) {
      if (Follows(group)) return Copy(group.size());
    }
    if (Follows("(?") || Follows("(*")) {
      return Reject(fmt::format("the group {}...", in_.substr(at_, 3)));
    }
    Copy(1);
  }

  // {n,m}, which must not be followed by what only one engine takes as part of the quantifier.
  void Interval() {
    if (Follows("{,")) return Reject("the quantifier {,n}");
    const size_t end = in_.find_first_not_of("0123456789,", at_ + 1);
    const bool is_interval = end != std::string_view::npos && in_[end] == '}' && end > at_ + 1;
    if (!is_interval) return Copy(1);
    const std::string_view interval = in_.substr(at_, end + 1 - at_);
    const char after = end + 1 < in_.size() ? in_[end + 1] : '\0';
    const bool is_fixed = interval.find(',') == std::string_view::npos;
    if (after == '+' || (after == '?' && is_fixed)) {
      return Reject(fmt::format("the quantifier {}{}", interval, after));
    }
    Copy(interval.size());
  }

  // A class escape: `members` bare inside a class, bracketed outside.
  void Members(std::string_view members) {
    if (in_class_) return Replace(2, members);
    Replace(2, fmt::format("[{}]", members));
  }

  void NegatedMembers(std::string_view members) {
    if (in_class_) return Reject(fmt::format("{} inside a character class", in_.substr(at_, 2)));
    Replace(2, fmt::format("[^{}]", members));
  }

  void WordBoundary(bool negated) {
    const std::string boundary = fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", kWord);
    Replace(2, negated ? fmt::format("(?!{})", boundary) : boundary);
  }

  void Escape() {
    if (at_ + 1 == in_.size()) return Reject("a backslash at the end");
    const char name = in_[at_ + 1];
    if (!std::isalnum(static_cast<unsigned char>(name))) return Copy(2);
    if (kSameEscapes.find(name) != std::string_view::npos) return Copy(2);
    if (!in_class_ && kSameAssertions.find(name) != std::string_view::npos) return Copy(2);
    switch (name) {
      case 's':
        return Members(kSpace);
      case 'S':
        return Members(kNotSpace);
      case 'w':
        return Members(kWord);
      case 'W':
        return NegatedMembers(kWord);
      case 'h':
        return Members(kHexDigit);
      case 'H':
        return NegatedMembers(kHexDigit);
      case 'v':
        return Replace(2, R"(\x{b})");
      case 'b':
        return in_class_ ? Copy(2) : WordBoundary(/*negated=*/false);
      case 'B':
        if (!in_class_) return WordBoundary(/*negated=*/true);
        break;
      case 'p':
      case 'P':
        return Property();
      case 'u':
        return FixedHex(2, 4, /*limit=*/0x10FFFF);
      case 'x':
        if (at_ + 2 < in_.size() && in_[at_ + 2] == '{') return BracedHex();
        // Two digits are a byte in Oniguruma, a code point in PCRE2.
        return FixedHex(2, 2, /*limit=*/0x7F);
      default:
        break;
    }
    Reject(fmt::format("the escape \\{}", name));
  }

  void Property() {
    const size_t end = in_.find('}', at_);
    if (at_ + 2 >= in_.size() || in_[at_ + 2] != '{' || end == std::string_view::npos) {
      return Reject("a property without {}");
    }
    Copy(end + 1 - at_);
  }

  void BracedHex() {
    const size_t end = in_.find_first_not_of("0123456789abcdefABCDEF", at_ + 3);
    if (end == std::string_view::npos || in_[end] != '}') return Reject("a list of code points");
    Copy(end + 1 - at_);
  }

  // `digits` hexadecimal digits after an escape of `prefix` characters.
  void FixedHex(size_t prefix, size_t digits, unsigned limit) {
    const std::string_view text = in_.substr(at_ + prefix, digits);
    unsigned value = 0;
    for (const char c : text) {
      if (!std::isxdigit(static_cast<unsigned char>(c))) return Reject("a short code point escape");
      value = value * 16 + (std::isdigit(static_cast<unsigned char>(c))
                                ? static_cast<unsigned>(c - '0')
                                : static_cast<unsigned>((c | 0x20) - 'a' + 10));
    }
    if (text.size() != digits) return Reject("a short code point escape");
    if (value > limit) return Reject("an escaped byte above 7F");
    Replace(prefix + digits, fmt::format("\\x{{{:x}}}", value));
  }

  std::string_view in_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
  std::optional<std::string> unsupported_;
};

}  // namespace

TranslatedPattern TranslateToPcre2(std::string_view pattern) { return Translator(pattern).Run(); }

}  // namespace vernier::datasets
