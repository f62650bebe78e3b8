#include "calib/layertest/linear_errors.h"

#include <algorithm>
#include <cassert>

#include "calib/families/linear.h"

namespace vernier::calib {
namespace {

// Outputs of a product that exist at once.
constexpr int64_t kOutputsAtOnce = int64_t{1} << 24;

}  // namespace

void WeightCollector::Observe(const LinearSite& site, const at::Tensor&) {
  if (site.is_router) return;
  weights_.insert_or_assign(std::string(site.module), site.weight);
}

const at::Tensor& WeightCollector::Weight(std::string_view module) const {
  const auto found = weights_.find(module);
  assert(found != weights_.end());
  return found->second;
}

LinearErrors::Entry& LinearErrors::EntryOf(const LinearSite& site) {
  const auto [at, is_new] = index_.try_emplace(std::string(site.module), entries_.size());
  if (is_new) {
    const at::Tensor& other = weights_->Weight(site.module);
    entries_.push_back(
        {.module = std::string(site.module), .same_weights = at::equal(site.weight, other)});
  }
  return entries_[at->second];
}

void LinearErrors::Observe(const LinearSite& site, const at::Tensor& x) {
  if (site.is_router) return;
  if (x.numel() == 0) return;
  assert(weights_ != nullptr);
  Entry& entry = EntryOf(site);
  const at::Tensor& other = weights_->Weight(site.module);
  const bool quantizes = quantizer_.Of(site.module).Quantizes();
  const at::Tensor tokens = x.view({-1, site.groups, x.size(-1)});
  const int64_t step = std::max<int64_t>(1, kOutputsAtOnce / site.weight.size(0));
  const int64_t outputs = site.weight.size(0) / site.groups;
  for (int64_t first = 0; first < tokens.size(0); first += step) {
    const at::Tensor chunk = tokens.slice(0, first, first + step);
    const at::Tensor rounded = quantizer_.Replace(site.module, chunk);
    for (int64_t group = 0; group < site.groups; ++group) {
      AddProducts(chunk.select(1, group), rounded.select(1, group),
                  site.weight.narrow(0, group * outputs, outputs),
                  other.narrow(0, group * outputs, outputs), quantizes, entry);
    }
  }
}

void LinearErrors::AddProducts(const at::Tensor& x, const at::Tensor& rounded,
                               const at::Tensor& weight, const at::Tensor& quantized_weight,
                               bool quantizes, Entry& entry) {
  const at::Tensor y = LinearF32(x, weight);
  const at::Tensor by_weights = entry.same_weights ? y : LinearF32(x, quantized_weight);
  entry.sums[Variant::kWeights].Add(y, by_weights);
  if (!quantizes) return;
  const at::Tensor by_activations = LinearF32(rounded, weight);
  entry.sums[Variant::kActivations].Add(y, by_activations);
  entry.sums[Variant::kBoth].Add(
      y, entry.same_weights ? by_activations : LinearF32(rounded, quantized_weight));
}

std::vector<LinearResult> LinearErrors::Results() const {
  std::vector<LinearResult> results;
  for (const Entry& entry : entries_) {
    const checkpoint::LogicalWeight& weight = *quantized_.layout.FindModule(entry.module);
    results.push_back(
        {.module = entry.module,
         .role = std::string(checkpoint::RoleName(weight.role)),
         .projection = weight.projection,
         .expert = weight.expert,
         .weight_format = std::string(checkpoint::FormatName(weight.format)),
         .activations = std::string(ActivationFormatName(quantizer_.Of(entry.module).format)),
         .errors = entry.sums.Errors()});
  }
  return results;
}

}  // namespace vernier::calib
