// The one exception type for everything that a user can cause, and its stable codes.
#ifndef VERNIER_BASE_ERROR_H_
#define VERNIER_BASE_ERROR_H_

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vernier {

// Stable codes: scripts may match on them, so a code is never reused for another meaning.
// `docs/errors.md` lists them; a test compares that list with base/error_codes.def.
enum class ErrorCode {
#define VERNIER_ERROR(enumerator, code, summary) enumerator,
#include "base/error_codes.def"
#undef VERNIER_ERROR
};

// "VN-CKPT-003"
std::string_view CodeName(ErrorCode code);

// One line that says what the code means, whatever the occasion.
std::string_view CodeSummary(ErrorCode code);

// Each in one line.
struct ErrorParts {
  std::string subject;  // the file, tensor or field at fault
  std::string problem;  // what is wrong with it, with the offending value
  std::string remedy;   // what to do about it
};

// A failure that a user can cause or repair. The command prints what() as one line and exits 1.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, std::string_view subject, std::string_view problem,
        std::string_view remedy);

  ErrorCode code() const { return code_; }
  const ErrorParts& parts() const { return *parts_; }

 private:
  Error(ErrorCode code, std::shared_ptr<const ErrorParts> parts);

  ErrorCode code_;
  std::shared_ptr<const ErrorParts> parts_;
};

}  // namespace vernier

#endif  // VERNIER_BASE_ERROR_H_
