#include "checkpoint/families/rope_config.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace vernier::checkpoint {
namespace {

// YaRN's temperature: 0.1 m ln(s) + 1 for a scale s > 1.
double Mscale(double scale, double m) { return scale <= 1 ? 1.0 : 0.1 * m * std::log(scale) + 1.0; }

RopeType ParseType(const ConfigReader& rope, bool knows_long) {
  const char* key = rope.Find("rope_type") != nullptr ? "rope_type" : "type";
  const Json* field = rope.Find(key);
  if (field == nullptr) return RopeType::kDefault;
  const std::string type = field->is_string() ? field->get<std::string>() : std::string();
  if (type == "default") return RopeType::kDefault;
  if (type == "linear") return RopeType::kLinear;
  if (type == "llama3") return RopeType::kLlama3;
  // Phi-3's releases called it so (configuration_phi3.py).
  if (knows_long && (type == "longrope" || type == "su" || type == "yarn")) return RopeType::kLong;
  if (type == "yarn") return RopeType::kYarn;
  rope.Fail(key, "is " + field->dump() + "; known are default, linear, llama3 and yarn" +
                     (knows_long ? ", and longrope" : ""));
}

double OriginalPositions(const ConfigReader& model, const ConfigReader& rope) {
  constexpr const char* kField = "original_max_position_embeddings";
  if (model.Find(kField) != nullptr) return model.Number(kField);
  if (rope.Find(kField) != nullptr) return rope.Number(kField);
  return model.Number("max_position_embeddings");
}

void ReadLlama3(const ConfigReader& rope, RopeConfig* config) {
  config->low_freq_factor = rope.Number("low_freq_factor");
  config->high_freq_factor = rope.Number("high_freq_factor");
  if (config->high_freq_factor <= config->low_freq_factor) {
    rope.Fail("high_freq_factor", "is not above low_freq_factor");
  }
}

void ReadYarn(const ConfigReader& rope, RopeConfig* config) {
  config->beta_fast = rope.NumberOr("beta_fast", config->beta_fast);
  config->beta_slow = rope.NumberOr("beta_slow", config->beta_slow);
  config->truncate = rope.BooleanOr("truncate", true);
  const double mscale = rope.NumberOr("mscale", 0, /*allow_zero=*/true);
  const double mscale_all = rope.NumberOr("mscale_all_dim", 0, /*allow_zero=*/true);
  const double numerator = Mscale(config->factor, mscale > 0 && mscale_all > 0 ? mscale : 1);
  const double denominator =
      mscale > 0 && mscale_all > 0 ? Mscale(config->factor, mscale_all) : 1.0;
  config->attention_factor = rope.NumberOr("attention_factor", numerator / denominator);
  config->score_factor = mscale_all > 0 ? Mscale(config->factor, mscale_all) : 1.0;
}

std::vector<double> ReadFactors(const ConfigReader& rope, const char* key) {
  const Json& field = rope.Require(key);
  const auto is_factor = [](const Json& factor) {
    return factor.is_number() && std::isfinite(factor.get<double>()) && factor.get<double>() > 0;
  };
  if (!field.is_array() || !std::ranges::all_of(field, is_factor)) {
    rope.Fail(key, "is no list of positive numbers");
  }
  return field.get<std::vector<double>>();
}

void ReadLong(const ConfigReader& rope, RopeConfig* config) {
  config->short_factors = ReadFactors(rope, "short_factor");
  config->long_factors = ReadFactors(rope, "long_factor");
  const double usual =
      config->factor <= 1
          ? 1
          : std::sqrt(1 + std::log(config->factor) / std::log(config->original_positions));
  config->attention_factor = rope.NumberOr("attention_factor", usual);
}

double ReadFactor(const ConfigReader& model, const ConfigReader& rope, const RopeConfig& config) {
  // These may be left to the ratio of the context lengths.
  const bool optional = config.type == RopeType::kYarn || config.type == RopeType::kLong;
  if (optional && rope.Find("factor") == nullptr) {
    return model.Number("max_position_embeddings") / config.original_positions;
  }
  return rope.Number("factor");
}

constexpr const char* kPartialFactor = "partial_rotary_factor";

// What stands in `reader`, else `fallback`; without one only 1 is known.
std::optional<double> ReadPartialFactor(const ConfigReader& reader,
                                        std::optional<double> fallback) {
  if (!fallback) {
    reader.RequireValue(kPartialFactor, 1.0);
    return fallback;
  }
  const double factor = reader.NumberOr(kPartialFactor, *fallback);
  if (factor > 1) reader.Fail(kPartialFactor, "is above 1");
  return factor;
}

}  // namespace

int64_t RopeConfig::RotaryDim(int64_t head_dim) const {
  constexpr double kRounding = 1e-6;  // a factor may be a quotient of whole numbers
  return static_cast<int64_t>(static_cast<double>(head_dim) * partial_factor + kRounding);
}

std::optional<ConfigReader> RopeSection(const ConfigReader& model) {
  // Where both stand, transformers 5 takes rope_scaling (convert_rope_params_to_dict).
  for (const char* section : {"rope_scaling", "rope_parameters"}) {
    const Json* object = model.Find(section);
    if (object != nullptr && !object->empty())
      return ConfigReader(*object, section + std::string("."));
  }
  return std::nullopt;
}

RopeConfig ParseRopeConfig(const ConfigReader& model, const RopeDefaults& defaults) {
  std::optional<double> partial = ReadPartialFactor(model, defaults.partial_factor);
  RopeConfig config;
  config.partial_factor = partial.value_or(1);
  config.theta = model.NumberOr("rope_theta", defaults.theta);
  const std::optional<ConfigReader> section = RopeSection(model);
  if (!section) return config;
  const ConfigReader& rope = *section;
  partial = ReadPartialFactor(rope, partial);
  config.partial_factor = partial.value_or(1);
  config.theta = rope.NumberOr("rope_theta", config.theta);
  config.type = ParseType(rope, defaults.knows_long);
  if (config.type == RopeType::kDefault) return config;
  if (config.type != RopeType::kLinear) config.original_positions = OriginalPositions(model, rope);
  config.factor = ReadFactor(model, rope, config);
  if (config.type == RopeType::kLlama3) ReadLlama3(rope, &config);
  if (config.type == RopeType::kYarn) ReadYarn(rope, &config);
  if (config.type == RopeType::kLong) ReadLong(rope, &config);
  return config;
}

}  // namespace vernier::checkpoint
