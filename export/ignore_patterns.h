// Patterns of the modules that stay as released, for the engines' ignore lists.
#ifndef VERNIER_EXPORT_IGNORE_PATTERNS_H_
#define VERNIER_EXPORT_IGNORE_PATTERNS_H_

#include <string>
#include <vector>

#include "checkpoint/model_layout.h"
#include "recipes/plan.h"

namespace vernier::exporter {

// The shortest patterns that cover every kept linear weight, indexer and compressor, the LM head
// and all of MTP, and no quantised weight; sorted. A decoder layer's number becomes "*" wherever
// all layers agree: "*.attn.*", "head", "mtp.*", "layers.0.ffn.*". A wildcard follows a dot only,
// because engines that match substrings would take "layers.1*" for layer 10 too. Routers are left
// out, as in published checkpoints: no engine quantises them.
std::vector<std::string> IgnorePatterns(const checkpoint::ModelLayout& layout,
                                        const recipes::Plan& plan);

}  // namespace vernier::exporter

#endif  // VERNIER_EXPORT_IGNORE_PATTERNS_H_
