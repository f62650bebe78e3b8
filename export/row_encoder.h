// Rows of a source weight, turned into rows of the target format.
#ifndef VERNIER_EXPORT_ROW_ENCODER_H_
#define VERNIER_EXPORT_ROW_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/buffer_pool.h"
#include "checkpoint/containers/placement.h"
#include "checkpoint/formats/codec.h"
#include "checkpoint/source_model.h"
#include "checkpoint/weight_decoder.h"
#include "export/error_weights.h"
#include "export/folds.h"
#include "export/group_scale.h"
#include "export/solved_weights.h"
#include "quantizers/mxfp4.h"
#include "recipes/plan.h"

namespace vernier::exporter {

// Elements of a converted weight's tensors as they go into the file.
struct EncodedRows {
  PooledBuffer codes;
  PooledBuffer scales;  // empty: the format has no scales but the group's
  quantizers::CastStats cast = {};
};

// One weight's way into its target format. The dtype that its scale tensor has in the file says how
// the scales are written; they are rounded to it before values are divided by them.
struct RowTarget {
  checkpoint::Format format = checkpoint::formats::kBf16;
  recipes::ScaleMethod method = recipes::ScaleMethod::kMax;
  checkpoint::DType scale_dtype = checkpoint::DType::kOpaque;
  checkpoint::BlockSize blocks = {};  // of formats whose scales are those of blocks
  // Of a container that keeps weights in its own way; without a format in it, codes and scales are
  // the source's.
  const checkpoint::Placement* placement = nullptr;

  bool keeps_codes() const { return placement != nullptr && !placement->format; }

  // Rows that share scales, or are moved together: a chunk holds a multiple of them.
  int64_t Quantum() const {
    if (placement != nullptr) return placement->head_rows;
    return format->parts.span == checkpoint::ScaleSpan::kBlock ? blocks.rows : 1;
  }

  // Of `rows` rows of a weight with `columns` columns, encoded; 0 where codes are the source's.
  uint64_t CodeBytes(int64_t rows, int64_t columns) const;
  uint64_t ScaleBytes(int64_t rows, int64_t columns) const;
};

// Thread-safe. Memory: the result, and one tile.
class RowEncoder {
 public:
  RowEncoder(const checkpoint::SourceModel& source, const ErrorWeights& error_weights,
             const SolvedWeights& solved, const Folds& folds, std::shared_ptr<BufferPool> pool)
      : source_(source),
        error_weights_(error_weights),
        solved_(solved),
        folds_(folds),
        pool_(std::move(pool)) {}

  // `rows` are of layout.weights[weight] and begin at a multiple of target.Quantum().
  // kBadWeightValue names a tensor with NaN or Inf.
  EncodedRows Encode(size_t weight, const RowTarget& target, const WeightScale& scale,
                     const checkpoint::RawRows& rows) const;

 private:
  const checkpoint::SourceModel& source_;
  const ErrorWeights& error_weights_;
  const SolvedWeights& solved_;
  const Folds& folds_;
  std::shared_ptr<BufferPool> pool_;
};

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_ROW_ENCODER_H_
