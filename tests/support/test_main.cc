#include "tests/support/run_tests.h"

int main(int argc, char** argv) { return vernier::testing::RunTests(argc, argv); }
