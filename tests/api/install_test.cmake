# Installs the build into a prefix of its own, moves it, and configures, builds and runs the
# programs of tests/api/outside and the examples of docs/library.md against it. CMake finds nothing
# of the source or build tree.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output
                  ERROR_VARIABLE output)
  if(failed)
    message(FATAL_ERROR "${ARGN}: ${failed}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect pattern)
  if(NOT output MATCHES "${pattern}")
    message(FATAL_ERROR "expected ${pattern} in\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
set(prefix ${WORK}/prefix)
file(RENAME ${WORK}/installed ${prefix})  # a package may be moved
file(COPY ${SOURCE}/tests/api/outside ${SOURCE}/examples/mini-deepseek-v4 DESTINATION ${WORK})

run(${prefix}/bin/vernier --version)
expect("^vernier [0-9]+\\.[0-9]+\\.[0-9]+\n")
expect("\ncommit ")
run(${prefix}/bin/vernier inspect ${WORK}/mini-deepseek-v4)
foreach(file share/vernier/recipes/nvfp4.json share/vernier/recipes/recipe.schema.json
             share/doc/vernier/LICENSE include/vernier/vernier.h include/vernier/c.h)
  if(NOT EXISTS ${prefix}/${file})
    message(FATAL_ERROR "${file} is not installed")
  endif()
endforeach()
if(TORCH)
  run(${prefix}/bin/vernier-torch --version)
  expect("\nlibtorch  built with ")
  run(${prefix}/bin/vernier generate ${WORK}/mini-deepseek-v4 --prompt a --tokens 1)
endif()

# The page's only block of a language, as a program of its own.
function(write_example language file)
  file(READ ${SOURCE}/docs/library.md page)
  string(REGEX MATCH "```${language}\n([^`]*)```" block "${page}")
  if(NOT block)
    message(FATAL_ERROR "docs/library.md has no example in ${language}")
  endif()
  file(WRITE ${WORK}/outside/${file} "${CMAKE_MATCH_1}")
endfunction()
write_example(cpp example.cc)
write_example(c example.c)

run(${CMAKE_COMMAND} -S ${WORK}/outside -B ${WORK}/build "-DCMAKE_PREFIX_PATH=${prefix}"
    -DWITH_TORCH=${TORCH} -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${WORK}/build)
foreach(language c cpp)
  run(${WORK}/build/${language}_program ${WORK}/mini-deepseek-v4 ${WORK}/${language}-out)
  expect("deepseek_v4")
  expect("export 100 %")
  expect("VN-ARG-001")
endforeach()

# The examples name a release, which stands in the folder where they run.
file(RENAME ${WORK}/mini-deepseek-v4 ${WORK}/DeepSeek-V4-Flash)
run(${CMAKE_COMMAND} -E chdir ${WORK} ${WORK}/build/cpp_example)
expect("[1-9][0-9]* tensors converted")
run(${CMAKE_COMMAND} -E chdir ${WORK} ${WORK}/build/c_example)
expect("deepseek_v4")
