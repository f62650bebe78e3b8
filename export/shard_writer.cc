#include "export/shard_writer.h"

#include <oneapi/tbb/enumerable_thread_specific.h>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "base/hash.h"
#include "checkpoint/weight_reader.h"
#include "export/bounded_pipeline.h"
#include "export/row_chunks.h"
#include "export/shard_work.h"
#include "quantizers/mxfp4.h"
#include "quantizers/nvfp4.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using quantizers::CastStats;

// A thread's memory, kept from piece to piece.
struct Buffers {
  std::vector<std::byte> bytes;
  std::vector<uint8_t> source_codes, source_scales;
  std::vector<float> values;
  std::vector<uint8_t> packed, scales;
};

struct PieceResult {
  uint64_t bytes = 0;
  CastStats cast = {};
};

// Executes pieces of one shard; Write() may run on many threads at once.
class PieceWriter {
 public:
  PieceWriter(const ShardInputs& inputs, const File& output) : inputs_(inputs), output_(output) {}

  PieceResult Write(const ShardPiece& piece) {
    PieceResult result{.bytes = PieceBytes(inputs_.source.layout, piece)};
    Buffers& buffers = buffers_.local();
    if (const auto* copy = std::get_if<CopyPiece>(&piece)) {
      Copy(*copy, buffers);
    } else if (const auto* scalar = std::get_if<ScalarPiece>(&piece)) {
      output_.WriteAt(scalar->output_offset, AsBytes(std::span(&scalar->value, 1)));
    } else {
      result.cast = Quantize(std::get<QuantizePiece>(piece), buffers);
    }
    return result;
  }

 private:
  void Copy(const CopyPiece& piece, Buffers& buffers) const {
    buffers.bytes.resize(piece.bytes);
    inputs_.source.checkpoint.Read(piece.tensor, piece.source_offset, buffers.bytes);
    output_.WriteAt(piece.output_offset, buffers.bytes);
  }

  CastStats Quantize(const QuantizePiece& piece, Buffers& buffers) const {
    const LogicalWeight& weight = inputs_.source.layout.weights[piece.weight];
    const recipes::WeightPlan& plan = inputs_.plan.weights[piece.weight];
    const WeightScale& scale = inputs_.weight_scales[plan.scale_group];
    const int64_t count = piece.row_count * weight.columns();
    buffers.packed.resize(static_cast<size_t>(count / 2));
    buffers.scales.resize(static_cast<size_t>(count / quantizers::kNvfp4BlockSize));

    CastStats cast;
    if (plan.scale == recipes::ScaleMethod::kLossless) {
      cast = Cast(weight, piece, scale.k_max, buffers);
    } else {
      buffers.values.resize(static_cast<size_t>(count));
      checkpoint::WeightReader(inputs_.source.checkpoint)
          .ReadF32(weight, piece.row_begin, piece.row_count, buffers.values);
      quantizers::QuantizeNvfp4(buffers.values, weight.columns(), scale.global_scale,
                                buffers.packed, buffers.scales);
    }
    if (piece.packed_offset) {
      output_.WriteAt(*piece.packed_offset, std::as_bytes(std::span(buffers.packed)));
    }
    if (piece.scales_offset) {
      output_.WriteAt(*piece.scales_offset, std::as_bytes(std::span(buffers.scales)));
    }
    // Of a weight whose parts lie in two shards, the blocks count once.
    return piece.packed_offset ? cast : CastStats{};
  }

  CastStats Cast(const LogicalWeight& weight, const QuantizePiece& piece, int k_max,
                 Buffers& buffers) const {
    const int64_t columns = weight.columns();
    ReadRows(weight.main, piece, columns / 2, buffers.source_codes);
    ReadRows(weight.scale, piece, columns / quantizers::kMxfp4BlockSize, buffers.source_scales);
    return quantizers::CastMxfp4ToNvfp4(buffers.source_codes, buffers.source_scales, columns, k_max,
                                        buffers.packed, buffers.scales);
  }

  void ReadRows(size_t tensor, const QuantizePiece& piece, int64_t row_bytes,
                std::vector<uint8_t>& out) const {
    out.resize(static_cast<size_t>(piece.row_count * row_bytes));
    inputs_.source.checkpoint.Read(tensor, static_cast<uint64_t>(piece.row_begin * row_bytes),
                                   std::as_writable_bytes(std::span(out)));
  }

  const ShardInputs& inputs_;
  const File& output_;
  oneapi::tbb::enumerable_thread_specific<Buffers> buffers_;
};

}  // namespace

std::string HashFile(const File& file, const OnBytes& on_bytes) {
  Hasher hasher;
  std::vector<std::byte> chunk;
  const uint64_t size = file.Size();
  for (uint64_t done = 0; done < size; done += chunk.size()) {
    chunk.resize(std::min(kChunkBytes, size - done));
    file.ReadAt(done, chunk);
    hasher.Update(chunk);
    on_bytes(chunk.size());
  }
  return hasher.Hex();
}

calib::ShardRecord WriteShard(const ShardInputs& inputs, const recipes::OutputShard& shard,
                              const std::filesystem::path& directory, int threads,
                              const OnBytes& on_bytes) {
  const std::filesystem::path path = directory / shard.file_name;
  const File file = File::OpenForWrite(PartialPath(path), /*truncate=*/true);
  file.Preallocate(shard.file_bytes);
  file.WriteAt(0, std::as_bytes(std::span(shard.prefix)));
  on_bytes(shard.prefix.size());

  const std::vector<ShardPiece> pieces =
      CutShard(inputs.source, inputs.plan, inputs.weight_scales, inputs.input_scales, shard);
  CastStats cast = {};
  PieceWriter writer(inputs, file);
  const auto next = [it = pieces.begin(), end = pieces.end()]() mutable {
    return it == end ? std::nullopt : std::optional<ShardPiece>(*it++);
  };
  RunBounded(
      threads, next, [&writer](const ShardPiece& piece) { return writer.Write(piece); },
      [&](const PieceResult& result) {
        cast.Merge(result.cast);
        on_bytes(result.bytes);
      });

  calib::ShardRecord record{.file_name = shard.file_name,
                            .bytes = shard.file_bytes,
                            .hash = HashFile(file, [](uint64_t) {}),
                            .cast_blocks = cast.blocks,
                            .cast_requantised = cast.requantised,
                            .cast_inexact = cast.inexact};
  PublishPartial(path);
  return record;
}

bool ShardIsIntact(const calib::ShardRecord& record, const std::filesystem::path& directory,
                   const OnBytes& on_bytes) {
  const std::filesystem::path path = directory / record.file_name;
  if (!std::filesystem::exists(path)) return false;
  const File file = File::OpenForRead(path);
  return file.Size() == record.bytes && HashFile(file, on_bytes) == record.hash;
}

}  // namespace vernier::exporter
