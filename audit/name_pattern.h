// Entries of the lists in which a configuration names modules.
#ifndef VERNIER_AUDIT_NAME_PATTERN_H_
#define VERNIER_AUDIT_NAME_PATTERN_H_

#include <memory>
#include <string>
#include <string_view>

namespace vernier::audit {

// A name, a glob, or "re:" and a regular expression: which of them it is depends on who reads it.
//
// Anybody may have written the file, so that matching an expression has a limit: one that would
// backtrack for long matches nothing, and so does one that does not compile. Immutable and cheap to
// copy; one pattern may be used by many threads.
class NamePattern {
 public:
  explicit NamePattern(std::string text);

  const std::string& text() const { return text_; }
  bool is_regex() const { return is_regex_; }
  // False only for an expression that does not compile.
  bool usable() const { return !is_regex_ || regex_ != nullptr; }

  // Of an expression: whether it matches at the name's beginning (Python's re.match), or all of the
  // name (re.fullmatch).
  bool MatchesBeginning(std::string_view name) const;
  bool MatchesWhole(std::string_view name) const;

  auto operator<=>(const NamePattern& other) const { return text_ <=> other.text_; }
  bool operator==(const NamePattern& other) const { return text_ == other.text_; }

 private:
  bool Matches(std::string_view name, unsigned options) const;

  std::string text_;
  bool is_regex_;
  std::shared_ptr<const void> regex_;  // pcre2_code
};

}  // namespace vernier::audit

#endif  // VERNIER_AUDIT_NAME_PATTERN_H_
