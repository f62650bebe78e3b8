#include "recipes/overrides.h"

#include <algorithm>

#include "recipes/options.h"
#include "recipes/recipe.h"
#include "recipes/recipe_check.h"
#include "recipes/schema_check.h"

namespace vernier::recipes {
namespace {

void Write(const Option& field, const Override& given, const Json& value, Recipe& recipe) {
  CheckFieldValue(given.pointer, value, given.Name());
  // Relative paths stay so: they are relative to the current directory.
  field.field.write(value, {.base = {}, .source = {ErrorCode::kBadArgument, given.Name()}}, recipe);
}

void WriteOverride(const Override& given, Recipe& recipe) {
  const Option& field = FieldAt(given.pointer);
  const size_t entry = given.pointer.find("/*");
  if (entry == std::string::npos) return Write(field, given, given.value, recipe);
  const EntryList& list = FieldAt(given.pointer.substr(0, entry)).entries;
  list.clear(recipe);
  for (const Json& value : given.value) {
    list.append(recipe);
    Write(field, given, value, recipe);
  }
}

}  // namespace

const Override* FindOverride(const std::vector<Override>& overrides, std::string_view pointer) {
  const auto found = std::find_if(overrides.rbegin(), overrides.rend(),
                                  [&](const Override& given) { return given.pointer == pointer; });
  return found == overrides.rend() ? nullptr : &*found;
}

void ReplaceFields(const std::vector<Override>& overrides, Recipe& recipe) {
  for (const Override& given : overrides) WriteOverride(given, recipe);
  if (recipe.default_run_dir) recipe.run_dir = DefaultRunDirectory(recipe.output);
  CheckRecipe(recipe, overrides);
}

void ApplyOverrides(const Overrides& given, Recipe& recipe) {
  std::vector<Override> all;
  const auto add = [&](const auto& value, std::string_view pointer, std::string_view flag) {
    if (value) all.push_back({std::string(pointer), *value, std::string(flag)});
  };
  add(given.source, "/source", "--source");
  add(given.output, "/output", "--output");
  add(given.run_dir, "/run_dir", "--run-dir");
  add(given.device, "/compute/device", "--device");
  add(given.device_memory, "/compute/device_memory", "--device-memory");
  add(given.host_memory, "/compute/host_memory", "--host-memory");
  add(given.stream_memory, "/compute/stream_memory", "--stream-memory");
  add(given.threads, "/compute/threads", "--threads");
  add(given.save_interval, "/compute/save_interval", "--save-interval");
  add(given.non_finite, "/non_finite", "--non-finite");
  add(given.kv_cache, "/export/kv_cache", "--kv-cache");
  if (!given.data.empty()) all.push_back({"/calibration/data/*/path", given.data, "--data"});
  add(given.samples, "/calibration/samples", "--samples");
  add(given.sequence_length, "/calibration/sequence_length", "--sequence-length");
  add(given.batch_size, "/calibration/batch_size", "--batch-size");
  add(given.seed, "/calibration/seed", "--seed");
  ReplaceFields(all, recipe);
}

}  // namespace vernier::recipes
