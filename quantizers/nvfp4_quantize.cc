#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "quantizers/nvfp4.h"
#include "quantizers/nvfp4_reference.h"

// clang-format off
#include "quantizers/simd_dispatch.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quantizers/nvfp4_quantize.cc"
#include "hwy/foreach_target.h"
#include "quantizers/nvfp4_encode-inl.h"
#include "quantizers/nvfp4_local_hessian-inl.h"
#include "quantizers/nvfp4_search-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace vernier::quantizers::HWY_NAMESPACE {

#if VERNIER_SCALAR_TARGET

void Quantize(RealSpan values, int64_t columns, const Nvfp4Options& options,
              std::span<uint8_t> packed, std::span<uint8_t> scales) {
  reference::QuantizeNvfp4(values, columns, options, packed, scales);
}

#else

// The low halves of two lanes: that of `low`, then that of `high`.
template <int kBits>
HWY_INLINE U32Vec Join(U32Vec low, U32Vec high) {
  const U32Vec mask = SetU32((1u << kBits) - 1);
  return hn::Or(hn::And(low, mask), hn::ShiftLeft<kBits>(high));
}

// The columns of a group, and their magnitudes. Its constructor is spelled out because GCC compiles
// an implicit one without the target's instructions.
struct Group {
  HWY_INLINE Group() {}
  FloatVec values[kColumns];
  FloatVec magnitudes[kColumns];
};

HWY_INLINE U32Vec EncodeByte(const Group& group, size_t column, const Encoder& encode) {
  const U32Vec low = encode(group.values[column], group.magnitudes[column]);
  const U32Vec high = encode(group.values[column + 1], group.magnitudes[column + 1]);
  return hn::Or(low, hn::ShiftLeft<4>(high));
}

// Eight columns to four bytes.
HWY_INLINE U32Vec EncodeWord(const Group& group, size_t column, const Encoder& encode) {
  const U32Vec low =
      Join<8>(EncodeByte(group, column, encode), EncodeByte(group, column + 2, encode));
  const U32Vec high =
      Join<8>(EncodeByte(group, column + 4, encode), EncodeByte(group, column + 6, encode));
  return Join<16>(low, high);
}

// Gathers the columns' importance for the blocks of a group, the first of which is `block`.
HWY_INLINE void LoadWeights(std::span<const float> importance, size_t block, FloatVec* weights) {
  HWY_ALIGN float group[kGroupValues];
  size_t column = block * kColumns % importance.size();
  for (size_t i = 0; i < kGroup; ++i) {
    std::copy_n(importance.data() + column, kColumns, group + i * kColumns);
    column += kColumns;
    if (column == importance.size()) column = 0;
  }
  LoadGroup(group, weights);
}

// Chooses the scales of the blocks of a group, the first of which is `block`.
template <Nvfp4Search kSearch>
struct ScaleChooser {
  const Nvfp4Options& options;

  HWY_INLINE U32Vec operator()(const Group& blocks, size_t block) const {
    const FloatVec amax = BlockAmax(blocks.magnitudes);
    const FloatVec quotient = Quotient(amax, kE2m1Max, options.global_scale);
    const U32Vec rule = E4m3Codes(quotient);
    if constexpr (kSearch == Nvfp4Search::kMax) return rule;

    FloatVec weights[kColumns];
    const bool weighted = !options.importance.empty();
    if (weighted) LoadWeights(options.importance, block, weights);
    const SearchedGroup group{blocks.magnitudes, weighted ? weights : nullptr, amax, quotient,
                              SetFloat(1.0f / options.global_scale)};
    if constexpr (kSearch == Nvfp4Search::kMse) return SearchMse(group, rule);
    return SearchFourOverSix(group, rule, E4m3Codes(Quotient(amax, 4.0f, options.global_scale)));
  }
};

struct LocalHessianChooser {
  const LocalHessians& hessians;
  float global_scale;

