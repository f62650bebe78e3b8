#include "run/loop_sizes.h"

#include "run/sqlite.h"

namespace vernier::run {

const char kLoopSizesTable[] = R"sql(
CREATE TABLE loop_sizes (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  batch_size  INTEGER NOT NULL,
  query_chunk INTEGER NOT NULL
);
)sql";

std::optional<LoopSizes> LoadLoopSizes(const Store& store) {
  Statement row = store.database().Prepare("SELECT batch_size, query_chunk FROM loop_sizes");
  if (!row.Step()) return std::nullopt;
  return LoopSizes{.batch_size = row.Integer(0), .query_chunk = row.Integer(1)};
}

void SaveLoopSizes(const Store& store, const LoopSizes& sizes) {
  store.database()
      .Prepare("INSERT OR REPLACE INTO loop_sizes VALUES (1, ?1, ?2)")
      .Bind(1, sizes.batch_size)
      .Bind(2, sizes.query_chunk)
      .Run();
}

}  // namespace vernier::run
