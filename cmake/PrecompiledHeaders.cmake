# Headers that most files include are compiled once for all targets of a kind: a file that includes
# ATen takes a quarter of the time, one that includes the JSON library a third. The debug preset
# compiles without, so that a file which includes too little is found.
set(common_headers <nlohmann/json.hpp> <fmt/format.h> <filesystem> <map> <string> <vector>)

# vernier_headers(NAME LINKS ... HEADERS ...): compiles the common headers and HEADERS, as targets
# that link LINKS do.
function(vernier_headers name)
  cmake_parse_arguments(ARG "" "" "LINKS;HEADERS" ${ARGN})
  add_library(${name} OBJECT ${CMAKE_SOURCE_DIR}/cmake/precompiled_headers.cc)
  target_link_libraries(${name} PRIVATE fmt::fmt nlohmann_json::nlohmann_json ${ARG_LINKS})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS} ${common_headers})
endfunction()

vernier_headers(vernier_common_headers)
vernier_library_code(vernier_common_headers)
if(VERNIER_WITH_TORCH)
  vernier_headers(vernier_torch_headers LINKS vernier_torch HEADERS <ATen/ATen.h>)
  vernier_library_code(vernier_torch_headers)
endif()
if(VERNIER_BUILD_TESTS)
  set(test_headers <gmock/gmock.h> <gtest/gtest.h>)
  vernier_headers(vernier_common_test_headers LINKS GTest::gmock HEADERS ${test_headers})
  vernier_no_optimization(vernier_common_test_headers)
  if(VERNIER_WITH_TORCH)
    vernier_headers(vernier_torch_test_headers LINKS GTest::gmock vernier_torch
                    HEADERS <ATen/ATen.h> ${test_headers})
    vernier_no_optimization(vernier_torch_test_headers)
  endif()
endif()
