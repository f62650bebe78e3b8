#include "checkpoint/families/deepseek_v4_tensors.h"

#include <string_view>
#include <utility>

#include "base/rounding.h"

namespace vernier::checkpoint {
namespace {

constexpr int64_t kFp8Block = 128;
constexpr int64_t kMxfp4Block = 32;

std::string ScaleName(const std::string& weight_name) {
  return weight_name.substr(0, weight_name.size() - std::string_view("weight").size()) + "scale";
}

class DeepseekV4Inventory {
 public:
  explicit DeepseekV4Inventory(const DeepseekV4Config& config) : config_(config) {}

  void Add(std::string name, std::vector<int64_t> shape) {
    tensors_.push_back({std::move(name), std::move(shape)});
  }

  // `prefix` ends with a dot.
  void AddLayer(const std::string& prefix, int64_t ratio, bool hash_routed) {
    const int64_t hidden = config_.hidden_size;
    AddResidualSite(prefix + "hc_attn_");
    Add(prefix + "attn_norm.weight", {hidden});
    AddAttention(prefix + "attn.");
    if (ratio != 0) AddCompressor(prefix + "attn.compressor.", ratio, config_.head_dim);
    if (ratio == kSparseRatio) AddIndexer(prefix + "attn.indexer.");
    AddResidualSite(prefix + "hc_ffn_");
    Add(prefix + "ffn_norm.weight", {hidden});
    AddMoe(prefix + "ffn.", hash_routed);
  }

  // The weights that collapse the residual streams at the end.
  void AddResidualHead(const std::string& prefix) {
    const int64_t streams = config_.hc_mult;
    Add(prefix + "hc_head_fn", {streams, streams * config_.hidden_size});
    Add(prefix + "hc_head_base", {streams});
    Add(prefix + "hc_head_scale", {1});
  }

  std::vector<ExpectedTensor> Take() { return std::move(tensors_); }

 private:
  void AddResidualSite(const std::string& prefix) {
    const int64_t streams = config_.hc_mult;
    const int64_t outputs = (2 + streams) * streams;
    Add(prefix + "fn", {outputs, streams * config_.hidden_size});
    Add(prefix + "base", {outputs});
    Add(prefix + "scale", {3});
  }

  void AddAttention(const std::string& prefix) {
    const int64_t query = config_.num_attention_heads * config_.head_dim;
    const int64_t output = config_.o_groups * config_.o_lora_rank;
    Add(prefix + "wq_a.weight", {config_.q_lora_rank, config_.hidden_size});
    Add(prefix + "q_norm.weight", {config_.q_lora_rank});
    Add(prefix + "wq_b.weight", {query, config_.q_lora_rank});
    Add(prefix + "wkv.weight", {config_.head_dim, config_.hidden_size});
    Add(prefix + "kv_norm.weight", {config_.head_dim});
    Add(prefix + "attn_sink", {config_.num_attention_heads});
    Add(prefix + "wo_a.weight", {output, query / config_.o_groups});
    Add(prefix + "wo_b.weight", {config_.hidden_size, output});
  }

  // The sparse kind overlaps its windows, so it is twice as wide as its entries.
  void AddCompressor(const std::string& prefix, int64_t ratio, int64_t entry_width) {
    const int64_t width = ratio == kSparseRatio ? 2 * entry_width : entry_width;
    Add(prefix + "wkv.weight", {width, config_.hidden_size});
    Add(prefix + "wgate.weight", {width, config_.hidden_size});
    Add(prefix + "ape", {ratio, width});
    Add(prefix + "norm.weight", {entry_width});
  }

  void AddIndexer(const std::string& prefix) {
    const int64_t query = config_.index_n_heads * config_.index_head_dim;
    Add(prefix + "wq_b.weight", {query, config_.q_lora_rank});
    Add(prefix + "weights_proj.weight", {config_.index_n_heads, config_.hidden_size});
    AddCompressor(prefix + "compressor.", kSparseRatio, config_.index_head_dim);
  }

