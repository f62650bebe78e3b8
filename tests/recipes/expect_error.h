// Running something that must fail with a certain Error.
#ifndef VERNIER_TESTS_RECIPES_EXPECT_ERROR_H_
#define VERNIER_TESTS_RECIPES_EXPECT_ERROR_H_

#include <functional>
#include <string>

#include "base/error.h"

namespace vernier::testing {

// The message of the Error that `action` throws; a test failure unless it throws one with `code`.
std::string ErrorOf(ErrorCode code, const std::function<void()>& action);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_RECIPES_EXPECT_ERROR_H_
