// The output head, which may be the embedding itself (V04). Whether engines read it in the format
// that it is stored in is the simulation's business.
#include <algorithm>
#include <string>

#include "audit/rules.h"

namespace vernier::audit {
namespace {

using checkpoint::Role;

constexpr Defect kNoHead = {"V04", Severity::kError,
                            "there is no output head, and the embedding is not tied to it",
                            "Carry the head over, or restore tie_word_embeddings"};
constexpr Defect kTiedAndQuantised = {
    "V04", Severity::kError, "a quantised head stands beside an embedding that is tied to it",
    "Drop the head's tensors, or set tie_word_embeddings to false"};
constexpr Defect kQuantisedEmbedding = {
    "V04", Severity::kError,
    "the embedding is quantised, which the configuration does not announce",
    "Leave the embedding as released; vLLM alone reads one, with nvfp4_embed"};
constexpr Defect kQuantisedHead = {
    "V04", Severity::kWarning, "the output head is quantised",
    "Leave it as released: it costs little, and only newer vLLM reads it"};

// Absent: true, as in the classes of transformers (PretrainedConfig), only where a model has no
// head of its own; nobody is accused without the field.
enum class Tie { kYes, kNo, kUnsaid };

Tie TieOf(const Json& config) {
  const auto field = config.find("tie_word_embeddings");
  if (field == config.end() || !field->is_boolean()) return Tie::kUnsaid;
  return field->get<bool>() ? Tie::kYes : Tie::kNo;
}

// Models that embed or classify have no output head.
bool Generates(const Json& config) {
  const auto classes = config.find("architectures");
  if (classes == config.end() || !classes->is_array() || classes->empty()) return true;
  return std::any_of(classes->begin(), classes->end(), [](const Json& name) {
    if (!name.is_string()) return false;
    const auto& text = name.get_ref<const std::string&>();
    return text.ends_with("ForCausalLM") || text.ends_with("ForConditionalGeneration");
  });
}

bool AnnouncesEmbedding(const Json& config) {
  const Json::json_pointer pointer("/quantization_config/nvfp4_embed");
  return config.contains(pointer) && config.at(pointer) == true;
}

}  // namespace

void CheckHead(const Subject& subject, FindingList* findings) {
  const Json& config = subject.checkpoint.config();
  const Tie tie = TieOf(config);
  bool has_embedding = false;
  bool has_head = false;
  for (const Module& module : subject.index.modules) {
    if (module.weight == kAbsent) continue;
    const Role role = module.meaning.role;
    has_embedding |= role == Role::kEmbedding;
    has_head |= role == Role::kLmHead;
    if (role == Role::kEmbedding && IsQuantised(module.format) && !AnnouncesEmbedding(config)) {
      findings->Add(kQuantisedEmbedding, module.name);
    }
    if (role != Role::kLmHead || !IsQuantised(module.format)) continue;
    findings->Add(tie == Tie::kYes ? kTiedAndQuantised : kQuantisedHead, module.name);
  }
  if (has_embedding && !has_head && tie == Tie::kNo && Generates(config))
    findings->Add(kNoHead, "tie_word_embeddings");
}

}  // namespace vernier::audit
