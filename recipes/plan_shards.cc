#include "recipes/plan_shards.h"

#include <fmt/format.h>

#include <cassert>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

using checkpoint::Container;
using checkpoint::FileContent;
using checkpoint::FileLayout;
using checkpoint::LogicalWeight;
using checkpoint::SourceModel;
using checkpoint::TensorInfo;
using checkpoint::TensorSpec;

// Of one output file, before its layout is known.
using TensorsByName = std::unordered_map<std::string, OutputTensor>;

class ContentBuilder {
 public:
  ContentBuilder(const SourceModel& source, const Container& container)
      : source_(source), container_(container) {
    const std::vector<checkpoint::Shard>& shards = source.checkpoint.shards();
    const std::vector<std::string> names = container.FileNames(source);
    assert(names.size() == shards.size());
    std::unordered_map<std::string_view, size_t> numbers;
    for (size_t i = 0; i < shards.size(); ++i) {
      const auto [it, is_new] = numbers.emplace(names[i], files_.size());
      if (is_new) files_.push_back({.name = names[i], .tensors = {}, .metadata = {}});
      file_of_shard_.push_back(it->second);
      files_[it->second].metadata.insert(shards[i].metadata.begin(), shards[i].metadata.end());
    }
    tensors_.resize(files_.size());
  }

  void Carry(size_t weight) {
    for (const size_t part : source_.layout.weights[weight].Parts()) {
      const checkpoint::StackPart* in_stack = source_.checkpoint.PartOf(part);
      if (in_stack == nullptr) {
        CarryTensor(weight, part);
      } else if (stacks_.insert(in_stack->stored).second) {
        CarryTensor(weight, in_stack->stored);
      }
    }
  }

  void CarryTensor(size_t weight, size_t part) {
    const checkpoint::TensorLocation& location = source_.checkpoint.tensor(part);
    const TensorInfo& info = location.info;
    TensorSpec spec = {info.name, info.dtype, info.shape};
    if (info.dtype == checkpoint::DType::kOpaque) {
      spec.opaque_dtype_name = info.dtype_name;
      spec.opaque_bytes = info.Bytes();
    }
    Add(location.shard, std::move(spec),
        {.part = OutputPart::kSourceBytes, .weight = weight, .source_tensor = part, .info = {}});
  }

  // As its container keeps it: false where that is as any other container would.
  bool Place(size_t weight, WeightPlan& plan) {
    const LogicalWeight& planned = source_.layout.weights[weight];
    std::optional<checkpoint::PlacedWeight> placed =
        container_.Place(source_, planned, plan.format);
    if (!placed) return false;
    plan.dropped = placed->values.empty();
    if (plan.dropped) return true;
    plan.placement = placed->placement;
    const size_t home = container_.HomeOf(source_, planned);
    const auto add = [&](OutputPart part, TensorSpec spec) {
      Add(home, std::move(spec),
          {.part = part,
           .weight = weight,
           .source_tensor = checkpoint::Checkpoint::kNotFound,
           .info = {}});
    };
    add(OutputPart::kCodes, std::move(placed->values.front()));
    if (placed->values.size() > 1) add(OutputPart::kMoreCodes, std::move(placed->values.back()));
    if (placed->global_scale) add(OutputPart::kGlobalScale, *std::move(placed->global_scale));
    const bool scaled = placed->input_scale && (plan.format == kKeep || plan.HasInputScale());
    if (scaled) add(OutputPart::kInputScale, *std::move(placed->input_scale));
    return true;
  }

  void AddKvScales(size_t entry, const Plan& plan) {
    const checkpoint::KvCacheEntry& cached = plan.kv_entries[entry];
    const size_t weight = source_.layout.by_module.at(cached.beside);
    const size_t shard = source_.checkpoint.tensor(source_.layout.weights[weight].main).shard;
    for (dialects::TargetPart& part : dialects::KvScaleParts(cached, *plan.dialect)) {
      Add(shard, {std::move(part.name), part.dtype, std::move(part.shape)},
          {.part = part.part, .weight = weight, .kv_entry = entry, .info = {}});
    }
  }

  void Replace(size_t weight, const Plan& plan) {
    const LogicalWeight& planned = source_.layout.weights[weight];
    const checkpoint::StackPart* in_stack = source_.checkpoint.PartOf(planned.main);
    if (in_stack != nullptr && !IsQuantised(plan.weights[weight].format)) {
      if (stacks_.insert(in_stack->stored).second) ReplaceStack(weight, *in_stack, plan);
      return;
    }
    const size_t shard = source_.checkpoint.tensor(planned.main).shard;
    for (dialects::TargetPart& part : dialects::TargetParts({.format = plan.weights[weight].format,
                                      .dialect = *plan.dialect,
                                      .with_input_scale = plan.weights[weight].HasInputScale(),
                                      .weight = planned,
                                      .fp8_blocks = plan.fp8_blocks})) {
      Add(shard, {std::move(part.name), part.dtype, std::move(part.shape)},
          {.part = part.part,
           .weight = weight,
           .source_tensor = checkpoint::Checkpoint::kNotFound,
           .info = {}});
    }
  }

