// The whole way from the files of a published layout to values, on tiny-deepseek-v4.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/model_layout.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_reader.h"
#include "quantizers/float_formats.h"
#include "tests/support/expect_error.h"
#include "tests/support/read_tensor.h"

namespace vernier::checkpoint {
namespace {

const std::filesystem::path kTiny =
    std::filesystem::path(VERNIER_TEST_DATA) / "models/tiny-deepseek-v4";

class TinyDeepseekV4 : public ::testing::Test {
 protected:
  const Checkpoint& checkpoint() const { return source_.checkpoint; }
  const ModelLayout& layout() const { return source_.layout; }

  std::vector<uint8_t> Bytes(size_t tensor) const {
    std::vector<uint8_t> bytes(checkpoint().tensor(tensor).info.Bytes());
    checkpoint().Read(tensor, 0, std::as_writable_bytes(std::span(bytes)));
    return bytes;
  }
  std::vector<float> Values(const LogicalWeight& weight) const {
    return ::vernier::testing::ReadWeight(checkpoint(), weight);
  }

  SourceModel source_ = OpenSourceModel(kTiny);
};

TEST_F(TinyDeepseekV4, EveryTensorIsPartOfExactlyOneWeight) {
  std::set<size_t> seen;
  for (const LogicalWeight& weight : layout().weights) {
    for (const size_t part : weight.Parts()) EXPECT_TRUE(seen.insert(part).second) << weight.name;
  }
  EXPECT_EQ(seen.size(), 508u);
  EXPECT_EQ(checkpoint().tensors().size(), 508u);
  EXPECT_EQ(checkpoint().index_total_size(), checkpoint().TensorBytes());
}

TEST_F(TinyDeepseekV4, RolesAndFormats) {
  std::map<std::string, int> roles;
  std::map<std::string, int> formats;
  std::map<std::string, int> linear;
  std::map<std::string, int> group_sizes;
  for (const LogicalWeight& weight : layout().weights) {
    const std::string role(RoleName(weight.role));
    ++roles[role];
    ++formats[std::string(FormatName(weight.format))];
    if (weight.quantisable()) ++linear[role];
    if (!weight.fused_group.empty()) ++group_sizes[weight.fused_group];
    EXPECT_EQ(weight.expert >= 0, weight.name.find(".experts.") != std::string::npos);
  }
  const std::map<std::string, int> expected_roles = {{"embedding", 1},
                                                     {"lm_head", 1},
                                                     {"norm", 5 * 4 + 1},
                                                     {"attention", 5 * 5},
                                                     {"attention_aux", 5},
                                                     {"indexer", 2 * 6},
                                                     {"compressor", 4 * 4},
                                                     {"router", 5 * 2},
                                                     {"shared_expert", 15},
                                                     {"routed_expert", 5 * 8 * 3},
                                                     {"hyper_connection", 5 * 6 + 3},
                                                     {"mtp", 53}};
  EXPECT_EQ(roles, expected_roles);
  const std::map<std::string, int> expected_formats = {
      {"mxfp4", 6 * 8 * 3}, {"fp8_block", 6 * 8 + 2 + 2}, {"integer", 2}, {"plain", 114}};
  EXPECT_EQ(formats, expected_formats);
  const std::map<std::string, int> expected_linear = {
      {"lm_head", 1},        {"attention", 25},      {"indexer", 2},
      {"shared_expert", 15}, {"routed_expert", 120}, {"mtp", 5 + 3 + 24 + 2}};
  EXPECT_EQ(linear, expected_linear);
  EXPECT_EQ(group_sizes.size(), 6u * (8 + 1 + 1));
  for (const auto& [group, size] : group_sizes) EXPECT_EQ(size, 2) << group;
}

TEST_F(TinyDeepseekV4, HoldsAllRequiredTensors) {
  const std::vector<std::string> required = source_.family->RequiredTensors();
  for (const std::string& name : required) {
    EXPECT_NE(checkpoint().Find(name), Checkpoint::kNotFound) << name;
  }
  int main_weights = 0;
  for (const LogicalWeight& weight : layout().weights) main_weights += weight.role != Role::kMtp;
  EXPECT_EQ(static_cast<int>(required.size()), main_weights);
}

TEST_F(TinyDeepseekV4, ShapesMustFitTheConfig) {
  Json config = checkpoint().config();
  config["moe_intermediate_size"] = 256;
  const auto family = MakeFamily(config);
  EXPECT_VERNIER_ERROR(BuildModelLayout(checkpoint(), *family), ErrorCode::kWrongShape,
                       "ffn.experts.0.w1.weight");
}

// E4M3 and E2M1 by their definitions, not by Vernier's tables.
double DecodeFp8(uint8_t code) {
  const int exponent = code >> 3 & 15;
  const double mantissa = (code & 7) / 8.0;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -6) : std::ldexp(1.0 + mantissa, exponent - 7);
  return code & 0x80 ? -magnitude : magnitude;
}
double DecodeFp4(int code) {
  const int exponent = code >> 1 & 3;
  const double mantissa = (code & 1) / 2.0;
  const double magnitude = exponent == 0 ? mantissa : std::ldexp(1.0 + mantissa, exponent - 1);
  return code & 8 ? -magnitude : magnitude;
}

TEST_F(TinyDeepseekV4, Fp8ValuesFollowTheirDefinition) {
  int checked = 0;
  for (const LogicalWeight& weight : layout().weights) {
    if (weight.format != formats::kFp8Block) continue;
    const std::vector<uint8_t> codes = Bytes(weight.main);
    const std::vector<uint8_t> scales = Bytes(weight.scale);
    const std::vector<float> values = Values(weight);
    const int64_t blocks = (weight.columns() + 127) / 128;
    for (int64_t i = 0; i < static_cast<int64_t>(codes.size()); ++i) {
      const int64_t block = i / weight.columns() / 128 * blocks + i % weight.columns() / 128;
      const double expected = std::ldexp(DecodeFp8(codes[static_cast<size_t>(i)]),
                                         scales[static_cast<size_t>(block)] - 127);
      ASSERT_EQ(values[static_cast<size_t>(i)], expected) << weight.name << " " << i;
    }
    ++checked;
  }
  EXPECT_EQ(checked, 52);
}

TEST_F(TinyDeepseekV4, Mxfp4ValuesFollowTheirDefinition) {
  int checked = 0;
  for (const LogicalWeight& weight : layout().weights) {
    if (weight.format != formats::kMxfp4) continue;
    const std::vector<uint8_t> packed = Bytes(weight.main);
    const std::vector<uint8_t> scales = Bytes(weight.scale);
    const std::vector<float> values = Values(weight);
    ASSERT_EQ(values.size(), packed.size() * 2);
    for (size_t i = 0; i < values.size(); ++i) {
      const int nibble = i % 2 == 0 ? packed[i / 2] & 15 : packed[i / 2] >> 4;
      ASSERT_EQ(values[i], std::ldexp(DecodeFp4(nibble), scales[i / 32] - 127))
          << weight.name << " " << i;
    }
    ++checked;
  }
  EXPECT_EQ(checked, 144);
}

TEST_F(TinyDeepseekV4, Bf16LosesNothingOfTheQuantisedWeights) {
  for (const LogicalWeight& weight : layout().weights) {
    if (weight.format != formats::kFp8Block && weight.format != formats::kMxfp4) continue;
    const std::vector<float> values = Values(weight);
    std::vector<uint16_t> rounded(values.size());
    WeightReader(checkpoint()).ReadBf16(weight, 0, weight.rows(), rounded);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(quantizers::Bf16ToFloat(rounded[i]), values[i]) << weight.name << " " << i;
    }
  }
}

TEST_F(TinyDeepseekV4, RowRangesEqualTheWhole) {
  const LogicalWeight& weight = *layout().FindModule("layers.0.attn.wq_b");
  const std::vector<float> whole = Values(weight);
  const size_t columns = static_cast<size_t>(weight.columns());
  std::vector<float> rows(3 * columns);
  for (const int64_t first : {int64_t{0}, int64_t{126}, int64_t{509}}) {
    WeightReader(checkpoint()).ReadF32(weight, first, 3, rows);
    const auto begin = whole.begin() + first * weight.columns();
    EXPECT_TRUE(std::equal(rows.begin(), rows.end(), begin)) << first;
  }
}

}  // namespace
}  // namespace vernier::checkpoint
