// The tensors of one output weight: names, dtypes and shapes, by format and dialect.
#ifndef VERNIER_DIALECTS_TARGET_PARTS_H_
#define VERNIER_DIALECTS_TARGET_PARTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/block_size.h"
#include "checkpoint/dtype.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/source_model.h"
#include "dialects/dialect.h"
#include "dialects/output_part.h"

namespace vernier::dialects {

// How the scales of weights that become kFp8Block are laid out.
struct Fp8Blocks {
  checkpoint::BlockSize size = {};             // values that share a scale
  std::string scale_suffix = ".weight_scale";  // of the module's name
  checkpoint::DType scale_dtype = checkpoint::DType::kF32;
  bool four_dimensions = true;  // [down, 1, across, 1] rather than [down, across]
  bool native = false;          // the source's convention, which its quantization_config describes
};

struct TargetPart {
  OutputPart part;
  std::string name;  // of the tensor, complete
  checkpoint::DType dtype;
  std::vector<int64_t> shape;
};

struct TargetRequest {
  checkpoint::Format format;  // one that is written
  const Dialect& dialect;
  bool with_input_scale = false;  // ignored by formats that have none
  const checkpoint::LogicalWeight& weight;
  Fp8Blocks fp8_blocks = {};  // for kFp8Block: Fp8BlocksOf(source, dialect)
};

// The parts of an [N, K] weight X, codes first: those of the format (Codec::parts), by the names
// and in the dtypes of the dialect.
//   bf16                        X.weight BF16 [N, K]
// modelopt:
//   nvfp4                       X.weight U8 [N, K/2], X.weight_scale F8_E4M3 [N, K/16],
//                               X.weight_scale_2 F32 [], X.input_scale F32 []
//   mxfp4                       X.weight U8 [N, K/2], X.weight_scale U8 [N, K/32]
//   mxfp8                       X.weight F8_E4M3 [N, K], X.weight_scale U8 [N, K/32]
//   fp8                         X.weight F8_E4M3, X.weight_scale F32 [], X.input_scale F32 []
//   fp8_channel                 X.weight F8_E4M3, X.weight_scale F32 [N]
//   fp8_block                   X.weight F8_E4M3 and the scales that `fp8_blocks` describes
// compressed-tensors:
//   nvfp4                       X.weight_packed U8, X.weight_scale F8_E4M3,
//                               X.weight_global_scale F32 [1], X.input_global_scale F32 [1]
//   mxfp4                       X.weight_packed U8, X.weight_scale U8
//   mxfp8                       X.weight F8_E4M3, X.weight_scale U8
//   fp8, fp8_channel, fp8_block X.weight F8_E4M3, X.weight_scale BF16 [1], [N, 1] or [N/128, K/128]
//                               rounded up; fp8 also X.input_scale BF16 [1]
//   int4                        X.weight_packed I32 [N, K/8], X.weight_scale BF16 [N, K/128],
//                               X.weight_shape I64 [2]
std::vector<TargetPart> TargetParts(const TargetRequest& request);

// The scales of one cached vector of an attention A, a key's, a value's or both: A.k_proj.k_scale
// and A.v_proj.v_scale, or A.k_scale and A.v_scale. Latent attention has the same names, as in
// NVIDIA's DeepSeek checkpoints, though it has no k_proj.
std::vector<TargetPart> KvScaleParts(const checkpoint::KvCacheEntry& entry, const Dialect& dialect);

// Whether a global scale of this format, and the scale of its inputs, is stored as its reciprocal.
bool StoresReciprocals(checkpoint::Format format, const Dialect& dialect);

// kBadRule, naming `subject`, when `dialect` has no layout for `format`.
void CheckTarget(checkpoint::Format format, const Dialect& dialect, const std::string& subject);

// Whether config.json's quantization_config is that of native FP8 blocks (quant_method "fp8").
bool HasNativeConfig(const checkpoint::SourceModel& source);

// The blocks of kFp8Block weights. A dialect that may hold native weights keeps the convention of a
// source that is quantised in native FP8 blocks: block size, suffix and dtype of the scales it has
// (".scale" E8M0 or ".weight_scale_inv" F32). Otherwise 128 x 128 with the dialect's numbers.
Fp8Blocks Fp8BlocksOf(const checkpoint::SourceModel& source, const Dialect& dialect);

}  // namespace vernier::dialects

#endif  // VERNIER_DIALECTS_TARGET_PARTS_H_
