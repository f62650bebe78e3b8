// What a recorder keeps of the inputs that it is shown.
#include "calib/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/calib/loop_support.h"
#include "tests/support/expect_error.h"
#include "tests/support/made_up_statistic.h"

namespace vernier::calib {
namespace {

TEST(Recorder, KeepsTheLargestMagnitudeAndCountsRows) {
  const std::vector<std::string> names = {"b", "a", "never"};
  Recorder recorder(names);
  ShowInput(recorder, "b", at::tensor({1.0F, -3.5F, 2.0F, 0.0F}).view({2, 2}));
  ShowInput(recorder, "b", at::tensor({3.0F, 1.0F}).view({1, 1, 2}));
  recorder.ObserveCache("a", at::zeros({4, 2}, at::kBFloat16));
  recorder.ObserveCache("a", at::empty({0, 2}));
  ShowInput(recorder, "unwanted", at::ones({1, 1}));
  const std::vector<run::InputAmax> inputs = InputsOf(recorder, 7);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].module, "a");
  EXPECT_EQ(inputs[0].amax, 0.0F);
  EXPECT_EQ(inputs[0].tokens, 4);
  EXPECT_EQ(inputs[1].module, "b");
  EXPECT_EQ(inputs[1].layer, 7);
  EXPECT_EQ(inputs[1].amax, 3.5F);
  EXPECT_EQ(inputs[1].tokens, 3);
  recorder.Clear();
  EXPECT_TRUE(InputsOf(recorder, 8).empty());
}

TEST(Recorder, ReportsNanAndInfinityWithModuleAndLayer) {
  const std::vector<std::string> names = {"layers.3.attn.wkv"};
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const bool bad_first : {true, false}) {
      Recorder recorder(names);
      const at::Tensor fine = at::ones({1, 2}), broken = at::full({1, 2}, bad);
      EXPECT_TRUE(recorder.Finite());
      ShowInput(recorder, names[0], bad_first ? broken : fine);
      ShowInput(recorder, names[0], bad_first ? fine : broken);
      EXPECT_FALSE(recorder.Finite());
      try {
        InputsOf(recorder, 3);
        FAIL() << bad;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadActivation);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("layers.3.attn.wkv"));
        EXPECT_THAT(error.what(), ::testing::HasSubstr("layer 3"));
      }
    }
  }
}

TEST(Recorder, GoesOnFromWhatItReturned) {
  const std::vector<std::string> names = {"a", "b"};
  Recorder first(names);
  ShowInput(first, "a", at::full({3, 2}, 1.5F));
  Recorder second(names);
  second.Restore(first.Rows(0), at::kCPU);
  ShowInput(second, "a", at::full({2, 2}, 0.5F).to(at::kBFloat16));
  ShowInput(second, "b", at::full({2, 2}, 0.25F));
  const std::vector<run::InputAmax> inputs = InputsOf(second, 0);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].amax, 1.5F);
  EXPECT_EQ(inputs[0].tokens, 5);
  EXPECT_EQ(inputs[1].amax, 0.25F);
}

TEST(Recorder, KeepsAllThatIsObservedAtASite) {
  const std::vector<std::string> names = {"linear", "cache"};
  const std::vector<Observer> observers = {
      MakeObserver<statistics::InputAmax>(), MakeObserver<statistics::CacheAmax>(),
      MakeObserver<statistics::InputSquareSum>(), MakeObserver<testing::SquareSums>()};
  Recorder recorder(names, observers);
  const at::Tensor x = at::tensor({1.0F, 2.0F, -3.0F, 4.0F}).view({2, 2}).to(at::kBFloat16);
  ShowInput(recorder, "linear", x);
  recorder.ObserveCache("cache", x);
  // Goes on in another recorder, after the values were bytes.
  Recorder second(names, observers);
  second.Restore(recorder.Rows(0), at::kCPU);
  ShowInput(second, "linear", x);
  EXPECT_TRUE(second.Finite());

  const std::vector<run::StatisticRow> rows = second.Rows(0);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].name, "cache_amax");
  EXPECT_EQ(rows[1].name, "input_amax");
  EXPECT_EQ(rows[2].name, "input_square_sum");
  EXPECT_EQ(rows[3].module, "linear");
  EXPECT_EQ(rows[3].name, "square_sums");
  EXPECT_EQ(rows[3].version, testing::SquareSums::kVersion);
  const statistics::Value value = statistics::FromBytes(rows[3].bytes);
  EXPECT_EQ(value.tokens, 4);
  EXPECT_THAT(statistics::ElementsOf<float>(value).elements, ::testing::ElementsAre(20.0F, 40.0F));
  const statistics::Value sums = statistics::FromBytes(rows[2].bytes);
  EXPECT_EQ(sums.tokens, 4);
  EXPECT_THAT(statistics::ElementsOf<double>(sums).elements, ::testing::ElementsAre(20.0, 40.0));
}

