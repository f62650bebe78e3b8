#include "recipes/recipe.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "recipes/plan.h"
#include "recipes/recipe_values.h"
#include "recipes/schema_check.h"
#include "recipes/target_format.h"

namespace vernier::recipes {
namespace {

namespace fs = std::filesystem;

// Reads fields of one object that the schema has accepted, so types and names need no checks here.
class FieldReader {
 public:
  // `pointer` is the object's place in the recipe: "" or "/compute".
  FieldReader(const Json& object, const fs::path& origin, std::string pointer)
      : object_(object), origin_(origin), pointer_(std::move(pointer)) {}

  // An absent section is an empty one.
  FieldReader Section(std::string_view key) const {
    static const Json empty = Json::object();
    const auto found = object_.find(key);
    return {found == object_.end() ? empty : *found, origin_, fmt::format("{}/{}", pointer_, key)};
  }

  std::vector<FieldReader> Entries(std::string_view key) const {
    std::vector<FieldReader> entries;
    const Json& list = object_.at(std::string(key));
    for (size_t i = 0; i < list.size(); ++i) {
      entries.emplace_back(list[i], origin_, fmt::format("{}/{}/{}", pointer_, key, i));
    }
    return entries;
  }

  bool Has(std::string_view key) const { return object_.contains(key); }

  // Each leaves `value` as it is when the field is absent.
  template <typename T>
  void Read(std::string_view key, T& value) const {
    if (const auto found = object_.find(key); found != object_.end()) value = found->get<T>();
  }

  template <typename T, size_t N>
  void ReadName(std::string_view key, const std::array<ValueName<T>, N>& names, T& value) const {
    std::string name;
    Read(key, name);
    if (!name.empty()) value = ValueOf(names, name);
  }

  void ReadPath(std::string_view key, fs::path& value) const {
    std::string path;
    Read(key, path);
    if (!path.empty()) value = (origin_.parent_path() / path).lexically_normal();
  }

  void ReadSize(std::string_view key, uint64_t& bytes) const {
    const auto found = object_.find(key);
    if (found == object_.end()) return;
    bytes = found->is_string() ? ParseSize(found->get<std::string>(), Source(key))
                               : found->get<uint64_t>();
  }

  void ReadDevice(std::string_view key, std::string& device) const {
    Read(key, device);
    device = ParseDevice(device, Source(key));
  }

  ValueSource Source(std::string_view key) const {
    return {ErrorCode::kBadRecipe, fmt::format("{}: {}/{}", origin_.string(), pointer_, key)};
  }

