// Activations that were clamped: the record that the store keeps of them.
#ifndef VERNIER_RUN_NON_FINITE_RECORD_H_
#define VERNIER_RUN_NON_FINITE_RECORD_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vernier::run {

class Database;

extern const char kNonFiniteTable[];

// NaN and infinite values that a module's inputs (or a layer's hidden states) had.
struct NonFiniteRecord {
  int layer = 0;
  std::string module;  // "layers.3.attn.wq_b", or "layers.3" for hidden states
  int64_t sample = 0;  // of the first one
  std::string value;   // the first one: "nan", "inf" or "-inf"
  int64_t count = 0;
};

// Of one layer, or of all; ordered by layer and module.
std::vector<NonFiniteRecord> LoadNonFinite(const Database& database, std::optional<int> layer = {});

// Replaces the records of `layer`, within the caller's transaction.
void ReplaceNonFinite(const Database& database, int layer,
                      std::span<const NonFiniteRecord> records);

// Counts `records`, of whatever layers, to those that are there: of other samples.
void AddNonFinite(const Database& database, std::span<const NonFiniteRecord> records);

}  // namespace vernier::run

#endif  // VERNIER_RUN_NON_FINITE_RECORD_H_