// Rows of three sequences, shown whole or some positions after the others, in one batch or in two:
// the sums have the same bits, which the sum of all rows in any order would not have.
class RecorderSumsTest : public ::testing::Test {
 protected:
  static constexpr int64_t kColumns = 48, kLength = 30;

  static void Show(Recorder& recorder, const at::Tensor& part) {
    const std::vector<int64_t> sequences(static_cast<size_t>(part.size(0)), part.size(1));
    const at::Tensor rows = part.reshape({-1, kColumns});
    recorder.Observe({.module = "m", .weight = rows, .sequences = sequences}, rows);
  }

  template <class ShowAll>
  static statistics::Bytes SumsOf(const Observer& observer, const ShowAll& show_all) {
    const std::vector<std::string> names = {"m"};
    Recorder recorder(names, {observer});
    show_all(recorder);
    return recorder.Rows(0).at(0).bytes;
  }

  statistics::Bytes Whole(const Observer& observer) const {
    return SumsOf(observer, [&](Recorder& recorder) {
      Show(recorder, x_);
      recorder.EndBatch();
    });
  }

  const at::Tensor x_ = [] {
    at::manual_seed(3);
    return at::randn({3, kLength, kColumns}) * at::randn({3, kLength, 1}).exp();
  }();
};

TEST_F(RecorderSumsTest, DoNotDependOnHowSequencesCome) {
  for (const Observer& observer : MakeObservers(statistics::All())) {
    if (!observer.statistic.is_sum) continue;
    const statistics::Bytes whole = Whole(observer);
    EXPECT_EQ(whole, SumsOf(observer, [&](Recorder& recorder) {
                Show(recorder, x_.slice(1, 0, 7));
                Show(recorder, x_.slice(1, 7, kLength));
                recorder.EndBatch();
              }));
    EXPECT_EQ(whole, SumsOf(observer, [&](Recorder& recorder) {
                Show(recorder, x_.slice(0, 0, 2));
                recorder.EndBatch();
                Show(recorder, x_.slice(0, 2, 3));
                recorder.EndBatch();
              }));
  }
}

TEST_F(RecorderSumsTest, OfSquares) {
  const at::Tensor exact = x_.to(at::kDouble).square().sum(at::IntArrayRef{0, 1});
  const auto found = statistics::ElementsOf<double>(
      statistics::FromBytes(Whole(MakeObserver<statistics::InputSquareSum>())));
  for (int64_t i = 0; i < kColumns; ++i) {
    EXPECT_NEAR(found.elements[static_cast<size_t>(i)] / exact[i].item<double>(), 1, 1e-12);
  }
}

// On each device, of all tokens but each 16th, which are kept as they are.
TEST_F(RecorderSumsTest, OfOuterProductsOfMostTokens) {
  using statistics::InputSample;
  for (const at::DeviceType device : kTestDevices) {
    if (!HasDevice(device)) continue;
    const auto found = [&](const Observer& observer) {
      const statistics::Bytes bytes = SumsOf(observer, [&](Recorder& recorder) {
        Show(recorder, x_.slice(0, 0, 2).to(device));
        recorder.EndBatch();
        Show(recorder, x_.slice(0, 2, 3).to(device));
        recorder.EndBatch();
      });
      return statistics::ElementsOf<float>(statistics::FromBytes(bytes)).elements;
    };
    const std::vector<float> hessian = found(MakeObserver<statistics::InputHessian>());
    const std::vector<float> sample = found(MakeObserver<InputSample>());
    const at::Tensor rows = x_.reshape({-1, kColumns});
    at::Tensor exact = at::zeros({kColumns, kColumns}, at::kDouble);
    for (int64_t row = 0; row < rows.size(0); ++row) {
      const at::Tensor x = rows[row].to(at::kDouble);
      if (!InputSample::Has(row)) exact.addr_(x, x);
      for (int64_t i = 0; InputSample::Has(row) && i < kColumns; ++i) {
        const int64_t place = row / InputSample::kEvery * kColumns + i;
        EXPECT_EQ(sample[static_cast<size_t>(place)], rows[row][i].item<float>());
      }
    }
    for (int64_t i = 0; i < kColumns; ++i) {
      for (int64_t j = i; j < kColumns; ++j) {
        const double size = std::sqrt(exact[i][i].item<double>() * exact[j][j].item<double>());
        EXPECT_NEAR(hessian[static_cast<size_t>(i * kColumns + j)], exact[i][j].item<double>(),
                    1e-6 * size);
      }
    }
  }
}

