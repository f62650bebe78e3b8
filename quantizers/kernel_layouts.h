// Where kernels want block scales and rows: pure permutations of bytes, each with its inverse; and
// folding a global scale into UE4M3 block scales for kernels that take none.
// A matrix of scales is row-major, one row per output row of the weight, one byte per block of
// columns ([rows][columns] below counts scales, not weights).
#ifndef VERNIER_QUANTIZERS_KERNEL_LAYOUTS_H_
#define VERNIER_QUANTIZERS_KERNEL_LAYOUTS_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace vernier::quantizers {

// The swizzles of CUTLASS, FlashInfer, vLLM and TensorRT-LLM (quantization_utils.cuh). Rows are
// padded to the tile's and columns to 4, with zeros; scale (row, column) lies at
//   k128x4: ((row/128) * tile_columns + column/4) * 512 + (row%32)*16 + (row%128)/32*4 + column%4
//   k8x4:   ((row/8) * tile_columns + column/4) * 32 + (row%8)*4 + column%4
enum class ScaleSwizzle { k128x4, k8x4 };

size_t SwizzledSize(ScaleSwizzle swizzle, int64_t rows, int64_t columns);

// scales [rows][columns] -> swizzled [SwizzledSize]
void SwizzleScales(ScaleSwizzle swizzle, std::span<const uint8_t> scales, int64_t columns,
                   std::span<uint8_t> swizzled);
// swizzled [SwizzledSize] -> scales [rows][columns]; the padding is dropped.
void UnswizzleScales(ScaleSwizzle swizzle, std::span<const uint8_t> swizzled, int64_t columns,
                     std::span<uint8_t> scales);

// DeepGEMM's mega-MoE layout of the scales of one expert: in every 128 rows, row r moves to
// (r%32)*4 + r/32 (the UTCCP transpose); four consecutive columns make one little-endian int32, and
// the int32s are stored column by column. rows % 128 == 0, columns % 4 == 0; both sides hold
// rows * columns bytes. The 512-byte tiles are those of k128x4 with their grid transposed.
// The rows of a fused gate and up projection are interleaved first: see GateUpInterleaveSource.
void PackMegaMoeScales(std::span<const uint8_t> scales, int64_t columns, std::span<uint8_t> packed);
void UnpackMegaMoeScales(std::span<const uint8_t> packed, int64_t columns,
                         std::span<uint8_t> scales);

// Row maps: the row of the source that row `row` of the target takes. They serve weights and scales
// alike.

// Mega-MoE: of [gate; up] with `rows` rows in all (rows % 16 == 0), 8 rows of each in turn.
constexpr int64_t GateUpInterleaveSource(int64_t row, int64_t rows) {
  constexpr int64_t kRun = 8;
  const int64_t half = row / kRun % 2 == 0 ? 0 : rows / 2;
  return half + row / (2 * kRun) * kRun + row % kRun;
}

// TRTLLM-gen's shuffle for an epilogue tile of 128 rows (FlashInfer utils.py): of every 32 rows.
// For the second projection of an expert.
constexpr int64_t TrtllmGenShuffleSource(int64_t row) {
  return row / 32 * 32 + row % 8 * 4 + row % 32 / 8;
}

// For the first projection: of [up; gate] with `rows` rows in all (rows % 32 == 0) single rows of
// each in turn, then the shuffle.
constexpr int64_t TrtllmGenGatedSource(int64_t row, int64_t rows) {
  const int64_t interleaved = TrtllmGenShuffleSource(row);
  return interleaved / 2 + (interleaved % 2 == 0 ? 0 : rows / 2);
}

// Row i of target = row source_rows[i] of source, for rows of source.size() / source_rows.size()
// bytes. `source_rows` is a permutation.
void GatherRows(std::span<const uint8_t> source, std::span<const int64_t> source_rows,
                std::span<uint8_t> target);
// The inverse: row source_rows[i] of target = row i of source.
void ScatterRows(std::span<const uint8_t> source, std::span<const int64_t> source_rows,
                 std::span<uint8_t> target);

struct FoldStats {
  int64_t scales = 0;
  int64_t inexact = 0;    // folded scales that are not exactly scale * global_scale * factor
  int64_t saturated = 0;  // those among them that were above 448
  int64_t vanished = 0;   // those among them that were above 0 and became 0

  void Merge(const FoldStats& other);
};

// folded[i] = E4M3(clamp(scales[i] * (global_scale * factor), 0, 448)) in F32. Exact when
// global_scale * factor is a power of two and the products keep within E4M3's range.
// `scales` are UE4M3 (sign bit clear, not NaN); global_scale and factor are finite and > 0.
FoldStats FoldGlobalScale(std::span<const uint8_t> scales, float global_scale, float factor,
                          std::span<uint8_t> folded);

}  // namespace vernier::quantizers

#endif  // VERNIER_QUANTIZERS_KERNEL_LAYOUTS_H_
