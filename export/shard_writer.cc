#include "export/shard_writer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "base/bounded_pipeline.h"
#include "base/direct_output.h"
#include "base/file.h"
#include "base/read_ahead.h"
#include "checkpoint/clamped_rows.h"
#include "checkpoint/numbers.h"
#include "checkpoint/tensor_digests.h"
#include "export/placed_rows.h"
#include "export/row_encoder.h"
#include "export/shard_hash.h"
#include "export/shard_jobs.h"
#include "export/shard_pieces.h"

namespace vernier::exporter {
namespace {

using checkpoint::LogicalWeight;
using quantizers::CastStats;

// A job with what it asked to be read.
struct ReadJob {
  const ShardJob* job = nullptr;
  std::vector<ReadBlock> blocks;
  std::vector<RowBytes> rows = {};  // of an EncodeWork's rows
};

// Rows of one weight, converted.
struct ConvertedRows {
  WeightRows rows;
  EncodedRows encoded;
  std::vector<PlacedBytes> placed = {};  // instead, for a container that keeps them in its own way
};

// What a job made, to be written.
struct JobResult {
  const ShardJob* job = nullptr;
  std::vector<ReadBlock> copied = {};         // of a CopyWork
  std::vector<ConvertedRows> converted = {};  // of an EncodeWork
  WeightScale scale = {};                     // of the job's group
  checkpoint::ClampedTally clamped = {};
};

std::span<const uint8_t> AsCodes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

class ShardJobRunner {
 public:
  ShardJobRunner(const ShardInputs& inputs, const recipes::OutputShard& shard,
                 const checkpoint::FileFrame& frame, std::vector<WeightScale>& weight_scales,
                 DirectOutput& output)
      : inputs_(inputs),
        shard_(shard),
        weight_scales_(weight_scales),
        converted_(FindConverted(inputs.source, shard)),
        encoder_(inputs.source, inputs.error_weights, inputs.solved, inputs.folds, inputs.pool),
        output_(output),
        hash_(shard, frame),
        digests_(inputs.source.checkpoint, inputs.read.observer) {}

  ReadJob Take(const ShardJob& job, std::vector<ReadBlock> blocks) const {
    ReadJob read{&job, std::move(blocks)};
    const auto* encode = std::get_if<EncodeWork>(&job.work);
    for (size_t i = 0; encode != nullptr && i < encode->rows.size(); ++i) {
      read.rows.emplace_back(inputs_.source, encode->rows[i],
                             std::span(read.blocks).subspan(kRangesOfRows * i, kRangesOfRows));
    }
    return read;
  }

  // One thread at a time, in order.
  void Hash(const ReadJob& read) {
    if (const auto* copy = std::get_if<CopyWork>(&read.job->work)) {
      return digests_.Add(shard_.tensors[copy->tensor].source_tensor, copy->offset,
                          read.blocks.front().bytes());
    }
    const auto& encode = std::get<EncodeWork>(read.job->work);
    for (size_t i = 0; i < encode.rows.size(); ++i) {
      read.rows[i].AddTo(inputs_.source, encode.rows[i], digests_);
    }
  }

  // Many threads at once.
  JobResult Convert(ReadJob read) const {
    JobResult result{.job = read.job};
    const auto* encode = std::get_if<EncodeWork>(&read.job->work);
    if (encode == nullptr) {
      result.copied = std::move(read.blocks);
      return result;
    }
    const std::vector<checkpoint::ClampedRows> clamped = Clamp(read, *encode, result.clamped);
    std::vector<checkpoint::RawRows> raw;
    for (size_t i = 0; i < encode->rows.size(); ++i) {
      raw.push_back(inputs_.read.clamp ? clamped[i].rows()
                                       : read.rows[i].Raw(inputs_.source, encode->rows[i]));
    }
    result.scale = encode->finds_scale ? FindScale(*encode, raw) : GivenScale(*encode);
    for (size_t i = 0; i < raw.size(); ++i) {
      const size_t weight = encode->rows[i].weight;
      const RowTarget target = TargetOf(inputs_.plan, shard_, weight, converted_.at(weight));
      result.converted.push_back(ConvertRows(encode->rows[i], target, result.scale, raw[i]));
    }
    return result;
  }

