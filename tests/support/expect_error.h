// Running something that must fail with a certain vernier::Error.
#ifndef VERNIER_TESTS_SUPPORT_EXPECT_ERROR_H_
#define VERNIER_TESTS_SUPPORT_EXPECT_ERROR_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"

namespace vernier::testing {

// The message of the Error that `action` throws, for a matcher; a test failure unless it throws one
// with `code`.
std::string ErrorOf(ErrorCode code, const std::function<void()>& action);

}  // namespace vernier::testing

// The usual case: expects that a statement throws an Error with a code and a message that names
// something.
#define EXPECT_VERNIER_ERROR(statement, expected_code, message_part)            \
  do {                                                                          \
    SCOPED_TRACE(#statement);                                                   \
    EXPECT_THAT(::vernier::testing::ErrorOf(expected_code, [&] { statement; }), \
                ::testing::HasSubstr(message_part));                            \
  } while (false)

#endif  // VERNIER_TESTS_SUPPORT_EXPECT_ERROR_H_
