// The README.md of an output: what hubs show of it, and what people read before they serve it.
#ifndef VERNIER_REPORT_MODEL_CARD_H_
#define VERNIER_REPORT_MODEL_CARD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/report.h"
#include "checkpoint/source_model.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace vernier::report {

// One row of an evaluation (docs/eval.md).
struct CardScore {
  std::string variant;  // "reference", "weights", "weights+activations"
  double perplexity = 0;
  std::optional<double> mean_kl = {};  // nats, from the reference
  std::optional<double> same_top = {};
};

struct CardEvaluation {
  std::vector<std::string> data = {};    // names of files, without folders
  std::vector<std::string> hashes = {};  // XXH3-128 of each one's ids
  int64_t window = 0;                    // ids
  int64_t scored = 0;                    // tokens
  std::string dtype = {};
  std::vector<CardScore> scores = {};
};

struct CardContent {
  const checkpoint::SourceModel& source;
  const recipes::Recipe& recipe;
  const recipes::Plan& plan;
  std::string version;                            // of Vernier
  std::string commit = {};                        // empty: unknown
  std::string tokens = {};                        // fingerprint of the calibration's; empty: none
  const audit::AuditReport* audit = nullptr;      // null: it was not audited
  std::optional<CardEvaluation> evaluation = {};  // absent: it was not evaluated
};

// The card's text in Markdown, with the fields by which hubs index it. It names no time and no path
// of the machine: the same content gives the same bytes.
std::string ModelCard(const CardContent& content);

// "org/name" of a directory in a hub's cache (models--org--name/snapshots/REVISION), else its name.
std::string ModelName(const std::filesystem::path& directory);

// What to call the output, wherever it lies: "DeepSeek-V4-Flash-NVFP4".
std::string OutputName(const CardContent& content);

}  // namespace vernier::report

#endif  // VERNIER_REPORT_MODEL_CARD_H_
