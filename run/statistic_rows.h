// The table `statistic`: what was observed, row by row, whatever the statistic is.
//
// Values of up to kLargestInlineValue bytes lie in their row. Larger ones lie in a file of the run
// directory that the row names with offset, length and hash; each unit of work and each save has
// one of its own, which is durable before a row that names it is committed.
#ifndef VERNIER_RUN_STATISTIC_ROWS_H_
#define VERNIER_RUN_STATISTIC_ROWS_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calib/statistics/registry.h"
#include "run/sqlite.h"
#include "run/value_file.h"

namespace vernier::run {

class Store;

extern const char kStatisticTable[];

inline constexpr uint64_t kLargestInlineValue = 4096;

struct StatisticRow {
  int unit = 0;        // the layer that it is committed with
  std::string module;  // where it was observed: "layers.0.ffn.experts.3.w1"
  std::string name;    // of the statistic: "input_amax"
  int version = 0;     // of what its bytes mean
  statistics::Bytes bytes;
};

// A row without its bytes, and where those are.
struct StatisticKey {
  int unit = 0;
  std::string module, name;
  int version = 0;
  uint64_t length = 0;
  std::string file;  // empty: in the row
  uint64_t offset = 0;
  std::string hash;  // XXH3-128 of bytes in a file
};

// Of finished units, by unit, module and name.
std::vector<StatisticKey> ListStatistics(const Database& database);
// kStoreCorrupt when the file that should hold the bytes is not there or has others.
statistics::Bytes ReadStatistic(const Store& store, const StatisticKey& key);
// The same as its statistic reads it. kStoreCorrupt naming the run directory when there is none
// such in `registry`, as when a newer program made it, or when the bytes are not its.
struct StatisticValue {
  const statistics::Statistic& statistic;
  statistics::Value value;
};
StatisticValue ReadValue(const Store& store, const StatisticKey& key,
                         statistics::Registry registry);

// All rows of a finished or unfinished unit, and those of a name in all finished units.
std::vector<StatisticRow> StatisticsOfUnit(const Store& store, int unit);
std::vector<StatisticRow> StatisticsNamed(const Store& store, std::string_view name);

// Rows of finished units by their statistic's name.
std::map<std::string, int64_t> CountStatistics(const Database& database);
// All of them together.
int64_t CountOf(const std::map<std::string, int64_t>& counts);
// Modules of finished units of which a statistic saw no token.
std::vector<std::string> ModulesWithoutTokens(const Database& database);
// The files that rows name.
std::set<std::string> StatisticFiles(const Database& database);

// Removes the rows of unfinished units, within the caller's transaction.
void DeleteUnfinishedStatistics(const Database& database);

// Adds rows of one unit, within the caller's transaction, which must not be committed before
// Finish has returned. Both store and transaction must outlive it.
class StatisticWriter {
 public:
  StatisticWriter(const Store& store, int unit);
  // `row.unit` is not looked at.
  void Add(const StatisticRow& row);
  // Makes the large values durable.
  void Finish();

 private:
  void BindFile(std::span<const std::byte> bytes);

  Statement insert_;
  ValueFileWriter large_;
  int unit_ = 0;
};

void AddStatistics(const Store& store, int unit, std::span<const StatisticRow> rows);

// A row whose bytes are small, without a store's directory: for migration.
void InsertSmallStatistic(const Database& database, const StatisticRow& row);

}  // namespace vernier::run

#endif  // VERNIER_RUN_STATISTIC_ROWS_H_
