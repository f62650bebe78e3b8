#include "quantizers/nvfp4_gptq.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <new>
#include <numeric>
#include <variant>

#include "hwy/aligned_allocator.h"
#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_gptq_reference.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/nvfp4_gptq.cc"
#include "hwy/foreach_target.h"
#include "quantizers/nvfp4_gptq-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

#if VERNIER_SCALAR_TARGET

void QuantizeGptq(RealSpan values, int64_t columns, const Nvfp4GptqOptions& options,
                  std::span<uint8_t> packed, std::span<uint8_t> scales) {
  reference::QuantizeNvfp4Gptq(values, columns, options, packed, scales);
}

#else

// Positions whose errors are applied together to what is behind them: their errors stay in a cache
// near the processor, and a value is loaded and stored once for all of them.
inline constexpr size_t kGptqPanel = 128;

// A tile of values that stays in registers while a panel's errors are applied: vectors of rows by
// positions.
inline constexpr size_t kTileVectors = 3;
inline constexpr size_t kTilePositions = HWY_TARGET == HWY_AVX2 ? 4 : 8;

// The working copy of some rows: a position of a group of rows, one per lane, is a vector. In front
// of the block whose turn it is stand errors, behind it values. Rows beyond `rows` are zeros.
struct GptqRows {
  float* data;
  size_t rows;
  size_t columns;

  size_t Groups() const { return (rows + kGroup - 1) / kGroup; }
  size_t GroupStride() const { return columns * kGroup; }
  float* At(size_t group, size_t position) const {
    return data + group * GroupStride() + position * kGroup;
  }
};

// Copies the block that begins at `position` of a group of rows.
template <typename T>
HWY_INLINE void LoadGptqBlock(const T* source, std::span<const int32_t> order, size_t group,
                              size_t position, const GptqRows& work) {
  HWY_ALIGN T values[kGroupValues] = {};
  const size_t first_column = static_cast<size_t>(order[position]) / kColumns * kColumns;
  const size_t count = std::min(kGroup, work.rows - group * kGroup);
  for (size_t lane = 0; lane < kGroup; ++lane) {
    if (lane >= count) continue;
    std::copy_n(source + (group * kGroup + lane) * work.columns + first_column, kColumns,
                values + BlockOfLane(lane) * kColumns);
  }
  FloatVec columns[kColumns];
  LoadGroup(values, columns);
  for (size_t i = 0; i < kColumns; ++i) {
    const auto column = static_cast<size_t>(order[position + i]) % kColumns;
    hn::Store(columns[column], FloatTag(), work.At(group, position + i));
  }
}

// Applies `depth` positions' errors to kTilePositions positions of kVectors groups, which are
// `stride` floats apart. `factor`: U for these, in rows of kColumns.
template <size_t kVectors>
HWY_INLINE void UpdateTile(const float* errors, const float* factor, size_t depth, size_t stride,
                           float* values) {
  const FloatTag tag;
  FloatVec tile[kTilePositions][kVectors];
#pragma GCC unroll 8
  for (size_t j = 0; j < kTilePositions; ++j) {
#pragma GCC unroll 3
    for (size_t v = 0; v < kVectors; ++v) {
      tile[j][v] = hn::Load(tag, values + v * stride + j * kGroup);
    }
  }
  for (size_t i = 0; i < depth; ++i) {
    FloatVec e[kVectors];
#pragma GCC unroll 3
    for (size_t v = 0; v < kVectors; ++v) e[v] = hn::Load(tag, errors + v * stride + i * kGroup);
#pragma GCC unroll 8
    for (size_t j = 0; j < kTilePositions; ++j) {
      const FloatVec u = SetFloat(factor[i * kColumns + j]);
#pragma GCC unroll 3
      for (size_t v = 0; v < kVectors; ++v) tile[j][v] = hn::NegMulAdd(e[v], u, tile[j][v]);
    }
  }
#pragma GCC unroll 8
  for (size_t j = 0; j < kTilePositions; ++j) {
#pragma GCC unroll 3
    for (size_t v = 0; v < kVectors; ++v) {
      hn::Store(tile[j][v], tag, values + v * stride + j * kGroup);
    }
  }
}

template <size_t kVectors>
void UpdateGroups(const GptqRows& work, size_t group, const float* factor, size_t begin, size_t end,
                  size_t block) {
  for (size_t j = 0; j < kColumns; j += kTilePositions) {
    UpdateTile<kVectors>(work.At(group, begin), factor + j, end - begin, work.GroupStride(),
                         work.At(group, block + j));
  }
}

