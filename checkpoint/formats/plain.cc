// BF16, F16 and F32 as they are; and what holds no weights.
#include <algorithm>
#include <concepts>
#include <cstring>
#include <vector>

#include "checkpoint/formats/codec.h"
#include "checkpoint/formats/decode_tiles.h"
#include "checkpoint/formats/stored_group.h"
#include "quantizers/bf16.h"

namespace vernier::checkpoint {
namespace {

bool IsPlain(const StoredGroup& group) {
  if (group.Has(Part::kCodes)) return false;
  if (!group.group.stacked) return IsFloat(group.main.dtype);
  return group.main.dtype != DType::kF8E4M3 && group.main.dtype != DType::kU8 &&
         group.main.dtype != DType::kI8;
}

// Packed words are a format's own.
bool IsInteger(const StoredGroup& group) {
  if (group.IsBytes()) return group.IsByteTable();
  if (group.IsOf({DType::kI32})) return !group.Has(Part::kPackedWeight);
  return group.IsOf(
      {DType::kBool, DType::kI16, DType::kU16, DType::kU32, DType::kI64, DType::kU64});
}

bool IsBf16(const Checkpoint& checkpoint, const LogicalWeight& weight) {
  return checkpoint.tensor(weight.main).info.dtype == DType::kBF16;
}

// Elements of plain bytes where they lie, or copied when V may not lie there.
template <typename V>
std::span<const V> Aligned(const std::byte* bytes, size_t count, std::vector<V>& copy) {
  if (reinterpret_cast<uintptr_t>(bytes) % alignof(V) == 0) {
    return {reinterpret_cast<const V*>(bytes), count};
  }
  copy.resize(count);
  std::memcpy(copy.data(), bytes, count * sizeof(V));
  return copy;
}

// Converts a piece at a time, with what it needs to do so.
class PlainConverter {
 public:
  explicit PlainConverter(DType dtype) : dtype_(dtype) {}

  void Convert(const std::byte* bytes, std::span<float> out) {
    if (dtype_ == DType::kF32) return Copy(bytes, out);
    const std::span<const uint16_t> halves = Aligned(bytes, out.size(), halves_);
    if (dtype_ == DType::kBF16) return quantizers::Bf16ToFloat(halves, out);
    quantizers::F16ToFloat(halves, out);
  }

  void Convert(const std::byte* bytes, std::span<uint16_t> out) {
    if (dtype_ == DType::kBF16) return Copy(bytes, out);
    if (dtype_ == DType::kF32) {
      return quantizers::FloatToBf16(Aligned(bytes, out.size(), floats_), out);
    }
    floats_.resize(out.size());
    quantizers::F16ToFloat(Aligned(bytes, out.size(), halves_), floats_);
    quantizers::FloatToBf16(floats_, out);
  }

 private:
  template <typename Real>
  static void Copy(const std::byte* bytes, std::span<Real> out) {
    std::memcpy(out.data(), bytes, out.size_bytes());
  }

  DType dtype_;
  std::vector<float> floats_;
  std::vector<uint16_t> halves_;
};

void DecodePlain(const StoredRows& rows, quantizers::MutableRealSpan out) {
  const DType dtype = rows.checkpoint.tensor(rows.weight.main).info.dtype;
  const size_t element = static_cast<size_t>(DTypeBits(dtype)) / 8;
  const int64_t first = rows.raw.row_begin * ColumnsPerRow(rows.weight);
  PlainConverter converter(dtype);
  std::visit(
      [&]<typename Real>(std::span<Real> values) {
        for (size_t done = 0; done < values.size(); done += kTileElements) {
          const auto piece =
              values.subspan(done, std::min<size_t>(kTileElements, values.size() - done));
          converter.Convert(rows.raw.main.data() + done * element, piece);
          RefuseNonFinite(rows.checkpoint, rows.weight.main, first + static_cast<int64_t>(done),
                          std::span<const Real>(piece));
        }
      },
      out);
}

void EncodeBf16(const RowsToEncode& rows, const EncodedSpans& out) {
  std::visit(
      [&]<typename Real>(std::span<const Real> values) {
        if constexpr (std::same_as<Real, uint16_t>) {
          std::memcpy(out.codes.data(), values.data(), values.size_bytes());
        } else {
          quantizers::FloatToBf16(values,
                                  {reinterpret_cast<uint16_t*>(out.codes.data()), values.size()});
        }
      },
      rows.values);
}

}  // namespace

namespace formats {

constinit const Codec kPlain = {.name = "plain",
                                .target = "bf16",
                                .quantised = false,
                                .kind = FormatKind::kNone,
                                .poor_error = 0.003,
                                .recognises = IsPlain,
                                .decode = DecodePlain,
                                .exact_in_bf16 = IsBf16,
                                .parts = {.codes = DType::kBF16},
                                .encode = EncodeBf16};

constinit const Codec kInteger = {
    .name = "integer", .quantised = false, .kind = FormatKind::kNone, .recognises = IsInteger};
constinit const Codec kOpaque = {.name = "opaque", .quantised = false, .kind = FormatKind::kNone};

}  // namespace formats
}  // namespace vernier::checkpoint
