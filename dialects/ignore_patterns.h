// Patterns of the modules that stay as released, for the engines' ignore lists.
#ifndef VERNIER_DIALECTS_IGNORE_PATTERNS_H_
#define VERNIER_DIALECTS_IGNORE_PATTERNS_H_

#include <string>
#include <vector>

#include "checkpoint/model_layout.h"

namespace vernier::dialects {

// Whether routers are in the list. Engines' DeepSeek-V4 code quantises none, and published
// checkpoints of that family leave them out; other models' code builds them as linear layers.
enum class Routers { kLeftOut, kListed };

// The shortest patterns that cover every linear weight, indexer and compressor, the LM head and all
// of MTP that are not `quantised` (parallel to layout.weights), and no quantised weight; sorted. A
// decoder layer's number becomes "*" wherever all layers agree: "*.attn.*", "head", "mtp.*",
// "layers.0.ffn.*". A wildcard follows a dot only, because engines that match substrings would take
// "layers.1*" for layer 10 too. Members of fused matrices that no such pattern covers
// stand with their full names.
std::vector<std::string> IgnorePatterns(const checkpoint::ModelLayout& layout,
                                        const std::vector<bool>& quantised, Routers routers);

}  // namespace vernier::dialects

#endif  // VERNIER_DIALECTS_IGNORE_PATTERNS_H_
