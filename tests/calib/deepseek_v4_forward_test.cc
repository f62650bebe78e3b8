// Properties of the forward pass that no reference is needed for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "calib/recorder.h"
#include "tests/calib/deepseek_v4_support.h"
#include "tests/calib/loop_support.h"

namespace vernier::calib {
namespace {

constexpr double kSame = 1e-5;

// [batch, length] ids of the tiny model, the same on every run.
at::Tensor SomeIds(int64_t batch, int64_t length) {
  const at::Tensor all = ReadTensors(kTinyModel / "reference.safetensors").at("input_ids");
  std::vector<at::Tensor> rows;
  for (int64_t b = 0; b < batch; ++b) rows.push_back(all.slice(1, 7 * b, 7 * b + length));
  return at::cat(rows, 0).contiguous();
}

// Names of the linear layers of a layer whose inputs are observed.
std::vector<std::string> LinearModules(int64_t layer, const checkpoint::DeepseekV4Config& config) {
  const std::string prefix = "layers." + std::to_string(layer) + ".";
  std::vector<std::string> names;
  for (const char* name : {"wq_a", "wq_b", "wkv", "wo_a", "wo_b"}) {
    names.push_back(prefix + "attn." + name);
  }
  if (config.block(layer).indexes()) {
    names.push_back(prefix + "attn.indexer.wq_b");
  }
  for (const char* part : {".w1", ".w2", ".w3"}) {
    names.push_back(prefix + "ffn.shared_experts" + part);
    for (int64_t e = 0; e < config.n_routed_experts; ++e) {
      names.push_back(prefix + "ffn.experts." + std::to_string(e) + part);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Observations of every layer of `model`, run on `batch`.
std::vector<run::InputAmax> ObserveAll(const TestModel& model, const TokenBatch& batch) {
  std::vector<run::InputAmax> all;
  at::Tensor hidden = model.decoder->Embed(batch.ids);
  for (int64_t layer = 0; layer < model.decoder->Layers(); ++layer) {
    const std::vector<std::string> modules = LinearModules(layer, model.config);
    Recorder recorder(modules);
    hidden = RunLayer(*model.decoder, layer, hidden, batch, 64, recorder);
    for (run::InputAmax& input : InputsOf(recorder, layer)) all.push_back(input);
  }
  return all;
}

class DeepseekV4Forward : public ::testing::Test {
 protected:
  TestModel model_{kTinyModel, at::kFloat};
};

TEST_F(DeepseekV4Forward, DoesNotDependOnTheQueryChunk) {
  const TokenBatch batch{SomeIds(1, 281), {}};
  const ModelOutput whole = RunModel(*model_.decoder, batch, 512);
  for (const int64_t chunk : {16, 50}) {
    const ModelOutput chunked = RunModel(*model_.decoder, batch, chunk);
    EXPECT_LE(RelativeError(chunked.hidden.back(), whole.hidden.back()), kSame) << chunk;
    EXPECT_LE(RelativeError(chunked.logits, whole.logits), kSame) << chunk;
  }
}

TEST_F(DeepseekV4Forward, SequencesOfABatchAreIndependent) {
  const at::Tensor ids = SomeIds(2, 270);
  const at::Tensor both = RunModel(*model_.decoder, {ids, {}}).logits;
  for (int64_t b = 0; b < 2; ++b) {
    const at::Tensor alone = RunModel(*model_.decoder, {ids.slice(0, b, b + 1), {}}).logits;
    EXPECT_LE(RelativeError(both.slice(0, b, b + 1), alone), kSame) << b;
  }
}

// Lengths around the edges of both compression windows and of the sliding window.
TEST_F(DeepseekV4Forward, APrefixIsComputedAsInTheWholeSequence) {
  const at::Tensor ids = SomeIds(1, 270);
  const at::Tensor whole = RunModel(*model_.decoder, {ids, {}}).logits;
  for (const int64_t length : {1, 2, 3, 4, 5, 9, 47, 48, 49, 127, 128, 131, 256, 259}) {
    const at::Tensor prefix = RunModel(*model_.decoder, {ids.slice(1, 0, length), {}}).logits;
    ASSERT_EQ(prefix.size(1), length);
    EXPECT_LE(RelativeError(prefix, whole.slice(1, 0, length)), kSame) << length;
  }
}

TEST_F(DeepseekV4Forward, PaddingChangesNothing) {
  constexpr int64_t kReal = 150, kPadded = 262;
  const at::Tensor ids = SomeIds(1, kReal);
  const at::Tensor padded_ids = at::cat({ids, at::zeros({1, kPadded - kReal}, at::kLong)}, 1);
  const at::Tensor real = at::arange(kPadded).lt(kReal).unsqueeze(0);
  const at::Tensor plain = RunModel(*model_.decoder, {ids, {}}).logits;
  const at::Tensor padded = RunModel(*model_.decoder, {padded_ids, real}).logits;
  EXPECT_LE(RelativeError(padded.slice(1, 0, kReal), plain), kSame);
  EXPECT_TRUE(padded.isfinite().all().item<bool>());

  const std::vector<run::InputAmax> expected = ObserveAll(model_, {ids, {}});
  const std::vector<run::InputAmax> actual = ObserveAll(model_, {padded_ids, real});
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].module, expected[i].module);
    EXPECT_EQ(actual[i].tokens, expected[i].tokens) << actual[i].module;
    EXPECT_NEAR(actual[i].amax, expected[i].amax, 1e-4 * expected[i].amax) << actual[i].module;
  }
}

TEST_F(DeepseekV4Forward, EveryLinearLayerIsObserved) {
  constexpr int64_t kLength = 200;
  const std::vector<run::InputAmax> inputs = ObserveAll(model_, {SomeIds(1, kLength), {}});
  std::vector<std::string> observed, wanted;
  for (const run::InputAmax& input : inputs) {
    observed.push_back(input.module);
    if (input.module.ends_with("attn.wq_a")) {
      EXPECT_EQ(input.tokens, kLength);
    }
    if (input.module.ends_with("attn.wo_a")) {
      EXPECT_EQ(input.tokens, kLength * model_.config.o_groups);
    }
  }
  for (int64_t layer = 0; layer < model_.decoder->Layers(); ++layer) {
    for (const std::string& name : LinearModules(layer, model_.config)) wanted.push_back(name);
  }
  EXPECT_EQ(observed, wanted);
}

TEST_F(DeepseekV4Forward, Bf16KeepsItsDtypeAndStaysNearFloat32) {
  const TestModel bf16(kTinyModel, at::kBFloat16);
  const TokenBatch batch{SomeIds(1, 130), {}};
  const ModelOutput rounded = RunModel(*bf16.decoder, batch);
  const ModelOutput exact = RunModel(*model_.decoder, batch);
  EXPECT_EQ(rounded.hidden.back().scalar_type(), at::kBFloat16);
  EXPECT_EQ(rounded.logits.scalar_type(), at::kFloat);
  // Loose: a random network's routers flip under rounding.
  EXPECT_LE(RelativeError(rounded.hidden.front(), exact.hidden.front()), 0.05);
}

TEST_F(DeepseekV4Forward, RefusesIdsOutsideTheVocabulary) {
  for (const int64_t bad : {int64_t{-1}, model_.config.vocab_size}) {
    try {
      model_.decoder->Embed(at::full({1, 3}, bad, at::kLong));
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadTokenIds);
    }
  }
}

}  // namespace
}  // namespace vernier::calib
