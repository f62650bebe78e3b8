#include "checkpoint/families/generic_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

namespace vernier::checkpoint {
namespace {

template <size_t n>
using Names = std::array<std::string_view, n>;

constexpr Names<3> kEmbeddings = {"embed_tokens", "tok_embeddings", "word_embeddings"};
constexpr Names<2> kRouters = {"gate", "router"};
constexpr Names<5> kAttentions = {"self_attn", "attn", "attention", "self_attention",
                                  "linear_attn"};
constexpr Names<3> kMlps = {"mlp", "feed_forward", "ffn"};
constexpr Names<5> kTowers = {"vision", "visual", "audio", "image", "multi_modal"};

// Projections that read one input and that engines load as one matrix share a group.
struct Projection {
  std::string_view name;
  std::string_view group = {};
};
constexpr std::array<Projection, 10> kAttentionProjections = {{{"q_proj", "qkv"},
                                                               {"k_proj", "qkv"},
                                                               {"v_proj", "qkv"},
                                                               {"o_proj"},
                                                               {"qkv_proj"},
                                                               {"out_proj"},
                                                               {"q_a_proj", "q_a_kv_a"},
                                                               {"kv_a_proj_with_mqa", "q_a_kv_a"},
                                                               {"q_b_proj"},
                                                               {"kv_b_proj"}}};
constexpr std::array<Projection, 7> kMlpProjections = {{{"gate_proj", "gate_up"},
                                                        {"up_proj", "gate_up"},
                                                        {"down_proj"},
                                                        {"w1", "w1w3"},
                                                        {"w3", "w1w3"},
                                                        {"w2"},
                                                        {"gate_up_proj"}}};
constexpr std::array<Projection, 2> kIndexerProjections = {{{"wq_b"}, {"wk"}}};

template <size_t n>
bool IsOneOf(std::string_view name, const Names<n>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

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

bool IsLayers(std::string_view part) { return part == "layers" || part == "mtp_layers"; }

TensorMeaning Meaning(Role role) {
  TensorMeaning meaning;
  meaning.role = role;
  return meaning;
}

// A projection of the table is a linear layer of `role`; anything else is of role `otherwise`.
template <size_t n>
TensorMeaning Project(const DottedName& name, const std::array<Projection, n>& projections,
                      Role role, Role otherwise) {
  const auto it = std::find_if(projections.begin(), projections.end(),
                               [&](const Projection& each) { return each.name == name.Leaf(); });
  if (it == projections.end() || !name.is_weight()) return Meaning(otherwise);
  TensorMeaning meaning = Meaning(role);
  meaning.linear = true;
  if (!it->group.empty()) meaning.fused_group = std::string(name.Prefix()).append(it->group);
  return meaning;
}

// Of a dense MLP or of shared experts: a projection's bias is a part of it.
TensorMeaning GuessMlp(const DottedName& name, Role role) {
  const auto is_leaf = [&](const Projection& each) { return each.name == name.Leaf(); };
  const bool bias = name.is_bias() && std::ranges::any_of(kMlpProjections, is_leaf);
  return Project(name, kMlpProjections, role, bias ? role : Role::kOther);
}

TensorMeaning GuessAttention(const DottedName& name) {
  if (name.Has(Names<1>{"indexer"})) {
    return Project(name, kIndexerProjections, Role::kIndexer, Role::kIndexer);
  }
  return Project(name, kAttentionProjections, Role::kAttention, Role::kAttentionAux);
}

TensorMeaning GuessExpert(const DottedName& name) {
  const std::optional<int> expert =
      name.NumberAfter([](std::string_view part) { return part == "experts"; });
  if (expert) {
    TensorMeaning meaning = Project(name, kMlpProjections, Role::kRoutedExpert, Role::kOther);
    meaning.expert = *expert;
    return meaning;
  }
  // All experts of a layer in one tensor of three dimensions.
  const bool stacked =
      name.Leaf().starts_with("gate_up_proj") || name.Leaf().starts_with("down_proj");
  return Meaning(stacked ? Role::kRoutedExpert : Role::kOther);
}

bool IsSharedExpert(std::string_view part) {
  return part == "shared_expert" || part == "shared_experts" || part == "shared_mlp";
}

TensorMeaning GuessRole(const DottedName& name) {
  const std::string_view leaf = name.Leaf();
  if (Contains(leaf, "norm")) return Meaning(Role::kNorm);
  if (IsOneOf(leaf, kEmbeddings)) return Meaning(Role::kEmbedding);
  if (leaf == "lm_head") {
    return Project(name, std::array<Projection, 1>{{{"lm_head"}}}, Role::kLmHead, Role::kOther);
  }
  if (name.Has(kAttentions)) return GuessAttention(name);
  if (name.Any(IsSharedExpert)) {
    return GuessMlp(name, Role::kSharedExpert);
  }
  if (name.Has(Names<1>{"experts"})) return GuessExpert(name);
  if (name.Has(kRouters) || leaf == "shared_expert_gate") return Meaning(Role::kRouter);
  if (name.Has(kMlps)) return GuessMlp(name, Role::kDenseMlp);
  return {};
}

}  // namespace

TensorMeaning GuessMeaning(std::string_view whole, int64_t layers) {
  const DottedName name(whole);
  if (name.Any(IsTower)) return {};
  TensorMeaning meaning = GuessRole(name);
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

}  // namespace vernier::checkpoint
