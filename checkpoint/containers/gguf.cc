// GGUF files, as llama.cpp reads them: all of a model, its metadata and its tokenizer.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/rounding.h"
#include "checkpoint/containers/gguf_bytes.h"
#include "checkpoint/containers/gguf_layout.h"
#include "checkpoint/containers/gguf_place.h"
#include "checkpoint/containers/gguf_tokenizer.h"
#include "checkpoint/containers/registry.h"
#include "checkpoint/families/family.h"
#include "checkpoint/source_model.h"

namespace vernier::checkpoint {
namespace {

using gguf::kAlignment;

constexpr uint32_t kQuantizationVersion = 2;
constexpr std::string_view kRopeFactors = "rope_freqs.weight";

GgufModel RequireModel(const SourceModel& source) {
  const Json& config = source.checkpoint.config();
  if (auto model = source.family->Gguf(config)) return *std::move(model);
  // The model's own family says what it could not make of the config.
  if (!source.family->refusal().empty()) MakeFamily(config);
  throw Error(
      ErrorCode::kNotInContainer, (source.checkpoint.directory() / "config.json").string(),
      fmt::format("GGUF files are not written for the model_type {}", source.family->model_type()),
      "Choose another export.dialect (--dialect)");
}

// The same wherever the checkpoint lies.
std::string NameOf(const Json& config) {
  for (const char* field : {"_name_or_path", "model_type"}) {
    const auto found = config.find(field);
    if (found == config.end() || !found->is_string()) continue;
    const std::string name = std::filesystem::path(found->get<std::string>()).filename().string();
    if (!name.empty()) return name;
  }
  return "model";
}

void Add(std::string_view key, GgufValue value, GgufMetadata& metadata) {
  metadata.push_back({std::string(key), std::move(value)});
}

// What one file has of several.
struct Split {
  size_t index = 0, files = 1, tensors = 0;  // tensors: of all files
};

void AddSplit(const Split& split, GgufMetadata& metadata) {
  if (split.files == 1) return;
  Add("split.no", static_cast<uint16_t>(split.index), metadata);
  Add("split.count", static_cast<uint16_t>(split.files), metadata);
  Add("split.tensors.count", static_cast<int32_t>(split.tensors), metadata);
}

// Of the first file; `all`: the tensors of all.
GgufMetadata ModelMetadata(const SourceModel& source, GgufModel model,
                           std::span<const gguf::TensorEntry> all) {
  const Json& config = source.checkpoint.config();
  GgufMetadata metadata;
  Add("general.architecture", model.architecture, metadata);
  Add("general.type", std::string("model"), metadata);
  Add("general.name", NameOf(config), metadata);
  Add("general.quantization_version", kQuantizationVersion, metadata);
  Add("general.file_type", gguf::FileType(all), metadata);
  for (GgufEntry& entry : model.metadata) {
    Add(model.architecture + "." + entry.key, std::move(entry.value), metadata);
  }
  std::ranges::move(gguf::TokenizerMetadata(source.checkpoint.directory(), config,
                                            source.family->Dims().vocab_size),
                    std::back_inserter(metadata));
  std::vector<std::string> unscaled = gguf::WithoutInputScale(all);
  if (unscaled.empty()) return metadata;
  std::vector<bool> four_bits(unscaled.size(), false);
  Add("general.tensor_extra.name", std::move(unscaled), metadata);
  Add("general.tensor_extra.prec_a4", std::move(four_bits), metadata);
  return metadata;
}

// Of the first of several files, or of the only one. Offsets of `tensors` are from the first of
// them on, before which the data has a tensor of rotary factors where the model has such.
std::string FirstHead(const SourceModel& source, Split split,
                      std::span<const gguf::TensorEntry> tensors,
                      std::span<const gguf::TensorEntry> all) {
  GgufModel model = RequireModel(source);
  std::vector<gguf::TensorEntry> entries;
  std::string rope;
  if (!model.rope_factors.empty()) {
    entries.push_back({.name = std::string(kRopeFactors),
                       .type = gguf::FindType("F32"),
                       .shape = {static_cast<int64_t>(model.rope_factors.size())}});
    rope.assign(reinterpret_cast<const char*>(model.rope_factors.data()),
                model.rope_factors.size() * sizeof(float));
    rope.resize(RoundUp(rope.size(), kAlignment), '\0');
  }
  for (gguf::TensorEntry entry : tensors) {
    entry.offset += rope.size();
    entries.push_back(std::move(entry));
  }
  GgufMetadata metadata = ModelMetadata(source, std::move(model), all);
  AddSplit(split, metadata);
  return gguf::Head(metadata, entries) + rope;
}

std::string OtherHead(const Split& split, std::span<const gguf::TensorEntry> tensors) {
  GgufMetadata metadata;
  AddSplit(split, metadata);
  return gguf::Head(metadata, tensors);
}

std::vector<const TensorInfo*> Pointers(const std::vector<TensorInfo>& tensors) {
  std::vector<const TensorInfo*> pointers;
  for (const TensorInfo& tensor : tensors) pointers.push_back(&tensor);
  return pointers;
}

using Entries = std::vector<gguf::TensorEntry>;

Entries Joined(const std::vector<Entries>& files) {
  Entries all;
  for (const Entries& file : files) all.insert(all.end(), file.begin(), file.end());
  return all;
}

size_t CountTensors(std::span<const PlannedFile> files, const SourceModel& source) {
  size_t tensors = RequireModel(source).rope_factors.empty() ? 0 : 1;
  for (const PlannedFile& file : files) {
    tensors +=
        static_cast<size_t>(std::ranges::count_if(file.tensors, [](const TensorInfo* tensor) {
          return gguf::ParsePartName(tensor->name).part <= 0;
        }));
  }
  return tensors;
}

Entries EntriesOfFile(const PlannedFile& file) {
  return gguf::EntriesOf(file.tensors, file.tensors.empty() ? 0 : file.tensors.front()->begin);
}

class Gguf final : public Container {
 public:
  std::string_view extension() const override { return ".gguf"; }
  std::vector<std::string_view> IndexFileNames() const override { return {}; }
  bool holds_all() const override { return true; }

