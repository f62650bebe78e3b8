#include "checkpoint/families/deepseek_v4_folds.h"

#include <string>
#include <utility>

#include "checkpoint/families/deepseek_v4_names.h"
#include "checkpoint/model_layout.h"

namespace vernier::checkpoint {
namespace {

namespace names = deepseek_v4;
using names::Below;

class DeepseekV4Folds {
 public:
  DeepseekV4Folds(const DeepseekV4Config& config, const ModelLayout& layout)
      : config_(config), layout_(layout) {}

  std::vector<Fold> Take() && {
    for (int64_t layer = 0; layer < config_.layers(); ++layer) {
      AddAttention(layer, config_.block(layer));
      AddFfn(layer);
    }
    return std::move(folds_);
  }

 private:
  void AddNorm(const std::string& norm, int64_t channels,
               const std::vector<std::string>& consumers) {
    AddFold(layout_, {.kind = FoldKind::kNorm, .channels = channels}, norm, consumers, folds_);
  }

  void AddAttention(int64_t layer, const DeepseekV4Block& block) {
    const std::string attention = names::Attention(layer);
    std::vector<std::string> of_input = {Below(attention, names::kWqA),
                                         Below(attention, names::kWkv)};
    std::vector<std::string> of_queries = {Below(attention, names::kWqB)};
    const auto add_compressor = [&](const std::string& beside) {
      const std::string compressor = Below(beside, names::kCompressor);
      of_input.push_back(Below(compressor, names::kWkv));
      of_input.push_back(Below(compressor, names::kWgate));
    };
    if (block.compresses()) add_compressor(attention);
    if (block.indexes()) {
      const std::string indexer = Below(attention, names::kIndexer);
      add_compressor(indexer);
      of_input.push_back(Below(indexer, names::kWeightsProjection));
      of_queries.push_back(Below(indexer, names::kWqB));
    }
    AddNorm(names::Layer(layer).append(names::kAttentionNorm), config_.hidden_size, of_input);
    AddNorm(Below(attention, names::kQNorm), config_.q_lora_rank, of_queries);
  }

  void AddFfn(int64_t layer) {
    std::vector<std::string> consumers = {Below(names::Ffn(layer), names::kRouter)};
    const auto add = [&](const std::string& expert) {
      consumers.push_back(Below(expert, names::kW1));
      consumers.push_back(Below(expert, names::kW3));
    };
    if (config_.n_shared_experts > 0) add(names::SharedExperts(layer));
    for (int64_t expert = 0; expert < config_.n_routed_experts; ++expert) {
      add(names::Expert(layer, expert));
    }
    AddNorm(names::Layer(layer).append(names::kFfnNorm), config_.hidden_size, consumers);
  }

  const DeepseekV4Config& config_;
  const ModelLayout& layout_;
  std::vector<Fold> folds_;
};

}  // namespace

std::vector<Fold> FoldsOfDeepseekV4(const DeepseekV4Config& config, const ModelLayout& layout) {
  return DeepseekV4Folds(config, layout).Take();
}

}  // namespace vernier::checkpoint
