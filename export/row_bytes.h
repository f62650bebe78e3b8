// The bytes of rows of a weight, out of the blocks that were read for them.
#ifndef VERNIER_EXPORT_ROW_BYTES_H_
#define VERNIER_EXPORT_ROW_BYTES_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/read_ahead.h"
#include "checkpoint/source_model.h"
#include "checkpoint/tensor_digests.h"
#include "checkpoint/weight_decoder.h"

namespace vernier::exporter {

struct WeightRows {
  size_t weight = 0;  // index into ModelLayout::weights
  int64_t row_begin = 0;
  int64_t row_count = 0;
};

// What reading rows of a weight takes: its ranges of the source's files, of values and of scales.
inline constexpr size_t kRangesOfRows = 2;
void AddReads(const checkpoint::SourceModel& source, const WeightRows& rows, ReadAhead::Job& reads);

// Rows that must be read together, because each needs the same bytes: all of a transposed weight.
int64_t RowsReadTogether(const checkpoint::SourceModel& source, size_t weight);

// Bytes that rows take in memory while they are converted: what is read for them, and copies.
uint64_t MemoryOfRows(const checkpoint::SourceModel& source, const WeightRows& rows);

// Where rows lie scattered among others they are copied; otherwise these are the blocks' own bytes,
// which must outlive it.
class RowBytes {
 public:
  RowBytes(const RowBytes&) = delete;  // it has views of its own bytes
  RowBytes& operator=(const RowBytes&) = delete;
  RowBytes(RowBytes&&) = default;
  RowBytes& operator=(RowBytes&&) = default;
  // `blocks`: of AddReads. One that was not asked for is empty.
  RowBytes(const checkpoint::SourceModel& source, const WeightRows& rows,
           std::span<const ReadBlock> blocks);

  std::span<const std::byte> main() const { return views_[0]; }
  std::span<const std::byte> scale() const { return views_[1]; }

  // As the decoder wants them.
  checkpoint::RawRows Raw(const checkpoint::SourceModel& source, const WeightRows& rows) const;

  // For the digests of the source's tensors: of the weight's main tensor and block scales, and with
  // its first row of its global scale.
  void AddTo(const checkpoint::SourceModel& source, const WeightRows& rows,
             checkpoint::TensorDigests& digests) const;

 private:
  std::array<std::span<const std::byte>, kRangesOfRows> views_;
  std::array<std::vector<std::byte>, kRangesOfRows> gathered_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_ROW_BYTES_H_
