// The output head, which may be the embedding itself (V04). Whether engines read it in the format
// that it is stored in is the simulation's business.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "audit/rules.h"
#include "checkpoint/config_facts.h"

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

constexpr Defect kOtherHead = {
    "V04", Severity::kWarning, "a stored head differs from the embedding that it is tied to",
    "Set tie_word_embeddings to false if the head was trained: engines use the embedding"};

// Absent: true, as in the classes of transformers (PretrainedConfig), only where a model has no
// head of its own; nobody is accused without the field.
enum class Tie { kYes, kNo, kUnsaid };

Tie TieOf(const Json& config) {
  const std::optional<bool> tied = checkpoint::FindTiedEmbeddings(config);
  if (!tied) return Tie::kUnsaid;
  return *tied ? Tie::kYes : Tie::kNo;
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
  const checkpoint::ConfigFact quantization = checkpoint::FindQuantizationConfig(config);
  if (!quantization || !quantization.value->is_object()) return false;
  const auto field = quantization.value->find("nvfp4_embed");
  return field != quantization.value->end() && *field == true;
}

const Module* FindPlain(const Subject& subject, std::string_view leaf) {
  for (const Module& module : subject.index.modules) {
    const bool is_leaf = module.name == leaf || module.name.ends_with("." + std::string(leaf));
    if (is_leaf && module.format == formats::kPlain) return &module;
  }
  return nullptr;
}

// Whether two tensors of one dtype and size have equal bytes, as far as `most` at either end.
bool SameEnds(const checkpoint::Checkpoint& checkpoint, size_t a, size_t b, uint64_t most) {
  const uint64_t bytes = checkpoint.tensor(a).info.Bytes();
  const uint64_t length = std::min(bytes, most);
  std::vector<std::byte> first(length), second(length);
  for (const uint64_t begin : {uint64_t{0}, bytes - length}) {
    checkpoint.Read(a, begin, first);
    checkpoint.Read(b, begin, second);
    if (first != second) return false;
  }
  return true;
}

// A head that trainers wrote beside the embedding that it is: engines take the embedding.
void CheckTiedCopy(const Subject& subject, FindingList* findings) {
  constexpr uint64_t kCompared = uint64_t{1} << 20;
  const Module* head = FindPlain(subject, "lm_head");
  const Module* embedding = FindPlain(subject, "embed_tokens");
  if (head == nullptr || embedding == nullptr) return;
  const checkpoint::TensorInfo& a = subject.Info(head->weight);
  const checkpoint::TensorInfo& b = subject.Info(embedding->weight);
  const bool same = a.dtype_name == b.dtype_name && a.shape == b.shape &&
                    SameEnds(subject.checkpoint, head->weight, embedding->weight, kCompared);
  if (!same) findings->Add(kOtherHead, head->name);
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
  if (tie == Tie::kYes) CheckTiedCopy(subject, findings);
  if (has_embedding && !has_head && tie == Tie::kNo && Generates(config))
    findings->Add(kNoHead, "tie_word_embeddings");
}

}  // namespace vernier::audit