  HWY_INLINE U32Vec operator()(const Group& blocks, size_t) const {
    const FloatVec amax = BlockAmax(blocks.magnitudes);
    const FloatVec quotient = Quotient(amax, kE2m1Max, global_scale);
    LocalHessianGroup group;
    group.hessians = &hessians;
    group.values = blocks.values;
    group.global_scale = SetFloat(global_scale);
    const FloatVec inverse_global = SetFloat(1.0f / global_scale);
    for (size_t i = 0; i < kColumns; ++i) {
      group.scaled[i] = hn::Mul(blocks.values[i], inverse_global);
    }
    const auto is_searched =
        hn::And(hn::Gt(amax, hn::Zero(FloatTag())), hn::Lt(quotient, SetFloat(kE4m3Max)));
    return SearchLocalHessian(group, E4m3Codes(quotient), hn::Not(is_searched));
  }
};

// All scales before all codes: so the processor works on one group's scales while those of another
// wait for a division or comparison.
template <size_t kGroups, typename Chooser, typename T>
HWY_INLINE void QuantizeGroups(const Chooser& choose, std::span<const T> source, float global_scale,
                               size_t block, uint8_t* packed, uint8_t* scales) {
  Group groups[kGroups];
  U32Vec codes[kGroups];
  for (size_t g = 0; g < kGroups; ++g) {
    const T* values = source.data() + g * kGroupValues;
    PrefetchAhead(values, source.data() + source.size());
    LoadGroup(values, groups[g].values);
    for (size_t i = 0; i < kColumns; ++i) groups[g].magnitudes[i] = Magnitude(groups[g].values[i]);
    codes[g] = choose(groups[g], block + g * kGroup);
  }
  for (size_t g = 0; g < kGroups; ++g) {
    StoreBlockBytes(codes[g], scales + g * kGroup);
    const Encoder encode(hn::Mul(E4m3Magnitudes(codes[g]), SetFloat(global_scale)));
    StoreBlockWords(EncodeWord(groups[g], 0, encode), EncodeWord(groups[g], kPairs, encode),
                    packed + g * kGroup * kPairs);
  }
}

// Quantises `source`, less than a group of blocks.
template <typename Chooser, typename T>
HWY_INLINE void QuantizePart(const Chooser& choose, std::span<const T> source, float global_scale,
                             size_t block, uint8_t* packed, uint8_t* scales) {
  T part[kGroupValues] = {};
  uint8_t part_packed[kGroup * kPairs];
  uint8_t part_scales[kGroup];
  std::copy(source.begin(), source.end(), part);
  QuantizeGroups<1>(choose, std::span<const T>(part), global_scale, block, part_packed,
                    part_scales);
  std::copy_n(part_packed, source.size() / 2, packed);
  std::copy_n(part_scales, source.size() / kColumns, scales);
}

// Quantises from `block` on while kGroups groups are left; returns the first block not done.
template <Nvfp4Search kSearch, size_t kGroups, typename T>
size_t QuantizeWhole(std::span<const T> source, const Nvfp4Options& options, size_t block,
                     std::span<uint8_t> packed, std::span<uint8_t> scales) {
  const ScaleChooser<kSearch> choose{options};
  for (; block + kGroups * kGroup <= scales.size(); block += kGroups * kGroup) {
    QuantizeGroups<kGroups>(choose, source.subspan(block * kColumns), options.global_scale, block,
                            packed.data() + block * kPairs, scales.data() + block);
  }
  return block;
}

// Blocks never straddle rows, so that a tensor is one row of blocks; only weights repeat.
template <Nvfp4Search kSearch, typename T>
void QuantizeBlocks(std::span<const T> source, const Nvfp4Options& options,
                    std::span<uint8_t> packed, std::span<uint8_t> scales) {
  size_t block = QuantizeWhole<kSearch, 4>(source, options, 0, packed, scales);
  block = QuantizeWhole<kSearch, 1>(source, options, block, packed, scales);
  if (block == scales.size()) return;
  QuantizePart(ScaleChooser<kSearch>{options}, source.subspan(block * kColumns),
               options.global_scale, block, packed.data() + block * kPairs, scales.data() + block);
}

