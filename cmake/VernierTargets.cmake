# Helpers that every folder's CMakeLists.txt uses.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()

# Every floating-point result must be the same on every build: no contraction into FMA.
add_compile_options(-Wall -Wextra -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC bugs 105651 and 105329: false alarms on std::string's operator+ at -O2 and above.
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
endif()
if(VERNIER_SANITIZE)
  add_compile_options(-fsanitize=${VERNIER_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${VERNIER_SANITIZE})
endif()

if(VERNIER_FUZZ)
  # Libraries tell the fuzzers which branches were taken, and every finding ends the program.
  add_compile_options(-fsanitize=fuzzer-no-link -fno-sanitize-recover=all)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()

# Sources of a library are compiled several at a time: what they all include and instantiate, such
# as the JSON library, is compiled once for them. So names in anonymous namespaces must differ
# within a library. The debug and fuzz presets compile each source by itself, so that one which
# includes too little is found. A folder whose sources cannot stand together sets it OFF.
option(VERNIER_UNITY "Compile several sources of a library at a time" ON)
set(VERNIER_UNITY_SOURCES 20)  # fewer where a changed source is to be compiled again quickly

function(vernier_unity name)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${VERNIER_UNITY}
                                           UNITY_BUILD_BATCH_SIZE ${VERNIER_UNITY_SOURCES})
endfunction()

# A folder that reads options, JSON and tables, and no tensors, sets it: such code takes twice as
# long to compile at -O3 and runs no faster. No arithmetic on tensors may stand there.
set(VERNIER_COLD OFF)

# The kind of precompiled headers that a folder's targets use (PrecompiledHeaders.cmake): common,
# torch, or empty for none.
set(VERNIER_HEADERS common)

function(vernier_use_headers name suffix)
  if(VERNIER_HEADERS)
    target_precompile_headers(${name} REUSE_FROM vernier_${VERNIER_HEADERS}${suffix})
  endif()
endfunction()

# For folders that are cold, and for programs whose work is done in libraries.
function(vernier_light_optimization name)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# For tests, which take longer to compile than to run.
function(vernier_no_optimization name)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O0>)
endfunction()

# What libvernier is made of: code that may lie anywhere, whose names do not leave the library.
function(vernier_library_code name)
  # Hidden inline functions keep those of the standard library apart from the ones that libtorch was
  # built with.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                                           VISIBILITY_INLINES_HIDDEN ON)
endfunction()

# A static library whose includes start at the root.
function(vernier_static_library name)
  cmake_parse_arguments(ARG "COLD" "" "SOURCES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  vernier_library_code(${name})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  vernier_use_headers(${name} _headers)
  vernier_unity(${name})
  if(ARG_COLD)
    vernier_light_optimization(${name})
  endif()
endfunction()

# vernier_library(NAME SOURCES ... [COLD ...] DEPENDS ...): a folder's library. COLD lists those of
# its sources that are cold in a folder that is not; they make NAME_cold, which NAME brings along.
function(vernier_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;COLD;DEPENDS" ${ARGN})
  set(cold_folder "")
  if(VERNIER_COLD)
    set(cold_folder COLD)
  endif()
  vernier_static_library(${name} ${cold_folder} SOURCES ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS})
  if(ARG_COLD)
    vernier_static_library(${name}_cold COLD SOURCES ${ARG_COLD})
    target_link_libraries(${name}_cold PUBLIC ${name})
    target_link_libraries(${name} PUBLIC ${name}_cold)
  endif()
endfunction()

# The library that has a folder's test programs' main(): tests/CMakeLists.txt.
set(VERNIER_TEST_MAIN vernier_test_main)

# vernier_test_program(NAME SOURCES ... DEPENDS ...): a GoogleTest program without tests of CTest.
# Tests find their data below the macro VERNIER_TEST_DATA, examples below VERNIER_SOURCE_DIR and the
# command at VERNIER_COMMAND.
function(vernier_test_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  vernier_no_optimization(${name})
  vernier_use_headers(${name} _test_headers)
  vernier_unity(${name})
  target_link_libraries(${name} PRIVATE ${VERNIER_TEST_MAIN} vernier_test_support ${ARG_DEPENDS})
endfunction()

# vernier_test_library(NAME SOURCES ... DEPENDS ...): what several test programs share.
function(vernier_test_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  vernier_no_optimization(${name})
  vernier_use_headers(${name} _test_headers)
  vernier_unity(${name})
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} GTest::gmock)
endfunction()

# vernier_add_test(NAME COMMAND ... [LABELS ...] [TIMEOUT SECONDS])
function(vernier_add_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS fast)
  endif()
  add_test(NAME ${name} COMMAND ${ARG_COMMAND})
  # Tests run beside each other: each computes with one thread unless it says how many, and threads
  # that wait leave the processor to others.
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                                          ENVIRONMENT "OMP_NUM_THREADS=1;OMP_WAIT_POLICY=passive")
  if(NOT ARG_LABELS STREQUAL fast)
    set_tests_properties(${name} PROPERTIES COST 1000)  # the long ones begin first
  endif()
endfunction()

# vernier_test(NAME SOURCES ... DEPENDS ... [LABELS ...] [TIMEOUT SECONDS]): one program, one test.
function(vernier_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  vernier_test_program(${name} SOURCES ${ARG_SOURCES} DEPENDS ${ARG_DEPENDS})
  vernier_add_test(${name} COMMAND ${name} LABELS ${ARG_LABELS} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# vernier_tests(PROGRAM TESTS a_test ... [SOURCES helper.cc ...] DEPENDS ...): one program, and a
# test of CTest for each a_test.cc, which runs what that source has. Compiled and linked together
# they cost a fraction of as many programs. The target a_test builds the program.
function(vernier_tests program)
  cmake_parse_arguments(ARG "" "" "TESTS;SOURCES;DEPENDS" ${ARGN})
  list(TRANSFORM ARG_TESTS APPEND .cc OUTPUT_VARIABLE test_sources)
  vernier_test_program(${program} SOURCES ${test_sources} ${ARG_SOURCES} DEPENDS ${ARG_DEPENDS})
  foreach(test ${ARG_TESTS})
    vernier_add_test(${test} COMMAND ${program} --source=${test}.cc)
    add_custom_target(${test} DEPENDS ${program})
  endforeach()
endfunction()

# vernier_fuzzer(NAME SOURCE FILE DEPENDS ...): with VERNIER_FUZZ a libFuzzer program; otherwise a
# test that replays every file of tests/fuzz/corpus/NAME through the same entry point. The target
# `fuzzers` builds all of them.
function(vernier_fuzzer name)
  cmake_parse_arguments(ARG "" "SOURCE" "DEPENDS" ${ARGN})
  if(VERNIER_FUZZ)
    add_executable(${name} ${ARG_SOURCE})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${name} PRIVATE ${ARG_DEPENDS})
    add_dependencies(fuzzers ${name})
  else()
    add_executable(${name} ${ARG_SOURCE} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    vernier_no_optimization(${name})
    target_link_libraries(${name} PRIVATE ${ARG_DEPENDS})
    add_test(NAME ${name}_corpus
             COMMAND ${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(${name}_corpus PROPERTIES LABELS fast TIMEOUT 120)
  endif()
endfunction()
