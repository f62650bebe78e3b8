// What tests of `vernier convert` share.
#ifndef VERNIER_TESTS_TOOLS_CONVERT_FIXTURE_H_
#define VERNIER_TESTS_TOOLS_CONVERT_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace vernier::testing {

class ConvertFixture : public ::testing::Test {
 protected:
  // Writes a released DeepSeek-V4 whose seven shards part some experts' w1 from w3 and some weights
  // from their scales.
  void WriteSource();
  // Writes a Llama of two layers with BF16 weights that lie on no coarser grid.
  void WriteLlama();

  std::filesystem::path Source() const { return dir_.path() / "source"; }
  std::filesystem::path Llama() const { return dir_.path() / "llama"; }
  std::filesystem::path Place(const std::string& name) const { return dir_.path() / name; }

  // Converts `source` to the place `name`, and expects success. A released DeepSeek-V4 gets input
  // scales: its other weights stay FP8, and engines know no weight-only experts beside them.
  void Convert(const std::filesystem::path& source, const std::string& name,
               const std::vector<std::string>& arguments);
  void Dequantize(const std::filesystem::path& source, const std::string& name);

 private:
  TempDir dir_;
};

// Sum of squared differences over sum of squares, over all linear weights.
double WeightError(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_TOOLS_CONVERT_FIXTURE_H_
