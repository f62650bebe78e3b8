// What was given to a subcommand: names of the table of options with their values.
#ifndef VERNIER_TOOLS_ARGUMENTS_H_
#define VERNIER_TOOLS_ARGUMENTS_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "recipes/option.h"
#include "recipes/overrides.h"

namespace vernier::tools {

// The values of one option as they were written. A flag that was given has one, "true".
using GivenValues = std::map<std::string, std::vector<std::string>, std::less<>>;

class Arguments {
 public:
  // Each value is one that its option may have (ProblemOf).
  Arguments(std::string command, GivenValues given)
      : command_(std::move(command)), given_(std::move(given)) {}

  const std::string& command() const { return command_; }

  // Whether the option was given. Here and below, `name` is of an option that the subcommand takes.
  bool Has(std::string_view name) const;

  // Each leaves `value` as it is when the option was not given and its row has no value for that.
  void Read(std::string_view name, std::string& value) const;
  void Read(std::string_view name, std::filesystem::path& value) const;
  void Read(std::string_view name, int64_t& value) const;
  void Read(std::string_view name, int& value) const;
  void Read(std::string_view name, double& value) const;
  void Read(std::string_view name, std::vector<std::string>& values) const;
  void Read(std::string_view name, std::vector<std::filesystem::path>& values) const;
  template <typename T>
  void Read(std::string_view name, std::optional<T>& value) const {
    if (Has(name)) Read(name, value.emplace());
  }
  template <typename Names, typename T>
  void ReadName(std::string_view name, const Names& names, T& value) const {
    std::string text;
    Read(name, text);
    if (!text.empty()) value = recipes::ValueOf(names, text);
  }

  // The values that replace a recipe's fields.
  recipes::Overrides RecipeOverrides() const;

 private:
  // The values of the option, or of its row.
  std::vector<std::string> ValuesOf(std::string_view name) const;

  std::string command_;
  GivenValues given_;
};

// What is wrong with `text` as a value of `option`; empty: nothing. kBadArgument where the option
// replaces a recipe's field and the schema does not allow the value.
std::string ProblemOf(const recipes::Option& option, const std::string& text);

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_ARGUMENTS_H_
