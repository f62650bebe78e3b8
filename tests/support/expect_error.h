// Expects that a statement throws vernier::Error with a given code and a message that names
// something.
#ifndef VERNIER_TESTS_SUPPORT_EXPECT_ERROR_H_
#define VERNIER_TESTS_SUPPORT_EXPECT_ERROR_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

#define EXPECT_VERNIER_ERROR(statement, expected_code, message_part)                   \
  do {                                                                                 \
    try {                                                                              \
      statement;                                                                       \
      ADD_FAILURE() << "no error from " #statement;                                    \
    } catch (const ::vernier::Error& error) {                                          \
      EXPECT_EQ(::vernier::CodeName(error.code()), ::vernier::CodeName(expected_code)) \
          << error.what();                                                             \
      EXPECT_THAT(error.what(), ::testing::HasSubstr(message_part));                   \
    }                                                                                  \
  } while (false)

#endif  // VERNIER_TESTS_SUPPORT_EXPECT_ERROR_H_
