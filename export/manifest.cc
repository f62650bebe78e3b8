#include "export/manifest.h"

#include <span>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "dialects/target_parts.h"
#include "export/manifest_tensors.h"
#include "export/output_directory.h"
#include "recipes/budget_json.h"
#include "recipes/target_format.h"

namespace vernier::exporter {
namespace {

using checkpoint::Checkpoint;

constexpr int kManifestVersion = 1;
constexpr size_t kFlushBytes = 1 << 20;

// Writes one JSON object whose long arrays have an entry a line.
class LineWriter {
 public:
  LineWriter(const std::filesystem::path& path, std::string opening)
      : path_(path),
        // The claim on the directory, with which the manifest begins, is there at any instant.
        file_(File::OpenForWrite(PartialPath(path), /*truncate=*/false)),
        text_(std::move(opening)) {}

  void Field(std::string_view name, const Json& value) {
    BeginField(name);
    text_ += value.dump();
  }

  // Calls `emit(add)`, which calls `add(entry)` for each entry.
  template <typename Emit>
  void Array(std::string_view name, Emit emit) {
    BeginField(name);
    text_ += '[';
    bool first = true;
    emit([this, &first](const Json& entry) {
      text_ += std::exchange(first, false) ? "\n" : ",\n";
      text_ += entry.dump();
      if (text_.size() >= kFlushBytes) Flush();
    });
    text_ += first ? "]" : "\n]";
  }

  void Publish() {
    text_ += "\n}\n";
    Flush();
    file_.Truncate(written_);
    PublishPartial(path_);
  }

 private:
  void BeginField(std::string_view name) { text_ += ",\n" + Json(name).dump() + ": "; }

  void Flush() {
    file_.WriteAt(written_, std::as_bytes(std::span(text_)));
    written_ += text_.size();
    text_.clear();
  }

