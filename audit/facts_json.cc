#include "audit/facts_json.h"

#include <array>
#include <string>
#include <vector>

namespace vernier::audit {
namespace {

using checkpoint::Checkpoint;

Json ScalesJson(const ScaleFacts& scales) {
  return {{"bytes", scales.bytes},
          {"nan_or_negative", scales.nan_or_negative},
          {"lost_blocks", scales.lost_blocks},
          {"e8m0_nan", scales.e8m0_nan},
          {"bad_values", scales.bad_values},
          {"blocks", scales.blocks.blocks},
          {"by_exponent", scales.blocks.by_exponent},
          {"at_maximum", scales.blocks.at_maximum},
          {"zero_blocks", scales.blocks.zero_blocks}};
}

ScaleFacts ScalesFromJson(const Json& json, std::string_view origin) {
  using Exponents = std::array<int64_t, BlockStatistics::kExponents>;
  ScaleFacts scales;
  scales.bytes = GetField<uint64_t>(json, "bytes", origin);
  scales.nan_or_negative = GetField<int64_t>(json, "nan_or_negative", origin);
  scales.lost_blocks = GetField<int64_t>(json, "lost_blocks", origin);
  scales.e8m0_nan = GetField<int64_t>(json, "e8m0_nan", origin);
  scales.bad_values = GetField<int64_t>(json, "bad_values", origin);
  scales.blocks.blocks = GetField<int64_t>(json, "blocks", origin);
  scales.blocks.by_exponent = GetField<Exponents>(json, "by_exponent", origin);
  scales.blocks.at_maximum = GetField<int64_t>(json, "at_maximum", origin);
  scales.blocks.zero_blocks = GetField<int64_t>(json, "zero_blocks", origin);
  return scales;
}

Json SourceJson(const SourceFacts& source) {
  if (!source.failure.empty()) return {{"failure", source.failure}};
  const ErrorStatistics& error = source.error;
  return {{"weights", error.weights},
          {"exact", error.exact},
          {"values", error.values},
          {"saturated", error.saturated},
          {"squared_error", error.squared_error},
          {"squared_source", error.squared_source},
          {"max_abs_error", error.max_abs_error},
          {"clipped", source.clipped},
          {"source_zero_blocks", source.source_zero_blocks}};
}

SourceFacts SourceFromJson(const Json& json, std::string_view origin) {
  SourceFacts source;
  if (json.contains("failure")) {
    source.failure = GetField<std::string>(json, "failure", origin);
    return source;
  }
  source.error.weights = GetField<int64_t>(json, "weights", origin);
  source.error.exact = GetField<int64_t>(json, "exact", origin);
  source.error.values = GetField<int64_t>(json, "values", origin);
  source.error.saturated = GetField<int64_t>(json, "saturated", origin);
  source.error.squared_error = GetField<double>(json, "squared_error", origin);
  source.error.squared_source = GetField<double>(json, "squared_source", origin);
  source.error.max_abs_error = GetField<double>(json, "max_abs_error", origin);
  source.clipped = GetField<int64_t>(json, "clipped", origin);
  source.source_zero_blocks = GetField<int64_t>(json, "source_zero_blocks", origin);
  return source;
}

}  // namespace

Json FactsJson(const Checkpoint& checkpoint, const ModuleFacts& facts) {
  Json json = {{"not_finite", facts.not_finite}};
  if (facts.scales.bytes > 0) json["scales"] = ScalesJson(facts.scales);
  for (const size_t tensor : facts.changed) {
    json["changed"].push_back(checkpoint.tensor(tensor).info.name);
  }
  if (facts.source) json["source"] = SourceJson(*facts.source);
  return json;
}

ModuleFacts FactsFromJson(const Checkpoint& checkpoint, const Json& json, std::string_view origin) {
  ModuleFacts facts;
  facts.not_finite = GetField<int64_t>(json, "not_finite", origin);
  const auto scales = json.find("scales");
  if (scales != json.end()) facts.scales = ScalesFromJson(*scales, origin);
  for (const auto& name : GetFieldOr<std::vector<std::string>>(json, "changed", origin, {})) {
    const size_t tensor = checkpoint.Find(name);
    if (tensor == Checkpoint::kNotFound) {
      throw Error(ErrorCode::kBadJson, origin, "names the tensor \"" + name + "\", which is absent",
                  "Remove the file");
    }
    facts.changed.insert(tensor);
  }
  const auto source = json.find("source");
  if (source != json.end()) facts.source = SourceFromJson(*source, origin);
  return facts;
}

}  // namespace vernier::audit