// Applies the errors of positions [begin, end) to the block that begins at `block`.
void UpdateBlock(const GptqRows& work, const float* factor, size_t begin, size_t end,
                 size_t block) {
  // U's rows are far apart; those of the next block are asked for while these are worked with, by
  // their last element: rows need not begin with a cache line.
  HWY_ALIGN float part[kGptqPanel * kColumns];
  const size_t ahead = block + kColumns < work.columns ? 2 * kColumns - 1 : 0;
  for (size_t i = begin; i < end; ++i) {
    const float* row = factor + i * work.columns + block;
    std::copy_n(row, kColumns, part + (i - begin) * kColumns);
    hwy::Prefetch(row + ahead);
  }
  const size_t groups = work.Groups();
  size_t group = 0;
  for (; group + kTileVectors <= groups; group += kTileVectors) {
    UpdateGroups<kTileVectors>(work, group, part, begin, end, block);
  }
  if (groups - group == 2) UpdateGroups<2>(work, group, part, begin, end, block);
  if (groups - group == 1) UpdateGroups<1>(work, group, part, begin, end, block);
}

// Writes a block's bytes of a group of rows. `order`: the columns at its positions.
HWY_INLINE void StoreGptqBlock(const GptqGroup& block, const int32_t* order, size_t count,
                               size_t columns, uint8_t* packed, uint8_t* scales) {
  constexpr size_t kNibbles = 8;  // of a word
  U32Vec words[2] = {SetU32(0), SetU32(0)};
  for (size_t i = 0; i < kColumns; ++i) {
    const auto column = static_cast<size_t>(order[i]) % kColumns;
    const int shift = static_cast<int>(4 * (column % kNibbles));
    U32Vec& word = words[column / kNibbles];
    word = hn::Or(word, hn::ShiftLeftSame(block.nibbles[i], shift));
  }
  HWY_ALIGN uint32_t low[kGroup];
  HWY_ALIGN uint32_t high[kGroup];
  HWY_ALIGN uint32_t codes[kGroup];
  hn::Store(words[0], U32Tag(), low);
  hn::Store(words[1], U32Tag(), high);
  hn::Store(block.codes, U32Tag(), codes);
  const size_t index = static_cast<size_t>(order[0]) / kColumns;
  for (size_t row = 0; row < count; ++row) {
    uint8_t* target = packed + row * (columns / 2) + index * kPairs;
    std::memcpy(target, &low[row], sizeof(uint32_t));
    std::memcpy(target + sizeof(uint32_t), &high[row], sizeof(uint32_t));
    scales[row * (columns / kColumns) + index] = static_cast<uint8_t>(codes[row]);
  }
}

// Quantises the block that begins at `position`, whose values are compensated, and leaves its
// errors in their place.
void QuantizeGptqBlock(const GptqRows& work, const Nvfp4GptqOptions& options, size_t position,
                       uint8_t* packed, uint8_t* scales) {
  const FloatTag tag;
  const size_t columns = work.columns;
  const GptqFactor factor(options.factor.data() + position * columns + position, columns);
  for (size_t group = 0; group < work.Groups(); ++group) {
    GptqGroup block;
    float* values = work.At(group, position);
    for (size_t i = 0; i < kColumns; ++i) block.values[i] = hn::Load(tag, values + i * kGroup);
    QuantizeGptqGroup(factor, options.global_scale, block);
    for (size_t i = 0; i < kColumns; ++i) hn::Store(block.errors[i], tag, values + i * kGroup);
    const size_t row = group * kGroup;
    StoreGptqBlock(block, options.order.data() + position, std::min(kGroup, work.rows - row),
                   columns, packed + row * (columns / 2), scales + row * (columns / kColumns));
  }
}

template <typename T>
void QuantizeGptqRows(const T* source, const GptqRows& work, const Nvfp4GptqOptions& options,
                      uint8_t* packed, uint8_t* scales) {
  const size_t columns = work.columns;
  for (size_t group = 0; group < work.Groups(); ++group) {
    for (size_t position = 0; position < columns; position += kColumns) {
      LoadGptqBlock(source, options.order, group, position, work);
    }
  }
  const float* factor = options.factor.data();
  for (size_t begin = 0; begin < columns; begin += kGptqPanel) {
    const size_t end = std::min(columns, begin + kGptqPanel);
    for (size_t block = begin; block < end; block += kColumns) {
      UpdateBlock(work, factor, begin, block, block);
      QuantizeGptqBlock(work, options, block, packed, scales);
    }
    for (size_t block = end; block < columns; block += kColumns) {
      UpdateBlock(work, factor, begin, end, block);
    }
  }
}

