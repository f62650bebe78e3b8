#include "recipes/plan_shards.h"

#include <fmt/format.h>

#include <cassert>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "recipes/nvfp4_layout.h"

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
      Add(location.shard, std::move(spec), {OutputPart::kSourceBytes, weight, part, {}});
    }
  }

  void Replace(size_t weight) {
    const LogicalWeight& planned = source_.layout.weights[weight];
    const size_t shard = source_.checkpoint.tensor(planned.main).shard;
    for (const Nvfp4Part& part : kNvfp4Parts) {
      Add(shard,
          {planned.module + std::string(part.suffix), part.dtype,
           Nvfp4PartShape(part.part, planned)},
          {part.part, weight, checkpoint::Checkpoint::kNotFound, {}});
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

std::vector<OutputShard> LayOutShards(const SourceModel& source,
                                      const std::vector<WeightPlan>& plans) {
  ContentBuilder builder(source);
  for (size_t weight = 0; weight < plans.size(); ++weight) {
    if (plans[weight].format == TargetFormat::kKeep) builder.Carry(weight);
  }
  for (size_t weight = 0; weight < plans.size(); ++weight) {
    if (plans[weight].format == TargetFormat::kNvfp4) builder.Replace(weight);
  }
  std::vector<ShardContent> contents = builder.Take();
  std::vector<OutputShard> shards;
  for (size_t i = 0; i < contents.size(); ++i) {
    shards.push_back(LayOut(source.checkpoint.shards()[i], std::move(contents[i])));
  }
  return shards;
}

}  // namespace vernier::recipes