TEST(Recorder, GivesAStatisticAway) {
  const std::vector<std::string> names = {"m"};
  Recorder recorder(names);
  ShowInput(recorder, "m", at::ones({20, 16}));
  const size_t all = recorder.Rows(0).size();
  const auto taken = recorder.Take("m", statistics::InputHessian::kName);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->rows, 20);
  EXPECT_EQ(taken->elements[0].item<float>(), 20.0F);
  EXPECT_EQ(recorder.Rows(0).size(), all - 1);
  EXPECT_FALSE(recorder.Take("m", statistics::InputHessian::kName));
  EXPECT_FALSE(recorder.Take("other", statistics::InputHessian::kName));
}

// On each device, BF16 as well: its products are exact in F32.
TEST_F(RecorderSumsTest, OfOuterProductsOfBlocks) {
  for (const at::DeviceType device : kTestDevices) {
    if (!HasDevice(device)) continue;
    const at::Tensor x = x_.to(at::kBFloat16);
    const statistics::Bytes bytes =
        SumsOf(MakeObserver<statistics::InputBlockHessian>(), [&](Recorder& recorder) {
          Show(recorder, x.to(device));
          recorder.EndBatch();
        });
    const auto found = statistics::ElementsOf<float>(statistics::FromBytes(bytes)).elements;
    ASSERT_EQ(found.size(), 3U * 136U);
    const at::Tensor rows = x.to(at::kDouble).reshape({-1, 3, 16});
    size_t place = 0;
    for (int64_t b = 0; b < 3; ++b) {
      const at::Tensor block = rows.select(1, b), exact = block.t().mm(block);
      for (int64_t i = 0; i < 16; ++i) {
        for (int64_t j = i; j < 16; ++j) {
          const double size = std::sqrt(exact[i][i].item<double>() * exact[j][j].item<double>());
          EXPECT_NEAR(found[place++], exact[i][j].item<double>(), 1e-6 * size);
        }
      }
    }
  }
}

TEST(Recorder, KeepsOnlyWhatIsSaid) {
  const std::vector<std::string> names = {"a", "b"};
  Recorder recorder(names);
  recorder.KeepOnly([](std::string_view name, const statistics::Statistic& statistic) {
    return name == "b" || statistic.purpose == statistics::Purpose::kAny;
  });
  for (const std::string& name : names) ShowInput(recorder, name, at::ones({2, 16}));
  const std::vector<run::StatisticRow> rows = recorder.Rows(0);
  ASSERT_EQ(rows.size(), 7U);
  EXPECT_EQ(rows[0].module + " " + rows[0].name, "a input_amax");
  EXPECT_EQ(rows[1].module + " " + rows[1].name, "b input_amax");
  EXPECT_EQ(rows[2].module + " " + rows[2].name, "b input_square_sum");
  EXPECT_EQ(rows[3].module + " " + rows[3].name, "b input_block_hessian");
  EXPECT_EQ(rows[4].module + " " + rows[4].name, "b input_channel_amax");
}

