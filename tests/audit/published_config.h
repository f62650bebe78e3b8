// The configurations of published checkpoints, cut to fewer layers and experts.
#ifndef VERNIER_TESTS_AUDIT_PUBLISHED_CONFIG_H_
#define VERNIER_TESTS_AUDIT_PUBLISHED_CONFIG_H_

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tests/audit/published_model.h"

namespace vernier::audit {

struct PublishedConfig {
  Json config;
  Json quant_config;  // hf_quant_config.json; null: not published
};

// Reads tests/data/published/`name` and cuts it: counts, compress_ratios, quantized_layers, and the
// patterns that name layers.
PublishedConfig ReadPublishedConfig(std::string_view name, const PublishedOptions& options);

// The configuration as published, whatever the options.
Json ReadWholeConfig(std::string_view name);

// exclude_modules of hf_quant_config.json; empty without one.
std::vector<std::string> ExcludedModules(const PublishedConfig& published);

}  // namespace vernier::audit

#endif  // VERNIER_TESTS_AUDIT_PUBLISHED_CONFIG_H_
