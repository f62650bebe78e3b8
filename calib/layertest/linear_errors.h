// Compares linear layers on the inputs that a forward pass of the source model gives them.
#ifndef VERNIER_CALIB_LAYERTEST_LINEAR_ERRORS_H_
#define VERNIER_CALIB_LAYERTEST_LINEAR_ERRORS_H_

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "calib/activation_quantizer.h"
#include "calib/layertest/error_sums.h"
#include "calib/layertest/result.h"
#include "calib/tap.h"
#include "checkpoint/source_model.h"

namespace vernier::calib {

// Remembers the weight of every linear layer that runs.
class WeightCollector final : public Tap {
 public:
  bool Wants(std::string_view) const override { return true; }
  void Observe(const LinearSite& site, const at::Tensor& x) override;

  // Of a module that ran.
  const at::Tensor& Weight(std::string_view module) const;

 private:
  std::map<std::string, at::Tensor, std::less<>> weights_;
};

// The tap of the source's run. Products are computed and compared in F32, unrounded.
class LinearErrors final : public Tap {
 public:
  // Both must outlive it; `quantizer` is that of the quantised model.
  LinearErrors(const checkpoint::SourceModel& quantized, ActivationQuantizer& quantizer)
      : quantized_(quantized), quantizer_(quantizer) {}

  // Whose weights the layers that run next are compared with, until the next call.
  void CompareWith(const WeightCollector& weights) { weights_ = &weights; }

  bool Wants(std::string_view) const override { return true; }
  void Observe(const LinearSite& site, const at::Tensor& x) override;

  // Layers that got rows, in the order in which they first ran.
  std::vector<LinearResult> Results() const;

 private:
  struct Entry {
    std::string module;
    bool same_weights = false;  // bit for bit
    VariantSums sums = {};
  };
  Entry& EntryOf(const LinearSite& site);
  void AddProducts(const at::Tensor& x, const at::Tensor& rounded, const at::Tensor& weight,
                   const at::Tensor& quantized_weight, bool quantizes, Entry& entry);

  const checkpoint::SourceModel& quantized_;
  ActivationQuantizer& quantizer_;
  const WeightCollector* weights_ = nullptr;
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
};

}  // namespace vernier::calib

#endif  // VERNIER_CALIB_LAYERTEST_LINEAR_ERRORS_H_
