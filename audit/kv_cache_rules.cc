// Scales of a quantised key/value cache (V07).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "audit/byte_scan.h"
#include "audit/rules.h"
#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/kv_cache.h"
#include "quantizers/nvfp4.h"

namespace vernier::audit {
namespace {

using checkpoint::TensorInfo;

constexpr Defect kOneMissing = {"V07", Severity::kError,
                                "an attention has a scale for its keys or for its values, not both",
                                "Write both scales, or neither"};
constexpr Defect kForeignName = {
    "V07", Severity::kError, "a scale of the key/value cache has a name that no engine reads",
    "Name it self_attn.k_proj.k_scale or self_attn.v_proj.v_scale (modelopt), or self_attn.k_scale "
    "and self_attn.v_scale (compressed-tensors)"};
constexpr Defect kOldName = {
    "V07", Severity::kWarning,
    "one scale stands for keys and values, under a name that only vLLM and SGLang still take",
    "Name it self_attn.k_proj.k_scale and self_attn.v_proj.v_scale (modelopt)"};
constexpr Defect kBadTensor = {"V07", Severity::kError,
                               "a scale of the key/value cache is not one floating-point number",
                               "Store amax / 448 as one number"};
constexpr Defect kUnusable = {
    "V07", Severity::kError, "a scale of the key/value cache is not a finite number above zero",
    "Calibrate the cache again, or leave both scales out: they are then 1"};
constexpr Defect kIgnored = {
    "V07", Severity::kWarning,
    "there are scales of a key/value cache, but the configuration announces none",
    "Set kv_cache_quant_algo or kv_cache_scheme: engines do not use the scales without it, unless "
    "an FP8 cache is asked for when serving"};
constexpr Defect kAbsentScales = {
    "V07", Severity::kInfo,
    "a quantised key/value cache is announced without scales, which are then 1.0",
    "Calibrate k_scale and v_scale where keys or values exceed 448 or are tiny"};
constexpr Defect kNvfp4Latents = {"V07", Severity::kWarning,
                                  "an NVFP4 cache is announced for latent attention",
                                  "Announce FP8: engines refuse it, or keep the model's own type"};
constexpr Defect kNvfp4Blocks = {
    "V07", Severity::kError, "an NVFP4 cache is announced for heads that are no whole blocks of 16",
    "Announce FP8, or no cache"};

constexpr Defect kLatentScales = {
    "V07", Severity::kInfo,
    "scales of a cache of latents do not reach vLLM, which takes 1.0 for them",
    "Nothing, while latents stay below 448 in magnitude; else choose --kv-cache-dtype auto there"};

// vLLM's and SGLang's weight_utils.py take it for both.
constexpr std::string_view kOldScale = ".kv_scale";

// What stands before ".k_scale" or ".v_scale".
struct ScaleName {
  std::string attention;  // "model.layers.0.self_attn"
  bool is_key = false;
  bool is_known = false;  // one of the two forms that engines read
};

ScaleName ParseScaleName(std::string_view tensor) {
  ScaleName name;
  name.is_key = tensor.ends_with(checkpoint::kKeyScale.scale);
  const auto& parts = name.is_key ? checkpoint::kKeyScale : checkpoint::kValueScale;
  std::string_view owner = tensor.substr(0, tensor.size() - parts.scale.size());
  if (owner.ends_with(parts.projection)) owner.remove_suffix(parts.projection.size());
  name.attention = owner;
  name.is_known = owner.ends_with("attn") || owner.ends_with("attention");
  return name;
}

float ReadScalar(const Subject& subject, size_t tensor) {
  std::array<std::byte, sizeof(float)> bytes;
  const TensorInfo& info = subject.Info(tensor);
  subject.checkpoint.Read(tensor, 0, std::span(bytes).first(info.Bytes()));
  return FloatAt(info.dtype, bytes.data());
}

void CheckTensor(const Subject& subject, size_t tensor, FindingList* findings) {
  const TensorInfo& info = subject.Info(tensor);
  if (!IsScalar(info)) {
    findings->Add(kBadTensor, info.name);
    return;
  }
  const float value = ReadScalar(subject, tensor);
  if (!IsUsableScale(value)) {
    findings->Add(kUnusable, fmt::format("{} ({:g})", info.name, value));
  }
}

// Whether keys and values are made of one latent vector a token, which is what is cached. vLLM 0.32
// and 0.33 look for its scales under mla_attn, and rename ModelOpt's before they do; of
// compressed-tensors its MLA has no method for a cache.
bool CachesLatents(const Subject& subject, const std::string& attention) {
  return subject.index.Find(attention + ".kv_a_proj_with_mqa") != nullptr;
}

struct Pair {
  bool key = false;
  bool value = false;
};

// vLLM (config/vllm.py: "nvfp4 KV cache is not supported with MLA") and its page layout, of
// head_size / 2 + head_size / 16 bytes.
void CheckNvfp4Cache(const Subject& subject, FindingList* findings) {
  const checkpoint::DecoderConfig* decoder = subject.family->Decoder();
  if (decoder == nullptr) return;
  const bool latents = std::ranges::any_of(decoder->blocks, [](const auto& block) {
    return block.attention.kind == checkpoint::AttentionKind::kLatent;
  });
  if (latents) {
    findings->Add(kNvfp4Latents, "kv_cache_quant_algo", {Engine::kVllm, Engine::kSglang});
    return;
  }
  const int64_t head_dim = subject.family->Dims().head_dim;
  if (head_dim % quantizers::kNvfp4BlockSize != 0) {
    findings->Add(kNvfp4Blocks, fmt::format("head_dim {}", head_dim));
  }
}

}  // namespace

void CheckKvCache(const Subject& subject, FindingList* findings) {
  std::map<std::string, Pair> attentions;
  for (size_t tensor = 0; tensor < subject.checkpoint.tensors().size(); ++tensor) {
    const std::string& name = subject.Info(tensor).name;
    if (name.ends_with(kOldScale)) findings->Add(kOldName, name, {Engine::kTensorRtLlm});
    if (!checkpoint::IsKvCacheScale(name)) continue;
    CheckTensor(subject, tensor, findings);
    const ScaleName parsed = ParseScaleName(name);
    if (!parsed.is_known) {
      findings->Add(kForeignName, name);
      continue;
    }
    Pair& pair = attentions[parsed.attention];
    (parsed.is_key ? pair.key : pair.value) = true;
  }
  for (const auto& [attention, pair] : attentions) {
    if (pair.key != pair.value) findings->Add(kOneMissing, attention);
  }
  const std::string& algo = subject.Config().kv_cache_quant_algo;
  for (const auto& [attention, pair] : attentions) {
    if (algo.empty() || !CachesLatents(subject, attention)) continue;
    findings->Add(kLatentScales, attention, {Engine::kVllm});
  }
  if (!attentions.empty() && algo.empty()) {
    findings->Add(kIgnored, std::to_string(attentions.size()) + " attentions");
  }
  if (attentions.empty() && (algo == kAlgoFp8 || algo == kAlgoNvfp4)) {
    findings->Add(kAbsentScales, "kv_cache_quant_algo");
  }
  if (algo == kAlgoNvfp4) CheckNvfp4Cache(subject, findings);
}

}  // namespace vernier::audit
