// A job's specification as JSON, read field by field. What does not fit is one clear error.
#ifndef VERNIER_JOBS_SPEC_READER_H_
#define VERNIER_JOBS_SPEC_READER_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "recipes/recipe_values.h"

namespace vernier::jobs {

// kBadArgument for a specification that is no object, and for a field of the wrong kind.
class SpecReader {
 public:
  // `spec` must outlive it; `job` names it in errors.
  SpecReader(const Json& spec, std::string_view job);

  bool Has(std::string_view field) const;
  // The value as it is; null when it is absent or null.
  const Json* Find(std::string_view field);

  // Each sets `value` when the field is there and not null.
  void Read(std::string_view field, std::string& value);
  void Read(std::string_view field, std::filesystem::path& value);
  void Read(std::string_view field, bool& value);
  void Read(std::string_view field, int& value);
  void Read(std::string_view field, int64_t& value);
  void Read(std::string_view field, uint64_t& value);
  void Read(std::string_view field, double& value);
  void Read(std::string_view field, std::vector<std::string>& value);
  void Read(std::string_view field, std::vector<std::filesystem::path>& value);

  template <typename T>
  void Read(std::string_view field, std::optional<T>& value) {
    T given{};
    if (!Has(field)) return Know(field);
    Read(field, given);
    value = given;
  }

  // A name that stands for a value.
  template <typename Names, typename T>
  void Read(std::string_view field, const Names& names, T& value) {
    std::string name;
    Read(field, name);
    if (!Has(field)) return;
    std::vector<std::string> allowed;
    for (const auto& row : names) {
      if (row.name == name) {
        value = row.value;
        return;
      }
      allowed.emplace_back(row.name);
    }
    ThrowNotAmong(field, name, allowed);
  }

  // The same for a field that must be there.
  template <typename T>
  void Require(std::string_view field, T& value) {
    Read(field, value);
    if (!Has(field)) ThrowMissing(field);
  }

  // A recipe: what it is asked for by, or the object itself. Null as of Find.
  const Json* FindRecipe(std::string_view field);

  // A name of `allowed`, or several of them.
  void ReadAmong(std::string_view field, const std::vector<std::string>& allowed,
                 std::string& value);
  void ReadAmong(std::string_view field, const std::vector<std::string>& allowed,
                 std::vector<std::string>& value);

  // To be called last: kBadArgument for a field that nobody asked for.
  void Finish() const;

 private:
  void Know(std::string_view field);
  [[noreturn]] void ThrowKind(std::string_view field, const Json& value,
                              std::string_view kind) const;
  [[noreturn]] void ThrowMissing(std::string_view field) const;
  [[noreturn]] void ThrowNotAmong(std::string_view field, std::string_view name,
                                  const std::vector<std::string>& allowed) const;

  const Json& spec_;
  std::string job_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace vernier::jobs

#endif  // VERNIER_JOBS_SPEC_READER_H_