  // One thread at a time, in order.
  void Write(const JobResult& result) {
    if (const auto* copy = std::get_if<CopyWork>(&result.job->work)) {
      return WriteTensor(copy->tensor, copy->offset, result.copied.front().bytes());
    }
    const auto& encode = std::get<EncodeWork>(result.job->work);
    if (encode.finds_scale) weight_scales_[GroupOf(encode)] = result.scale;
    clamped_.Merge(result.clamped);
    if (encode.stack != ConvertedTensors::kNone) return WriteSlab(encode.stack, result.converted);
    for (const ConvertedRows& rows : result.converted) WriteRows(rows, result.scale);
  }

  // Scales of the key/value cache, which come from no job.
  void WriteKvScales() {
    for (size_t i = 0; i < shard_.tensors.size(); ++i) {
      const recipes::OutputTensor& tensor = shard_.tensors[i];
      if (tensor.part != recipes::OutputPart::kKvScale) continue;
      WriteNumber(i, inputs_.kv_scales[tensor.kv_entry].scale);
    }
  }

  const CastStats& cast() const { return cast_; }
  std::string Digest() const { return hash_.Hex(); }
  void ReportClamped() const { clamped_.Report(inputs_.read.observer); }

 private:
  ConvertedRows ConvertRows(const WeightRows& rows, const RowTarget& target,
                            const WeightScale& scale, const checkpoint::RawRows& raw) const {
    ConvertedRows converted{.rows = rows, .encoded = {}};
    if (!target.keeps_codes()) converted.encoded = encoder_.Encode(rows.weight, target, scale, raw);
    if (target.placement == nullptr) return converted;
    const bool kept = target.keeps_codes();
    converted.placed =
        PlaceRows(*target.placement, rows, Weight(rows.weight).columns(),
                  kept ? AsCodes(raw.main) : converted.encoded.codes.codes(),
                  kept ? AsCodes(raw.scale) : converted.encoded.scales.codes(), *inputs_.pool);
    converted.encoded.codes = {};
    converted.encoded.scales = {};
    return converted;
  }

  const LogicalWeight& Weight(size_t index) const { return inputs_.source.layout.weights[index]; }

  // Nothing unless values are to be clamped.
  std::vector<checkpoint::ClampedRows> Clamp(const ReadJob& read, const EncodeWork& work,
                                             checkpoint::ClampedTally& tally) const {
    std::vector<checkpoint::ClampedRows> clamped;
    for (size_t i = 0; inputs_.read.clamp && i < work.rows.size(); ++i) {
      clamped.emplace_back(inputs_.source.checkpoint, Weight(work.rows[i].weight),
                           read.rows[i].Raw(inputs_.source, work.rows[i]));
      tally.Add(clamped.back().clamped());
    }
    return clamped;
  }

  size_t GroupOf(const EncodeWork& work) const {
    return inputs_.plan.weights[work.rows.front().weight].scale_group;
  }

  bool HasGroup(const EncodeWork& work) const {
    return checkpoint::IsQuantised(inputs_.plan.weights[work.rows.front().weight].format);
  }

  WeightScale FindScale(const EncodeWork& work, const std::vector<checkpoint::RawRows>& raw) const {
    const recipes::ScaleGroup& group = inputs_.plan.scale_groups[GroupOf(work)];
    Extremes extremes;
    for (size_t i = 0; i < raw.size(); ++i) {
      const size_t weight = work.rows[i].weight;
      extremes.Merge(FindExtremes(inputs_.source.checkpoint, Weight(weight),
                                  inputs_.folds.Of(weight), group, raw[i]));
    }
    return ScaleOf(inputs_.plan, group, extremes);
  }

  // Of a group whose scale was found before this shard, or which has none.
  WeightScale GivenScale(const EncodeWork& work) const {
    if (!HasGroup(work)) return {};
    const recipes::ScaleGroup& group = inputs_.plan.scale_groups[GroupOf(work)];
    return HasGroupScale(inputs_.plan, group) ? weight_scales_[GroupOf(work)] : WeightScale{};
  }

