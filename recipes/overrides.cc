#include <filesystem>
#include <optional>
#include <string_view>

#include "recipes/recipe.h"
#include "recipes/recipe_values.h"
#include "recipes/schema_check.h"

namespace vernier::recipes {
namespace {

void OverridePath(const std::optional<std::string>& given, std::string_view pointer,
                  std::string_view flag, std::filesystem::path& path) {
  if (!given) return;
  CheckFlagValue(pointer, *given, flag);
  path = std::filesystem::path(*given).lexically_normal();
}

void OverrideSize(const std::optional<std::string>& given, std::string_view flag, uint64_t& bytes) {
  if (given) bytes = ParseSize(*given, {ErrorCode::kBadArgument, std::string(flag)});
}

void OverrideData(const std::vector<std::string>& given, datasets::CalibrationSpec& data) {
  data.sources.clear();
  for (const std::string& path : given) {
    data.sources.push_back({.path = std::filesystem::path(path).lexically_normal()});
  }
}

// A number within the range that the schema gives the field.
template <typename T>
void OverrideNumber(const std::optional<T>& given, std::string_view pointer, std::string_view flag,
                    T& number) {
  if (!given) return;
  CheckFlagValue(pointer, *given, flag);
  number = *given;
}

// A recipe without data was complete until a flag asked for more.
void RequireDataForCache(const Recipe& recipe) {
  if (recipe.kv_cache != KvCache::kFp8 || !recipe.calibration.data.sources.empty()) return;
  throw Error(ErrorCode::kBadArgument, "--kv-cache fp8",
              "its scales are calibrated, and the recipe has no calibration data",
              "Give --data, or use --kv-cache fp8_cast");
}

}  // namespace

void ApplyOverrides(const Overrides& overrides, Recipe& recipe) {
  OverridePath(overrides.source, "/source", "--source", recipe.source);
  OverridePath(overrides.output, "/output", "--output", recipe.output);
  if (recipe.default_run_dir) recipe.run_dir = DefaultRunDirectory(recipe.output);
  OverridePath(overrides.run_dir, "/run_dir", "--run-dir", recipe.run_dir);
  if (overrides.device) {
    recipe.compute.device = ParseDevice(*overrides.device, {ErrorCode::kBadArgument, "--device"});
  }
  OverrideSize(overrides.device_memory, "--device-memory", recipe.compute.device_memory);
  OverrideSize(overrides.host_memory, "--host-memory", recipe.compute.host_memory);
  OverrideSize(overrides.stream_memory, "--stream-memory", recipe.compute.stream_memory);
  if (overrides.non_finite) {
    CheckFlagValue("/non_finite", *overrides.non_finite, "--non-finite");
    recipe.non_finite = ValueOf(kNonFinite, *overrides.non_finite);
  }
  if (overrides.kv_cache) {
    CheckFlagValue("/export/kv_cache", *overrides.kv_cache, "--kv-cache");
    recipe.kv_cache = ValueOf(kKvCaches, *overrides.kv_cache);
  }
  OverrideNumber(overrides.threads, "/compute/threads", "--threads", recipe.compute.threads);
  OverrideNumber(overrides.save_interval, "/compute/save_interval", "--save-interval",
                 recipe.compute.save_interval);

  CalibrationSection& calibration = recipe.calibration;
  if (!overrides.data.empty()) OverrideData(overrides.data, calibration.data);
  OverrideNumber(overrides.samples, "/calibration/samples", "--samples", calibration.data.samples);
  OverrideNumber(overrides.sequence_length, "/calibration/sequence_length", "--sequence-length",
                 calibration.data.sequence_length);
  OverrideNumber(overrides.batch_size, "/calibration/batch_size", "--batch-size",
                 calibration.batch_size);
  OverrideNumber(overrides.seed, "/calibration/seed", "--seed", calibration.data.seed);
  RequireDataForCache(recipe);
  CheckDirectories(recipe, {ErrorCode::kBadArgument, "--source, --output, --run-dir"});
}

}  // namespace vernier::recipes
