// What a test program's main() does.
#ifndef VERNIER_TESTS_SUPPORT_RUN_TESTS_H_
#define VERNIER_TESTS_SUPPORT_RUN_TESTS_H_

namespace vernier::testing {

// Runs GoogleTest with its own options, and with --source=a_test.cc only the tests of that source
// of the program, of which there must be some. Returns the exit status.
int RunTests(int argc, char** argv);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_SUPPORT_RUN_TESTS_H_
