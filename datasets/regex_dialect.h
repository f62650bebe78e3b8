// tokenizer.json's patterns are written for Oniguruma; PCRE2 reads a few constructs differently.
#ifndef VERNIER_DATASETS_REGEX_DIALECT_H_
#define VERNIER_DATASETS_REGEX_DIALECT_H_

#include <optional>
#include <string>
#include <string_view>

namespace vernier::datasets {

struct TranslatedPattern {
  std::string pattern;                     // for PCRE2 with UTF, UCP and MULTILINE
  std::optional<std::string> unsupported;  // what cannot be translated; then `pattern` is void
};

// Rewrites what the two engines spell alike but match differently (\s, \w, \h, \v, \b, \u), and
// names constructs that exist in one only. Source: Oniguruma's doc/RE and doc/SYNTAX.md, and
// pcre2pattern(3).
TranslatedPattern TranslateToPcre2(std::string_view pattern);

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_REGEX_DIALECT_H_
