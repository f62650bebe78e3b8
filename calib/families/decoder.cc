#include "calib/families/decoder.h"

#include <cassert>
#include <string>

#include "base/error.h"
#include "calib/families/linear.h"

namespace vernier::calib {

at::Tensor TokenBatch::RealRows(const at::Tensor& x) const {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  if (!real.defined()) return rows;
  return rows.index_select(0, at::nonzero(real.reshape({-1})).squeeze(-1));
}

at::Tensor TakeInput(InputObserver& observer, const LinearSite& site, const TokenBatch& batch,
                     const at::Tensor& x) {
  if (observer.Wants(site.module)) {
    const int64_t k = x.size(-1);
    const at::Tensor tokens = x.reshape({-1, site.groups * k});
    observer.ObserveLinear(site, batch.RealRows(tokens).reshape({-1, k}));
  }
  return observer.Replace(site.module, x);
}

at::Tensor RunLinear(InputObserver& observer, const LinearSite& site, const TokenBatch& batch,
                     const at::Tensor& x) {
  assert(site.groups == 1);
  return Linear(TakeInput(observer, site, batch, x), site.weight);
}

std::unique_ptr<Decoder> MakeDecoder(const TensorLoader& loader) {
  const std::string_view model_type = loader.source().family->model_type();
  if (model_type == "deepseek_v4") return MakeDeepseekV4Decoder(loader);
  throw Error(ErrorCode::kUnknownModelType, model_type,
              "has no forward pass, so it cannot be calibrated",
              "Choose a recipe without calibration, or a model of type deepseek_v4");
}

}  // namespace vernier::calib
