#include "checkpoint/families/deepseek_v4_tensors.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/rounding.h"
#include "checkpoint/families/deepseek_v4_names.h"
#include "checkpoint/tensor_group.h"

namespace vernier::checkpoint {
namespace {

namespace names = deepseek_v4;
using names::Below;

constexpr int64_t kFp8Block = 128;
constexpr int64_t kMxfp4Block = 32;

std::string ScaleName(const std::string& weight_name) {
  return weight_name.substr(0, weight_name.size() - kWeightSuffix.size()) + ".scale";
}

class DeepseekV4RowBuilder {
 public:
  explicit DeepseekV4RowBuilder(const DeepseekV4Config& config) : config_(config) {}

  void AddEmbedding() {
    rows_.Add(Weight(names::kEmbedding), {config_.vocab_size, config_.hidden_size},
              Role::kEmbedding);
  }

  void AddLayer(int64_t layer) {
    rows_.Enter({.layer = static_cast<int>(layer)});
    AddBlock(names::Layer(layer), config_.block(layer), config_.n_routed_experts);
  }

  void AddHead() {
    rows_.Enter({});
    AddStreamHead({});
    AddNorm(std::string(names::kLastNorm), config_.hidden_size);
    rows_.AddLinear({}, names::kHead, config_.vocab_size, config_.hidden_size, Role::kLmHead);
  }

  void AddMtpLayer(int64_t layer) {
    const std::string prefix = std::string(names::kMtpLayers) + std::to_string(layer) + ".";
    AddMtpInput(prefix, static_cast<int>(layer));
    AddBlock(prefix, /*block=*/{}, config_.n_routed_experts);
    AddStreamHead(prefix);
  }

  // `prefix` ends with a dot or is empty, here and below.
  void AddBlock(const std::string& prefix, const DeepseekV4Block& block, int64_t experts) {
    AddStreams(prefix + std::string(names::kAttentionStreams));
    AddNorm(prefix + std::string(names::kAttentionNorm), config_.hidden_size);
    AddAttention(prefix + std::string(names::kAttention), block);
    AddStreams(prefix + std::string(names::kFfnStreams));
    AddNorm(prefix + std::string(names::kFfnNorm), config_.hidden_size);
    const std::string ffn = prefix + std::string(names::kFfn);
    AddRouter(ffn, block.hashes());
    AddExperts(Below(ffn, names::kExperts), experts);
    AddExpert(Below(ffn, names::kSharedExperts),
              config_.moe_intermediate_size * config_.n_shared_experts, Role::kSharedExpert,
              ReleasedStorage::kFp8);
  }

  // What an MTP layer makes its input of.
  void AddMtpInput(const std::string& prefix, int layer) {
    const int64_t hidden = config_.hidden_size;
    rows_.Enter({.layer = layer, .mtp = true});
    for (const auto norm : {names::kEmbeddingNorm, names::kHiddenNorm, names::kLastNorm}) {
      AddNorm(prefix + std::string(norm), hidden);
    }
    const std::string module = prefix.substr(0, prefix.empty() ? 0 : prefix.size() - 1);
    for (const auto projection : {names::kEmbeddingProjection, names::kHiddenProjection}) {
      AddFp8(module, projection, hidden, hidden, Role::kMtp);
    }
  }

  std::vector<TensorRow> Take() && { return std::move(rows_).Take(); }

 private:
  static std::string Weight(std::string_view module) {
    return std::string(module).append(kWeightSuffix);
  }

  static void Keep(TensorRow& row) { row.meaning.keeps_precision = true; }

  void AddNorm(const std::string& module, int64_t size) {
    rows_.Add(Weight(module), {size}, Role::kNorm);
  }

  void AddFp8(const std::string& module, std::string_view projection, int64_t rows, int64_t columns,
              Role role, std::string_view group = {}) {
    rows_.AddLinear(module, projection, rows, columns, role, group).stored = ReleasedStorage::kFp8;
  }

  // A tensor of F32 that is no linear layer's.
  TensorRow& AddF32(std::string name, std::vector<int64_t> shape, Role role) {
    TensorRow& row = rows_.Add(std::move(name), std::move(shape), role);
    row.stored = ReleasedStorage::kF32;
    return row;
  }

  void AddThree(const std::string& prefix, int64_t outputs, int64_t scales) {
    const int64_t width = config_.hc_mult * config_.hidden_size;
    const Role role = Role::kHyperConnection;
    AddF32(prefix + std::string(names::kStreamFn), {outputs, width}, role);
    AddF32(prefix + std::string(names::kStreamBase), {outputs}, role);
    AddF32(prefix + std::string(names::kStreamScale), {scales}, role);
  }

  void AddStreams(const std::string& prefix) {
    AddThree(prefix, (2 + config_.hc_mult) * config_.hc_mult, 3);
  }

  // The weights that collapse the residual streams at the end.
  void AddStreamHead(const std::string& prefix) {
    AddThree(prefix + std::string(names::kStreamHead), config_.hc_mult, 1);
  }