// A group of columns at a time, whose matrices serve all rows.
template <typename T>
void QuantizeByLocalHessian(std::span<const T> source, size_t columns, const Nvfp4Options& options,
                            std::span<uint8_t> packed, std::span<uint8_t> scales) {
  const float global_scale = options.global_scale;
  const float* matrices = options.local_hessian.data();
  for (size_t column = 0; column < columns; column += kGroupValues) {
    const size_t width = std::min(kGroupValues, columns - column);
    LocalHessians hessians;
    LoadLocalHessians(matrices == nullptr ? nullptr : matrices + column * kColumns,
                      width / kColumns, hessians);
    const LocalHessianChooser choose{hessians, global_scale};
    for (size_t i = column; i < source.size(); i += columns) {
      const std::span<const T> part = source.subspan(i, width);
      uint8_t* part_packed = packed.data() + i / 2;
      uint8_t* part_scales = scales.data() + i / kColumns;
      if (width == kGroupValues) {
        QuantizeGroups<1>(choose, part, global_scale, 0, part_packed, part_scales);
      } else {
        QuantizePart(choose, part, global_scale, 0, part_packed, part_scales);
      }
    }
  }
}

template <typename T>
void QuantizeReals(std::span<const T> source, size_t columns, const Nvfp4Options& options,
                   std::span<uint8_t> packed, std::span<uint8_t> scales) {
  switch (options.search) {
    case Nvfp4Search::kMax:
      return QuantizeBlocks<Nvfp4Search::kMax>(source, options, packed, scales);
    case Nvfp4Search::kFourOverSix:
      return QuantizeBlocks<Nvfp4Search::kFourOverSix>(source, options, packed, scales);
    case Nvfp4Search::kMse:
      return QuantizeBlocks<Nvfp4Search::kMse>(source, options, packed, scales);
    case Nvfp4Search::kLocalHessian:
      return QuantizeByLocalHessian(source, columns, options, packed, scales);
  }
}

void Quantize(RealSpan values, int64_t columns, const Nvfp4Options& options,
              std::span<uint8_t> packed, std::span<uint8_t> scales) {
  const auto run = [&](auto reals) HWY_ATTR {
    QuantizeReals(reals, static_cast<size_t>(columns), options, packed, scales);
  };
  std::visit(run, values);
}

#endif

}  // namespace vernier::quantizers::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vernier::quantizers {
namespace {

HWY_EXPORT(Quantize);

// Within these bounds no intermediate result of the kernels over- or underflows.
bool KernelsServe(float global_scale) {
  return global_scale >= 0x1p-64f && global_scale <= 0x1p64f;
}

[[maybe_unused]] bool ArgumentsAgree(size_t values, int64_t columns, const Nvfp4Options& options,
                                     size_t packed, size_t scales) {
  return columns > 0 && columns % kNvfp4BlockSize == 0 &&
         values % static_cast<size_t>(columns) == 0 && packed == values / 2 &&
         scales == values / kNvfp4BlockSize && std::isfinite(options.global_scale) &&
         options.global_scale >= kNvfp4MinGlobalScale &&
         (options.importance.empty() ||
          options.importance.size() == static_cast<size_t>(columns)) &&
         (options.local_hessian.empty() ||
          options.local_hessian.size() == static_cast<size_t>(columns * kNvfp4BlockSize));
}

}  // namespace

void QuantizeNvfp4(RealSpan values, int64_t columns, const Nvfp4Options& options,
                   std::span<uint8_t> packed, std::span<uint8_t> scales) {
  assert(ArgumentsAgree(SizeOf(values), columns, options, packed.size(), scales.size()));
  if (!KernelsServe(options.global_scale)) {
    return reference::QuantizeNvfp4(values, columns, options, packed, scales);
  }
  HWY_DYNAMIC_DISPATCH(Quantize)(values, columns, options, packed, scales);
}

}  // namespace vernier::quantizers
#endif  // HWY_ONCE
