#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "audit/engines/model_facts.h"
#include "audit/rules.h"
#include "checkpoint/config_facts.h"
#include "checkpoint/families/decoder_config.h"
#include "checkpoint/families/skipped_tensors.h"

namespace vernier::audit {
namespace {

using checkpoint::Role;

constexpr Defect kMtpMissing = {
    "V06", Severity::kError, "config.json announces MTP layers that the checkpoint does not hold",
    "Carry the MTP tensors over, or set that field to the number of MTP layers"};
constexpr Defect kMtpMissingElsewhere = {
    "V06", Severity::kWarning, "config.json announces MTP layers that the checkpoint does not hold",
    "Serve without speculative decoding, or set that field to 0"};
constexpr Defect kMtpUnannounced = {
    "V06", Severity::kError, "the checkpoint holds MTP layers that config.json does not announce",
    "Set the field that this model has for it to the number of MTP layers"};
constexpr Defect kExpertMissing = {"V09", Severity::kError,
                                   "an expert, or one of its three projections, is missing",
                                   "Carry every expert over"};
constexpr Defect kExpertFormats = {"V09", Severity::kError,
                                   "experts of one layer are stored in different formats",
                                   "Quantise all routed experts of a layer alike"};
constexpr Defect kStackedExperts = {"V09", Severity::kError,
                                    "experts are stacked in one tensor, which engines do not load",
                                    "Export one tensor per expert and projection"};
constexpr Defect kStackedElsewhere = {
    "V09", Severity::kWarning,
    "quantised experts are stacked in one tensor, which an engine does not load",
    "Serve with an engine that does, or export one tensor per expert and projection"};
constexpr Defect kNeverQuantised = {"V10", Severity::kError,
                                    "a weight that must keep its precision is NVFP4",
                                    "Leave routers, norms, embeddings and the like as released"};
constexpr Defect kLayerMissing = {"C03", Severity::kError,
                                  "config.json announces decoder layers that are not there",
                                  "Carry every layer over, or set the number of layers"};
constexpr Defect kUnplaced = {
    "C03", Severity::kError, "a tensor has no place in the model that config.json describes",
    "Set the numbers of layers and experts in config.json, or drop the tensor"};
constexpr Defect kSkipped = {"C03", Severity::kInfo, "a tensor that engines do not load",
                             "Nothing: it may be left out"};
constexpr Defect kRequiredMissing = {"C03", Severity::kError,
                                     "a tensor that the model needs is missing",
                                     "Carry the tensor over from the source"};

constexpr Defect kNoModelConfig = {"C03", Severity::kError, "there is no config.json",
                                   "Copy the model's own: no engine loads a directory without"};
constexpr Defect kEmbeddingShape = {"C03", Severity::kError,
                                    "the embedding has not the shape that config.json gives it",
                                    "Restore vocab_size and hidden_size, or the embedding"};

constexpr size_t kExpertProjections = 3;

// Parts of a model that engines never quantise.
constexpr std::array<std::string_view, 4> kTowers = {"vision", "visual", "audio",
                                                     "multi_modal_projector"};

// Whether a model of this kind is never without the MTP layers that its config.json announces.
bool HoldsMtp(const Subject& subject) {
  const checkpoint::DecoderConfig* decoder = subject.family->Decoder();
  return subject.KnowsModel() && (decoder == nullptr || decoder->mtp_layers > 0);
}

// DeepSeek's name; other models have others (checkpoint/config_facts.h).
constexpr std::string_view kMtpField = "num_nextn_predict_layers";

void CheckMtp(const Subject& subject, FindingList* findings) {
  std::set<int> stored;
  for (const Module& module : subject.index.modules) {
    if (module.IsMtp()) stored.insert(module.meaning.layer);
  }
  const std::optional<checkpoint::MtpCount> count =
      checkpoint::FindMtpCount(subject.checkpoint.config());
  const int64_t announced = count ? count->layers : 0;
  const auto held = static_cast<int64_t>(stored.size());
  const std::string field = count ? count->name : std::string(kMtpField);
  const std::string numbers =
      field + " (" + std::to_string(announced) + ", but " + std::to_string(held) + " stored)";
  const Defect& missing = HoldsMtp(subject) ? kMtpMissing : kMtpMissingElsewhere;
  if (announced > held) findings->Add(missing, numbers);
  const int64_t known = count ? announced : subject.family->Facts().unannounced_mtp_layers;
  if (known < held) findings->Add(kMtpUnannounced, numbers);
}

void CheckLayers(const Subject& subject, FindingList* findings) {
  const int64_t layers = subject.family->Dims().layers;
  std::set<int64_t> stored;
  for (const Module& module : subject.index.modules) {
    if (!module.IsMtp() && module.meaning.layer >= 0) stored.insert(module.meaning.layer);
  }
  // Names without numbers that are understood tell nothing.
  if (stored.empty() && !subject.KnowsModel()) return;
  for (int64_t layer = 0; layer < layers; ++layer) {
    if (!stored.contains(layer)) findings->Add(kLayerMissing, "layer " + std::to_string(layer));
  }
}

// What engines skip is harmless in any model.
void ReportSkipped(const Subject& subject, FindingList* findings) {
  for (const checkpoint::TensorLocation& tensor : subject.checkpoint.tensors()) {
    const std::string_view reason =
        checkpoint::SkippedBecause(tensor.info.name, subject.checkpoint.config());
    if (reason.empty()) continue;
    findings->Add(kSkipped, tensor.info.name + " (" + std::string(reason) + ")");
  }
}

// A layer or expert that config.json does not announce is unknown to the family.
void CheckPlaces(const Subject& subject, FindingList* findings) {
  for (const Module& module : subject.index.modules) {
    if (module.meaning.role != Role::kOther || module.weight == kAbsent) continue;
    if (module.name.ends_with(".kv_scale")) continue;  // V07
    const std::string& name = subject.Info(module.weight).name;
    if (!checkpoint::SkippedBecause(name, subject.checkpoint.config()).empty()) continue;
    findings->Add(kUnplaced, name);
  }
}

// Under its own name, or packed under the name that its dialect has for that.
bool IsStored(const Subject& subject, const std::string& name) {
  constexpr std::string_view kWeight = ".weight";
  if (subject.checkpoint.Find(name) != kAbsent) return true;
  if (!name.ends_with(kWeight)) return false;
  const Module* module = subject.index.Find(name.substr(0, name.size() - kWeight.size()));
  return module != nullptr && module->weight != kAbsent;
}

// V06 and V09 speak about MTP layers and experts; what misses a whole layer is one finding.
void CheckRequired(const Subject& subject, FindingList* findings) {
  std::set<int> layers;
  for (const Module& module : subject.index.modules) {
    if (!module.IsMtp()) layers.insert(module.meaning.layer);
  }
  for (const std::string& name : subject.family->RequiredTensors()) {
    if (IsStored(subject, name)) continue;
    const checkpoint::TensorMeaning meaning = subject.family->Classify(name);
    const bool reported = meaning.expert >= 0 || meaning.role == Role::kMtp ||
                          (meaning.layer >= 0 && !layers.contains(meaning.layer));
    if (!reported) findings->Add(kRequiredMissing, name);
  }
}

struct ExpertLayer {
  std::map<int, std::map<std::string, StoredFormat>> experts;  // id -> projection -> format
  std::string container;
};

std::map<std::pair<bool, int>, ExpertLayer> GroupExperts(const ModuleIndex& index) {
  std::map<std::pair<bool, int>, ExpertLayer> layers;
  for (const Module& module : index.modules) {
    if (module.meaning.expert < 0 || module.weight == kAbsent) continue;
    ExpertLayer& layer = layers[{module.IsMtp(), module.meaning.layer}];
    const std::string projection = module.name.substr(module.name.rfind('.') + 1);
    layer.experts[module.meaning.expert][projection] = module.format;
    layer.container = ExpertContainer(module.name);
  }
  return layers;
}

void CheckExpertLayer(const ExpertLayer& layer, int64_t expert_count, size_t projections,
                      FindingList* findings) {
  std::set<StoredFormat> formats;
  for (const auto& [expert, stored] : layer.experts) {
    for (const auto& [projection, format] : stored) formats.insert(format);
    if (expert >= expert_count) {
      findings->Add(kUnplaced, layer.container + "." + std::to_string(expert));
    }
  }
  for (int expert = 0; expert < expert_count; ++expert) {
    const auto found = layer.experts.find(expert);
    if (found == layer.experts.end() || found->second.size() < projections) {
      findings->Add(kExpertMissing, layer.container + "." + std::to_string(expert));
    }
  }
  if (formats.size() > 1) findings->Add(kExpertFormats, layer.container);
}

// Of a model that is not known, what the fullest expert has: some have no gate.
size_t ProjectionsOf(const Subject& subject, const ExpertLayer& layer) {
  if (subject.KnowsModel()) return kExpertProjections;
  size_t most = 0;
  for (const auto& [expert, stored] : layer.experts) most = std::max(most, stored.size());
  return most;
}

void CheckExperts(const Subject& subject, FindingList* findings) {
  const int64_t experts = subject.family->Dims().experts;
  if (experts == 0 && !subject.KnowsModel()) return;
  for (const auto& [key, layer] : GroupExperts(subject.index)) {
    CheckExpertLayer(layer, experts, ProjectionsOf(subject, layer), findings);
  }
}

// Containers of experts of which some stand on their own.
std::set<std::string_view> SeparateExperts(const Subject& subject) {
  std::set<std::string_view> containers;
  for (const Module& module : subject.index.modules) {
    if (module.meaning.expert >= 0) containers.insert(ExpertContainer(module.name));
  }
  return containers;
}

// Whether the model is released with stacks of experts, which engines load.
bool ReleasesStacks(const Subject& subject) {
  const checkpoint::DecoderConfig* decoder = subject.family->Decoder();
  return decoder != nullptr && decoder->released_stacks;
}

// Stacks as they are released, and in 16 bits those of models without a family of their own here,
// are fine; beside separate experts they are the layout of none.
void CheckStackedExperts(const Subject& subject, EngineSet asked, FindingList* findings) {
  const std::optional<EngineSet> loaders =
      FactsOfModel(subject.checkpoint.config()).loaders_of_stacks;
  const std::set<std::string_view> separate = SeparateExperts(subject);
  const bool unusual = subject.KnowsModel() && !ReleasesStacks(subject);
  for (const Module& module : subject.index.modules) {
    if (!subject.StacksExperts(module)) continue;
    if (unusual || separate.contains(ExpertContainer(module.name))) {
      findings->Add(kStackedExperts, module.name);
    }
    if (module.format != formats::kStackedNvfp4 || !loaders) continue;
    const bool somebody = !(*loaders & asked).empty();
    for (const Engine engine : kEngines) {
      if (loaders->Has(engine)) continue;
      findings->Add(somebody ? kStackedElsewhere : kStackedExperts, module.name, {engine});
    }
  }
}

// Where config.json gives both sizes.
void CheckEmbedding(const Subject& subject, FindingList* findings) {
  const checkpoint::ModelDims dims = subject.family->Dims();
  if (dims.vocab_size == 0 || dims.hidden_size == 0) return;
  for (const Module& module : subject.index.modules) {
    if (module.meaning.role != Role::kEmbedding || module.format != formats::kPlain) continue;
    if (subject.Info(module.weight).shape == std::vector{dims.vocab_size, dims.hidden_size}) {
      continue;
    }
    findings->Add(kEmbeddingShape, module.name);
  }
}

bool IsInTower(std::string_view module) {
  return std::any_of(kTowers.begin(), kTowers.end(), [&](std::string_view tower) {
    return module.find(tower) != std::string_view::npos;
  });
}

bool MustKeepPrecision(const Module& module, bool knows_model) {
  switch (module.meaning.role) {
    case Role::kMtp:
    case Role::kEmbedding:  // V04
    case Role::kLmHead:     // V04
      return false;
    case Role::kTower:
    case Role::kOther:
      return knows_model || module.meaning.keeps_precision || IsInTower(module.name);
    default:
      return !module.meaning.linear || module.meaning.keeps_precision;
  }
}

void CheckPrecision(const Subject& subject, FindingList* findings) {
  for (const Module& module : subject.index.modules) {
    if (checkpoint::IsNvfp4(module.format) && MustKeepPrecision(module, subject.KnowsModel())) {
      findings->Add(kNeverQuantised, module.name);
    }
  }
}

}  // namespace

void CheckModel(const Subject& subject, EngineSet engines, FindingList* findings) {
  if (!std::filesystem::exists(subject.checkpoint.directory() / "config.json")) {
    findings->Add(kNoModelConfig, "config.json");
  }
  CheckPrecision(subject, findings);
  ReportSkipped(subject, findings);
  CheckLayers(subject, findings);
  CheckMtp(subject, findings);
  CheckExperts(subject, findings);
  CheckStackedExperts(subject, engines, findings);
  if (!subject.KnowsModel()) return CheckEmbedding(subject, findings);
  CheckPlaces(subject, findings);
  CheckRequired(subject, findings);
}

}  // namespace vernier::audit
