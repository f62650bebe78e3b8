// Reads the numbers that a rendered page shows and compares them with the report's JSON.
#ifndef VERNIER_TESTS_REPORT_RENDERED_PAGE_H_
#define VERNIER_TESTS_REPORT_RENDERED_PAGE_H_

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace vernier::testing {

// An element that names its place in the report.
struct ShownValue {
  std::string path;    // data-path: "audit.errors.overall.relative_error"
  std::string format;  // data-format: "number"
  std::string text;    // what it shows
};

// All of them, in order, from a document's HTML.
std::vector<ShownValue> ShownValues(std::string_view html);

// Text as HTML shows it: without entities.
std::string PlainText(std::string_view html);

// The value at a path of keys joined by dots ("%2E" is a dot in a key); null when there is none.
Json ValueAt(const Json& report, std::string_view path);

// Whether `shown` writes its value of `report` as docs/report.md says.
::testing::AssertionResult ShowsItsValue(const ShownValue& shown, const Json& report);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_REPORT_RENDERED_PAGE_H_
