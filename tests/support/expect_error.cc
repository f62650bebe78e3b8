#include "tests/support/expect_error.h"

namespace vernier::testing {

std::string ErrorOf(ErrorCode code, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(CodeName(error.code()), CodeName(code)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown; expected " << CodeName(code);
  return {};
}

}  // namespace vernier::testing