// One of them is looked at; each has its own rows, with what is kept of it.
TEST(Recorder, TakesASharedInputInOnce) {
  const std::vector<std::string> names = {"k", "other", "q"}, shared = {"q", "k"};
  Recorder recorder(names);
  recorder.KeepOnly([](std::string_view name, const statistics::Statistic& statistic) {
    return name == "q" || statistic.purpose == statistics::Purpose::kAny ||
           statistic.purpose == statistics::Purpose::kSample;
  });
  recorder.ShareInputs(shared);
  for (const std::string& name : names) {
    ShowInput(recorder, name, at::full({20, 16}, name == "other" ? 3.0F : 2.0F));
  }
  std::vector<std::string> found;
  const std::vector<run::StatisticRow> rows = recorder.Rows(0);
  for (const run::StatisticRow& row : rows) {
    found.push_back(row.module + " " + row.name);
    EXPECT_EQ(statistics::FromBytes(row.bytes).tokens, 20) << found.back();
  }
  EXPECT_THAT(found, ::testing::ElementsAre(
                         "k input_amax", "k input_sample", "other input_amax", "other input_sample",
                         "q input_amax", "q input_square_sum", "q input_block_hessian",
                         "q input_channel_amax", "q input_hessian", "q input_sample"));
  EXPECT_EQ(rows[0].bytes, rows[4].bytes);
  EXPECT_NE(rows[0].bytes, rows[2].bytes);

  Recorder restored(names);
  restored.ShareInputs(shared);
  restored.Restore(rows, at::kCPU);
  EXPECT_EQ(restored.Look("k", statistics::InputAmax::kName)->elements.item<float>(), 2);
  EXPECT_EQ(restored.Look("k", statistics::InputAmax::kName)->rows, 20);

  // Taken of one, it goes on for the other.
  EXPECT_EQ(recorder.Take("k", statistics::InputSample::kName)->rows, 20);
  ShowInput(recorder, "q", at::ones({1, 16}));
  EXPECT_EQ(recorder.Look("q", statistics::InputSample::kName)->rows, 21);
  EXPECT_EQ(recorder.Take("q", statistics::InputHessian::kName)->rows, 21);
  EXPECT_FALSE(recorder.Look("q", statistics::InputHessian::kName));
}

// The square of the largest BF16 is no F32.
TEST(Recorder, FiniteValuesHaveFiniteSums) {
  for (const at::DeviceType device : kTestDevices) {
    if (!HasDevice(device)) continue;
    const std::vector<std::string> names = {"m"};
    Recorder recorder(names);
    // Of both signs, so that there are sums of both infinities.
    const at::Tensor signs = at::tensor({1.0F, -1.0F}, at::device(device)).repeat({4, 8});
    signs.slice(0, 2, 4).slice(1, 0, 1).neg_();
    for (int i = 0; i < 3; ++i) ShowInput(recorder, "m", (signs * 3e38F).to(at::kBFloat16));
    EXPECT_TRUE(recorder.Finite());
    EXPECT_EQ(recorder.Rows(0).size(), 6U);
  }
}

// Tensors of a pass are those of inference mode, and saves and solvers stand outside of it.
TEST(Recorder, RowsThatWaitAreAddedOutsideOfAPassToo) {
  for (const at::DeviceType device : kTestDevices) {
    if (!HasDevice(device)) continue;
    const std::vector<std::string> names = {"m"};
    Recorder recorder(names), taken(names);
    {
      const c10::InferenceMode inference;
      for (int64_t rows : {int64_t{5}, kSumRows, int64_t{7}}) {
        const at::Tensor x = at::ones({rows, 16}, at::device(device));
        ShowInput(recorder, "m", x);
        ShowInput(taken, "m", x);
      }
    }
    for (const run::StatisticRow& row : recorder.Rows(0)) {
      EXPECT_EQ(statistics::FromBytes(row.bytes).tokens, kSumRows + 12) << row.name;
    }
    EXPECT_EQ(taken.Take("m", statistics::InputHessian::kName).value().rows, kSumRows + 12);
  }
}

// 300 ones are more than BF16 can count.
TEST(Recorder, SumsInF32WhenAStatisticAsksForIt) {
  const std::vector<std::string> names = {"m"};
  Recorder recorder(names, {MakeObserver<testing::SquareSums>()});
  for (int i = 0; i < 300; ++i) ShowInput(recorder, "m", at::ones({1, 1}, at::kBFloat16));
  const statistics::Value value = statistics::FromBytes(recorder.Rows(0).at(0).bytes);
  EXPECT_EQ(statistics::ElementsOf<float>(value).elements.at(0), 300.0F);
}

TEST(Recorder, DoesNotDropWhatItDoesNotKnow) {
  const std::vector<std::string> names = {"m"};
  Recorder newer(names, {MakeObserver<testing::SquareSums>()});
  ShowInput(newer, "m", at::ones({1, 2}));
  Recorder recorder(names);
  EXPECT_VERNIER_ERROR(recorder.Restore(newer.Rows(0), at::kCPU), ErrorCode::kStoreCorrupt,
                       "square_sums");
}

TEST(Tap, WantsNothingAndChangesNothing) {
  Tap nobody;
  EXPECT_FALSE(nobody.Wants("a"));
  EXPECT_TRUE(nobody.Finite());
  const at::Tensor x = at::full({1, 2}, std::nanf(""));
  EXPECT_TRUE(nobody.Replace("a", x).is_same(x));
  EXPECT_TRUE(nobody.ReplaceCache("a", x).is_same(x));
}

}  // namespace
}  // namespace vernier::calib