  void WriteTensor(size_t tensor, uint64_t offset, std::span<const std::byte> bytes) {
    output_.Write(shard_.tensors[tensor].info.begin + offset, bytes);
    hash_.Update(tensor, bytes);
  }

  void WriteNumber(size_t tensor, float value) {
    if (tensor == ConvertedTensors::kNone) return;
    WriteTensor(tensor, 0, checkpoint::NumberBytes(value, shard_.tensors[tensor].info.dtype));
  }

  void WriteRows(const ConvertedRows& converted, const WeightScale& scale) {
    const size_t index = converted.rows.weight;
    const ConvertedTensors& tensors = converted_.at(index);
    const int64_t row = converted.rows.row_begin;
    for (const PlacedBytes& placed : converted.placed) {
      WriteTensor(placed.tensor == 0 ? tensors.codes : tensors.more_codes, placed.offset,
                  placed.bytes.bytes());
    }
    if (row == 0) WriteScalars(index, tensors, scale);
    cast_.Merge(converted.encoded.cast);
    if (!converted.placed.empty()) return;
    const RowTarget target = TargetOf(inputs_.plan, shard_, index, tensors);
    const int64_t columns = Weight(index).columns();
    WriteTensor(tensors.codes, target.CodeBytes(row, columns), converted.encoded.codes.bytes());
    if (converted.encoded.scales.size() > 0) {
      WriteTensor(tensors.scale, target.ScaleBytes(row, columns), converted.encoded.scales.bytes());
    }
  }

  // All that a stack holds of one expert.
  void WriteSlab(size_t tensor, const std::vector<ConvertedRows>& converted) {
    std::vector<std::byte> slab;
    uint64_t begin = 0;
    for (const ConvertedRows& rows : converted) {
      const LogicalWeight& weight = Weight(rows.rows.weight);
      const RowTarget target =
          TargetOf(inputs_.plan, shard_, rows.rows.weight, converted_.at(rows.rows.weight));
      const checkpoint::StackPart part =
          Resized(*inputs_.source.checkpoint.PartOf(weight.main), weight.columns(),
                  target.CodeBytes(1, weight.columns()));
      slab.resize(part.slab_bytes());
      begin = part.slab_begin;
      ScatterRows(part, rows.encoded.codes.bytes(), slab);
    }
    WriteTensor(tensor, begin, slab);
  }

  // The tensors that a weight has once.
  void WriteScalars(size_t index, const ConvertedTensors& tensors, const WeightScale& scale) {
    const recipes::Plan& plan = inputs_.plan;
    if (tensors.shape != ConvertedTensors::kNone) {
      const std::array shape = {Weight(index).rows(), Weight(index).columns()};
      WriteTensor(tensors.shape, 0, std::as_bytes(std::span(shape)));
    }
    const checkpoint::Format format = plan.weights[index].format;
    if (!format) {
      WriteNumber(tensors.global_scale, ReadGlobalScale(inputs_.source.checkpoint, Weight(index)));
      WriteNumber(tensors.input_scale, ReadInputScale(inputs_.source.checkpoint, Weight(index)));
      return;
    }
    if (!checkpoint::IsQuantised(format)) return;
    const size_t group_index = plan.weights[index].scale_group;
    const recipes::ScaleGroup& group = plan.scale_groups[group_index];
    WriteNumber(tensors.global_scale, scale.stored);
    if (format->parts.span == checkpoint::ScaleSpan::kWeight) {
      WriteNumber(tensors.scale, scale.stored);
    }
    if (tensors.input_scale == ConvertedTensors::kNone) return;
    WriteNumber(tensors.input_scale,
                StoredScale(plan, group, inputs_.input_scales[group_index].scale));
  }

