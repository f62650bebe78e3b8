// Decoders that the layer loop runs for a layer test: the source's, which compares on its way, and
// one for each variant, which is compared with it.
#ifndef VERNIER_CALIB_LAYERTEST_DECODERS_H_
#define VERNIER_CALIB_LAYERTEST_DECODERS_H_

#include <ATen/ATen.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "calib/batches.h"
#include "calib/families/decoder.h"
#include "calib/layertest/error_sums.h"
#include "calib/layertest/linear_errors.h"
#include "calib/layertest/result.h"
#include "calib/sample_buffer.h"

namespace vernier::calib {

// Hands on everything. `inner` must outlive it.
class ForwardingDecoder : public Decoder {
 public:
  // `others`: whose weights are loaded too.
  explicit ForwardingDecoder(const Decoder& inner, std::span<const Decoder* const> others = {})
      : Decoder(LoadersOf(inner, others)), inner_(inner) {}

  int64_t Layers() const override { return inner_.Layers(); }
  int64_t VocabSize() const override { return inner_.VocabSize(); }
  std::vector<int64_t> HiddenShape() const override { return inner_.HiddenShape(); }
  int64_t Experts(int64_t layer) const override { return inner_.Experts(layer); }
  int64_t ExpertsPerToken() const override { return inner_.ExpertsPerToken(); }
  int64_t MixWidth() const override { return inner_.MixWidth(); }
  at::Tensor Embed(const at::Tensor& ids) const override { return inner_.Embed(ids); }
  std::unique_ptr<DecoderLayer> LoadLayer(int64_t layer, int64_t query_chunk) const override {
    return inner_.LoadLayer(layer, query_chunk);
  }
  ExpertWeights LoadExpert(int64_t layer, int64_t expert) const override {
    return inner_.LoadExpert(layer, expert);
  }
  at::Tensor RunExpert(int64_t layer, int64_t expert, const ExpertWeights& weights,
                       const at::Tensor& x, Tap& tap) const override {
    return inner_.RunExpert(layer, expert, weights, x, tap);
  }
  std::unique_ptr<Head> LoadHead() const override { return inner_.LoadHead(); }

 protected:
  const Decoder& inner_;

 private:
  static std::vector<const TensorLoader*> LoadersOf(const Decoder& inner,
                                                    std::span<const Decoder* const> others) {
    std::vector<const TensorLoader*> loaders = inner.loaders();
    for (const Decoder* other : others) {
      loaders.insert(loaders.end(), other->loaders().begin(), other->loaders().end());
    }
    return loaders;
  }
};

// What the source's run of the layer leaves for the variants' to be compared with.
struct ReferenceStates {
  SampleBuffer middle;  // hidden states behind attention
  SampleBuffer ffn;     // [S, D] F32: what the FFN adds
  SampleBuffer out;     // hidden states behind the layer
};

// One of the three that are compared with the source.
struct VariantRun {
  Variant variant;
  const Decoder& decoder;
  Tap& tap;  // replaces inputs, or does not
};

// Sums of a source's run.
struct ReferenceErrors {
  LinearErrors& linears;              // the tap of that run
  std::vector<VariantSums>& experts;  // of each routed expert
  VariantSums& shared;                // the FFN before its routed experts
};

// The source's decoder for one run of one layer, every sample once and in order, with
// errors.linears as the tap. Compares linear layers, shared experts and routed experts with
// each variant on the source's own inputs, and fills `states`. While it runs, the weights of both
// checkpoints are held: an expert's weights are the source's and then the quantised ones.
class ReferenceDecoder final : public ForwardingDecoder {
 public:
  // All must outlive it. The first of `variants` is kWeights.
  ReferenceDecoder(const Decoder& source, std::span<const VariantRun> variants,
                   const Batches& batches, ReferenceErrors errors, ReferenceStates& states)
      : ForwardingDecoder(source, std::array{&variants.front().decoder}),
        variants_(variants),
        batches_(batches),
        errors_(errors),
        states_(states) {}

  std::unique_ptr<DecoderLayer> LoadLayer(int64_t layer, int64_t query_chunk) const override;
  ExpertWeights LoadExpert(int64_t layer, int64_t expert) const override;
  at::Tensor RunExpert(int64_t layer, int64_t expert, const ExpertWeights& weights,
                       const at::Tensor& x, Tap& tap) const override;

 private:
  std::span<const VariantRun> variants_;
  const Batches& batches_;
  ReferenceErrors errors_;
  ReferenceStates& states_;
};

// Where a variant's run begins.
enum class VariantStart {
  kLayer,  // at the hidden states before the layer
  kFfn,    // at the source's hidden states behind attention: the loop's input is those
};

// Of one run of one layer, every sample once and in order.
struct RunErrors {
  ErrorSums* middle = nullptr;  // behind attention
  ErrorSums* ffn = nullptr;
  ErrorSums* out = nullptr;
};

// A variant's decoder for one such run; sums that are null are not compared.
class ComparedDecoder final : public ForwardingDecoder {
 public:
  ComparedDecoder(const Decoder& decoder, VariantStart start, const Batches& batches,
                  const ReferenceStates& states, RunErrors errors)
      : ForwardingDecoder(decoder),
        start_(start),
        batches_(batches),
        states_(states),
        errors_(errors) {}

  std::unique_ptr<DecoderLayer> LoadLayer(int64_t layer, int64_t query_chunk) const override;

 private:
  VariantStart start_;
  const Batches& batches_;
  const ReferenceStates& states_;
  RunErrors errors_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYERTEST_DECODERS_H_
