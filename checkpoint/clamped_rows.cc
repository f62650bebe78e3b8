#include "checkpoint/clamped_rows.h"

#include <algorithm>
#include <cstring>

#include "base/rounding.h"
#include "checkpoint/formats/codec.h"

namespace vernier::checkpoint {
namespace {

// Elements that are looked at before the first bad one among them is searched for.
constexpr size_t kElementsAtOnce = 4096;

template <typename Bits>
Bits LoadBits(std::span<const std::byte> bytes, size_t index) {
  Bits bits;
  std::memcpy(&bits, bytes.data() + index * sizeof(Bits), sizeof(Bits));
  return bits;
}

// Calls visit(index, bits) for each element with is_bad(bits), in order.
template <typename Bits, typename IsBad, typename Visit>
void ForEachBad(std::span<const std::byte> bytes, IsBad is_bad, Visit visit) {
  const size_t count = bytes.size() / sizeof(Bits);
  for (size_t begin = 0; begin < count; begin += kElementsAtOnce) {
    const size_t end = std::min(count, begin + kElementsAtOnce);
    uint8_t any = 0;
    for (size_t i = begin; i < end; ++i) {
      any |= static_cast<uint8_t>(is_bad(LoadBits<Bits>(bytes, i)));
    }
    for (size_t i = begin; any != 0 && i < end; ++i) {
      const auto bits = LoadBits<Bits>(bytes, i);
      if (is_bad(bits)) visit(i, bits);
    }
  }
}

// A float type by its bits.
template <typename Bits>
struct FloatBits {
  Bits exponent;  // all ones: NaN or infinite
  Bits largest;   // what infinity becomes

  Bits Sign() const { return static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1)); }
  bool IsBad(Bits bits) const { return (bits & exponent) == exponent; }
  bool IsNan(Bits bits) const { return (bits & ~(exponent | Sign())) != 0; }
  const char* Name(Bits bits) const {
    if (IsNan(bits)) return "NaN";
    return (bits & Sign()) != 0 ? "-inf" : "inf";
  }
  Bits Clamp(Bits bits) const {
    return IsNan(bits) ? Bits{0} : static_cast<Bits>((bits & Sign()) | largest);
  }
};
constexpr FloatBits<uint32_t> kF32 = {.exponent = 0x7F800000, .largest = 0x7F7F0000};
constexpr FloatBits<uint16_t> kBf16 = {.exponent = 0x7F80, .largest = 0x7F7F};
constexpr FloatBits<uint16_t> kF16 = {.exponent = 0x7C00, .largest = 0x7BFF};

bool IsE4m3Nan(uint8_t code) { return (code & 0x7F) == 0x7F; }
bool IsE8m0Nan(uint8_t code) { return code == 0xFF; }

// Calls use(bits of the float type) for a float dtype; false for another.
template <typename Use>
bool WithFloatBits(DType dtype, Use use) {
  if (dtype == DType::kF32) return use(kF32), true;
  if (dtype == DType::kBF16) return use(kBf16), true;
  if (dtype == DType::kF16) return use(kF16), true;
  return false;
}

// Calls visit(index, value) for each block scale that is NaN or infinite.
template <typename Visit>
void ForEachBadScale(DType dtype, std::span<const std::byte> bytes, Visit visit) {
  const auto visit_nan = [&](size_t index, uint8_t) { visit(index, "NaN"); };
  const bool is_float = WithFloatBits(dtype, [&]<typename Bits>(FloatBits<Bits> type) {
    ForEachBad<Bits>(
        bytes, [type](Bits bits) { return type.IsBad(bits); },
        [&](size_t index, Bits bits) { visit(index, type.Name(bits)); });
  });
  if (is_float) return;
  if (dtype == DType::kF8E4M3) return ForEachBad<uint8_t>(bytes, IsE4m3Nan, visit_nan);
  ForEachBad<uint8_t>(bytes, IsE8m0Nan, visit_nan);
}

}  // namespace

ClampedRows::ClampedRows(const Checkpoint& checkpoint, const LogicalWeight& weight,
                         const RawRows& rows)
    : checkpoint_(&checkpoint), weight_(&weight), rows_(rows) {
  if (weight.scale != Checkpoint::kNotFound) ClampScales();
  if (weight.format == formats::kPlain) ClampValues();
  if (checkpoint.tensor(weight.main).info.dtype == DType::kF8E4M3) ClampCodes();
}

