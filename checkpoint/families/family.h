// A model family: how it lays out its checkpoint. One file each; no torch.
#ifndef VERNIER_CHECKPOINT_FAMILIES_FAMILY_H_
#define VERNIER_CHECKPOINT_FAMILIES_FAMILY_H_

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/families/family_facts.h"
#include "checkpoint/families/fold.h"
#include "checkpoint/families/gguf_model.h"
#include "checkpoint/families/gguf_tensor.h"
#include "checkpoint/families/model_dims.h"
#include "checkpoint/families/tensor_meaning.h"
#include "checkpoint/logical_weight.h"
#include "checkpoint/stacks.h"

namespace vernier::checkpoint {

struct DecoderConfig;
struct ModelLayout;

// A change of config.json that engines need, recorded in the manifest.
struct ConfigPatch {
  std::string path;  // "/compress_ratios"
  Json before;       // null when absent
  Json after;        // null when removed
  std::string reason;
};

// One vector that a layer's attention keeps of every token for later ones, where engines can keep
// it in FP8 with a scale from the checkpoint.
struct KvCacheEntry {
  int layer = -1;
  std::string attention;  // the module that caches it: "model.layers.0.self_attn"
  std::string observed;   // its name among observed inputs: "model.layers.0.self_attn.k_cache"
  std::string beside;     // the module beside whose weight its scales are stored
  bool keys = false;      // it holds keys: engines read its scale as k_scale
  bool values = false;    // it holds values: engines read its scale as v_scale
};

class Family {
 public:
  virtual ~Family() = default;
  virtual std::string_view model_type() const = 0;

  // Whether roles are guessed from tensor names, by a family that does not know the model.
  virtual bool guessed() const { return false; }
  // Of a guessing family: what its model's own family could not make of the config; empty where
  // there is no such family.
  virtual std::string_view refusal() const { return {}; }

  // Meaning of the main tensor `name` of a logical weight (never of a scale). Unknown: kOther.
  virtual TensorMeaning Classify(std::string_view name) const = 0;

  virtual ModelDims Dims() const = 0;

  virtual FamilyFacts Facts() const { return {}; }

  // The blocks of a decoder that a forward pass can be made of (decoder_config.h). Null: the family
  // has a forward pass of its own, or none.
  virtual const DecoderConfig* Decoder() const { return nullptr; }

  // What attention caches, as it is when it is cached: keys after the rotary embedding. The forward
  // pass gives it to the observer under KvCacheEntry::observed. Empty: engines read no scales of
  // this family's cache.
  virtual std::vector<KvCacheEntry> KvCache(const ModelLayout& /*layout*/) const { return {}; }

  // Where factors may move into linear layers. Never across what is not linear in a channel (a
  // clamp, a norm of heads) or what engines compute from a weight themselves.
  virtual std::vector<Fold> Folds(const ModelLayout& /*layout*/) const { return {}; }

  // How experts that are stored together lie in one tensor a layer. Parts then stand for the stored
  // tensor everywhere, each as a weight of its own with the name that it would have alone.
  virtual std::span<const StackRow> Stacks() const { return {}; }

  // What llama.cpp is told of the model; `config` is its config.json. Nothing where llama.cpp, or
  // Vernier's writing for it, does not know the family. kBadConfig names a field by which
  // llama.cpp would compute something else than the model does.
  virtual std::optional<GgufModel> Gguf(const Json& /*config*/) const { return std::nullopt; }
  // Of the main tensor `name` of a weight.
  virtual GgufTensor GgufTensorOf(std::string_view /*name*/) const { return {}; }

  // Applies what the engines need to `config` (the source's) and returns what changed.
  virtual std::vector<ConfigPatch> PatchConfig(Json& config) const = 0;

  // Names of the tensors without which the model cannot run. kMissingTensor is thrown by callers.
  virtual std::vector<std::string> RequiredTensors() const = 0;

  // kWrongShape when a weight of `layout` has not the shape that the config gives it. Absent
  // weights are left to RequiredTensors().
  virtual void CheckShapes(const ModelLayout& layout) const = 0;
};

// For implementations of CheckShapes: kWrongShape unless the weight has this shape. One that is not
// readable (formats/format.h) passes: the shape of its values is not known.
void RequireWeightShape(const LogicalWeight& weight, const std::vector<int64_t>& shape);

// Names of every model_type known, sorted.
std::vector<std::string> KnownModelTypes();

// The family of config["model_type"], its dimensions read and checked (kBadConfig,
// kUnknownModelType listing the known ones).
std::unique_ptr<Family> MakeFamily(const Json& config);

// The same, but a model_type that is absent or unknown gets the generic family, and so does a
// config in Hugging Face's form that the model's family refuses (kBadConfig): for what needs no
// forward pass.
std::unique_ptr<Family> MakeAnyFamily(const Json& config);

// For any model in Hugging Face's names: roles, layers, experts and fused groups are guessed from
// the names, dimensions read from the usual fields (0 where config.json gives none). It requires no
// tensors, checks no shapes and patches nothing.
std::unique_ptr<Family> MakeGenericFamily(const Json& config, std::string refusal = {});

}  // namespace vernier::checkpoint

#endif  // VERNIER_CHECKPOINT_FAMILIES_FAMILY_H_