  const ShardInputs& inputs_;
  const recipes::OutputShard& shard_;
  std::vector<WeightScale>& weight_scales_;
  std::unordered_map<size_t, ConvertedTensors> converted_;
  RowEncoder encoder_;
  DirectOutput& output_;
  ShardHash hash_;
  checkpoint::TensorDigests digests_;
  checkpoint::ClampedTally clamped_;
  CastStats cast_;
};

uint64_t WrittenBytes(const JobResult& result) {
  uint64_t bytes = 0;
  for (const ReadBlock& block : result.copied) bytes += block.bytes().size();
  for (const ConvertedRows& rows : result.converted) {
    bytes += rows.encoded.codes.size() + rows.encoded.scales.size();
    for (const PlacedBytes& placed : rows.placed) bytes += placed.bytes.size();
  }
  return bytes;
}

// How many jobs may exist at once, so that the largest of them fit the limit.
int JobsAtOnce(const std::vector<ShardJob>& jobs, const StreamSettings& settings) {
  uint64_t largest = 1;
  for (const ShardJob& job : jobs) largest = std::max(largest, job.memory_bytes);
  const auto fitting =
      static_cast<int>(std::min<uint64_t>(settings.limits.work_bytes / largest, 1 << 20));
  return std::clamp(fitting, 1, 2 * settings.threads);
}

// Buffers under way to the disk are memory too.
IoOptions OutputOptions(const StreamSettings& settings) {
  IoOptions io = settings.io;
  const uint64_t buffers = settings.limits.spare_bytes / io.request_bytes;
  io.depth = static_cast<unsigned>(std::clamp<uint64_t>(buffers, 1, io.depth));
  return io;
}

}  // namespace

run::ShardRecord WriteShard(const ShardInputs& inputs, const recipes::OutputShard& shard,
                            const checkpoint::FileFrame& frame,
                            const std::filesystem::path& directory, const OnBytes& on_bytes,
                            std::vector<WeightScale>& weight_scales) {
  const std::filesystem::path path = directory / shard.file_name;
  DirectOutput output(PartialPath(path), shard.file_bytes, OutputOptions(inputs.settings));
  on_bytes(WriteFrame(shard, frame, output));

  const std::vector<ShardJob> jobs =
      CutShard(inputs.source, inputs.plan, shard, inputs.settings.limits);
  ReadAhead reader(
      inputs.source.checkpoint.ShardPaths(),
      [it = jobs.begin(), end = jobs.end()]() mutable {
        return it == end ? std::nullopt : std::optional((it++)->reads);
      },
      inputs.settings.limits.read_ahead_bytes, inputs.pool, inputs.settings.io);
  ShardJobRunner runner(inputs, shard, frame, weight_scales, output);
  runner.WriteKvScales();
  RunBounded(
      inputs.settings.threads, JobsAtOnce(jobs, inputs.settings),
      [&, it = jobs.begin()]() mutable -> std::optional<ReadJob> {
        std::optional<std::vector<ReadBlock>> blocks = reader.Next();
        if (!blocks) return std::nullopt;
        ReadJob read = runner.Take(*it++, *std::move(blocks));
        runner.Hash(read);
        return read;
      },
      [&runner](ReadJob read) { return runner.Convert(std::move(read)); },
      [&](const JobResult& result) {
        runner.Write(result);
        on_bytes(WrittenBytes(result));
      });
  output.Finish();
  runner.ReportClamped();
  PublishPartial(path);
  return {.file_name = shard.file_name,
          .bytes = shard.file_bytes,
          .hash = runner.Digest(),
          .cast_blocks = runner.cast().blocks,
          .cast_requantised = runner.cast().requantised,
          .cast_inexact = runner.cast().inexact};
}

void ReadBackScales(const recipes::Plan& plan, const recipes::OutputShard& shard,
                    const std::filesystem::path& directory,
                    std::vector<WeightScale>& weight_scales) {
  const File file = File::OpenForRead(directory / shard.file_name);
  for (const recipes::OutputTensor& tensor : shard.tensors) {
    if (!HoldsGroupScale(plan, tensor)) continue;
    std::vector<std::byte> bytes(tensor.info.Bytes());
    file.ReadAt(tensor.info.begin, bytes);
    weight_scales[plan.weights[tensor.weight].scale_group].stored =
        checkpoint::NumberFromBytes(bytes, tensor.info.dtype);
  }
}

}  // namespace vernier::exporter