  // A file for each of the source's that anything goes to, by the names that llama.cpp finds the
  // others of.
  std::vector<std::string> FileNames(const SourceModel& source) const override {
    RequireModel(source);
    std::set<size_t> homes;
    for (const LogicalWeight& weight : source.layout.weights) {
      if (gguf::HasPlace(source, weight)) homes.insert(HomeOf(source, weight));
    }
    std::vector<std::string> names;
    size_t number = 0;
    for (size_t shard = 0; shard < source.checkpoint.shards().size(); ++shard) {
      if (homes.contains(shard)) ++number;
      names.push_back(homes.size() < 2 ? std::string("model.gguf")
                                       : fmt::format("model-{:05}-of-{:05}.gguf",
                                                     std::max<size_t>(1, number), homes.size()));
    }
    return names;
  }

  // Beside the layer's first expert of the same projection: a tensor lies in one file.
  size_t HomeOf(const SourceModel& source, const LogicalWeight& weight) const override {
    if (weight.expert <= 0) return Container::HomeOf(source, weight);
    const LogicalWeight* first =
        source.layout.FindModule(weight.experts_module + ".0." + weight.projection);
    return Container::HomeOf(source, first == nullptr ? weight : *first);
  }

  std::string TensorName(const LogicalWeight& /*weight*/, std::string name) const override {
    return name;
  }

  std::optional<PlacedWeight> Place(const SourceModel& source, const LogicalWeight& weight,
                                    Format format) const override {
    return gguf::PlaceWeight(source, weight, format);
  }

  Obstacle ObstacleTo(const SourceModel& source, const LogicalWeight& weight,
                      Format format) const override {
    return gguf::ObstacleToFormat(source, weight, format);
  }

  std::vector<FileLayout> LayOut(const SourceModel& source,
                                 std::vector<FileContent> files) const override {
    std::vector<FileLayout> layouts;
    std::vector<Entries> entries;
    for (FileContent& file : files) {
      layouts.push_back({gguf::PlaceTensors(std::move(file.tensors), 0), 0});
      entries.push_back(gguf::EntriesOf(Pointers(layouts.back().tensors), 0));
    }
    const Entries all = Joined(entries);
    for (size_t i = 0; i < layouts.size(); ++i) {
      const Split split = {.index = i, .files = layouts.size()};
      const std::string head =
          i == 0 ? FirstHead(source, split, entries[i], all) : OtherHead(split, entries[i]);
      layouts[i].file_bytes = head.size() + gguf::DataEnd(layouts[i].tensors, 0);
      for (TensorInfo& tensor : layouts[i].tensors) {
        tensor.begin += head.size();
        tensor.end += head.size();
      }
    }
    return layouts;
  }

  FileFrame Frame(const SourceModel& source, std::span<const PlannedFile> files,
                  size_t index) const override {
    const Split split = {
        .index = index, .files = files.size(), .tensors = CountTensors(files, source)};
    const Entries own = EntriesOfFile(files[index]);
    if (index > 0) return {OtherHead(split, own), {}};
    std::vector<Entries> entries;
    for (const PlannedFile& file : files) entries.push_back(EntriesOfFile(file));
    return {FirstHead(source, split, own, Joined(entries)), {}};
  }

  std::vector<IndexFile> IndexFiles(std::span<const PlannedFile> /*files*/) const override {
    return {};
  }
};

}  // namespace

const Container& GgufContainer() {
  static const Gguf container;
  return container;
}

}  // namespace vernier::checkpoint