  void AddAttention(const std::string& module, const DeepseekV4Block& block) {
    const int64_t query = config_.num_attention_heads * config_.head_dim;
    const int64_t output = config_.o_groups * config_.o_lora_rank;
    const Role role = Role::kAttention;
    AddFp8(module, names::kWqA, config_.q_lora_rank, config_.hidden_size, role, names::kQAKv);
    AddNorm(Below(module, names::kQNorm), config_.q_lora_rank);
    AddFp8(module, names::kWqB, query, config_.q_lora_rank, role);
    AddFp8(module, names::kWkv, config_.head_dim, config_.hidden_size, role, names::kQAKv);
    AddNorm(Below(module, names::kKvNorm), config_.head_dim);
    AddF32(Below(module, names::kSink), {config_.num_attention_heads}, Role::kAttentionAux);
    AddFp8(module, names::kWoA, output, query / config_.o_groups, role);
    AddFp8(module, names::kWoB, config_.hidden_size, output, role);
    if (block.compresses()) {
      AddCompressor(Below(module, names::kCompressor), block, config_.head_dim, Role::kCompressor);
    }
    if (block.indexes()) AddIndexer(Below(module, names::kIndexer), block);
  }

  // The sparse kind overlaps its windows, so it is twice as wide as its entries. Engines build its
  // projections without a quantisation method.
  void AddCompressor(const std::string& module, const DeepseekV4Block& block, int64_t entry_width,
                     Role role) {
    const int64_t width = block.indexes() ? 2 * entry_width : entry_width;
    Keep(rows_.AddLinear(module, names::kWkv, width, config_.hidden_size, role));
    Keep(rows_.AddLinear(module, names::kWgate, width, config_.hidden_size, role));
    Keep(AddF32(Below(module, names::kPositions), {block.compress_ratio, width}, role));
    Keep(rows_.Add(Weight(Below(module, names::kNorm)), {entry_width}, role));
  }

  void AddIndexer(const std::string& module, const DeepseekV4Block& block) {
    const Role role = Role::kIndexer;
    AddFp8(module, names::kWqB, config_.index_n_heads * config_.index_head_dim, config_.q_lora_rank,
           role);
    Keep(rows_.AddLinear(module, names::kWeightsProjection, config_.index_n_heads,
                         config_.hidden_size, role));
    AddCompressor(Below(module, names::kCompressor), block, config_.index_head_dim, role);
  }

  void AddRouter(const std::string& ffn, bool hashed) {
    const std::string module = Below(ffn, names::kRouter);
    const int64_t experts = config_.n_routed_experts;
    Keep(rows_.AddLinear(ffn, names::kRouter, experts, config_.hidden_size, Role::kRouter));
    if (!hashed) return Keep(AddF32(module + ".bias", {experts}, Role::kRouter));
    TensorRow& table = rows_.Add(Below(module, names::kTokenExperts),
                                 {config_.vocab_size, config_.num_experts_per_tok}, Role::kRouter);
    table.stored = ReleasedStorage::kExpertTable;
    Keep(table);
  }

  void AddExperts(const std::string& module, int64_t experts) {
    for (int64_t expert = 0; expert < experts; ++expert) {
      const size_t first = rows_.rows().size();
      AddExpert(Below(module, std::to_string(expert)), config_.moe_intermediate_size,
                Role::kRoutedExpert, ReleasedStorage::kMxfp4);
      for (size_t i = first; i < rows_.rows().size(); ++i) {
        rows_.rows()[i].meaning.expert = static_cast<int>(expert);
        rows_.rows()[i].meaning.experts_module = module;
      }
    }
  }

  // w1 and w3 read the same input and engines load them as one matrix.
  void AddExpert(const std::string& module, int64_t width, Role role, ReleasedStorage stored) {
    const int64_t hidden = config_.hidden_size;
    rows_.AddLinear(module, names::kW1, width, hidden, role, names::kW1W3).stored = stored;
    rows_.AddLinear(module, names::kW2, hidden, width, role).stored = stored;
    rows_.AddLinear(module, names::kW3, width, hidden, role, names::kW1W3).stored = stored;
  }

  const DeepseekV4Config& config_;
  TensorRows rows_;
};

}  // namespace

std::vector<TensorRow> DeepseekV4Rows(const DeepseekV4Config& config) {
  DeepseekV4RowBuilder builder(config);
  builder.AddEmbedding();
  for (int64_t layer = 0; layer < config.layers(); ++layer) builder.AddLayer(layer);
  builder.AddHead();
  for (int64_t layer = 0; layer < config.num_nextn_predict_layers; ++layer) {
    builder.AddMtpLayer(layer);
  }
  return std::move(builder).Take();
}

std::vector<TensorRow> DeepseekV4LayerRows(const DeepseekV4Config& config) {
  DeepseekV4RowBuilder builder(config);
  builder.AddBlock({}, {.attention = DeepseekV4Attention::kIndexed, .compress_ratio = kSparseRatio},
                   /*experts=*/1);
  builder.AddMtpInput({}, /*layer=*/-1);
  return std::move(builder).Take();
}

std::vector<TensorSpec> ReleasedTensors(const TensorRow& row) {
  const std::vector<int64_t>& shape = row.shape;
  switch (row.stored) {
    case ReleasedStorage::kBf16:
      return {{row.name, DType::kBF16, shape}};
    case ReleasedStorage::kF32:
      return {{row.name, DType::kF32, shape}};
    case ReleasedStorage::kExpertTable:
      return {{row.name, DType::kI64, shape}};
    case ReleasedStorage::kFp8:
      return {{row.name, DType::kF8E4M3, shape},
              {ScaleName(row.name),
               DType::kF8E8M0,
               {CeilDivide(shape[0], kFp8Block), CeilDivide(shape[1], kFp8Block)}}};
    case ReleasedStorage::kMxfp4:
      return {{row.name, DType::kI8, {shape[0], shape[1] / 2}},
              {ScaleName(row.name), DType::kF8E8M0, {shape[0], shape[1] / kMxfp4Block}}};
  }
  return {};
}

}  // namespace vernier::checkpoint
