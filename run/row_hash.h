// Finds out when the store's rows are not what was committed. SQLite keeps no checksum of a page: a
// flipped bit in a number is a valid number.
//
// The table row_hash has, for every other table, the sum of the hashes of its rows modulo 2^64,
// which triggers keep within each transaction; and one for the tables' own definitions. Whatever
// else writes to the store, such as the sqlite3 program, therefore counts as damage.
#ifndef VERNIER_RUN_ROW_HASH_H_
#define VERNIER_RUN_ROW_HASH_H_

#include <string>

#include "run/sqlite.h"

namespace vernier::run {

extern const char kRowHashTable[];

// The SQL function that the others use: row_sum(SUM, SIGN, VALUE ...) is SUM plus or minus the
// XXH3-64 of the values, by their types and bytes.
void AddRowHashFunction(const Database& database);

// Fills row_hash for all tables as they are, whatever it had before.
void StoreRowHashes(const Database& database);

// Lets this connection's changes of rows change their sums.
void KeepRowHashes(const Database& database);

// The first table whose rows do not have the stored sum; empty: none. Reads every row.
std::string FindChangedTable(const Database& database);

}  // namespace vernier::run

#endif  // VERNIER_RUN_ROW_HASH_H_