  void AddMoe(const std::string& prefix, bool hash_routed) {
    Add(prefix + "gate.weight", {config_.n_routed_experts, config_.hidden_size});
    if (hash_routed) {
      Add(prefix + "gate.tid2eid", {config_.vocab_size, config_.num_experts_per_tok});
    } else {
      Add(prefix + "gate.bias", {config_.n_routed_experts});
    }
    for (int64_t i = 0; i < config_.n_routed_experts; ++i) {
      AddExpert(prefix + "experts." + std::to_string(i) + ".", config_.moe_intermediate_size);
    }
    AddExpert(prefix + "shared_experts.", config_.moe_intermediate_size * config_.n_shared_experts);
  }

  void AddExpert(const std::string& prefix, int64_t width) {
    Add(prefix + "w1.weight", {width, config_.hidden_size});
    Add(prefix + "w2.weight", {config_.hidden_size, width});
    Add(prefix + "w3.weight", {width, config_.hidden_size});
  }

  const DeepseekV4Config& config_;
  std::vector<ExpectedTensor> tensors_;
};

}  // namespace

std::vector<ExpectedTensor> DeepseekV4MainTensors(const DeepseekV4Config& config) {
  DeepseekV4Inventory inventory(config);
  inventory.Add("embed.weight", {config.vocab_size, config.hidden_size});
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    inventory.AddLayer("layers." + std::to_string(i) + ".",
                       config.compress_ratios[static_cast<size_t>(i)], i < config.num_hash_layers);
  }
  inventory.AddResidualHead("");
  inventory.Add("norm.weight", {config.hidden_size});
  inventory.Add("head.weight", {config.vocab_size, config.hidden_size});
  return inventory.Take();
}

std::vector<ExpectedTensor> DeepseekV4MtpTensors(const DeepseekV4Config& config) {
  DeepseekV4Inventory inventory(config);
  for (int64_t i = 0; i < config.num_nextn_predict_layers; ++i) {
    const std::string prefix = "mtp." + std::to_string(i) + ".";
    for (const char* norm : {"enorm", "hnorm", "norm"}) {
      inventory.Add(prefix + norm + ".weight", {config.hidden_size});
    }
    for (const char* projection : {"e_proj", "h_proj"}) {
      inventory.Add(prefix + projection + ".weight", {config.hidden_size, config.hidden_size});
    }
    inventory.AddLayer(prefix, /*ratio=*/0, /*hash_routed=*/false);
    inventory.AddResidualHead(prefix);
  }
  return inventory.Take();
}

ReleasedStorage StorageOf(const ExpectedTensor& tensor) {
  const std::string_view name = tensor.name;
  const auto contains = [name](std::string_view part) {
    return name.find(part) != std::string_view::npos;
  };
  if (name.ends_with(".tid2eid")) return ReleasedStorage::kExpertTable;
  if (contains(".ffn.experts.")) return ReleasedStorage::kMxfp4;
  if (contains("hc_") || name.ends_with(".attn_sink") || name.ends_with(".ape") ||
      name.ends_with(".bias")) {
    return ReleasedStorage::kF32;
  }
  const bool projection = contains(".attn.w") || contains(".indexer.wq_b.") ||
                          contains(".shared_experts.") || contains(".e_proj.") ||
                          contains(".h_proj.");
  return projection ? ReleasedStorage::kFp8 : ReleasedStorage::kBf16;
}

std::vector<TensorSpec> ReleasedTensors(const ExpectedTensor& tensor) {
  const std::vector<int64_t>& shape = tensor.shape;
  switch (StorageOf(tensor)) {
    case ReleasedStorage::kBf16:
      return {{tensor.name, DType::kBF16, shape}};
    case ReleasedStorage::kF32:
      return {{tensor.name, DType::kF32, shape}};
    case ReleasedStorage::kExpertTable:
      return {{tensor.name, DType::kI64, shape}};
    case ReleasedStorage::kFp8:
      return {{tensor.name, DType::kF8E4M3, shape},
              {ScaleName(tensor.name),
               DType::kF8E8M0,
               {CeilDivide(shape[0], kFp8Block), CeilDivide(shape[1], kFp8Block)}}};
    case ReleasedStorage::kMxfp4:
      return {{tensor.name, DType::kI8, {shape[0], shape[1] / 2}},
              {ScaleName(tensor.name), DType::kF8E8M0, {shape[0], shape[1] / kMxfp4Block}}};
  }
  return {};
}

}  // namespace vernier::checkpoint
