#include "checkpoint/families/generic_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"

namespace vernier::checkpoint {
namespace {

template <size_t n>
using Names = std::array<std::string_view, n>;

constexpr Names<3> kRouters = {"gate", "router", "e_score_correction_bias"};
constexpr Names<4> kAttentions = {"self_attn", "attn", "attention", "self_attention"};
constexpr Names<1> kLinearAttentions = {"linear_attn"};
constexpr Names<3> kMlps = {"mlp", "feed_forward", "ffn"};
constexpr Names<6> kTowers = {"vision", "visual", "audio", "image", "multi_modal", "mm_projector"};
// What numbers decoder layers: Llama's, GPT-NeoX's; MTP's; Falcon's and Bloom's; MPT's.
constexpr Names<4> kLayers = {"layers", "mtp_layers", "h", "blocks"};

// Output heads that are not called lm_head: GPT-NeoX's, ChatGLM's.
constexpr Names<4> kHeads = {"lm_head", "embed_out", "output_layer", "head"};
// Embeddings whose names do not say so: GPT-2's.
constexpr Names<2> kEmbeddings = {"wte", "wpe"};

// Linear layers too small or too delicate for fewer bits, which toolkits leave alone: the gates of
// a delta net, of a shared expert, the weights of an indexer's heads, and DeepSeek's projection
// into an MTP layer.
constexpr Names<6> kDelicate = {"in_proj_a",          "in_proj_b",    "in_proj_ba",
                                "shared_expert_gate", "weights_proj", "eh_proj"};

// Projections that read one input and that engines load as one matrix share a group.
struct Projection {
  std::string_view name;
  std::string_view group;
};
constexpr auto kFusedProjections = std::to_array<Projection>({
    {"q_proj", "qkv"},
    {"k_proj", "qkv"},
    {"v_proj", "qkv"},
    {"q_a_proj", "q_a_kv_a"},
    {"kv_a_proj_with_mqa", "q_a_kv_a"},
    {"in_proj_qkv", "in_proj_qkvz"},
    {"in_proj_z", "in_proj_qkvz"},
    {"in_proj_b", "in_proj_ba"},
    {"in_proj_a", "in_proj_ba"},
    {"gate_proj", "gate_up"},
    {"up_proj", "gate_up"},
    {"w1", "w1w3"},
    {"w3", "w1w3"},
});

std::optional<int> ParseNumber(std::string_view text) {
  int number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

// A tensor's name cut at its dots.
class DottedName {
 public:
  explicit DottedName(std::string_view name) : name_(name) {
    for (size_t begin = 0; begin <= name.size();) {
      const size_t end = std::min(name.find('.', begin), name.size());
      parts_.push_back(name.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  bool is_weight() const { return parts_.size() > 1 && parts_.back() == "weight"; }
  bool is_bias() const { return parts_.size() > 1 && parts_.back() == "bias"; }

  // The innermost module, or the parameter itself when nothing says ".weight" or ".bias".
  std::string_view Leaf() const {
    return parts_[parts_.size() - (is_weight() || is_bias() ? 2 : 1)];
  }

  // The name up to its leaf, with the dot: what a group is named after.
  std::string_view Prefix() const {
    return name_.substr(0, static_cast<size_t>(Leaf().data() - name_.data()));
  }

  // The module of the leaf, without the dot.
  std::string_view Module() const {
    return Prefix().substr(0, std::max<size_t>(Prefix().size(), 1) - 1);
  }

  // The name up to the first `part` that a number follows, with that part.
  std::string_view UpTo(std::string_view part) const {
    for (size_t i = 0; i + 1 < parts_.size(); ++i) {
      if (parts_[i] != part || !ParseNumber(parts_[i + 1])) continue;
      return name_.substr(0, static_cast<size_t>(parts_[i].data() - name_.data()) + part.size());
    }
    return {};
  }

  template <typename Predicate>
  bool Any(Predicate predicate) const {
    return std::any_of(parts_.begin(), parts_.end(), predicate);
  }

  template <size_t n>
  bool Has(const Names<n>& names) const {
    return Any([&](std::string_view part) { return IsOneOf(part, names); });
  }

  // The number that follows a part for which `is_label` holds.
  template <typename Predicate>
  std::optional<int> NumberAfter(Predicate is_label) const {
    for (size_t i = 0; i + 1 < parts_.size(); ++i) {
      if (!is_label(parts_[i])) continue;
      if (const std::optional<int> number = ParseNumber(parts_[i + 1])) return number;
    }
    return std::nullopt;
  }

 private:
  std::string_view name_;
  std::vector<std::string_view> parts_;
};

bool Contains(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

bool IsTower(std::string_view part) {
  return std::any_of(kTowers.begin(), kTowers.end(),
                     [part](std::string_view tower) { return Contains(part, tower); });
}

bool IsMtpPart(std::string_view part) {
  return part.starts_with("mtp") || part.starts_with("nextn");
}

bool IsLayers(std::string_view part) { return IsOneOf(part, kLayers); }

bool IsSharedExpert(std::string_view part) {
  return part == "shared_expert" || part == "shared_experts" || part == "shared_mlp" ||
         part == "share_expert";
}

// A table that tokens or positions choose rows of; a projection of embeddings is none.
bool IsEmbedding(std::string_view leaf) {
  if (IsOneOf(leaf, kEmbeddings)) return true;
  return Contains(leaf, "embed") && !Contains(leaf, "proj") && leaf != "embed_out";
}

// Whether the name can be that of a linear layer's weight; two dimensions make it one.
bool CanBeLinear(const DottedName& name) {
  const std::string_view leaf = name.Leaf();
  return name.is_weight() && !Contains(leaf, "norm") && !Contains(leaf, "conv") &&
         !IsEmbedding(leaf) && !leaf.ends_with("bias");
}

// Linear layers are of `role`; what else stands beside them is of role `otherwise`.
TensorMeaning Project(const DottedName& name, Role role, Role otherwise) {
  return MeaningOf(CanBeLinear(name) ? role : otherwise);
}

std::string FusedGroup(const DottedName& name) {
  const auto it = std::ranges::find(kFusedProjections, name.Leaf(), &Projection::name);
  if (it == kFusedProjections.end() || !CanBeLinear(name)) return {};
  return std::string(name.Prefix()).append(it->group);
}

// Of a dense MLP or of shared experts: a projection's bias is a part of it.
TensorMeaning GuessMlp(const DottedName& name, Role role) {
  const bool bias = name.is_bias() && name.Leaf().ends_with("_proj");
  return Project(name, role, bias ? role : Role::kOther);
}

TensorMeaning GuessAttention(const DottedName& name) {
  if (name.Has(Names<1>{"indexer"})) return Project(name, Role::kIndexer, Role::kIndexer);
  if (name.Has(Names<1>{"compressor"})) return MeaningOf(Role::kCompressor);
  return Project(name, Role::kAttention, Role::kAttentionAux);
}

TensorMeaning GuessExpert(const DottedName& name) {
  const std::optional<int> expert =
      name.NumberAfter([](std::string_view part) { return part == "experts"; });
  if (expert) {
    TensorMeaning meaning = GuessMlp(name, Role::kRoutedExpert);
    meaning.expert = *expert;
    meaning.experts_module = name.UpTo("experts");
    return meaning;
  }
  // All experts of a layer in one tensor of three dimensions; their biases have two.
  const bool stacked = !name.is_bias() && !name.Leaf().ends_with("bias");
  TensorMeaning meaning = MeaningOf(stacked ? Role::kRoutedExpert : Role::kOther);
  meaning.experts_module = name.Module();
  return meaning;
}

TensorMeaning GuessRole(const DottedName& name) {
  const std::string_view leaf = name.Leaf();
  if (Contains(leaf, "norm")) return MeaningOf(Role::kNorm);
  if (IsEmbedding(leaf)) return MeaningOf(Role::kEmbedding);
  if (IsOneOf(leaf, kHeads)) return Project(name, Role::kLmHead, Role::kOther);
  if (name.Has(kAttentions)) return GuessAttention(name);
  if (name.Has(kLinearAttentions)) {
    return Project(name, Role::kLinearAttention, Role::kAttentionAux);
  }
  // Before the shared experts, beside which it stands.
  if (leaf == "shared_expert_gate") return MeaningOf(Role::kRouter);
  if (name.Any(IsSharedExpert)) return GuessMlp(name, Role::kSharedExpert);
  if (name.Has(Names<1>{"experts"})) return GuessExpert(name);
  if (name.Has(kRouters)) return MeaningOf(Role::kRouter);
  if (name.Has(kMlps)) return GuessMlp(name, Role::kDenseMlp);
  return {};
}

// An MTP layer's copy of the head, and DeepSeek-V4's compressors, are no linear layers to engines,
// which also join an indexer's keys with its heads' weights.
bool KeepsPrecision(const DottedName& name, Role role) {
  return role == Role::kRouter || role == Role::kNorm || role == Role::kEmbedding ||
         role == Role::kAttentionAux || IsOneOf(name.Leaf(), kDelicate) ||
         (role == Role::kIndexer && name.Leaf() == "wk") ||
         name.Has(Names<2>{"shared_head", "compressor"});
}

// A tower's weights have no layer of the language model.
TensorMeaning GuessInModel(const DottedName& name, int64_t layers) {
  if (name.Any(IsTower)) return MeaningOf(Role::kTower);
  TensorMeaning meaning = GuessRole(name);
  meaning.keeps_precision = KeepsPrecision(name, meaning.role);
  const std::optional<int> layer = name.NumberAfter(IsLayers);
  if (layer) meaning.layer = *layer;
  if (name.Any(IsMtpPart)) {
    meaning.role = Role::kMtp;
    meaning.layer = layer.value_or(0);
  } else if (layers > 0 && meaning.layer >= layers) {
    meaning.role = Role::kMtp;
    meaning.layer -= static_cast<int>(layers);
  }
  return meaning;
}

}  // namespace

TensorMeaning GuessMeaning(std::string_view whole, int64_t layers) {
  const DottedName name(whole);
  TensorMeaning meaning = GuessInModel(name, layers);
  meaning.linear = CanBeLinear(name);
  if (meaning.linear) meaning.projection = name.Leaf();
  meaning.fused_group = FusedGroup(name);
  return meaning;
}

}  // namespace vernier::checkpoint