 private:
  const Json& object_;
  const fs::path& origin_;
  std::string pointer_;
};

datasets::DataSource ReadDataSource(const FieldReader& entry) {
  datasets::DataSource source;
  entry.ReadPath("path", source.path);
  entry.ReadName("format", kSourceFormats, source.format);
  entry.Read("weight", source.weight);
  entry.Read("column", source.column);
  return source;
}

CalibrationSection ReadCalibration(const FieldReader& section) {
  CalibrationSection calibration;
  for (const FieldReader& entry : section.Entries("data")) {
    calibration.data.sources.push_back(ReadDataSource(entry));
  }
  section.Read("samples", calibration.data.samples);
  section.Read("sequence_length", calibration.data.sequence_length);
  section.ReadName("packing", kPackings, calibration.data.packing);
  section.ReadName("chat_format", kChatFormats, calibration.data.chat_format);
  section.Read("seed", calibration.data.seed);
  section.ReadName("dtype", kComputeDtypes, calibration.dtype);
  section.Read("batch_size", calibration.batch_size);
  section.Read("all_experts", calibration.all_experts);
  return calibration;
}

// One name, or a list of them.
std::vector<checkpoint::Role> ReadRoles(const FieldReader& entry) {
  Json names = Json::array();
  entry.Read("role", names);
  if (names.is_string()) names = Json::array({names});
  std::vector<checkpoint::Role> roles;
  for (const Json& name : names) {
    checkpoint::Role role = checkpoint::Role::kOther;
    [[maybe_unused]] const bool known =
        checkpoint::RoleFromName(name.get_ref<const std::string&>(), &role);
    assert(known && "the schema lists a role that does not exist");
    roles.push_back(role);
  }
  return roles;
}

Rule ReadRule(const FieldReader& entry) {
  Rule rule;
  rule.roles = ReadRoles(entry);
  entry.Read("name", rule.name_glob);
  entry.ReadName("format", kTargetFormats, rule.format);
  entry.ReadName("scale", kScaleMethods, rule.scale);
  if (entry.Has("scale")) ParseScaleMethod(rule.format, rule.scale, entry.Source("scale"));
  return rule;
}

ComputeSection ReadCompute(const FieldReader& section) {
  ComputeSection compute;
  section.ReadDevice("device", compute.device);
  section.ReadSize("device_memory", compute.device_memory);
  section.ReadSize("host_memory", compute.host_memory);
  section.ReadSize("stream_memory", compute.stream_memory);
  section.Read("threads", compute.threads);
  section.Read("save_interval", compute.save_interval);
  return compute;
}

// "calibrated", "none", or the constant itself.
void ReadActivations(const FieldReader& top, Recipe& recipe) {
  if (!top.Has("activations")) return;
  Json value;
  top.Read("activations", value);
  if (value == "calibrated") return;
  if (value == "none") {
    recipe.activations = ActivationScales::kNone;
    return;
  }
  const ValueSource source = top.Source("activations");
  if (!value.is_number()) {
    throw Error(source.code, source.subject,
                fmt::format("{} is not an allowed value", value.dump()),
                "Write \"calibrated\", \"none\" or a number");
  }
  recipe.activations = ActivationScales::kConstant;
  recipe.constant_input_scale = ParseInputScale(value.get<double>(), source);
}

// Scales from calibration need data. The schema cannot say so: it depends on the rules.
void RequireForCalibration(const FieldReader& top, const Recipe& recipe) {
  if (!ObservesInputs(recipe) || top.Has("calibration")) return;
  if (recipe.kv_cache == KvCache::kFp8) {
    throw Error(ErrorCode::kBadRecipe, fmt::format("{}: /", recipe.origin.string()),
                "the field \"calibration\" is missing, and export.kv_cache \"fp8\" is calibrated",
                "Add it, or set export.kv_cache to \"fp8_cast\" or \"none\"");
  }
  throw Error(ErrorCode::kBadRecipe, fmt::format("{}: /", recipe.origin.string()),
              "the field \"calibration\" is missing, and input scales are calibrated",
              "Add it, or set \"activations\" to \"none\" or a number");
}

// The last part of a path, also of a directory given with a slash at its end.
std::string LastPart(const fs::path& path) {
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

std::string Rule::Describe() const {
  std::string text;
  if (!roles.empty()) {
    std::vector<std::string> names;
    for (const checkpoint::Role role : roles) names.emplace_back(checkpoint::RoleName(role));
    text += fmt::format("role {} ", JoinNames(names));
  }
  if (!name_glob.empty()) text += fmt::format("name \"{}\" ", name_glob);
  return text + "-> " + TargetText(format, scale);
}

std::string_view DialectName(Dialect dialect) { return NameOf(kDialects, dialect); }

std::string_view KvCacheName(KvCache kv_cache) { return NameOf(kKvCaches, kv_cache); }

fs::path DefaultRunDirectory(const fs::path& output) {
  fs::path directory = output.has_filename() ? output : output.parent_path();
  return directory += ".run";
}

std::string_view ComputeDtypeName(ComputeDtype dtype) { return NameOf(kComputeDtypes, dtype); }

Recipe ParseRecipe(std::string_view text, const fs::path& origin) {
  const Json document = ParseJson(text, origin.string(), JsonComments::kAllow);
  CheckStructure(text, origin.string());
  CheckDocument(document, origin.string());

  const FieldReader top(document, origin, "");
  Recipe recipe;
  recipe.origin = origin;
  top.Read("description", recipe.description);
  top.ReadPath("source", recipe.source);
  top.ReadPath("output", recipe.output);
  top.ReadPath("run_dir", recipe.run_dir);
  recipe.default_run_dir = recipe.run_dir.empty();
  if (recipe.default_run_dir) recipe.run_dir = DefaultRunDirectory(recipe.output);
  if (top.Has("calibration")) recipe.calibration = ReadCalibration(top.Section("calibration"));
  for (const FieldReader& entry : top.Entries("quantize")) recipe.rules.push_back(ReadRule(entry));
  recipe.compute = ReadCompute(top.Section("compute"));
  top.Section("export").ReadName("dialect", kDialects, recipe.dialect);
  top.Section("export").ReadName("kv_cache", kKvCaches, recipe.kv_cache);
  ReadActivations(top, recipe);
  top.ReadPath("importance", recipe.importance);
  top.ReadName("non_finite", kNonFinite, recipe.non_finite);
  RequireForCalibration(top, recipe);
  CheckDirectories(recipe, {ErrorCode::kBadRecipe, origin.string()});
  return recipe;
}

Recipe LoadRecipe(const fs::path& path) { return ParseRecipe(ReadWholeFile(path), path); }

Json CalibrationIdentity(const Recipe& recipe) {
  const datasets::CalibrationSpec& data = recipe.calibration.data;
  Json sources = Json::array();
  for (const datasets::DataSource& source : data.sources) {
    // The name alone: a run may move to another machine, and the tokens have a fingerprint.
    sources.push_back({{"path", LastPart(source.path)},
                       {"format", NameOf(kSourceFormats, source.format)},
                       {"weight", source.weight}});
    if (!source.column.empty()) sources.back()["column"] = source.column;
  }
  Json identity = {{"data", std::move(sources)},
                   {"samples", data.samples},
                   {"sequence_length", data.sequence_length},
                   {"packing", NameOf(kPackings, data.packing)},
                   {"chat_format", NameOf(kChatFormats, data.chat_format)},
                   {"seed", data.seed},
                   {"dtype", ComputeDtypeName(recipe.calibration.dtype)},
                   {"all_experts", recipe.calibration.all_experts}};
  if (recipe.non_finite != NonFinite::kStop && ObservesInputs(recipe)) {
    identity["non_finite"] = NameOf(kNonFinite, recipe.non_finite);
  }
  return identity;
}

}  // namespace vernier::recipes
