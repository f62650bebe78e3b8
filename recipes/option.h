// One option: what the command line, the recipe's schema, the manual and completions know of it.
#ifndef VERNIER_RECIPES_OPTION_H_
#define VERNIER_RECIPES_OPTION_H_

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/memory_bound.h"
#include "recipes/recipe.h"
#include "recipes/recipe_values.h"

namespace vernier::recipes {

enum class ValueKind {
  kFlag,       // given or not; in a recipe true or false
  kText,       // any
  kName,       // one of Option::names
  kInteger,    // within the bounds
  kNumber,     // within the bounds
  kSize,       // bytes, or text such as "8GiB"
  kMemory,     // as kSize, or text such as "70%"
  kDevice,     // "cpu", "cuda", "cuda:N"
  kFile,       // path of a file
  kDirectory,  // path of a directory
  kPath,       // of either
  kSection,    // a recipe's object of fields
  kEntries,    // a recipe's list of such objects
  kOther,      // a recipe's field of which Option::schema says all
};

// How many values an option takes on the command line.
enum class Arity {
  kOne,
  kMany,      // one or more behind the flag, which may be repeated
  kRepeated,  // one behind the flag, which may be repeated
  kCommas,    // as kMany, and separated by commas
};

// Where a value that is written into a recipe stands.
struct FieldContext {
  std::filesystem::path base;  // what relative paths are relative to
  ValueSource source;
};

// The member of Recipe that holds a field. Of an entry of a list: the member of the last entry.
struct RecipeField {
  std::function<Json(const Recipe&)> read = {};
  // `value` is one that the schema allows.
  std::function<void(const Json& value, const FieldContext&, Recipe&)> write = {};
  bool required = false;  // every recipe (or entry) has it
};

struct EntryList {
  std::function<void(Recipe&)> clear = {};
  std::function<void(Recipe&)> append = {};
};

// One row of the table. What a row does not say it does not have.
struct Option {
  std::string name = {};      // "--samples"; "RECIPE" without a flag; empty: only a recipe's field
  std::string pointer = {};   // "/calibration/samples", "/quantize/*/format"; empty: no field
  std::string commands = {};  // the subcommands that take it, separated by spaces
  ValueKind kind = ValueKind::kText;
  std::string help;          // one sentence, without a period
  std::string details = {};  // more sentences, for the schema and the manual
  std::string metavar = {};  // what help calls a value; empty: as its kind is called
  std::vector<std::string> names = {};
  Json minimum = {}, above = {}, maximum = {};  // null: no such bound; `above` is exclusive
  Arity arity = Arity::kOne;
  std::string standard = {};  // the value when it is not given, where no field has a default
  bool required = false;      // by the subcommands that take it
  bool alone = false;         // a flag with which nothing is required
  std::string group = {};     // heading in the help; empty: the usual one
  std::string excludes = {}, needs = {};  // names of other options, separated by spaces
  RecipeField field = {};
  EntryList entries = {};  // of kEntries
  Json schema = {};        // keywords beside those that follow from the above

  bool IsFlag() const { return name.starts_with("--"); }
  bool IsPositional() const { return !name.empty() && !IsFlag(); }
  bool IsPath() const;
  bool TakenBy(std::string_view command) const;
  // On a command line it replaces the recipe's field; one of a list's entries replaces the list.
  bool ReplacesField() const;
};

// Whether `word` is one of the words of `text`, which spaces separate.
bool HasWord(std::string_view text, std::string_view word);

template <typename Names>
std::vector<std::string> NamesOf(const Names& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.emplace_back(row.name);
  return names;
}

template <typename T>
Json ValueToJson(const T& value) {
  return value;
}
Json ValueToJson(const std::filesystem::path& path);
Json ValueToJson(double number);  // an integer if it is one
Json ValueToJson(const MemoryBound& bound);

template <typename T>
void ValueFromJson(const Json& json, const FieldContext&, T& value) {
  value = json.get<T>();
}
void ValueFromJson(const Json& json, const FieldContext& context, std::filesystem::path& path);
// A number, or a size.
void ValueFromJson(const Json& json, const FieldContext& context, uint64_t& number);
void ValueFromJson(const Json& json, const FieldContext& context, MemoryBound& bound);

// The field that `member` finds: a generic lambda from a recipe to a reference.
template <typename Member>
RecipeField Field(Member member) {
  return {.read = [member](const Recipe& recipe) { return ValueToJson(member(recipe)); },
          .write = [member](const Json& json, const FieldContext& context,
                            Recipe& recipe) { ValueFromJson(json, context, member(recipe)); }};
}

// The same of a value with a name. `names` are there as long as the program.
template <typename Names, typename Member>
RecipeField NamedField(const Names& names, Member member) {
  return {.read = [&names, member](const Recipe& recipe) -> Json {
            return NameOf(names, member(recipe));
          },
          .write =
              [&names, member](const Json& json, const FieldContext&, Recipe& recipe) {
                member(recipe) = ValueOf(names, json.get_ref<const std::string&>());
              }};
}

// The same, of a field that every recipe (or entry) has.
RecipeField Required(RecipeField field);

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_OPTION_H_
