// The cost model of calib/layer_loop.h, part by part. All sizes are bytes unless a name says
// otherwise.
#include "calib/budget/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/rounding.h"
#include "base/text.h"
#include "base/thread_count.h"
#include "calib/budget/gathering.h"
#include "calib/budget/largest.h"
#include "calib/budget/loop_constants.h"
#include "calib/statistics/registry.h"
#include "checkpoint/stored_bytes.h"

namespace vernier::calib {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::ModelDims;
using checkpoint::ModelLayout;
using checkpoint::Role;
using checkpoint::SourceModel;
namespace formats = checkpoint::formats;

constexpr uint64_t kF32Bytes = 4;
constexpr uint64_t kBf16Bytes = 2;
// Percentages of free memory, when the recipe does not say.
constexpr int kDeviceShare = 80, kHostShare = 50;
// A GPU waits for the next operator while it is told of it: fewer and larger ones keep it busy.
constexpr int64_t kMaxChosenBatch = 8, kMaxChosenDeviceBatch = 32;
constexpr std::array<int64_t, 3> kQueryChunks = {256, 128, 64};
constexpr int64_t kDeviceQueryChunk = 512;
// Resident before the first weight is read: the program with Debian's libtorch 1.13 and the buffers
// of its BLAS, measured.
constexpr uint64_t kProgramBytes = 180u << 20;
// The same with a libtorch with CUDA, its kernels and the driver's memory, measured on an H200.
constexpr uint64_t kCudaProgramBytes = 1400u << 20u;
// What malloc keeps of temporaries that are gone: a hole of the largest block that glibc takes from
// its heap (DEFAULT_MMAP_THRESHOLD_MAX). Larger ones go back to the machine when they are freed.
constexpr uint64_t kHeapRest = 32u << 20;
// Per source tensor: its header, its logical weight, and its place in the plan; measured on
// 100,000.
constexpr uint64_t kHeaderBytes = 2048;

// What the working set depends on.
struct Work {
  ModelDims dims;
  uint64_t samples = 0;
  uint64_t length = 0;   // tokens of a sequence
  uint64_t element = 0;  // of the compute dtype
  bool on_cpu = true;
  bool spilled = false;    // hidden states are in files
  bool on_device = false;  // or in memory of a device that is not the CPU
  bool all_experts = false;
  bool widens = false;   // products of BF16 are computed in F32
  uint64_t threads = 1;  // that work on tiles
  uint64_t held = 0;     // by others, where hidden states in memory are
  uint64_t hidden_copies = 1, model_copies = 1;

