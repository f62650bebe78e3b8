// The forward pass against transformers' activations, in float32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "tests/calib/deepseek_v4_support.h"

namespace vernier::calib {
namespace {

constexpr double kTolerance = 2e-5;

// Which positions behind each layer depend on a choice that the reference leaves open: those of
// a tie in the indexer's selection and, behind later layers, all that can attend to them.
class OpenChoices {
 public:
  explicit OpenChoices(const std::string& model)
      : ties_(
            ReadJsonFile(std::filesystem::path(VERNIER_TEST_DATA) / "models" / "indexer_ties.json")
                .at(model)) {}

  // I64 positions of [0, length) behind `layer` that must agree.
  at::Tensor DeterminedPositions(int64_t layer, int64_t length) const {
    const std::vector<int64_t> own = TiesOf(layer);
    int64_t first_earlier = length;
    for (int64_t earlier = 0; earlier < layer; ++earlier) {
      for (const int64_t tie : TiesOf(earlier)) first_earlier = std::min(first_earlier, tie);
    }
    std::vector<int64_t> positions;
    for (int64_t t = 0; t < first_earlier; ++t) {
      if (std::find(own.begin(), own.end(), t) == own.end()) positions.push_back(t);
    }
    return at::tensor(positions, at::kLong);
  }

 private:
  std::vector<int64_t> TiesOf(int64_t layer) const {
    const auto ties = ties_.find(std::to_string(layer));
    return ties == ties_.end() ? std::vector<int64_t>{} : ties->get<std::vector<int64_t>>();
  }

  Json ties_;
};

// Errors of the whole and of the worst position [S].
void ExpectAgreement(const at::Tensor& actual, const at::Tensor& expected,
                     const at::Tensor& positions, const std::string& what) {
  const at::Tensor a = actual.index_select(1, positions), b = expected.index_select(1, positions);
  const double whole = RelativeError(a, b), worst = WorstPositionError(a, b);
  EXPECT_LE(whole, kTolerance) << what;
  EXPECT_LE(worst, kTolerance) << what;
  ::testing::Test::RecordProperty(what, std::to_string(whole));
  std::printf("%-20s %4ld positions  error %.2e  worst position %.2e\n", what.c_str(),
              static_cast<long>(positions.numel()), whole, worst);
}

void ExpectReference(const std::string& name, const std::filesystem::path& model_directory,
                     const std::map<std::string, at::Tensor>& reference) {
  const TestModel model(model_directory, at::kFloat);
  const TokenBatch batch{reference.at("input_ids"), {}};
  const ModelOutput output = RunModel(*model.decoder, batch);
  const OpenChoices open(name);
  const int64_t layers = model.decoder->Layers(), length = batch.ids.size(1);
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string what = "f32.hidden." + std::to_string(layer);
    ExpectAgreement(output.hidden.at(static_cast<size_t>(layer)), reference.at(what),
                    open.DeterminedPositions(layer, length), what);
  }
  ExpectAgreement(output.logits, reference.at("f32.logits"),
                  open.DeterminedPositions(layers, length), "f32.logits");
}

TEST(DeepseekV4Reference, TinyModelAgreesBehindEveryLayer) {
  ExpectReference("tiny-deepseek-v4", kTinyModel,
                  ReadTensors(kTinyModel / "reference.safetensors"));
}

TEST(DeepseekV4Reference, MiniModelAgreesBehindEveryLayer) {
  std::map<std::string, at::Tensor> reference =
      ReadTensors(kMiniReference / "reference_hidden.safetensors");
  reference.merge(ReadTensors(kMiniReference / "reference_logits.safetensors"));
  ExpectReference("mini-deepseek-v4", kMiniModel, reference);
}

}  // namespace
}  // namespace vernier::calib