template <typename T>
void QuantizeGptqReals(std::span<const T> source, size_t columns, const Nvfp4GptqOptions& options,
                       std::span<uint8_t> packed, std::span<uint8_t> scales) {
  const size_t rows = source.size() / columns;
  const size_t at_once = std::min(rows, static_cast<size_t>(kGptqRows));
  const size_t lanes = (at_once + kGroup - 1) / kGroup * kGroup;
  const auto memory = hwy::AllocateAligned<float>(lanes * columns);
  if (memory == nullptr) throw std::bad_alloc();
  for (size_t row = 0; row < rows; row += at_once) {
    const GptqRows work{memory.get(), std::min(at_once, rows - row), columns};
    QuantizeGptqRows(source.data() + row * columns, work, options,
                     packed.data() + row * (columns / 2),
                     scales.data() + row * (columns / kColumns));
  }
}

void QuantizeGptq(RealSpan values, int64_t columns, const Nvfp4GptqOptions& options,
                  std::span<uint8_t> packed, std::span<uint8_t> scales) {
  const auto run = [&](auto reals) HWY_ATTR {
    if (reals.empty()) return;
    QuantizeGptqReals(reals, static_cast<size_t>(columns), options, packed, scales);
  };
  std::visit(run, values);
}

#endif

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::quantizers {
namespace {

HWY_EXPORT(QuantizeGptq);

constexpr size_t kBlockColumns = kNvfp4BlockSize;

// Within these bounds of the global scale the kernels' quotients neither over- nor underflow.
bool GptqKernelsServe(float global_scale) {
  return global_scale >= 0x1p-64f && global_scale <= 0x1p64f;
}

// Whether every column has one position and every block 16 in a row.
bool IsOrderOfBlocks(std::span<const int32_t> order) {
  std::vector<bool> seen(order.size());
  for (size_t p = 0; p < order.size(); ++p) {
    if (order[p] < 0) return false;
    const auto column = static_cast<size_t>(order[p]);
    if (column >= order.size() || seen[column]) return false;
    const auto first = static_cast<size_t>(order[p / kBlockColumns * kBlockColumns]);
    if (column / kBlockColumns != first / kBlockColumns) return false;
    seen[column] = true;
  }
  return true;
}

bool HasPositiveDiagonal(std::span<const float> factor, size_t columns) {
  for (size_t p = 0; p < columns; ++p) {
    const float element = factor[p * columns + p];
    if (!(element > 0.0f && std::isfinite(element) && std::isfinite(1.0f / element))) return false;
  }
  return true;
}

[[maybe_unused]] bool GptqArgumentsAgree(size_t values, size_t columns,
                                         const Nvfp4GptqOptions& options, size_t packed,
                                         size_t scales) {
  return columns > 0 && columns % kBlockColumns == 0 && values % columns == 0 &&
         packed == values / 2 && scales == values / kBlockColumns &&
         std::isfinite(options.global_scale) && options.global_scale >= kNvfp4MinGlobalScale &&
         options.order.size() == columns && options.factor.size() == columns * columns &&
         IsOrderOfBlocks(options.order) && HasPositiveDiagonal(options.factor, columns);
}

}  // namespace

void QuantizeNvfp4Gptq(RealSpan values, int64_t columns, const Nvfp4GptqOptions& options,
                       std::span<uint8_t> packed, std::span<uint8_t> scales) {
  assert(GptqArgumentsAgree(SizeOf(values), static_cast<size_t>(columns), options, packed.size(),
                            scales.size()));
  if (!GptqKernelsServe(options.global_scale)) {
    return reference::QuantizeNvfp4Gptq(values, columns, options, packed, scales);
  }
  HWY_DYNAMIC_DISPATCH(QuantizeGptq)(values, columns, options, packed, scales);
}

std::vector<int32_t> Nvfp4GptqOrder(std::span<const double> diagonal) {
  assert(diagonal.size() % kBlockColumns == 0);
  std::vector<double> sums(diagonal.size() / kBlockColumns);
  for (size_t i = 0; i < diagonal.size(); ++i) sums[i / kBlockColumns] += diagonal[i];
  std::vector<int32_t> order(diagonal.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
    const auto i = static_cast<size_t>(a), j = static_cast<size_t>(b);
    const size_t block_i = i / kBlockColumns, block_j = j / kBlockColumns;
    if (block_i == block_j) return diagonal[i] > diagonal[j];
    if (sums[block_i] != sums[block_j]) return sums[block_i] > sums[block_j];
    return block_i < block_j;
  });
  return order;
}

}  // namespace vernier::quantizers
#endif  // HWY_ONCE