  // What is dequantised stays stacked, as the model's own code reads it.
  void ReplaceStack(size_t weight, const checkpoint::StackPart& part, const Plan& plan) {
    const checkpoint::TensorLocation& stored = source_.checkpoint.tensor(part.stored);
    std::string name = stored.info.name;
    if (name.ends_with(checkpoint::kPackedStackSuffix)) {
      name.erase(name.size() - checkpoint::kPackedStackSuffix.size());
    }
    const int64_t columns = source_.layout.weights[weight].columns();
    const int64_t width =
        part.transposed ? static_cast<int64_t>(part.line_bytes / part.element_bytes) : columns;
    const int64_t lines = part.turns ? columns : part.lines;
    Add(stored.shard,
        {std::move(name),
         plan.weights[weight].format->parts.codes,
         {stored.info.shape[0], lines, part.turns ? part.lines : width}},
        {.part = OutputPart::kCodes,
         .weight = weight,
         .source_tensor = checkpoint::Checkpoint::kNotFound,
         .stack = part.stored,
         .info = {}});
  }

  std::vector<OutputShard> LayOut() {
    std::vector<OutputShard> shards;
    for (const FileContent& file : files_) {
      shards.push_back(
          {.file_name = file.name, .metadata = file.metadata, .file_bytes = 0, .tensors = {}});
    }
    std::vector<FileLayout> layouts = container_.LayOut(source_, std::move(files_));
    assert(layouts.size() == shards.size());
    for (size_t i = 0; i < shards.size(); ++i) {
      shards[i].file_bytes = layouts[i].file_bytes;
      shards[i].tensors = Join(std::move(layouts[i].tensors), std::move(tensors_[i]));
    }
    return shards;
  }

 private:
  static std::vector<OutputTensor> Join(std::vector<TensorInfo> places, TensorsByName by_name) {
    assert(places.size() == by_name.size());
    std::vector<OutputTensor> tensors;
    tensors.reserve(places.size());
    for (TensorInfo& info : places) {
      tensors.push_back(std::move(by_name.at(info.name)));
      tensors.back().info = std::move(info);
    }
    return tensors;
  }

  // `shard`: of the source.
  void Add(size_t shard, TensorSpec spec, OutputTensor tensor) {
    const size_t file = file_of_shard_[shard];
    spec.name = container_.TensorName(source_.layout.weights[tensor.weight], std::move(spec.name));
    if (!names_.insert(spec.name).second) {
      throw Error(ErrorCode::kBadRule, source_.layout.weights[tensor.weight].module,
                  fmt::format("its output would have two tensors named {}", spec.name),
                  "Keep this weight; the source already uses the name for something else");
    }
    tensors_[file].emplace(spec.name, std::move(tensor));
    files_[file].tensors.push_back(std::move(spec));
  }

  const SourceModel& source_;
  const Container& container_;
  std::vector<size_t> file_of_shard_;      // of each of the source's, index into files_
  std::vector<FileContent> files_;         // of the output
  std::vector<TensorsByName> tensors_;     // parallel to files_
  std::unordered_set<size_t> stacks_;      // stored tensors that are placed as a whole
  std::unordered_set<std::string> names_;  // of all files: an index knows tensors by name
};

}  // namespace

void LayOutShards(const SourceModel& source, Plan& plan) {
  ContentBuilder builder(source, *plan.container);
  bool placed = false;
  for (size_t weight = 0; weight < plan.weights.size(); ++weight) {
    placed = builder.Place(weight, plan.weights[weight]);
    if (!placed) break;  // a container places all weights or none
  }
  if (placed) {
    plan.shards = builder.LayOut();
    return;
  }
  for (size_t weight = 0; weight < plan.weights.size(); ++weight) {
    const WeightPlan& planned = plan.weights[weight];
    if (planned.format == kKeep && !planned.dropped) builder.Carry(weight);
  }
  for (size_t weight = 0; weight < plan.weights.size(); ++weight) {
    if (plan.weights[weight].format == kKeep) continue;
    builder.Replace(weight, plan);
  }
  for (size_t entry = 0; entry < plan.kv_entries.size(); ++entry) builder.AddKvScales(entry, plan);
  plan.shards = builder.LayOut();
}

std::vector<checkpoint::PlannedFile> PlannedFiles(const Plan& plan) {
  std::vector<checkpoint::PlannedFile> files;
  files.reserve(plan.shards.size());
  for (const OutputShard& shard : plan.shards) {
    files.push_back({.name = shard.file_name,
                     .bytes = shard.file_bytes,
                     .tensors = {},
                     .metadata = &shard.metadata});
    files.back().tensors.reserve(shard.tensors.size());
    for (const OutputTensor& tensor : shard.tensors) files.back().tensors.push_back(&tensor.info);
  }
  return files;
}

}  // namespace vernier::recipes
