#include "base/error.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace vernier {
namespace {

struct CodeRow {
  std::string_view name;
  std::string_view summary;
};

constexpr auto kCodes = std::to_array<CodeRow>({
#define VERNIER_ERROR(enumerator, code, summary) {code, summary},
#include "base/error_codes.def"
#undef VERNIER_ERROR
});

constexpr unsigned char kFirstPrintable = 0x20;
constexpr unsigned char kDelete = 0x7F;

// Names from files may hold line breaks and what steers a terminal.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= kFirstPrintable && byte != kDelete) {
      line += c;
    } else {
      line += c == '\n' ? "\\n" : fmt::format("\\x{:02x}", byte);
    }
  }
  return line;
}

}  // namespace

std::string_view CodeName(ErrorCode code) { return kCodes.at(static_cast<size_t>(code)).name; }

std::string_view CodeSummary(ErrorCode code) {
  return kCodes.at(static_cast<size_t>(code)).summary;
}

Error::Error(ErrorCode code, std::string_view subject, std::string_view problem,
             std::string_view remedy)
    : Error(code, std::make_shared<ErrorParts>(
                      ErrorParts{OneLine(subject), OneLine(problem), OneLine(remedy)})) {}

Error::Error(ErrorCode code, std::shared_ptr<const ErrorParts> parts)
    : std::runtime_error(fmt::format("{}: {}: {}. {}.", CodeName(code), parts->subject,
                                     parts->problem, parts->remedy)),
      code_(code),
      parts_(std::move(parts)) {}

}  // namespace vernier
