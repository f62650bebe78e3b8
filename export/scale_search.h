// The quantisers' searches by the recipe's names.
#ifndef VERNIER_EXPORT_SCALE_SEARCH_H_
#define VERNIER_EXPORT_SCALE_SEARCH_H_

#include "quantizers/mxfp4.h"
#include "quantizers/nvfp4.h"
#include "recipes/recipe.h"

namespace vernier::exporter {

inline quantizers::Nvfp4Search Nvfp4SearchOf(recipes::ScaleMethod method) {
  if (method == recipes::ScaleMethod::kFourOverSix) return quantizers::Nvfp4Search::kFourOverSix;
  if (method == recipes::ScaleMethod::kMse) return quantizers::Nvfp4Search::kMse;
  if (method == recipes::ScaleMethod::kLocalHessian) return quantizers::Nvfp4Search::kLocalHessian;
  // Where calibration left a weight to the export.
  if (method == recipes::ScaleMethod::kGptq) return quantizers::Nvfp4Search::kLocalHessian;
  return quantizers::Nvfp4Search::kMax;
}

inline quantizers::Mxfp4Search Mxfp4SearchOf(recipes::ScaleMethod method) {
  return method == recipes::ScaleMethod::kMse ? quantizers::Mxfp4Search::kMse
                                              : quantizers::Mxfp4Search::kMax;
}

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_SCALE_SEARCH_H_
