// The numbers of layer tests against plain loops over the scalar definitions, and against whole
// layers run by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <vector>

#include "calib/activation_quantizer.h"
#include "calib/batches.h"
#include "quantizers/fp8.h"
#include "quantizers/nvfp4_activations_reference.h"
#include "tests/calib/deepseek_v4_support.h"
#include "tests/calib/layer_comparison_fixture.h"
#include "tests/support/read_tensor.h"

namespace vernier::calib {
namespace {

constexpr int64_t kQueryChunk = 16;

using Values = std::vector<float>;

// The input rows of one linear layer.
class InputKeeper final : public Tap {
 public:
  explicit InputKeeper(std::string module) : module_(std::move(module)) {}
  bool Wants(std::string_view module) const override { return module == module_; }
  void Observe(const LinearSite& site, const at::Tensor& x) override {
    rows_.push_back(x.clone());
    groups_ = site.groups;
  }
  at::Tensor Rows() const { return at::cat(rows_).contiguous(); }
  int64_t groups() const { return groups_; }

 private:
  std::string module_;
  std::vector<at::Tensor> rows_;
  int64_t groups_ = 1;
};

// The source's hidden states before kComparedLayer, in F32.
at::Tensor HiddenBefore(const TestModel& source, const TokenBatch& batch) {
  Tap nobody;
  at::Tensor hidden = source.decoder->Embed(batch.ids);
  for (int64_t layer = 0; layer < kComparedLayer; ++layer) {
    hidden = RunLayer(*source.decoder, layer, hidden, batch, kQueryChunk, nobody);
  }
  return hidden;
}

// What a plain loop makes of one linear layer.
struct PlainLayer {
  const checkpoint::SourceModel &source, &quantized;
  at::Tensor x;
  int64_t groups;

  static Values Weight(const checkpoint::SourceModel& model, const std::string& module) {
    return testing::ReadWeight(model.checkpoint, *model.layout.FindModule(module));
  }

  // ||x W^T - x' W'^T|| / ||x W^T||
  double Error(const Values& inputs, const Values& other_inputs, const Values& weight,
               const Values& other_weight) const {
    const auto k = static_cast<size_t>(x.size(1));
    const size_t rows = inputs.size() / k,
                 outputs = weight.size() / k / static_cast<size_t>(groups);
    double error = 0, norm = 0;
    for (size_t row = 0; row < rows; ++row) {
      const size_t first = row % static_cast<size_t>(groups) * outputs;
      for (size_t n = first; n < first + outputs; ++n) {
        double y = 0, z = 0;
        for (size_t i = 0; i < k; ++i) {
          y += double{inputs[row * k + i]} * weight[n * k + i];
          z += double{other_inputs[row * k + i]} * other_weight[n * k + i];
        }
        error += (y - z) * (y - z);
        norm += y * y;
      }
    }
    return std::sqrt(error / norm);
  }
};

TEST_F(LayerComparisonTest, NumbersAreThoseOfPlainLoops) {
  const LayerTestResult result = Test(Path("coarse"));
  const TestModel source(Path("source"), at::kFloat), quantized(Path("coarse"), at::kFloat);
  const Batches batches(tokens_, 3, at::kCPU);
  const TokenBatch batch = batches.Tokens(batches.At(0));
  const at::Tensor hidden = HiddenBefore(source, batch);
  const std::string expert =
      "layers.2.ffn.experts." + std::to_string(result.routed_experts.at(1).expert);
  for (const std::string& module :
       {expert + ".w1", expert + ".w2", std::string("layers.2.attn.wo_a")}) {
    InputKeeper keeper(module);
    RunLayer(*source.decoder, kComparedLayer, hidden, batch, kQueryChunk, keeper);
    const PlainLayer plain{source.source, quantized.source, keeper.Rows(), keeper.groups()};
    const Values x(plain.x.data_ptr<float>(), plain.x.data_ptr<float>() + plain.x.numel());
    Values rounded(x.size());
    if (module.starts_with(expert)) {
      quantizers::reference::RoundTripNvfp4Activations(x, kInputScale, rounded);
    } else {
      std::vector<uint8_t> codes(x.size());
      const int64_t k = plain.x.size(1), blocks = (k + 127) / 128;
      Values scales(static_cast<size_t>(plain.x.size(0) * blocks));
      quantizers::QuantizeFp8Blocks(x, k, 1, 128, quantizers::Fp8ScaleKind::kE8m0, codes, scales);
      quantizers::DequantizeFp8Rows(codes, k, 128, scales, std::span<float>(rounded));
    }
    const Values w = PlainLayer::Weight(source.source, module);
    const Values other = PlainLayer::Weight(quantized.source, module);
    const StageErrors& errors = FindLinear(result, module).errors;
    const auto expect_near = [&](double actual, double expected) {
      EXPECT_NEAR(actual, expected, 1e-3 * expected) << module;
    };
    EXPECT_EQ(errors.weights->rows, plain.x.size(0)) << module;
    expect_near(errors.weights->relative_error, plain.Error(x, x, w, other));
    expect_near(errors.activations->relative_error, plain.Error(x, rounded, w, w));
    expect_near(errors.both->relative_error, plain.Error(x, rounded, w, other));
  }
}

TEST_F(LayerComparisonTest, TheOutputIsThatOfTheWholeQuantisedLayer) {
  const LayerTestResult result = Test(Path("coarse"));
  const TestModel source(Path("source"), at::kFloat), quantized(Path("coarse"), at::kFloat);
  const Batches batches(tokens_, 3, at::kCPU);
  const TokenBatch batch = batches.Tokens(batches.At(0));
  const at::Tensor hidden = HiddenBefore(source, batch);
  Tap nobody;
  ActivationQuantizer quantizer(quantized.source);
  const auto out = [&](const TestModel& model, Tap& tap) {
    return batch.RealRows(
        RunLayer(*model.decoder, kComparedLayer, hidden, batch, kQueryChunk, tap).flatten(2));
  };
  const at::Tensor expected = out(source, nobody);
  const auto expect = [&](const std::optional<ErrorStats>& stats, const at::Tensor& actual) {
    const double error = RelativeError(actual.to(at::kDouble), expected.to(at::kDouble));
    EXPECT_NEAR(stats->relative_error, error, 1e-3 * error);
    EXPECT_EQ(stats->rows, 72);
  };
  expect(result.output.weights, out(quantized, nobody));
  expect(result.output.activations, out(source, quantizer));
  expect(result.output.both, out(quantized, quantizer));
}

}  // namespace
}  // namespace vernier::calib
