#include "datasets/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <cassert>
#include <new>

#include "base/error.h"
#include "datasets/regex_dialect.h"
#include "datasets/utf8.h"

namespace vernier::datasets {
namespace {

// Memory that a match may use for backtracking, in KiB (PCRE2's unit).
constexpr uint32_t kHeapLimit = 256 * 1024;

template <typename T, void (*kFree)(T*)>
struct Pcre2Deleter {
  void operator()(T* object) const { kFree(object); }
};
template <typename T, void (*kFree)(T*)>
using Pcre2Ptr = std::unique_ptr<T, Pcre2Deleter<T, kFree>>;

using MatchData = Pcre2Ptr<pcre2_match_data, pcre2_match_data_free>;
using MatchContext = Pcre2Ptr<pcre2_match_context, pcre2_match_context_free>;
using CompileContext = Pcre2Ptr<pcre2_compile_context, pcre2_compile_context_free>;

template <typename Pointer>
Pointer Checked(Pointer pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

std::string MessageOf(int pcre2_error) {
  std::array<PCRE2_UCHAR, 256> message{};
  pcre2_get_error_message(pcre2_error, message.data(), message.size());
  return reinterpret_cast<const char*>(message.data());
}

// One text being searched: the state that FindAll needs besides the compiled pattern.
class Search {
 public:
  Search(const pcre2_code* code, std::string_view text)
      : code_(code),
        text_(text),
        data_(Checked(pcre2_match_data_create_from_pattern(code, nullptr))),
        context_(Checked(pcre2_match_context_create(nullptr))) {
    pcre2_set_heap_limit(context_.get(), kHeapLimit);
  }

  // PCRE2's return value for the first match at or after `start`; `span` is set when positive.
  int MatchFrom(size_t start, Span& span) {
    // The text was checked once, by the caller: checking it again at every match is quadratic.
    int rc = Match(start, PCRE2_NO_UTF_CHECK);
    // Compiled matching has a small stack; the interpreter's is on the heap.
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) rc = Match(start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    if (rc > 0) {
      const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data_.get());
      span = {offsets[0], offsets[1]};
    }
    return rc;
  }

 private:
  int Match(size_t start, uint32_t options) {
    return pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), start,
                       options, data_.get(), context_.get());
  }

  const pcre2_code* code_;
  std::string_view text_;
  MatchData data_;
  MatchContext context_;
};

}  // namespace

void Regex::CodeDeleter::operator()(void* code) const {
  pcre2_code_free(static_cast<pcre2_code*>(code));
}

Regex::Regex(std::string_view source, std::string_view pattern, uint32_t options,
             const JsonPart& place)
    : source_(source) {
  const CompileContext context(Checked(pcre2_compile_context_create(nullptr)));
  // Oniguruma's only newline, whatever PCRE2 was built with.
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                            options | PCRE2_UTF, &error, &offset, context.get()));
  if (code_ == nullptr) {
    place.Refuse(fmt::format("the pattern \"{}\" cannot be compiled: {}", source, MessageOf(error)),
                 "Correct the pattern");
  }
  // An error only means that this machine or pattern has no compiled matching: it is interpreted.
  pcre2_jit_compile(static_cast<pcre2_code*>(code_.get()), PCRE2_JIT_COMPLETE);
}

Regex Regex::Compile(std::string_view pattern, const JsonPart& place) {
  const TranslatedPattern translated = TranslateToPcre2(pattern);
  if (translated.unsupported) {
    place.RefuseUnsupported(
        fmt::format("{} in the pattern \"{}\"", *translated.unsupported, pattern));
  }
  // ^ and $ match at every line in Oniguruma.
  return Regex(pattern, translated.pattern, PCRE2_UCP | PCRE2_MULTILINE, place);
}

Regex Regex::Literal(std::string_view text, const JsonPart& place) {
  return Regex(text, text, PCRE2_LITERAL, place);
}

Regex Regex::FromJson(const JsonPart& part) {
  if (part.Has("Regex")) return Compile(part.Text("Regex"), part);
  if (part.Has("String")) return Literal(part.Text("String"), part);
  part.Refuse("is neither {\"Regex\": ...} nor {\"String\": ...}", "Restore the published file");
}

std::vector<Span> Regex::FindAll(std::string_view text) const {
  std::vector<Span> matches;
  if (text.empty()) return matches;
  Search search(static_cast<const pcre2_code*>(code_.get()), text);
  for (size_t start = 0; start <= text.size();) {
    Span span{};
    const int rc = search.MatchFrom(start, span);
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      throw Error(ErrorCode::kBadTokenizer, fmt::format("pattern \"{}\"", source_),
                  fmt::format("matching a text of {} bytes failed: {}", text.size(), MessageOf(rc)),
                  "Split the text into shorter documents");
    }
    const bool repeats_last_end =
        span.begin == span.end && !matches.empty() && matches.back().end == span.end;
    if (!repeats_last_end) {
      matches.push_back(span);
      start = span.end;
      continue;
    }
    start = span.end;
    if (start == text.size()) break;
    NextCodePoint(text, start);
  }
  return matches;
}

}  // namespace vernier::datasets
