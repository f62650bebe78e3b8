#include "calib/layer_state.h"

#include <fmt/format.h>

#include <cassert>
#include <utility>

#include "base/file.h"

namespace vernier::calib {
namespace {

constexpr std::array<std::string_view, 3> kStageNames = {"dense", "experts", "finish"};
constexpr std::array<std::string_view, kLayerParts> kPartNames = {
    "middle", "expert-input", "sum", "mix", "routing-experts", "routing-weights", "out"};

// Shares of a routed layer's work.
constexpr double kDenseShare = 0.45;
constexpr double kExpertShare = 0.5;
constexpr double kFinishShare = 0.05;

}  // namespace

std::string_view LayerStageName(LayerStage stage) {
  return kStageNames.at(static_cast<size_t>(stage));
}

std::optional<LayerStage> LayerStageFromName(std::string_view name) {
  for (size_t i = 0; i < kStageNames.size(); ++i) {
    if (kStageNames[i] == name) return static_cast<LayerStage>(i);
  }
  return std::nullopt;
}

std::string_view LayerPartName(LayerPart part) { return kPartNames.at(static_cast<size_t>(part)); }

std::string ActivationFileName(int64_t layer) { return fmt::format("hidden-{:04}.bin", layer); }

std::string LayerPartFileName(int64_t layer, LayerPart part, bool spare) {
  if (part == LayerPart::kOut) return PartialPath(ActivationFileName(layer)).string();
  return fmt::format("layer-{:04}-{}{}.part", layer, LayerPartName(part), spare ? "-2" : "");
}

LayerState::LayerState(LayerShape shape, std::shared_ptr<SampleBuffer> in, MakeBuffer make)
    : shape_(std::move(shape)), make_(std::move(make)), in_(std::move(in)) {}

SampleBuffer& LayerState::part(LayerPart part) {
  assert(Has(part));
  std::shared_ptr<SampleBuffer>& buffer = parts_[static_cast<size_t>(part)];
  if (!buffer) buffer = Make(part, /*spare=*/false);
  return *buffer;
}

std::shared_ptr<SampleBuffer> LayerState::Make(LayerPart part, bool spare) const {
  const auto make = [&](std::vector<int64_t> sample_shape, at::ScalarType dtype) {
    return std::make_shared<SampleBuffer>(make_(part, spare, std::move(sample_shape), dtype));
  };
  switch (part) {
    case LayerPart::kMiddle:
    case LayerPart::kOut:
      return in_->in_file() ? make(shape_.hidden, shape_.dtype) : in_;
    case LayerPart::kExpertInput:
      return make({shape_.length, shape_.width}, shape_.dtype);
    case LayerPart::kSum:
      return make({shape_.length, shape_.width}, at::kFloat);
    case LayerPart::kMix:
      return make({shape_.length, shape_.mix}, at::kFloat);
    case LayerPart::kRoutingExperts:
      return make({shape_.length, shape_.experts_per_token}, at::kInt);
    case LayerPart::kRoutingWeights:
      return make({shape_.length, shape_.experts_per_token}, at::kFloat);
  }
  return nullptr;
}

void LayerState::MoveTo(LayerPlace place) {
  place_ = place;
  if (!routed()) return;
  if (place_.stage == LayerStage::kDense && place_.next >= shape_.samples) {
    place_ = {LayerStage::kExperts, 0};
  }
  if (place_.stage == LayerStage::kExperts && place_.next >= shape_.experts) {
    place_ = {LayerStage::kFinish, 0};
  }
}

double LayerState::Fraction() const {
  const auto done = static_cast<double>(place_.next);
  const double of_samples = done / static_cast<double>(shape_.samples);
  if (!routed()) return of_samples;
  switch (place_.stage) {
    case LayerStage::kDense:
      return kDenseShare * of_samples;
    case LayerStage::kExperts:
      return kDenseShare + kExpertShare * done / static_cast<double>(shape_.experts);
    case LayerStage::kFinish:
      // Exactly 1 at the end.
      return 1.0 - kFinishShare * (1.0 - of_samples);
  }
  return 0;
}

SampleRange LayerState::Needed(LayerPart part) const {
  if (!Has(part)) return {};
  const SampleRange done = {0, place_.next};
  const SampleRange open = {place_.next, shape_.samples - place_.next};
  const SampleRange all = {0, shape_.samples};
  if (part == LayerPart::kOut) {
    return place_.stage == LayerStage::kFinish || !routed() ? done : SampleRange{};
  }
  if (place_.stage == LayerStage::kDense) return done;
  if (place_.stage == LayerStage::kExperts) return all;
  const bool joins =
      part == LayerPart::kMiddle || part == LayerPart::kSum || part == LayerPart::kMix;
  return joins ? open : SampleRange{};
}

SampleBuffer& LayerState::NextSum() {
  SampleBuffer& sum = part(LayerPart::kSum);
  if (!sum.in_file() || !sum_protected_) return sum;
  if (!spare_sum_) spare_sum_ = Make(LayerPart::kSum, /*spare=*/true);
  return *spare_sum_;
}

void LayerState::SumDone() {
  if (&NextSum() == spare_sum_.get()) {
    std::swap(parts_[static_cast<size_t>(LayerPart::kSum)], spare_sum_);
  }
  sum_protected_ = false;
  ++sum_version_;
}

}  // namespace vernier::calib
