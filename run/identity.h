// What ties a store to its job, field by field, and how a job is compared with a store.
#ifndef VERNIER_RUN_IDENTITY_H_
#define VERNIER_RUN_IDENTITY_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vernier::run {

class Database;

extern const char kIdentityTable[];

// What a run's statistics depend on: field name -> value (hashes, numbers and names as text).
using RunIdentity = std::map<std::string, std::string>;

// Recipe fields begin so: "calibration.samples", "calibration.data.0.path".
inline constexpr std::string_view kCalibrationPrefix = "calibration.";

// The field that only a merged store has: fingerprints of the stores that it was made from, as a
// list.
inline constexpr std::string_view kMergedFrom = "merged_from";
// What a CPU multiplied: of runs on one.
inline constexpr std::string_view kProductsField = "cpu_products";

RunIdentity LoadIdentity(const Database& database);
// For a store without one, within the caller's transaction.
void SaveIdentity(const Database& database, const RunIdentity& identity);

// What the two sides of a comparison are called.
struct IdentitySides {
  std::string_view stored = "stored";
  std::string_view now = "now";
};

// What speaks against using a store for a job: one text per field, such as "calibration.seed:
// stored 0, now 1", in order of names; long values are cut around the place where they part. A
// field that only one side has is a difference too, but for those that only calibration itself
// knows ("tokens", "tokenizer") and kMergedFrom, when the job lacks them, and kProductsField, when
// either does. In a merged store, a field with a list of values allows each of them.
std::vector<std::string> IdentityDifferences(const RunIdentity& stored, const RunIdentity& now,
                                             IdentitySides sides = {});

// The value of a field for which merged stores have different values: a JSON array, sorted and
// without repetitions; null stands for a store without the field. One value alone stays as it is.
std::string MergeValues(const std::vector<const std::string*>& values);

}  // namespace vernier::run

#endif  // VERNIER_RUN_IDENTITY_H_
