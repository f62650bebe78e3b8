#include "run/format_error_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "run/partial_layer.h"
#include "run/store.h"
#include "tests/support/temp_dir.h"

namespace vernier::run {
namespace {

using recipes::FormatError;
namespace formats = checkpoint::formats;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FormatErrorRecordTest : public ::testing::Test {
 protected:
  static LayerResult Layer(int layer, std::vector<FormatError> errors) {
    LayerResult result;
    result.layer = layer;
    result.activations = {.file_name = "hidden.bin", .bytes = 1, .hash = "0"};
    result.format_errors = std::move(errors);
    return result;
  }

  testing::TempDir dir_;
  Store store_ = Store::Open(dir_.path());
};

TEST_F(FormatErrorRecordTest, ComesBackAsItWas) {
  store_.CommitLayer(Layer(
      0, {{"m", formats::kNvfp4, 300, 2.5, 0.25}, {"m", formats::kFp8Tensor, 300, 2.5, 0.125}}));
  const std::vector<FormatError> errors = ListFormatErrors(store_.database());
  ASSERT_THAT(errors, SizeIs(2));
  EXPECT_EQ(errors[0].format, formats::kFp8Tensor);
  EXPECT_EQ(errors[0].error, 0.125);
  EXPECT_EQ(errors[1].module, "m");
  EXPECT_EQ(errors[1].format, formats::kNvfp4);
  EXPECT_EQ(errors[1].tokens, 300);
  EXPECT_EQ(errors[1].energy, 2.5);
  EXPECT_EQ(errors[1].error, 0.25);
}

// Those of a save stay when the layer is saved again or committed, and go when it begins anew.
TEST_F(FormatErrorRecordTest, SavesOfALayerAddUp) {
  PartialLayer place;
  place.stage = "experts";
  const auto save = [&](const std::string& module) {
    SavePartialLayer(store_, place, {}, {.format_errors = {{module, formats::kNvfp4, 1, 1, 1}}});
  };
  save("a");
  save("b");
  EXPECT_THAT(FormatErrorsOfUnit(store_.database(), 0), SizeIs(2));
  EXPECT_THAT(ListFormatErrors(store_.database()), IsEmpty()) << "the layer is not finished";
  DiscardPartialLayer(store_);
  EXPECT_THAT(FormatErrorsOfUnit(store_.database(), 0), IsEmpty());
  save("a");
  store_.CommitLayer(Layer(0, {{"c", formats::kNvfp4, 1, 1, 1}}));
  EXPECT_THAT(ListFormatErrors(store_.database()), SizeIs(2));
}

}  // namespace
}  // namespace vernier::run
