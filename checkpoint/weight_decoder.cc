#include "checkpoint/weight_decoder.h"

#include <cassert>

#include "base/error.h"
#include "checkpoint/formats/codec.h"

namespace vernier::checkpoint {
namespace {

void DecodeTo(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& raw,
              quantizers::MutableRealSpan out) {
  assert(raw.row_begin >= 0 && raw.row_count >= 0 &&
         raw.row_begin + raw.row_count <= weight.rows());
  assert(quantizers::SizeOf(out) == static_cast<size_t>(raw.row_count * ColumnsPerRow(weight)));
  assert(raw.main.size() == MainRange(checkpoint, weight, raw.row_begin, raw.row_count).size());
  assert(raw.scale.size() == ScaleRange(checkpoint, weight, raw.row_begin, raw.row_count).size());
  if (weight.format->decode != nullptr)
    return weight.format->decode({checkpoint, weight, raw}, out);
  throw Error(
      ErrorCode::kWrongDtype, weight.name,
      "holds " + checkpoint.tensor(weight.main).info.dtype_name + " values that are no weights",
      "Copy this tensor instead of converting it");
}

}  // namespace

void DecodeRows(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& raw,
                std::span<float> out) {
  DecodeTo(checkpoint, weight, raw, out);
}

void DecodeRows(const Checkpoint& checkpoint, const LogicalWeight& weight, const RawRows& raw,
                std::span<uint16_t> bf16_out) {
  DecodeTo(checkpoint, weight, raw, bf16_out);
}

}  // namespace vernier::checkpoint
