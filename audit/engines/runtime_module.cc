#include "audit/engines/runtime_module.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

#include "audit/engines/model_facts.h"

namespace vernier::audit {
namespace {

using checkpoint::Role;

// Sources: vLLM, packed_modules_mapping of its Llama, Qwen (3.5 too) and DeepSeek models and the
// stacked parameters of models/deepseek_v4; SGLang and TensorRT-LLM fuse the same projections.
struct FusedName {
  std::string_view name;
  std::array<std::string_view, 3> members;  // the last may be empty
};
constexpr std::array<FusedName, 7> kFusedNames = {{
    {"qkv_proj", {"q_proj", "k_proj", "v_proj"}},
    {"gate_up_proj", {"gate_proj", "up_proj", ""}},
    {"in_proj_qkvz", {"in_proj_qkv", "in_proj_z", ""}},
    {"in_proj_ba", {"in_proj_b", "in_proj_a", ""}},
    {"fused_qkv_a_proj", {"q_a_proj", "kv_a_proj_with_mqa", ""}},
    {"fused_wqa_wkv", {"wq_a", "wkv", ""}},
    {"gate_up_proj", {"w1", "w3", ""}},
}};

std::string_view PrefixOf(std::string_view name) {
  return name.substr(0, name.size() - LeafOf(name).size());
}

// The fused matrix that `module` is part of; null when all the others are missing.
const FusedName* FusedBy(const ModuleIndex& index, const Module& module) {
  const std::string_view leaf = LeafOf(module.name);
  for (const FusedName& fused : kFusedNames) {
    if (std::find(fused.members.begin(), fused.members.end(), leaf) == fused.members.end()) {
      continue;
    }
    for (const std::string_view other : fused.members) {
      if (other.empty() || other == leaf) continue;
      const Module* sibling = index.Find(std::string(PrefixOf(module.name)).append(other));
      if (sibling != nullptr && sibling->weight != kAbsent) return &fused;
    }
  }
  return nullptr;
}

// Built without a quantisation method by every model's code.
bool IsBuiltPlain(const Module& module) {
  if (!module.meaning.keeps_precision) return false;
  const Role role = module.meaning.role;
  return role == Role::kRouter || role == Role::kCompressor || role == Role::kIndexer ||
         role == Role::kMtp;
}

bool IsPlainTower(const Subject& subject, const Module& module) {
  if (!subject.Config().IsCompressedTensors()) return false;
  const auto& prefixes = FactsOfModel(subject.checkpoint.config()).plain_prefixes;
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) {
    return !prefix.empty() && module.name.starts_with(prefix);
  });
}

bool IsBuilt(const Subject& subject, const Module& module) {
  if (module.weight == kAbsent) return false;
  if (IsQuantised(module.format) || subject.StacksExperts(module)) return true;
  return module.meaning.linear && !IsBuiltPlain(module) && !IsPlainTower(subject, module);
}

class Builder {
 public:
  explicit Builder(const Subject& subject) : subject_(subject), index_(subject.index) {}

  std::vector<RuntimeModule> Build() {
    for (const Module& module : index_.modules) {
      if (IsBuilt(subject_, module)) Add(module);
    }
    return std::move(modules_);
  }

 private:
  void Add(const Module& module) {
    if (module.meaning.role == Role::kLmHead)
      return AddTo(module.name, ModuleKind::kLmHead, module);
    const std::string_view container = ExpertContainer(module.name);
    if (!container.empty() && (module.meaning.expert >= 0 || subject_.StacksExperts(module))) {
      return AddTo(std::string(container), ModuleKind::kExperts, module);
    }
    const FusedName* fused = FusedBy(index_, module);
    if (fused == nullptr) return AddTo(module.name, ModuleKind::kLinear, module);
    AddFused(*fused, module);
  }

  // Keeps the members of a matrix in the order of their rows.
  void AddFused(const FusedName& fused, const Module& module) {
    const std::string name = std::string(PrefixOf(module.name)).append(fused.name);
    AddTo(name, ModuleKind::kLinear, module);
    const auto place = [&](const Module* member) {
      return std::find(fused.members.begin(), fused.members.end(), LeafOf(member->name));
    };
    std::vector<const Module*>& members = modules_[by_name_.at(name)].members;
    std::sort(members.begin(), members.end(),
              [&](const Module* a, const Module* b) { return place(a) < place(b); });
  }

  void AddTo(const std::string& name, ModuleKind kind, const Module& module) {
    const auto [entry, is_new] = by_name_.try_emplace(name, modules_.size());
    if (is_new) {
      modules_.push_back({.name = name, .kind = kind, .members = {}, .is_mtp = module.IsMtp()});
    }
    modules_[entry->second].members.push_back(&module);
  }

  const Subject& subject_;
  const ModuleIndex& index_;
  std::vector<RuntimeModule> modules_;
  std::unordered_map<std::string, size_t> by_name_;
};

}  // namespace

std::optional<StoredFormat> RuntimeModule::Stored() const {
  const StoredFormat format = members.front()->format;
  const bool alike = std::all_of(members.begin(), members.end(),
                                 [&](const Module* member) { return member->format == format; });
  return alike ? std::optional(format) : std::nullopt;
}

std::vector<RuntimeModule> BuildRuntimeModules(const Subject& subject) {
  return Builder(subject).Build();
}

}  // namespace vernier::audit
