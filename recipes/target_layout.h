// The tensors of one output weight: names, dtypes and shapes, by format and dialect.
#ifndef VERNIER_RECIPES_TARGET_LAYOUT_H_
#define VERNIER_RECIPES_TARGET_LAYOUT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/dtype.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/source_model.h"
#include "recipes/plan.h"

namespace vernier::recipes {

struct TargetPart {
  OutputPart part;
  std::string name;  // of the tensor, complete
  checkpoint::DType dtype;
  std::vector<int64_t> shape;
};

struct TargetRequest {
  TargetFormat format = TargetFormat::kBf16;  // not kKeep
  Dialect dialect = Dialect::kModelopt;
  bool with_input_scale = false;  // ignored by formats that have none
  const checkpoint::LogicalWeight& weight;
  Fp8Blocks fp8_blocks = {};  // for kFp8Block: Fp8BlocksOf(source, dialect)
};

// The parts of an [N, K] weight X, codes first.
//   bf16                        X.weight BF16 [N, K]
// modelopt (ModelOpt unified_export_hf.py):
//   nvfp4                       X.weight U8 [N, K/2], X.weight_scale F8_E4M3 [N, K/16],
//                               X.weight_scale_2 F32 [], X.input_scale F32 []
//   mxfp4                       X.weight U8 [N, K/2], X.weight_scale U8 [N, K/32]
//   mxfp8                       X.weight F8_E4M3 [N, K], X.weight_scale U8 [N, K/32]
//   fp8                         X.weight F8_E4M3, X.weight_scale F32 [], X.input_scale F32 []
//   fp8_channel                 X.weight F8_E4M3, X.weight_scale F32 [N]
//   fp8_block                   X.weight F8_E4M3 and the scales that `fp8_blocks` describes
//   int4                        not written: CheckTarget refuses it
// compressed-tensors (compressors/ of that project); global scales are divisors there, the
// reciprocals of ModelOpt's:
//   nvfp4                       X.weight_packed U8, X.weight_scale F8_E4M3,
//                               X.weight_global_scale F32 [1], X.input_global_scale F32 [1]
//   mxfp4                       X.weight_packed U8, X.weight_scale U8
//   mxfp8                       X.weight F8_E4M3, X.weight_scale U8
//   fp8, fp8_channel, fp8_block X.weight F8_E4M3, X.weight_scale BF16 [1], [N, 1] or [N/128, K/128]
//                               rounded up; fp8 also X.input_scale BF16 [1]
//   int4                        X.weight_packed I32 [N, K/8], X.weight_scale BF16 [N, K/128],
//                               X.weight_shape I64 [2]
// Its float scales are BF16 because both readers then use the same number: compressed-tensors
// dequantises into the scale's dtype, so that F32 scales would make F32 weights in a BF16 model,
// and vLLM widens them to its F32 parameters. Codes must be computed with the rounded scale.
std::vector<TargetPart> TargetParts(const TargetRequest& request);

// The scales of one cached vector of an attention A, a key's, a value's or both:
//   modelopt             A.k_proj.k_scale, A.v_proj.v_scale, F32 []
//   compressed-tensors   A.k_scale, A.v_scale, BF16 [1]
// Latent attention has the same names, as in NVIDIA's DeepSeek checkpoints, though it has no
// k_proj.
std::vector<TargetPart> KvScaleParts(const checkpoint::KvCacheEntry& entry, Dialect dialect);

// Whether scales of the cache that are absent are 1 to engines, as for ModelOpt's own *_cast
// exports. compressed-tensors leaves absent ones uninitialised (lifecycle/initialize.py).
bool ImpliesUnitKvScales(Dialect dialect);

// The dtype of the one scale of an FP8 weight.
checkpoint::DType WholeFp8ScaleDtype(Dialect dialect);
// Whether a global scale of this format, and the scale of its inputs, is stored as its reciprocal.
bool StoresReciprocals(TargetFormat format, Dialect dialect);

// kBadRule, naming `subject`, when `dialect` has no layout for `format`.
void CheckTarget(TargetFormat format, Dialect dialect, const std::string& subject);

// The blocks of kFp8Block weights. In the modelopt dialect a source that is quantised in native
// FP8 blocks (config.json's quant_method "fp8") keeps its own convention: block size, suffix and
// dtype of the scales it has (".scale" E8M0 or ".weight_scale_inv" F32). Otherwise 128 x 128 with
// F32 [N/128, 1, K/128, 1] (ModelOpt's FP8_PB_WO) or BF16 [N/128, K/128].
Fp8Blocks Fp8BlocksOf(const checkpoint::SourceModel& source, Dialect dialect);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_TARGET_LAYOUT_H_
