// The shipped recipes' files, embedded by embed_recipes.cmake.
#ifndef VERNIER_RECIPES_SHIPPED_TEXTS_H_
#define VERNIER_RECIPES_SHIPPED_TEXTS_H_

#include <span>
#include <string_view>

namespace vernier::recipes {

struct ShippedText {
  std::string_view name;  // "nvfp4", of nvfp4.json
  std::string_view text;
};

// In the order of CMakeLists.txt: of those that fit a model, the first is its default.
std::span<const ShippedText> ShippedTexts();

}  // namespace vernier::recipes

#endif  // VERNIER_RECIPES_SHIPPED_TEXTS_H_