  uint64_t process = 0;
  uint64_t dense_layer = 0;   // the largest
  uint64_t dense_stored = 0;  // the largest as stored
  uint64_t ring = 0;          // weights that wait in host memory for another device
  uint64_t statistics = 0;    // of a layer, at most, and their copy on the way to the store
  SolvingSizes solving = {};
  uint64_t expert = 0;     // the largest
  uint64_t gathering = 0;  // beside an expert's weight while the host reads it
  // F32 copy of the largest linear weight, of routed experts and of all others: BF16 products on a
  // CPU are computed in F32.
  uint64_t dense_cast = 0, expert_cast = 0;
};

// What PlanBudget chooses.
struct Choice {
  int64_t batch = 1;
  int64_t query_chunk = 0;
  int64_t experts = 0;  // per group
};

uint64_t Elements(const LogicalWeight& weight) {
  uint64_t elements = 1;
  for (const int64_t size : weight.shape) elements *= static_cast<uint64_t>(size);
  return elements;
}

bool IsInLoop(const LogicalWeight& weight) {
  return weight.layer >= 0 && weight.role != Role::kMtp;
}

uint64_t LargestDenseLayer(const SourceModel& source, uint64_t element) {
  std::map<int, uint64_t> layers;
  for (const LogicalWeight& weight : source.layout.weights) {
    if (!IsInLoop(weight) || weight.role == Role::kRoutedExpert) continue;
    layers[weight.layer] += LoadedBytes(source, weight, element);
  }
  return Largest(layers);
}

// Of a layer, with or without its routed experts, in the source's formats.
uint64_t LargestStoredLayer(const SourceModel& source, bool routed) {
  std::map<int, uint64_t> layers;
  for (const LogicalWeight& weight : source.layout.weights) {
    if (!IsInLoop(weight) || (weight.role == Role::kRoutedExpert && !routed)) continue;
    layers[weight.layer] += checkpoint::StoredBytes(source.checkpoint, weight);
  }
  return Largest(layers);
}

uint64_t LargestExpert(const SourceModel& source, uint64_t element) {
  std::map<std::pair<int, int>, uint64_t> experts;
  for (const LogicalWeight& weight : source.layout.weights) {
    if (!IsInLoop(weight) || weight.role != Role::kRoutedExpert) continue;
    experts[{weight.layer, weight.expert}] += LoadedBytes(source, weight, element);
  }
  return Largest(experts);
}

// Sums over the inputs of a layer's weights that are kept for the export, as if all had a use.
uint64_t LargestStatistics(const ModelLayout& layout) {
  std::map<int, uint64_t> layers;
  for (const LogicalWeight& weight : layout.weights) {
    if (!IsInLoop(weight) || !weight.linear) continue;
    for (const statistics::Statistic& statistic : statistics::AllStatistics()) {
      if (!statistic.is_sum || statistics::IsTransient(statistic.purpose)) continue;
      layers[weight.layer] += statistic.PayloadBytes(static_cast<size_t>(weight.columns()));
    }
  }
  return Largest(layers);
}

uint64_t LargestCast(const ModelLayout& layout, bool routed) {
  uint64_t largest = 0;
  for (const LogicalWeight& weight : layout.weights) {
    if (!IsInLoop(weight) || !weight.linear) continue;
    if ((weight.role == Role::kRoutedExpert) != routed) continue;
    largest = std::max(largest, Elements(weight));
  }
  return largest * kF32Bytes;
}

Work MeasureWork(const SourceModel& source, const ComputeSpec& compute, const Workload& workload) {
  const bool is_bf16 = compute.dtype == recipes::ComputeDtype::kBFloat16;
  Work work;
  work.dims = source.family->Dims();
  work.samples = static_cast<uint64_t>(workload.samples);
  work.length = static_cast<uint64_t>(workload.sequence_length);
  work.element = is_bf16 ? kBf16Bytes : kF32Bytes;
  work.on_cpu = compute.device == "cpu";
  work.all_experts = workload.all_experts;
  work.widens = work.on_cpu && is_bf16 && compute.cpu_products != recipes::CpuProducts::kBf16;
  work.threads = static_cast<uint64_t>(ComputeThreadCount(compute.threads));
  work.held = workload.held_bytes;
  work.hidden_copies = static_cast<uint64_t>(workload.hidden_copies);
  work.model_copies = static_cast<uint64_t>(workload.model_copies);
  work.process = (work.on_cpu ? kProgramBytes : kCudaProgramBytes) +
                 kHeaderBytes * source.checkpoint.tensors().size();
  work.dense_layer = LargestDenseLayer(source, work.element);
  work.dense_stored = LargestStoredLayer(source, /*routed=*/false);
  work.ring = work.on_cpu ? 0 : WeightRingBytes(source);
  work.expert = LargestExpert(source, work.element);
  work.gathering = GatheringBytes(source);
  work.solving = workload.solving;
  work.statistics = 2 * LargestStatistics(source.layout);
  if (!work.widens) return work;
  work.dense_cast = LargestCast(source.layout, /*routed=*/false);
  work.expert_cast = LargestCast(source.layout, /*routed=*/true);
  return work;
}

// Residual streams of all tokens of `samples` sequences.
uint64_t StreamBytes(const Work& work, uint64_t samples) {
  return samples * work.length * static_cast<uint64_t>(work.dims.residual_streams) *
         static_cast<uint64_t>(work.dims.hidden_size) * work.element;
}

// What the FFN adds so far (F32) of `samples` sequences.
uint64_t SumBytes(const Work& work, uint64_t samples) {
  return samples * work.length * static_cast<uint64_t>(work.dims.hidden_size) * kF32Bytes;
}

// Streams of `samples` sequences; in a model with routed experts also FFN inputs (compute dtype),
// FFN sums, stream mixing weights (F32, n + n^2 of n streams) and the chosen experts with their
// weights (I32, F32).
uint64_t HiddenBytes(const Work& work, uint64_t samples) {
  if (work.dims.experts == 0) return StreamBytes(work, samples);
  const uint64_t tokens = samples * work.length;
  const auto streams = static_cast<uint64_t>(work.dims.residual_streams);
  const uint64_t mix = streams > 1 ? streams + streams * streams : 0;
  const uint64_t routing = 2 * static_cast<uint64_t>(work.dims.experts_per_token);
  return StreamBytes(work, samples) + SumBytes(work, samples) +
         tokens * (static_cast<uint64_t>(work.dims.hidden_size) * work.element +
                   (mix + routing) * kF32Bytes);
}

// Parts of an unfinished layer in files: the same, with the sums of the last save and the next.
uint64_t LayerFileBytes(const Work& work) {
  if (work.dims.experts == 0) return 0;
  return HiddenBytes(work, work.samples) + SumBytes(work, work.samples);
}

// Keys that a chunk of queries of one sequence can see.
uint64_t VisibleKeys(const Work& work, uint64_t chunk) {
  const auto window = static_cast<uint64_t>(work.dims.max_keys);
  const auto ratio = static_cast<uint64_t>(work.dims.key_compression);
  const uint64_t recent = window == 0 ? work.length : std::min(window + chunk, work.length);
  return recent + (ratio == 0 ? 0 : work.length / ratio);
}

// `wide` values in F32 and `narrow` ones in the compute dtype.
uint64_t ValueBytes(const Work& work, uint64_t wide, uint64_t narrow) {
  return wide * kF32Bytes + narrow * work.element;
}

// What threads of a CPU hold while they multiply tiles of `rows` rows [K] with a weight [N, K],
// both at most `width`: operands [R, K] and products in F32.
uint64_t ProductTileBytes(const Work& work, uint64_t rows, uint64_t width) {
  if (!work.widens) return 0;
  constexpr uint64_t kRows = kProductRows, kColumns = kProductColumns;
  const uint64_t tiles = CeilDivide(rows, kRows) * CeilDivide(width, kColumns);
  return std::min(tiles, work.threads) * std::min(rows, kRows) *
         (width + std::min(width, kColumns)) * kF32Bytes;
}

// Of a chunk's scores in F32, those that exist at once: all of them [h, C, keys], or on a CPU a
// tile of queries of one key head a thread. DeepSeek-V4's attention, with its streams, has no
// tiles.
uint64_t ScoreBytes(const Work& work, uint64_t batch, uint64_t chunk) {
  const auto heads = static_cast<uint64_t>(work.dims.attention_heads);
  const auto key_heads = std::max<uint64_t>(static_cast<uint64_t>(work.dims.key_value_heads), 1);
  const uint64_t keys = VisibleKeys(work, chunk);
  const uint64_t all = batch * heads * chunk * keys;
  if (!work.on_cpu || work.dims.residual_streams > 1) return all * kF32Bytes;
  const uint64_t tile = uint64_t{kQueryTile} * CeilDivide(heads, key_heads) * keys;
  return std::min(all, work.threads * tile) * kF32Bytes;
}

// Attention, a chunk of queries at a time: the normalised input and the outputs of all chunks
// [T, D]; keys and values [T, n, d], as they are and in F32; of a chunk, queries [C, h, d] before
// and after their rotation, in F32 with their sums before and after a change of axes, and scores.
uint64_t AttentionBytes(const Work& work, uint64_t batch, uint64_t chunk) {
  const auto heads = static_cast<uint64_t>(work.dims.attention_heads);
  const auto head_dim = static_cast<uint64_t>(work.dims.head_dim);
  const auto hidden = static_cast<uint64_t>(work.dims.hidden_size);
  const auto key_heads = static_cast<uint64_t>(work.dims.key_value_heads);
  const uint64_t tokens = batch * work.length;
  return tokens * ValueBytes(work, 0, 2) * hidden +
         tokens * ValueBytes(work, 2, 2) * key_heads * head_dim +
         batch * chunk * heads * head_dim * ValueBytes(work, 3, 2) + ScoreBytes(work, batch, chunk);
}

// A delta net, a chunk of positions at a time: input and output as of attention; of a chunk, the
// projections [C, W] beside a copy of what is convolved, and what the rule makes of them in F32, of
// as many sequences as are computed at once; the states of all sequences, and twice those of these.
uint64_t DeltaNetBytes(const Work& work, uint64_t batch, uint64_t query_chunk) {
  const auto width = static_cast<uint64_t>(work.dims.delta_width);
  const auto state = static_cast<uint64_t>(work.dims.delta_state);
  const uint64_t chunk = std::max<uint64_t>(query_chunk, kDeltaChunk);
  const auto hidden = static_cast<uint64_t>(work.dims.hidden_size);
  const uint64_t together = work.on_cpu ? 1 : std::min<uint64_t>(batch, kLeastEqualBatch);
  if (width == 0) return 0;
  return batch * work.length * ValueBytes(work, 0, 2) * hidden +
         batch * chunk * width * ValueBytes(work, 0, 3) +
         together * chunk * width * ValueBytes(work, 6, 0) +
         (batch + 2 * together) * state * kF32Bytes;
}

// F32 temporaries of steps that go through rows of `columns` values a tile at a time, on a device
// that is not the CPU: a tile, its square or product, the result, and one that is filled up with
// zeros.
uint64_t DeviceTileBytes(const Work& work, uint64_t rows, uint64_t columns) {
  constexpr uint64_t kTemporaries = 4;
  if (work.on_cpu) return 0;
  const auto tile = static_cast<uint64_t>(DeviceTileRows(static_cast<int64_t>(columns)));
  return kTemporaries * std::min(rows, tile) * columns * kF32Bytes;
}

// A dense MLP or an expert of `width` that gets `rows` rows: input, output in both types and
// weighted output [rows, D], and gate, up and their product [rows, width]. F32 is only in tiles.
uint64_t FfnBytes(const Work& work, uint64_t rows, int64_t width) {
  const auto columns = static_cast<uint64_t>(width);
  const auto hidden = static_cast<uint64_t>(work.dims.hidden_size);
  return rows * (ValueBytes(work, 2, 2) * hidden + ValueBytes(work, 0, 3) * columns) +
         ProductTileBytes(work, rows, std::max(hidden, columns)) +
         DeviceTileBytes(work, rows, std::max(hidden, columns));
}

// Whether a batch's part of the hidden states is a copy, and not a view of the buffer of all.
bool CopiesHidden(const Work& work) { return work.spilled || !(work.on_cpu || work.on_device); }

// What mixes and norms the streams of a batch, in F32, beside those that come of it; on a device
// that is not the CPU in tiles, beside what attention gave [T, D] in both types.
uint64_t MixingBytes(const Work& work, uint64_t batch) {
  const uint64_t streams = StreamBytes(work, batch);
  if (work.on_cpu) return streams / work.element * ValueBytes(work, 2, 2);
  const uint64_t tokens = batch * work.length;
  const auto hidden = static_cast<uint64_t>(work.dims.hidden_size);
  return streams + tokens * ValueBytes(work, 1, 2) * hidden +
         DeviceTileBytes(work, tokens, static_cast<uint64_t>(work.dims.residual_streams) * hidden);
}

// Temporaries of a batch before the routed experts: the streams before attention, and the largest
// of those that do not exist at once: mixing; attention; a delta net; a dense MLP or the shared
// experts, beside the streams behind attention.
uint64_t DenseBatchBytes(const Work& work, const Choice& sizes) {
  const auto batch = static_cast<uint64_t>(sizes.batch);
  const uint64_t chunk = std::min(static_cast<uint64_t>(sizes.query_chunk), work.length);
  const uint64_t streams = StreamBytes(work, batch);
  const uint64_t ffn = streams + FfnBytes(work, batch * work.length, work.dims.mlp_width);
  return (CopiesHidden(work) ? streams : 0) +
         std::max({MixingBytes(work, batch), AttentionBytes(work, batch, chunk),
                   DeltaNetBytes(work, batch, chunk), ffn});
}

// The same with what is kept to solve weights behind the last batch.
uint64_t DenseStageBytes(const Work& work, const Choice& sizes) {
  const SolvingSizes& solving = work.solving;
  const uint64_t tokens = static_cast<uint64_t>(sizes.batch) * work.length;
  const uint64_t batch =
      DenseBatchBytes(work, sizes) + tokens * solving.dense_columns * work.element;
  if (solving.dense_sums == 0) return batch;
  // Or their copies on the way to the store, which are made on the host.
  const uint64_t saving = work.on_cpu ? 2 * solving.dense_sums : 0;
  return solving.dense_sums + std::max({batch, solving.workspace, saving});
}

// Tokens of which a routed expert computes all rows.
uint64_t ChunkTokens(const Work& work, const Choice& sizes) {
  const auto length = static_cast<int64_t>(work.length);
  const auto samples = static_cast<uint64_t>(SamplesPerChunk(sizes.batch, length));
  return std::min(samples, work.samples) * work.length;
}

// The rows of a product of one expert: how many at most, or where tokens are spread as training
// spreads them, where the busiest expert sees a few times its share.
enum class Routing { kWorst, kUsual };

uint64_t ExpertRows(const Work& work, uint64_t tokens, Routing routing) {
  constexpr uint64_t kBusiest = 4;
  const uint64_t most = std::min(tokens, static_cast<uint64_t>(kExpertRows));
  if (routing == Routing::kWorst || work.all_experts) return most;
  const uint64_t share = tokens * static_cast<uint64_t>(work.dims.experts_per_token) /
                         static_cast<uint64_t>(work.dims.experts);
  return std::min(most, kBusiest * share);
}

// The choices of a chunk's tokens, sorted by expert: a row (I64) and a weight (F32) each.
uint64_t RoutedBytes(const Work& work, uint64_t tokens) {
  constexpr uint64_t kChoiceBytes = 8 + kF32Bytes;
  return tokens * static_cast<uint64_t>(work.dims.experts_per_token) * kChoiceBytes;
}

// Temporaries of routed experts: inputs and sums of a chunk's tokens, which rows go where, and the
// rows of one product.
uint64_t ExpertTemporaryBytes(const Work& work, const Choice& sizes, Routing routing) {
  if (work.dims.experts == 0) return 0;
  const uint64_t tokens = ChunkTokens(work, sizes);
  const uint64_t copies =
      tokens * ValueBytes(work, 1, 1) * static_cast<uint64_t>(work.dims.hidden_size);
  return (CopiesHidden(work) ? copies : 0) + RoutedBytes(work, tokens) +
         FfnBytes(work, ExpertRows(work, tokens, routing), work.dims.expert_width);
}

bool HasSeveralGroups(const Work& work, const Choice& sizes) {
  return sizes.experts < work.dims.experts;
}

bool HasSeveralChunks(const Work& work, const Choice& sizes) {
  return ChunkTokens(work, sizes) < work.samples * work.length;
}

// Weights of routed experts on the device. On a CPU the group that computes and the next one, which
// is read meanwhile. Elsewhere they come one by one: the expert that computes and one that is
// decoded, beside what arrived as it is stored; the whole group of several chunks, and where
// weights are solved behind it.
uint64_t GroupBytes(const Work& work, const Choice& sizes) {
  if (work.dims.experts == 0) return 0;
  const auto group = static_cast<uint64_t>(sizes.experts);
  if (work.on_cpu) return (HasSeveralGroups(work, sizes) ? 2 : 1) * group * work.expert;
  const bool all = work.solving.keeps_experts || HasSeveralChunks(work, sizes);
  const uint64_t held = all ? group : 1;
  return (held + 1) * work.expert;
}

// While the experts of a group are read, several at once.
uint64_t GroupGatheringBytes(const Work& work, const Choice& sizes) {
  if (!work.on_cpu) return 0;
  return std::min(static_cast<uint64_t>(sizes.experts), work.threads) * work.gathering;
}

// Rows of a group's inputs that wait to be summed up.
uint64_t WaitingRowBytes(const Work& work, const Choice& sizes, Routing routing) {
  const bool none = work.on_cpu && work.solving.expert_sums == 0;
  if (work.dims.experts == 0 || none) return 0;
  const uint64_t rows = std::min(static_cast<uint64_t>(kSumRows),
                                 ExpertRows(work, ChunkTokens(work, sizes), routing));
  const auto columns = static_cast<uint64_t>(2 * work.dims.hidden_size + work.dims.expert_width);
  return static_cast<uint64_t>(sizes.experts) * rows * columns * work.element;
}

// While routed experts run, beside the layer's other weights.
uint64_t ExpertStageBytes(const Work& work, const Choice& sizes, Routing routing) {
  const uint64_t sums = static_cast<uint64_t>(sizes.experts) * work.solving.expert_sums;
  const uint64_t solving = sums > 0 ? sums + work.solving.workspace : 0;
  return work.expert_cast + ExpertTemporaryBytes(work, sizes, routing) + GroupBytes(work, sizes) +
         GroupGatheringBytes(work, sizes) + WaitingRowBytes(work, sizes, routing) + solving;
}

// Hidden states in a device's memory, with those of others and the copy that is saved while the
// next layer runs.
uint64_t HiddenOnDevice(const Work& work) {
  if (!work.on_device) return 0;
  return work.held + work.hidden_copies * HiddenBytes(work, work.samples) +
         StreamBytes(work, work.samples);
}

// What a device that is not the CPU has at any time: weights that nobody has asked for yet, and
// what its library of products works with.
uint64_t DeviceBaseBytes(const Work& work) {
  return work.on_cpu ? 0 : kWeightsAhead + kDeviceWorkspace;
}

// A layer's weights without routed experts, and the largest of three stages: their decoding on a
// device, all that comes before the routed experts, and these.
uint64_t DeviceBytes(const Work& work, const Choice& sizes, Routing routing = Routing::kWorst) {
  const uint64_t decoding = work.on_cpu ? 0 : work.dense_stored;
  return HiddenOnDevice(work) + DeviceBaseBytes(work) + work.statistics + work.dense_layer +
         std::max({decoding, work.dense_cast + DenseStageBytes(work, sizes),
                   ExpertStageBytes(work, sizes, routing)});
}

// Buffers of the samples' hidden states on the host, unless they are elsewhere; for another device
// what of them is on its way there.
uint64_t ResidentHidden(const Work& work, const Choice& sizes) {
  if (work.on_device) return 0;
  if (!work.spilled) return work.hidden_copies * HiddenBytes(work, work.samples);
  return work.on_cpu ? 0 : HiddenBytes(work, static_cast<uint64_t>(sizes.batch));
}

uint64_t Less(uint64_t bytes, uint64_t taken) { return bytes - std::min(bytes, taken); }

// What one of the models gets. On a CPU, hidden states in memory come off what is free for weights
// and batches.
uint64_t DeviceLimit(const Work& work, const ComputeSpec& compute, const MachineMemory& machine) {
  const uint64_t hidden = work.spilled ? 0 : work.hidden_copies * HiddenBytes(work, work.samples);
  const uint64_t free =
      work.on_cpu ? Less(machine.host_available, work.held + hidden) : machine.device_available;
  return compute.device_memory.Of(free, kDeviceShare) / work.model_copies;
}

bool MustSpill(const Work& work, const ComputeSpec& compute, const MachineMemory& machine) {
  const uint64_t limit = compute.host_memory.Of(machine.host_available, kHostShare);
  return work.hidden_copies * HiddenBytes(work, work.samples) > Less(limit, work.held);
}

// Batch sizes to try, largest first.
std::vector<int64_t> BatchChoices(const Work& work, const ComputeSpec& compute,
                                  const std::optional<run::LoopSizes>& kept) {
  const auto samples = static_cast<int64_t>(work.samples);
  if (compute.batch_size != 0) return {std::min(compute.batch_size, samples)};
  std::vector<int64_t> choices;
  if (kept) {
    choices.push_back(kept->batch_size);
    // Halves that are whole groups of sequences compute the same on a device.
    while (!work.on_cpu && choices.back() % (2 * kLeastEqualBatch) == 0) {
      choices.push_back(choices.back() / 2);
    }
    return choices;
  }
  const int64_t most = work.on_cpu ? kMaxChosenBatch : kMaxChosenDeviceBatch;
  for (int64_t batch = most; batch > 0; batch /= 2) {
    if (batch <= samples) choices.push_back(batch);
  }
  return choices;
}

// The same for query chunks.
std::vector<int64_t> ChunkChoices(const Work& work, const std::optional<run::LoopSizes>& kept) {
  if (kept) return {kept->query_chunk};
  std::vector<int64_t> choices(kQueryChunks.begin(), kQueryChunks.end());
  if (!work.on_cpu) choices.insert(choices.begin(), kDeviceQueryChunk);
  return choices;
}

// With one expert a group: the largest batch that fits, with smaller query chunks only when no
// batch fits with larger ones.
std::optional<Choice> ChooseBatch(const Work& work, const std::vector<int64_t>& batches,
                                  const std::vector<int64_t>& chunks, uint64_t limit) {
  const int64_t experts = std::min<int64_t>(1, work.dims.experts);
  for (const int64_t chunk : chunks) {
    for (const int64_t batch : batches) {
      const Choice sizes = {batch, chunk, experts};
      if (DeviceBytes(work, sizes) <= limit) return sizes;
    }
  }
  return std::nullopt;
}

// On the device that is not the CPU, if they fit there beside all else: they are then neither in
// files nor on the host. The sizes do not depend on it.
void PlaceHidden(Work& work, const Choice& sizes, uint64_t limit) {
  if (work.on_cpu) return;
  Work placed = work;
  placed.on_device = true;
  placed.spilled = false;
  if (DeviceBytes(placed, sizes) <= limit) work = placed;
}

// As many experts as fit, then evened out: fewer per group if that makes no more groups. Of a
// device that gets them one by one, no more than are worth a look at their outputs.
int64_t ChooseExperts(const Work& work, Choice sizes, uint64_t limit) {
  const int64_t all = work.dims.experts;
  if (all == 0) return 0;
  if (!work.on_cpu && !HasSeveralChunks(work, sizes)) return std::min(all, kExpertsPerGroup);
  int64_t most = work.on_cpu ? all : std::min(all, kExpertsPerGroup);
  const auto fits = [&](int64_t experts) {
    sizes.experts = experts;
    return DeviceBytes(work, sizes) <= limit;
  };
  while (most > 1 && !fits(most)) --most;
  return CeilDivide(all, CeilDivide(all, most));
}

[[noreturn]] void ThrowTooSmall(const Work& work, const std::vector<int64_t>& batches,
                                const std::vector<int64_t>& chunks, uint64_t limit) {
  const Choice smallest = {batches.back(), chunks.back(), std::min<int64_t>(1, work.dims.experts)};
  throw Error(
      ErrorCode::kBudgetTooSmall, "device_memory",
      fmt::format("{} are there, and the smallest working set needs {}: {} for a layer, and {} for "
                  "a batch of {} x {} tokens or {} for a routed expert with its rows",
                  HumanBytes(limit), HumanBytes(DeviceBytes(work, smallest)),
                  HumanBytes(work.dense_layer),
                  HumanBytes(work.dense_cast + DenseBatchBytes(work, smallest)), smallest.batch,
                  work.length, HumanBytes(ExpertStageBytes(work, smallest, Routing::kWorst))),
      "Give more with --device-memory, or lower --sequence-length or --batch-size");
}

// Beside the working set.
uint64_t ProcessBytes(const Work& work, const Choice& sizes) {
  return work.process + (work.on_cpu ? std::min(kHeapRest, DenseBatchBytes(work, sizes)) : 0);
}

// On the host, of an expert's weight that goes to another device from there.
uint64_t OnTheWay(const Work& work) {
  return work.gathering == 0 ? 0 : work.gathering + work.expert;
}

CalibrationBudget Describe(const Work& work, const Choice& sizes) {
  CalibrationBudget budget;
  budget.process_bytes = ProcessBytes(work, sizes);
  budget.batch_size = sizes.batch;
  budget.query_chunk = sizes.query_chunk;
  budget.experts_per_group = sizes.experts;
  budget.spill_hidden = work.spilled;
  budget.hidden_on_device = work.on_device;
  budget.dense_layer_bytes = work.dense_layer;
  budget.expert_bytes = work.expert;
  budget.batch_bytes = work.dense_cast + DenseBatchBytes(work, sizes);
  budget.hidden_bytes = HiddenBytes(work, work.samples);
  budget.checkpoint_bytes = StreamBytes(work, work.samples);
  budget.layer_bytes = LayerFileBytes(work) + 2 * work.solving.dense_sums;
  budget.device_peak = work.model_copies * DeviceBytes(work, sizes, Routing::kUsual);
  budget.host_peak = ResidentHidden(work, sizes) + work.ring +
                     (work.on_cpu ? budget.device_peak
                                  : OnTheWay(work) + std::max(2 * work.solving.dense_sums,
                                                              work.solving.workspace));
  return budget;
}

}  // namespace

