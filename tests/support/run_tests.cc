#include "tests/support/run_tests.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>

namespace vernier::testing {
namespace {

constexpr std::string_view kSourceOption = "--source=";

// A filter of GoogleTest that names every test of the source; empty when it has none.
std::string TestsOf(std::string_view source) {
  std::string filter;
  const ::testing::UnitTest& tests = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < tests.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *tests.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const ::testing::TestInfo& test = *suite.GetTestInfo(j);
      if (std::filesystem::path(test.file()).filename() != source) continue;
      filter += std::string(suite.name()) + "." + test.name() + ":";
    }
  }
  return filter;
}

}  // namespace

int RunTests(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1 && std::string_view(argv[1]).starts_with(kSourceOption)) {
    const std::string_view source = std::string_view(argv[1]).substr(kSourceOption.size());
    const std::string filter = TestsOf(source);
    if (filter.empty()) {
      std::cerr << "no test of " << source << " is in this program\n";
      return 1;
    }
    GTEST_FLAG_SET(filter, filter);
  }
  return RUN_ALL_TESTS();
}

}  // namespace vernier::testing