  std::filesystem::path path_;
  File file_;
  std::string text_;
  uint64_t written_ = 0;
};

Json RuleTexts(const recipes::Recipe& recipe) {
  Json texts = Json::array();
  for (const recipes::Rule& rule : recipe.rules) texts.push_back(rule.Describe());
  return texts;
}

Json FileEntry(const OutputFile& file) {
  const char* hash = file.hash_kind == HashKind::kOfFile ? "xxh3_128" : "xxh3_128_of_tensors";
  return {{"name", file.name}, {"bytes", file.bytes}, {hash, file.hash}};
}

Json PatchEntry(const checkpoint::ConfigPatch& patch) {
  return {{"path", patch.path},
          {"before", patch.before},
          {"after", patch.after},
          {"reason", patch.reason}};
}

Json ClampedEntry(const Checkpoint& checkpoint, const checkpoint::ClampedElements& elements) {
  return {{"name", checkpoint.tensor(elements.tensor).info.name},
          {"elements", elements.count},
          {"first", elements.first},
          {"first_value", elements.value}};
}

Json ImportanceJson(const ErrorWeights& error_weights) {
  Json blended = Json::array();
  for (const BlendedExpert& few : error_weights.Blended()) {
    blended.push_back({{"module", few.module}, {"tokens", few.tokens}});
  }
  return {{"from", error_weights.origin()}, {"blended", std::move(blended)}};
}

Json GptqJson(const SolvedWeights& solved) {
  Json left = Json::array();
  for (const LeftWeight& weight : solved.left()) {
    left.push_back({{"module", weight.module}, {"why", weight.why}, {"tokens", weight.tokens}});
  }
  return {{"solved", solved.size()}, {"left", std::move(left)}};
}

Json ModuleNames(const ManifestContent& content, const std::vector<size_t>& weights) {
  Json names = Json::array();
  for (const size_t weight : weights) names.push_back(content.source.layout.weights[weight].module);
  return names;
}

// `offset`: of its factors in the file of all of them.
Json FoldEntry(const ManifestContent& content, size_t index, uint64_t offset) {
  const checkpoint::Fold& fold = content.plan.folds[index].fold;
  const run::FoldRecord& record = content.folds.records()[index];
  Json entry = {{"kind", checkpoint::FoldKindName(fold.kind)},
                {"producers", ModuleNames(content, fold.producers)},
                {"consumers", ModuleNames(content, fold.consumers)},
                {"exponent", record.exponent},
                {"tokens", record.tokens},
                {"error", record.error},
                {"error_without", record.other_error}};
  if (record.scales.empty()) return entry;
  entry["channels"] = fold.channels;
  entry["head_dim"] = fold.head_dim;
  entry["repeats"] = fold.repeats;
  entry["offset"] = offset;
  if (fold.added != 0) entry["added"] = fold.added;
  return entry;
}

Json GroupEntry(const ManifestContent& content, size_t index) {
  const recipes::ScaleGroup& group = content.plan.scale_groups[index];
  Json entry = {
      {"modules", ModuleNames(content, group.weights)},
      {"format", recipes::TargetFormatName(content.plan.weights[group.weights.front()].format)},
      {"scale", recipes::ScaleMethodName(group.scale)}};
  if (HasGroupScale(content.plan, group)) {
    entry["weight_scale"] = content.weight_scales[index].stored;
  }
  return entry;
}

void AddInputScale(const InputScale& input, Json& entry) {
  entry["input_scale"] = input.scale;
  entry["amax_from"] = AmaxOriginName(input.origin);
  if (input.origin == AmaxOrigin::kConstant) return;
  entry["input_amax"] = input.amax;
  entry["tokens"] = input.tokens;
}

Json KvEntry(const ManifestContent& content, size_t index) {
  const checkpoint::KvCacheEntry& cached = content.plan.kv_entries[index];
  Json tensors = Json::array();
  for (const dialects::TargetPart& part : dialects::KvScaleParts(cached, *content.plan.dialect)) {
    tensors.push_back(part.name);
  }
  const KvScale& scale = content.kv_scales[index];
  Json entry = {
      {"cache", cached.observed}, {"tensors", std::move(tensors)}, {"scale", scale.scale}};
  if (recipes::IsCalibrated(content.plan.kv_cache)) {
    entry["amax"] = scale.amax;
    entry["tokens"] = scale.tokens;
  }
  return entry;
}

}  // namespace

TensorCounts WriteManifest(const std::filesystem::path& output, const ManifestContent& content) {
  const checkpoint::SourceModel& source = content.source;
  LineWriter writer(output / kManifestFileName, ManifestOpening(content.plan_hash));
  writer.Field("manifest_version", kManifestVersion);
  writer.Field("tool", {{"name", "vernier"}, {"version", content.version}});
  writer.Field("source", {{"directory", source.checkpoint.directory().filename().string()},
                          {"fingerprint", source.checkpoint.fingerprint()}});
  writer.Field("recipe", {{"description", content.recipe.description},
                          {"dialect", content.recipe.dialect->name},
                          {"kv_cache", recipes::KvCacheName(content.recipe.kv_cache)},
                          {"rules", RuleTexts(content.recipe)}});
  if (std::ranges::any_of(content.plan.weights, IsSearchedByError)) {
    writer.Field("importance", ImportanceJson(content.error_weights));
  }
  if (content.solved.size() > 0 || !content.solved.left().empty()) {
    writer.Field("gptq", GptqJson(content.solved));
  }
  if (content.plan.budget) {
    writer.Field("budget", recipes::BudgetOutcomeJson(*content.plan.budget));
  }
  if (!content.plan.folds.empty()) {
    writer.Array("smooth", [&](auto add) {
      uint64_t offset = 0;
      for (size_t i = 0; i < content.plan.folds.size(); ++i) {
        add(FoldEntry(content, i, offset));
        offset += content.folds.records()[i].scales.size() * sizeof(float);
      }
    });
  }
  writer.Field("lossless_cast", {{"blocks", content.cast.blocks},
                                 {"reencoded_blocks", content.cast.requantised},
                                 {"inexact_blocks", content.cast.inexact}});
  writer.Array("config_patches", [&](auto add) {
    for (const checkpoint::ConfigPatch& patch : content.config_patches) add(PatchEntry(patch));
  });
  writer.Array("files", [&](auto add) {
    for (const OutputFile& file : content.written) add(FileEntry(file));
  });
  writer.Array("copied_files", [&](auto add) {
    for (const OutputFile& file : content.copied) add(FileEntry(file));
  });
  writer.Array("clamped_tensors", [&](auto add) {
    for (const auto& elements : content.clamped) add(ClampedEntry(source.checkpoint, elements));
  });
  writer.Array("scale_groups", [&](auto add) {
    const std::vector<bool> with_input = GroupsWithInputScale(content.plan);
    for (size_t i = 0; i < content.plan.scale_groups.size(); ++i) {
      Json entry = GroupEntry(content, i);
      if (with_input[i]) AddInputScale(content.input_scales[i], entry);
      add(entry);
    }
  });
  writer.Array("kv_scales", [&](auto add) {
    for (size_t i = 0; i < content.plan.kv_entries.size(); ++i) add(KvEntry(content, i));
  });
  TensorCounts counts;
  writer.Array("tensors", [&](auto add) { counts = AddTensors(content, add); });
  writer.Publish();
  return counts;
}

}  // namespace vernier::exporter
