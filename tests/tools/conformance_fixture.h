// Runs a peer's scheme through `vernier run` and compares what both made of the same weights and
// tokens.
#ifndef VERNIER_TESTS_TOOLS_CONFORMANCE_FIXTURE_H_
#define VERNIER_TESTS_TOOLS_CONFORMANCE_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "tests/support/temp_dir.h"

namespace vernier::testing {

// Exports of the peers, a folder each, and the tokens that both were given.
inline const std::filesystem::path kPeers =
    std::filesystem::path(VERNIER_TEST_DATA) / "conformance";

struct ConformanceCase {
  const char* peer;   // folder
  const char* model;  // folder of tests/data/models
  std::vector<const char*> roles;
  const char* format = "nvfp4";
  bool calibrated = true;  // input scales
  const char* kv_cache = "none";
  bool all_experts = false;
};

// Shares of values that differ, and the largest relative difference of scalars.
struct Difference {
  size_t tensors = 0;
  size_t values = 0;  // bytes or scalars
  size_t different = 0;
  double largest = 0;

  double Share() const { return static_cast<double>(different) / static_cast<double>(values); }
};

// By kind of tensor ("weight", "weight_scale", ...); scales of experts' inputs apart ("expert
// input_scale").
using Differences = std::map<std::string, Difference>;

// A tensor of one F32 or BF16.
double ReadScalar(const checkpoint::Checkpoint& checkpoint, size_t tensor);

class Conformance : public ::testing::Test {
 protected:
  // Of all that the peer made; printed, too. The output stays in OutputOf(each).
  Differences Compare(const ConformanceCase& each) const;
  std::filesystem::path OutputOf(const ConformanceCase& each) const {
    return dir_.path() / each.peer / "out";
  }

 private:
  TempDir dir_;
};

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_TOOLS_CONFORMANCE_FIXTURE_H_