void ClampedRows::ClampValues() {
  const std::span<const std::byte> given = rows_.main;
  const int64_t first = rows_.row_begin * ColumnsPerRow(*weight_);
  WithFloatBits(checkpoint_->tensor(weight_->main).info.dtype, [&]<typename Bits>(
                                                                   FloatBits<Bits> type) {
    ForEachBad<Bits>(
        given, [type](Bits bits) { return type.IsBad(bits); },
        [&](size_t index, Bits bits) {
          const Bits clamped = type.Clamp(bits);
          std::memcpy(Own(rows_.main, main_).data() + index * sizeof(Bits), &clamped, sizeof(Bits));
          Count(weight_->main, first + static_cast<int64_t>(index), type.Name(bits));
        });
  });
}

void ClampedRows::ClampCodes() {
  const std::span<const std::byte> given = rows_.main;
  const int64_t first = rows_.row_begin * ColumnsPerRow(*weight_);
  ForEachBad<uint8_t>(given, IsE4m3Nan, [&](size_t index, uint8_t) {
    Own(rows_.main, main_)[index] = std::byte{0};
    Count(weight_->main, first + static_cast<int64_t>(index), "NaN");
  });
}

void ClampedRows::ClampScales() {
  const std::span<const std::byte> given = rows_.scale;
  const DType dtype = checkpoint_->tensor(weight_->scale).info.dtype;
  const size_t bytes = static_cast<size_t>(DTypeBits(dtype)) / 8;
  const int64_t per_row = CeilDivide(ColumnsPerRow(*weight_), weight_->block_columns);
  const int64_t first_block_row = rows_.row_begin / weight_->block_rows;
  ForEachBadScale(dtype, given, [&](size_t index, const char* value) {
    const int64_t block_row = first_block_row + static_cast<int64_t>(index) / per_row;
    const auto scale = Own(rows_.scale, scale_).subspan(index * bytes, bytes);
    std::ranges::fill(scale, std::byte{0});
    ZeroBlock(block_row, static_cast<int64_t>(index) % per_row);
    if (block_row * weight_->block_rows < rows_.row_begin) return;  // an earlier piece counted it
    Count(weight_->scale, first_block_row * per_row + static_cast<int64_t>(index), value);
  });
}

// A zero scale is not enough where it is a power of two, which has no zero. INT4's scales have one,
// and its codes are packed across blocks.
void ClampedRows::ZeroBlock(int64_t block_row, int64_t block_column) {
  if (rows_.main.empty() || weight_->format->codes_cross_blocks) return;
  const auto row_bytes = static_cast<int64_t>(rows_.main.size()) / rows_.row_count;
  const int64_t begin = block_column * weight_->block_columns * row_bytes / ColumnsPerRow(*weight_);
  const int64_t end = std::min(
      row_bytes, (block_column + 1) * weight_->block_columns * row_bytes / ColumnsPerRow(*weight_));
  const int64_t rows_begin =
      std::max<int64_t>(0, block_row * weight_->block_rows - rows_.row_begin);
  const int64_t rows_end =
      std::min(rows_.row_count, (block_row + 1) * weight_->block_rows - rows_.row_begin);
  const std::span<std::byte> codes = Own(rows_.main, main_);
  for (int64_t row = rows_begin; row < rows_end; ++row) {
    std::ranges::fill(codes.subspan(static_cast<size_t>(row * row_bytes + begin),
                                    static_cast<size_t>(end - begin)),
                      std::byte{0});
  }
}

void ClampedRows::Count(size_t tensor, int64_t index, const char* value) {
  if (clamped_.empty() || clamped_.back().tensor != tensor) {
    clamped_.push_back({.tensor = tensor, .first = index, .value = value});
  }
  ++clamped_.back().count;
}

std::span<std::byte> ClampedRows::Own(std::span<const std::byte>& view,
                                      std::vector<std::byte>& copy) {
  if (copy.empty()) {
    copy.assign(view.begin(), view.end());
    view = copy;
  }
  return copy;
}

void ClampedTally::Add(const std::vector<ClampedElements>& clamped) {
  for (const ClampedElements& elements : clamped) AddOne(elements);
}

void ClampedTally::Merge(const ClampedTally& other) {
  for (const auto& [tensor, elements] : other.by_tensor_) AddOne(elements);
}

void ClampedTally::AddOne(const ClampedElements& elements) {
  const auto [it, added] = by_tensor_.emplace(elements.tensor, elements);
  if (added) return;
  ClampedElements& all = it->second;
  all.count += elements.count;
  if (elements.first >= all.first) return;
  all.first = elements.first;
  all.value = elements.value;
}

void ClampedTally::Report(ReadObserver* observer) const {
  if (observer == nullptr) return;
  for (const auto& [tensor, elements] : by_tensor_) observer->OnClamped(elements);
}

}  // namespace vernier::checkpoint
