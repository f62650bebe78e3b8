#include "calib/families/decoder.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "calib/families/linear.h"
#include "calib/families/residual_decoder.h"

namespace vernier::calib {
at::Tensor TokenBatch::RealRows(const at::Tensor& x) const {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  if (!real.defined()) return rows;
  return rows.index_select(0, at::nonzero(real.reshape({-1})).squeeze(-1));
}

TokenBatch TokenBatch::Positions(int64_t begin, int64_t end) const {
  TokenBatch part = {ids.defined() ? ids.slice(1, begin, end) : ids,
                     real.defined() ? real.slice(1, begin, end) : real, lengths};
  for (int64_t& length : part.lengths) length = std::clamp<int64_t>(length - begin, 0, end - begin);
  return part;
}

at::Tensor TakeInput(Tap& tap, const LinearSite& site, const TokenBatch& batch,
                     const at::Tensor& x) {
  if (tap.Wants(site.module)) {
    const int64_t k = x.size(-1);
    const at::Tensor tokens = x.reshape({-1, site.groups * k});
    std::vector<int64_t> sequences = batch.lengths;
    for (int64_t& rows : sequences) rows *= site.groups;
    LinearSite shown = site;
    shown.sequences = sequences;
    tap.Observe(shown, batch.RealRows(tokens).reshape({-1, k}));
  }
  return tap.Replace(site.module, x);
}

at::Tensor RunLinear(Tap& tap, const LinearSite& site, const TokenBatch& batch,
                     const at::Tensor& x) {
  assert(site.groups == 1);
  return Linear(TakeInput(tap, site, batch, x), site.weight);
}

at::Tensor TakeCache(Tap& tap, std::string_view entry, const TokenBatch& batch,
                     const at::Tensor& x) {
  if (tap.Wants(entry)) tap.ObserveCache(entry, batch.RealRows(x));
  return tap.ReplaceCache(entry, x);
}

bool Decoder::ReadAhead(const UpcomingWeights& next) const {
  bool reads = false;
  for (const TensorLoader* loader : loaders_) reads = loader->ReadAhead(next) || reads;
  return reads;
}

void Decoder::CheckWeights() const {
  for (const TensorLoader* loader : loaders_) loader->CheckWeights();
}

std::unique_ptr<Decoder> MakeDecoder(const TensorLoader& loader) {
  const checkpoint::Family& family = *loader.source().family;
  for (const DecoderRow& row : Decoders()) {
    if (row.model_type == family.model_type()) return row.make(loader);
  }
  if (family.Decoder() != nullptr) return MakeResidualDecoder(loader, *family.Decoder());
  throw Error(ErrorCode::kUnknownModelType, family.model_type(),
              "has no forward pass, so it cannot be calibrated",
              "Choose a recipe without calibration, or a model of one of the types " +
                  JoinNames(checkpoint::KnownModelTypes()));
}

}  // namespace vernier::calib
