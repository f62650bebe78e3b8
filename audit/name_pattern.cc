#include "audit/name_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <new>
#include <utility>

namespace vernier::audit {
namespace {

constexpr std::string_view kRegexPrefix = "re:";

// Steps of backtracking, and memory for them in KiB: names have some dozens of characters.
constexpr uint32_t kMatchLimit = 100'000;
constexpr uint32_t kHeapLimit = 1024;

template <typename T, void (*kFree)(T*)>
struct Free {
  void operator()(T* object) const { kFree(object); }
};
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data, pcre2_match_data_free>>;
using MatchContext =
    std::unique_ptr<pcre2_match_context, Free<pcre2_match_context, pcre2_match_context_free>>;

std::shared_ptr<const void> Compile(std::string_view pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), 0,
                                   &error, &offset, nullptr);
  if (code == nullptr) return nullptr;
  return {code, [](pcre2_code* each) { pcre2_code_free(each); }};
}

}  // namespace

NamePattern::NamePattern(std::string text)
    : text_(std::move(text)), is_regex_(text_.starts_with(kRegexPrefix)) {
  if (is_regex_) regex_ = Compile(std::string_view(text_).substr(kRegexPrefix.size()));
}

bool NamePattern::MatchesBeginning(std::string_view name) const {
  return Matches(name, PCRE2_ANCHORED);
}

bool NamePattern::MatchesWhole(std::string_view name) const {
  return Matches(name, PCRE2_ANCHORED | PCRE2_ENDANCHORED);
}

bool NamePattern::Matches(std::string_view name, unsigned options) const {
  if (regex_ == nullptr) return false;
  const auto* code = static_cast<const pcre2_code*>(regex_.get());
  const MatchData data(pcre2_match_data_create(1, nullptr));
  const MatchContext context(pcre2_match_context_create(nullptr));
  if (data == nullptr || context == nullptr) throw std::bad_alloc();
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimit);
  // 0: it matches, and the groups have no room, which nobody asked for.
  return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(), 0, options,
                     data.get(), context.get()) >= 0;
}

}  // namespace vernier::audit
