// A number format: what a weight's tensors are in it, and the way from them to values and back.
//
// One file for each format (or for several that share their arithmetic), and one row in table.cc.
// Where nothing else is said, a member that is left out is one that the format does not have.
#ifndef VERNIER_CHECKPOINT_FORMATS_CODEC_H_
#define VERNIER_CHECKPOINT_FORMATS_CODEC_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "base/rounding.h"
#include "checkpoint/block_size.h"
#include "checkpoint/dtype.h"
#include "checkpoint/formats/activation_format.h"
#include "checkpoint/formats/format.h"
#include "checkpoint/formats/scale_method.h"
#include "quantizers/real_span.h"

namespace vernier::checkpoint {

class Checkpoint;
class PartResolver;
class StoredGroup;
struct LogicalWeight;
struct RawRows;

// Values that share a scale of their own, beside any that the whole weight has.
enum class ScaleSpan {
  kNone,
  kWeight,  // all
  kRow,
  kGroup,  // WrittenParts::group columns of a row
  kBlock,  // rows x columns, of a size that the plan says; blocks at the edges may be partial
};

// The tensors of a weight [N, K] as they are written. Names, and the dtype of scales that are plain
// numbers, are the dialect's.
struct WrittenParts {
  DType codes = DType::kOpaque;
  int64_t values_per_code = 1;  // values of a row in one element of the codes
  ScaleSpan span = ScaleSpan::kNone;
  DType scale = DType::kOpaque;  // kOpaque: a float of the dialect
  int64_t group = 1;             // of kGroup: columns, which divide K
  bool global_scale = false;     // F32, one
  // A static scale of inputs that engines want.
  enum class InputScale { kNone, kF32, kDialectFloat } input_scale = InputScale::kNone;
  bool shape = false;  // I64 [2]: N and K
};

// Bits of a value, without its scales.
int BitsOf(const WrittenParts& parts);

// Bytes of the codes of `rows` rows.
uint64_t CodeBytes(const WrittenParts& parts, int64_t rows, int64_t columns);

// Scales of `rows` rows, down and across; of kWeight and kNone none that belongs to rows.
struct ScaleGrid {
  int64_t down = 0, across = 0;

  int64_t count() const { return down * across; }
};
ScaleGrid ScalesOf(const WrittenParts& parts, int64_t rows, int64_t columns,
                   const BlockSize& blocks);

// What one word of a quantisation configuration stands for, however it is stored.
enum class FormatKind { kNone, kFp8, kMxfp8, kMxfp4, kNvfp4, kInt4, kInt8, kOther };

// Rows of a weight as its tensors hold them.
struct StoredRows {
  const Checkpoint& checkpoint;
  const LogicalWeight& weight;
  const RawRows& raw;
};

// Rows of values that are finite.
struct RowsToEncode {
  quantizers::RealSpan values;  // row-major
  int64_t columns = 0;
  ScaleMethod method = ScaleMethod::kMax;  // one of the codec's
  float weight_scale = 1;                  // of formats that have one (Codec::weight_scale)
  BlockSize blocks = {};                   // of ScaleSpan::kBlock
  DType scale_dtype = DType::kOpaque;      // what the file stores scales as
  std::span<const float> importance = {}, local_hessian = {};  // quantizers/nvfp4.h
};
struct EncodedSpans {
  std::span<uint8_t> codes;   // CodeBytes
  std::span<uint8_t> scales;  // ScalesOf, in scale_dtype
};

// What quantisation configurations call a format; a toolkit without a name for it cannot describe
// it. Their other fields follow from WrittenParts.
struct ModeloptNames {
  std::string_view algo;              // quant_algo
  std::string_view weight_only = {};  // that of weights whose inputs have no static scale
  bool dynamic_inputs = false;        // inputs are quantised without one
};
struct CompressedTensorsNames {
  std::string_view format;
  // How inputs without a static scale are quantised.
  enum class Inputs { kNone, kPerToken, kPerGroup, kAsWeights } inputs = Inputs::kNone;
  std::string_view type = "float";
};

// Of which there is one: a Format is its address.
struct OnlyOne {
  constexpr OnlyOne() = default;
  OnlyOne(const OnlyOne&) = delete;
  OnlyOne& operator=(const OnlyOne&) = delete;
};

struct Codec {
  std::string_view name;         // of stored weights, in reports and manifests
  std::string_view text = {};    // what errors call it; empty: its name
  std::string_view target = {};  // what recipes call it; empty: it is not written
  bool quantised = true;
  FormatKind kind = FormatKind::kOther;
  // The error relative to the values above which a conversion is worth a look: half as much again
  // as rounding a normal distribution costs.
  double poor_error = 0.05;
  // What GPUs do with weights in it, for those who choose one: a phrase. Empty: nothing special.
  std::string_view hardware = {};

  // --- as a source -------------------------------------------------------------------------
  // Whether a group of tensors is in this format. The first codec of the table that says so counts;
  // a group that is damaged belongs to the format that most of it speaks for.
  bool (*recognises)(const StoredGroup& group) = nullptr;
  // Checks the parts, and sets the weight's shape, parts and blocks. Null: it is left as it is, or,
  // if it is quantised, keeps all tensors of its group as parts that nobody reads.
  void (*resolve)(PartResolver& resolver) = nullptr;
  // DecodeRows (weight_decoder.h). Null: Vernier does not read it.
  void (*decode)(const StoredRows& rows, quantizers::MutableRealSpan out) = nullptr;
  // Whether every value is a BF16 number, by the dtypes of its parts. Null: none is for sure.
  bool (*exact_in_bf16)(const Checkpoint& checkpoint, const LogicalWeight& weight) = nullptr;
  int64_t rows_per_unit = 1;        // rows that share bytes of codes
  bool zero_points = false;         // has them
  bool codes_cross_blocks = false;  // the codes of a block are no whole bytes of a row
  // What engines do to its inputs, where they have a static scale and where not.
  ActivationFormat inputs_with_scale = ActivationFormat::kUnquantized;
  ActivationFormat inputs_without_scale = ActivationFormat::kUnquantized;

  // --- as a target -------------------------------------------------------------------------
  WrittenParts parts = {};
  std::span<const ScaleMethod> methods = {};  // that a rule may ask for
  void (*encode)(const RowsToEncode& rows, const EncodedSpans& out) = nullptr;
  // The scale that all values share, from their largest magnitude; `stored` is its dtype in the
  // file. With it, a weight is read twice: for its scale, and for its codes.
  float (*weight_scale)(float amax, ScaleMethod method, DType stored) = nullptr;
  ModeloptNames modelopt = {};
  CompressedTensorsNames compressed_tensors = {};

  [[no_unique_address]] OnlyOne only_one = {};

  bool readable() const { return quantised && decode != nullptr; }
  bool written() const { return !target.empty(); }
  bool has_input_scale() const { return parts.input_scale != WrittenParts::InputScale::kNone; }
};

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FORMATS_CODEC_H_
