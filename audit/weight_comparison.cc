#include "audit/weight_comparison.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "audit/weight_difference.h"
#include "base/error.h"
#include "checkpoint/clamped_rows.h"

namespace vernier::audit {
namespace {

using checkpoint::RawRows;
namespace formats = checkpoint::formats;

// Values of each side that are decoded and compared at once: 128 KiB in F32.
constexpr int64_t kTileValues = 16 << 10;

std::span<const uint8_t> AsCodes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

void AddTile(const WeightRows& own, const RawRows& tile, std::span<const float> values,
             std::span<const float> expected, SourceFacts* facts) {
  const Difference difference = DifferenceOf(values, expected);
  ErrorStatistics& error = facts->error;
  error.values += static_cast<int64_t>(values.size());
  error.squared_error += difference.squared_error;
  error.squared_source += difference.squared_source;
  error.max_abs_error = std::max(error.max_abs_error, difference.max_abs_error);
  if (own.weight.format != formats::kNvfp4) return;
  const BlockLoss loss = BlockLossOf(expected, AsCodes(tile.scale), tile.global_scale);
  error.saturated += loss.saturated;
  facts->clipped += loss.clipped;
  facts->source_zero_blocks += loss.zero_blocks;
}

void AddRows(const WeightRows& own, const WeightRows& source, const RawRows& source_raw,
             const checkpoint::Rescaling& rescaling, SourceFacts* facts) {
  const int64_t columns = std::max<int64_t>(1, ColumnsPerRow(own.weight));
  const int64_t step = std::max<int64_t>(1, kTileValues / columns);
  std::vector<float> values, expected;
  for (int64_t done = 0; done < own.raw.row_count; done += step) {
    const int64_t row = own.raw.row_begin + done;
    const int64_t rows = std::min(step, own.raw.row_count - done);
    const RawRows tile = SubRows(own.checkpoint, own.weight, own.raw, row, rows);
    const RawRows source_tile = SubRows(source.checkpoint, source.weight, source_raw, row, rows);
    values.resize(static_cast<size_t>(rows * columns));
    expected.resize(values.size());
    DecodeRows(own.checkpoint, own.weight, tile, std::span(values));
    DecodeRows(source.checkpoint, source.weight, source_tile, std::span(expected));
    rescaling.Apply(row, columns, expected);
    AddTile(own, tile, values, expected, facts);
  }
}

}  // namespace

SourceFacts CompareRows(const WeightRows& own, const WeightRows& source,
                        const checkpoint::Rescaling& rescaling) {
  SourceFacts facts;
  if (own.raw.main.empty()) return facts;
  try {
    const checkpoint::ClampedRows clamped(source.checkpoint, source.weight, source.raw);
    AddRows(own, source, clamped.rows(), rescaling, &facts);
  } catch (const Error& error) {
    facts.failure = error.what();
  }
  return facts;
}

}  // namespace vernier::audit
