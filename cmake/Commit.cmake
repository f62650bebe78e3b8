# cmake -DSOURCE=TREE -DOUTPUT=FILE -P Commit.cmake: writes the definitions of jobs/commit.h, and
# only when they change. Outside a repository the commit is the one that `git archive` wrote into
# cmake/commit.txt, or unknown.
set(commit "")
set(modified false)
find_program(git git)

function(ask_git result)
  set(${result} "" PARENT_SCOPE)
  if(git)
    execute_process(COMMAND ${git} -C ${SOURCE} ${ARGN} OUTPUT_VARIABLE text ERROR_QUIET
                    RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT failed)
      set(${result} "${text}" PARENT_SCOPE)
    endif()
  endif()
endfunction()

# A tree that was unpacked inside another repository is not that repository's.
ask_git(top rev-parse --show-toplevel)
file(REAL_PATH ${SOURCE} source)
if(top)
  file(REAL_PATH ${top} top)
endif()
if(top STREQUAL source)
  ask_git(commit rev-parse --short=12 HEAD)
  ask_git(changes status --porcelain --untracked-files=no)
  if(changes)
    set(modified true)
  endif()
else()
  file(STRINGS ${SOURCE}/cmake/commit.txt archived REGEX "^[0-9a-f]+$")
  if(archived)
    string(SUBSTRING ${archived} 0 12 commit)
  endif()
endif()

file(CONFIGURE OUTPUT ${OUTPUT} CONTENT
"#include \"jobs/commit.h\"

namespace vernier::jobs {

const char* const kCommit = \"${commit}\";
const bool kModified = ${modified};

}  // namespace vernier::jobs
")
