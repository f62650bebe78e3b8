# cmake -DOUTPUT=FILE -DPARTS=LIST -P embed_page.cmake: writes the definitions that
# report/page_parts.h declares. Every .js file of PARTS goes into the script, in their order.
set(html "")
set(css "")
set(js "")
foreach(part IN LISTS PARTS)
  file(READ "${part}" text)
  get_filename_component(extension "${part}" LAST_EXT)
  string(SUBSTRING "${extension}" 1 -1 kind)
  string(APPEND ${kind} "${text}")
endforeach()

set(definitions "#include \"report/page_parts.h\"\n\nnamespace vernier::report {\n\n")
foreach(kind html css js)
  string(TOUPPER "${kind}" upper)
  string(SUBSTRING "${upper}" 0 1 initial)
  string(SUBSTRING "${kind}" 1 -1 rest)
  string(APPEND definitions
         "const std::string_view kPage${initial}${rest} = R\"part(${${kind}})part\";\n\n")
endforeach()
string(APPEND definitions "}  // namespace vernier::report\n")
file(WRITE "${OUTPUT}" "${definitions}")
