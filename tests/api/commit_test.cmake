# cmake/Commit.cmake in a tree without a repository, in one, after a change, after a commit, and in
# what `git archive` makes of it.
set(tree ${WORK}/tree)

function(git)
  execute_process(COMMAND git -c user.name=test -c user.email=test@example.org ${ARGN}
                  WORKING_DIRECTORY ${tree} COMMAND_ERROR_IS_FATAL ANY OUTPUT_VARIABLE output
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect folder commit modified)
  execute_process(COMMAND ${CMAKE_COMMAND} -DSOURCE=${folder} -DOUTPUT=${WORK}/commit.cc
                          -P ${SOURCE}/cmake/Commit.cmake COMMAND_ERROR_IS_FATAL ANY)
  file(READ ${WORK}/commit.cc text)
  string(FIND "${text}" "kCommit = \"${commit}\"" at)
  string(FIND "${text}" "kModified = ${modified};" modified_at)
  if(at LESS 0 OR modified_at LESS 0)
    message(FATAL_ERROR "expected commit \"${commit}\", modified ${modified} in\n${text}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(COPY ${SOURCE}/cmake/commit.txt DESTINATION ${tree}/cmake)
file(COPY ${SOURCE}/.gitattributes DESTINATION ${tree})
# The build tree lies in Vernier's own repository, which is not this tree's.
expect(${tree} "" false)

git(init -q)
git(add .)
git(commit -q -m first)
git(rev-parse --short=12 HEAD)
set(first ${output})
expect(${tree} ${first} false)

file(APPEND ${tree}/cmake/commit.txt "changed\n")
expect(${tree} ${first} true)
git(checkout -q .)

git(commit -q --allow-empty -m second)
git(rev-parse --short=12 HEAD)
set(second ${output})
expect(${tree} ${second} false)

file(MAKE_DIRECTORY ${WORK}/archived)
git(archive -o ${WORK}/archived.tar HEAD)
file(ARCHIVE_EXTRACT INPUT ${WORK}/archived.tar DESTINATION ${WORK}/archived)
expect(${WORK}/archived ${second} false)
