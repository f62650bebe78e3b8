// A small mixture of experts in FP8, in both dialects. Values are made up: only the audit reads
// them.
#ifndef VERNIER_TESTS_AUDIT_FP8_MODEL_H_
#define VERNIER_TESTS_AUDIT_FP8_MODEL_H_

#include <cstdint>

#include "audit/subject.h"
#include "tests/audit/nvfp4_model.h"

namespace vernier::audit {

enum class Fp8Scales { kTensor, kRow, kBlock };

struct Fp8Options {
  QuantDialect dialect = QuantDialect::kModelopt;
  Fp8Scales scales = Fp8Scales::kTensor;
  bool input_scales = false;  // of kTensor; otherwise inputs are dynamic
  int64_t hidden = 256;       // of two heads
  int64_t key_rows = 128;
  int64_t expert_width = 128;
};

// Qwen3-MoE of one layer with two experts: attention and experts in FP8, the rest in BF16.
ModelFiles MakeFp8Moe(const Fp8Options& options);

}  // namespace vernier::audit

#endif  // VERNIER_TESTS_AUDIT_FP8_MODEL_H_
