#include "recipes/plan_shards.h"

#include <fmt/format.h>

#include <cassert>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"

namespace vernier::recipes {
namespace {

using checkpoint::LogicalWeight;
using checkpoint::SourceModel;
using checkpoint::TensorInfo;
using checkpoint::TensorSpec;

// What one output file will hold, before its layout is known.
struct ShardContent {
  std::vector<TensorSpec> specs;
  std::unordered_map<std::string, OutputTensor> by_name;  // without byte ranges
};

class ContentBuilder {
 public:
  explicit ContentBuilder(const SourceModel& source)
      : source_(source), contents_(source.checkpoint.shards().size()) {}

  void Carry(size_t weight) {
    for (const size_t part : source_.layout.weights[weight].Parts()) {
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

  void Replace(size_t weight, const Plan& plan, bool with_input_scales) {
    const LogicalWeight& planned = source_.layout.weights[weight];
    const size_t shard = source_.checkpoint.tensor(planned.main).shard;
    for (dialects::TargetPart& part : dialects::TargetParts({.format = plan.weights[weight].format,
                            .dialect = *plan.dialect,
                            .with_input_scale = with_input_scales,
                            .weight = planned,
                            .fp8_blocks = plan.fp8_blocks})) {
      Add(shard, {std::move(part.name), part.dtype, std::move(part.shape)},
          {.part = part.part,
           .weight = weight,
           .source_tensor = checkpoint::Checkpoint::kNotFound,
           .info = {}});
    }
  }

  std::vector<ShardContent> Take() { return std::move(contents_); }

 private:
  void Add(size_t shard, TensorSpec spec, OutputTensor tensor) {
    if (!names_.insert(spec.name).second) {
      throw Error(ErrorCode::kBadRule, source_.layout.weights[tensor.weight].module,
                  fmt::format("its output would have two tensors named {}", spec.name),
                  "Keep this weight; the source already uses the name for something else");
    }
    contents_[shard].by_name.emplace(spec.name, std::move(tensor));
    contents_[shard].specs.push_back(std::move(spec));
  }

  const SourceModel& source_;
  std::vector<ShardContent> contents_;
  std::unordered_set<std::string> names_;  // of all shards: the index knows tensors by name
};

OutputShard LayOut(const checkpoint::Shard& source_shard, ShardContent content) {
  checkpoint::SafetensorsLayout layout =
      checkpoint::PlanSafetensors(std::move(content.specs), source_shard.metadata);
  OutputShard shard;
  shard.file_name = source_shard.file_name;
  shard.prefix = std::move(layout.prefix);
  shard.file_bytes = layout.file_bytes;
  for (TensorInfo& info : layout.tensors) {
    const auto found = content.by_name.find(info.name);
    assert(found != content.by_name.end());
    OutputTensor tensor = std::move(found->second);
    tensor.info = std::move(info);
    shard.tensors.push_back(std::move(tensor));
  }
  return shard;
}

}  // namespace

void LayOutShards(const SourceModel& source, bool with_input_scales, Plan& plan) {
  ContentBuilder builder(source);
  for (size_t weight = 0; weight < plan.weights.size(); ++weight) {
    const WeightPlan& planned = plan.weights[weight];
    if (planned.format == kKeep && !planned.dropped) builder.Carry(weight);
  }
  for (size_t weight = 0; weight < plan.weights.size(); ++weight) {
    if (plan.weights[weight].format == kKeep) continue;
    builder.Replace(weight, plan, with_input_scales);
  }
  for (size_t entry = 0; entry < plan.kv_entries.size(); ++entry) builder.AddKvScales(entry, plan);
  std::vector<ShardContent> contents = builder.Take();
  for (size_t i = 0; i < contents.size(); ++i) {
    plan.shards.push_back(LayOut(source.checkpoint.shards()[i], std::move(contents[i])));
  }
}

}  // namespace vernier::recipes
