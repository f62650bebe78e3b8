# cmake -DOUTPUT=FILE -DRECIPES=LIST -P embed_recipes.cmake: writes the definition of the function that
# recipes/shipped_texts.h declares, with the recipes in the order of LIST.
set(rows "")
foreach(recipe IN LISTS RECIPES)
  file(READ "${recipe}" text)
  string(REGEX REPLACE "^.*/" "" file_name "${recipe}")
  string(REGEX REPLACE "\\.json$" "" name "${file_name}")
  string(APPEND rows "    {\"${name}\", R\"recipe(${text})recipe\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include \"recipes/shipped_texts.h\"

namespace vernier::recipes {

std::span<const ShippedText> ShippedTexts() {
  static constexpr ShippedText kTexts[] = {
${rows}  };
  return kTexts;
}

}  // namespace vernier::recipes
")