uint64_t LoadedBytes(const SourceModel& source, const LogicalWeight& weight, uint64_t element) {
  const checkpoint::TensorInfo& main = source.checkpoint.tensor(weight.main).info;
  const bool exact = weight.format == formats::kInteger || weight.format == formats::kOpaque ||
                     main.dtype == checkpoint::DType::kF32;
  return exact ? main.Bytes() : Elements(weight) * element;
}

uint64_t WeightRingBytes(const SourceModel& source) {
  constexpr uint64_t kLeast = 256u << 20u, kMost = 2048u << 20u;
  // Pinned memory comes in powers of two.
  return std::bit_ceil(std::clamp(LargestStoredLayer(source, /*routed=*/true), kLeast, kMost));
}

CalibrationBudget PlanBudget(const SourceModel& source, const ComputeSpec& compute,
                             const Workload& workload, const MachineMemory& machine,
                             const std::optional<run::LoopSizes>& kept) {
  assert(workload.samples > 0 && workload.sequence_length > 0);
  Work work = MeasureWork(source, compute, workload);
  work.spilled = MustSpill(work, compute, machine);
  const uint64_t limit = DeviceLimit(work, compute, machine);
  const std::vector<int64_t> batches = BatchChoices(work, compute, kept);
  const std::vector<int64_t> chunks = ChunkChoices(work, kept);
  std::optional<Choice> sizes = ChooseBatch(work, batches, chunks, limit);
  if (!sizes) ThrowTooSmall(work, batches, chunks, limit);
  PlaceHidden(work, *sizes, limit);
  sizes->experts = ChooseExperts(work, *sizes, limit);
  CalibrationBudget budget = Describe(work, *sizes);
  budget.device_limit = work.model_copies * limit;
  return budget;
}

MemoryBound LessDeviceMemory(const CalibrationBudget& failed, const MachineMemory& machine) {
  const uint64_t usual = MemoryBound().Of(machine.device_available, kDeviceShare);
  return std::max<uint64_t>(1, std::min(usual, failed.device_limit / 4 * 3));
}

}  // namespace vernier::calib
