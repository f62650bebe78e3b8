#include "tests/support/synthetic_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/families/deepseek_v4_tensors.h"
#include "quantizers/float_formats.h"

namespace vernier::testing {
namespace {

using checkpoint::DType;
using checkpoint::ReleasedStorage;
using checkpoint::SafetensorsLayout;
using checkpoint::TensorRow;
using checkpoint::TensorSpec;

using Bytes = std::vector<std::byte>;
using MakeBytes = std::function<Bytes(const std::string& name)>;

constexpr int64_t kBlockSide = 128;
constexpr int64_t kHashLayers = 2;
constexpr int64_t kExpertsPerToken = 3;

void WriteShard(const std::filesystem::path& path, std::vector<TensorSpec> specs,
                const MakeBytes& make_bytes) {
  const SafetensorsLayout layout =
      checkpoint::PlanSafetensors(std::move(specs), {{"format", "pt"}});
  const File file = File::OpenForWrite(path, /*truncate=*/true);
  file.WriteAt(0, std::as_bytes(std::span(layout.prefix)));
  for (const checkpoint::TensorInfo& tensor : layout.tensors) {
    file.WriteAt(tensor.begin, make_bytes(tensor.name));
  }
}

void WriteShards(const std::filesystem::path& directory, const Json& config,
                 const std::vector<TensorSpec>& specs, int shards, const MakeBytes& make_bytes) {
  CreateDirectories(directory);
  WriteFileAtomically(directory / "config.json", config.dump(2));
  if (shards == 1) {
    WriteShard(directory / checkpoint::kSingleFileName, specs, make_bytes);
    return;
  }
  std::string weight_map;
  uint64_t total_size = 0;
  for (int i = 0; i < shards; ++i) {
    const std::string file = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards);
    const auto begin = specs.begin() + static_cast<ptrdiff_t>(specs.size()) * i / shards;
    const auto end = specs.begin() + static_cast<ptrdiff_t>(specs.size()) * (i + 1) / shards;
    for (auto it = begin; it != end; ++it) {
      weight_map += fmt::format("{}    {}: \"{}\"", weight_map.empty() ? "" : ",\n",
                                Json(it->name).dump(), file);
      total_size += checkpoint::SpecBytes(*it);
    }
    WriteShard(directory / file, {begin, end}, make_bytes);
  }
  WriteFileAtomically(
      directory / checkpoint::kIndexFileName,
      fmt::format(
          "{{\n  \"metadata\": {{\"total_size\": {}}},\n  \"weight_map\": {{\n{}\n  }}\n}}\n",
          total_size, weight_map));
}

std::vector<TensorSpec> SpecsOf(const std::vector<TestTensor>& tensors) {
  std::vector<TensorSpec> specs;
  for (const TestTensor& tensor : tensors) specs.push_back(tensor.spec);
  return specs;
}

// Refers to `tensors`.
MakeBytes BytesOf(const std::vector<TestTensor>& tensors) {
  std::unordered_map<std::string, const TestTensor*> by_name;
  for (const TestTensor& tensor : tensors) by_name[tensor.spec.name] = &tensor;
  return
      [by_name = std::move(by_name)](const std::string& name) { return by_name.at(name)->bytes; };
}

template <typename T>
Bytes ToBytes(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

// Random bytes of one tensor; each tensor's depend on nothing but the seed and its name.
class TensorMaker {
 public:
  TensorMaker(const TensorRow& tensor, std::string_view part, uint64_t seed, int64_t experts)
      : tensor_(tensor), experts_(experts) {
    std::vector<uint32_t> words = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
    words.insert(words.end(), part.begin(), part.end());
    std::seed_seq sequence(words.begin(), words.end());
    random_.seed(sequence);
  }

  Bytes Weight() {
    switch (tensor_.stored) {
      case ReleasedStorage::kBf16:
        return Bf16();
      case ReleasedStorage::kF32:
        return F32();
      case ReleasedStorage::kFp8:
        return Fp8();
      case ReleasedStorage::kMxfp4:
        return Mxfp4();
      case ReleasedStorage::kExpertTable:
        return ExpertTable();
    }
    return {};
  }

  // E8M0 codes of 2^-7 or 2^-6.
  Bytes Scales(size_t count) {
    std::vector<uint8_t> codes(count);
    for (uint8_t& code : codes) {
      code = static_cast<uint8_t>(quantizers::kE8m0Bias - 7 + static_cast<int>(random_() & 1));
    }
    return ToBytes(codes);
  }

 private:
  float Normal() { return normal_(random_); }
  size_t Elements() const { return ElementsOf(tensor_.shape); }

  // A norm is ones; a matrix keeps the size of what it is applied to.
  Bytes Bf16() {
    std::vector<uint16_t> values(Elements(), quantizers::FloatToBf16(1.0f));
    if (tensor_.shape.size() == 1) return ToBytes(values);
    const float deviation = tensor_.name == "embed.weight"
                                ? 1.0f
                                : 1.0f / std::sqrt(static_cast<float>(tensor_.shape[1]));
    for (uint16_t& value : values) value = quantizers::FloatToBf16(deviation * Normal());
    return ToBytes(values);
  }

  Bytes F32() {
    constexpr float kDeviation = 0.05f;
    std::vector<float> values(Elements());
    for (float& value : values) value = kDeviation * Normal();
    return ToBytes(values);
  }

  Bytes Fp8() {
    constexpr float kDeviation = 6.0f;
    std::vector<uint8_t> codes(Elements());
    for (uint8_t& code : codes) code = quantizers::FloatToE4m3(kDeviation * Normal());
    return ToBytes(codes);
  }

  Bytes Mxfp4() {
    constexpr float kDeviation = 2.0f;
    std::vector<uint8_t> packed(Elements() / 2);
    for (uint8_t& byte : packed) {
      const uint8_t low = quantizers::FloatToE2m1(kDeviation * Normal());
      const uint8_t high = quantizers::FloatToE2m1(kDeviation * Normal());
      byte = static_cast<uint8_t>(low | high << 4);
    }
    return ToBytes(packed);
  }

  // Each token's experts are distinct.
  Bytes ExpertTable() {
    std::vector<int64_t> ids(Elements());
    const int64_t width = tensor_.shape[1];
    for (size_t i = 0; i < ids.size(); i += static_cast<size_t>(width)) {
      const auto first = static_cast<int64_t>(random_() % static_cast<uint64_t>(experts_));
      for (int64_t j = 0; j < width; ++j) {
        ids[i + static_cast<size_t>(j)] = (first + j) % experts_;
      }
    }
    return ToBytes(ids);
  }

  const TensorRow& tensor_;
  int64_t experts_;
  std::mt19937_64 random_;
  std::normal_distribution<float> normal_;
};

Json CompressRatios(const SyntheticOptions& options) {
  Json ratios = Json::array();
  for (int64_t i = 0; i < options.layers; ++i) {
    ratios.push_back(i == 0 ? 0 : i % 2 == 1 ? 128 : 4);
  }
  for (int64_t i = 0; i < options.mtp_layers; ++i) ratios.push_back(0);
  return ratios;
}

}  // namespace

void WriteSafetensors(const std::filesystem::path& path, const std::vector<TestTensor>& tensors) {
  WriteShard(path, SpecsOf(tensors), BytesOf(tensors));
}

void WriteCheckpoint(const std::filesystem::path& directory, const Json& config,
                     const std::vector<TestTensor>& tensors, int shards) {
  WriteShards(directory, config, SpecsOf(tensors), shards, BytesOf(tensors));
}

void Overwrite(const std::filesystem::path& directory, std::string_view tensor, uint64_t offset,
               std::span<const std::byte> bytes) {
  const auto checkpoint = checkpoint::Checkpoint::Open(directory);
  const checkpoint::TensorLocation& location = checkpoint.tensor(checkpoint.Find(tensor));
  File::OpenForWrite(checkpoint.ShardPaths()[location.shard], /*truncate=*/false)
      .WriteAt(location.info.begin + offset, bytes);
}

Json SyntheticDeepseekV4Config(const SyntheticOptions& options) {
  return {{"architectures", {"DeepseekV4ForCausalLM"}},
          {"model_type", "deepseek_v4"},
          {"bos_token_id", 0},
          {"eos_token_id", 1},
          {"compress_ratios", CompressRatios(options)},
          {"compress_rope_theta", 160000},
          {"dtype", "bfloat16"},
          {"expert_dtype", "fp4"},
          {"hc_eps", 1e-6},
          {"hc_mult", 4},
          {"hc_sinkhorn_iters", 20},
          {"head_dim", 64},
          {"hidden_act", "silu"},
          {"hidden_size", options.hidden},
          {"index_head_dim", 64},
          {"index_n_heads", 4},
          {"index_topk", 8},
          {"max_position_embeddings", 1048576},
          {"moe_intermediate_size", options.moe_width},
          {"n_routed_experts", options.experts},
          {"n_shared_experts", 1},
          {"norm_topk_prob", true},
          {"num_attention_heads", 4},
          {"num_experts_per_tok", kExpertsPerToken},
          {"num_hash_layers", std::min(kHashLayers, options.layers)},
          {"num_hidden_layers", options.layers},
          {"num_key_value_heads", 1},
          {"num_nextn_predict_layers", options.mtp_layers},
          {"o_groups", 2},
          {"o_lora_rank", 64},
          {"q_lora_rank", 64},
          {"qk_rope_head_dim", 32},
          {"quantization_config",
           {{"activation_scheme", "dynamic"},
            {"fmt", "e4m3"},
            {"quant_method", "fp8"},
            {"scale_fmt", "ue8m0"},
            {"weight_block_size", {kBlockSide, kBlockSide}}}},
          {"rms_norm_eps", 1e-6},
          {"rope_scaling",
           {{"type", "yarn"},
            {"factor", 16},
            {"original_max_position_embeddings", 65536},
            {"beta_fast", 32},
            {"beta_slow", 1}}},
          {"rope_theta", 10000},
          {"routed_scaling_factor", 1.5},
          {"scoring_func", "sqrtsoftplus"},
          {"sliding_window", 32},
          {"swiglu_limit", 10.0},
          {"tie_word_embeddings", false},
          {"topk_method", "noaux_tc"},
          {"vocab_size", options.vocab}};
}

void WriteSyntheticDeepseekV4(const std::filesystem::path& directory,
                              const SyntheticOptions& options) {
  const Json config = SyntheticDeepseekV4Config(options);
  const checkpoint::DeepseekV4Config parsed = checkpoint::ParseDeepseekV4Config(config);
  const std::vector<TensorRow> tensors = checkpoint::DeepseekV4Rows(parsed);
  std::vector<TensorSpec> specs;
  std::unordered_map<std::string, const TensorRow*> owner;
  for (const TensorRow& tensor : tensors) {
    for (TensorSpec& spec : checkpoint::ReleasedTensors(tensor)) {
      owner[spec.name] = &tensor;
      specs.push_back(std::move(spec));
    }
  }
  WriteShards(directory, config, specs, options.shards, [&](const std::string& name) {
    const TensorRow& tensor = *owner.at(name);
    TensorMaker maker(tensor, name, options.seed, options.experts);
    if (name == tensor.name) return maker.Weight();
    return maker.Scales(ElementsOf(checkpoint::ReleasedTensors(tensor)[1].shape));
  });
}

}  // namespace vernier::testing
