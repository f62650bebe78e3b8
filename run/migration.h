// From the tables of earlier schema versions to this one's.
#ifndef VERNIER_RUN_MIGRATION_H_
#define VERNIER_RUN_MIGRATION_H_

#include <cstdint>

#include "run/sqlite.h"

namespace vernier::run {

// The oldest PRAGMA user_version of the stores that can be migrated.
inline constexpr int kOldestVersion = 2;

// Within the caller's transaction, which then stores the row hashes and the version anew.
// From version 2: what had tables of its own becomes rows of statistics: input_amax of finished
// layers and partial_amax of the one under way, as input_amax or cache_amax by the module's name.
// Rows of non_finite for elements of source tensors (layer -1) become those of clamped_element.
// From version 3: the table solved_weight is added. From version 4: the table fold. From version 5:
// the table format_error. From version 6: the table module, of the names of modules alone, without
// roles; a calibration that is continued says them.
void MigrateTables(const Database& database, int64_t version);

}  // namespace vernier::run

#endif  // VERNIER_RUN_MIGRATION_H_
