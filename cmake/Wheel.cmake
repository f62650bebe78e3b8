# Where a wheel (pyproject.toml) has what Install.cmake installs, and which PyTorch `pip install .` builds against:
# that of the environment which it installs into. Does nothing in other builds.
#   -DVERNIER_WITH_TORCH=OFF  builds without, whatever is there
#   -DTorch_DIR=DIR           another one: DIR is its share/cmake/Torch
set(VERNIER_WHEEL OFF)
if(NOT SKBUILD)
  return()
endif()
set(VERNIER_WHEEL ON)
set(VERNIER_BUILD_TESTS OFF)
set(VERNIER_BUILD_BENCH OFF)

set(CMAKE_INSTALL_BINDIR ${SKBUILD_SCRIPTS_DIR})
set(CMAKE_INSTALL_LIBDIR ${SKBUILD_PLATLIB_DIR}/vernier/lib)
set(CMAKE_INSTALL_DATADIR ${SKBUILD_DATA_DIR}/share)
set(CMAKE_INSTALL_DATAROOTDIR ${SKBUILD_DATA_DIR}/share)

if(DEFINED VERNIER_WITH_TORCH AND NOT VERNIER_WITH_TORCH)
  return()
endif()

# pip builds in an environment of its own, whose Python is the target's: where that one's packages lie is known, though
# they cannot be imported. With --no-build-isolation they can, and uv needs that.
find_package(Python REQUIRED COMPONENTS Interpreter)
execute_process(
  COMMAND ${Python_EXECUTABLE} -c [[
import importlib.util, os, sysconfig
spec = importlib.util.find_spec("torch")
folders = list(spec.submodule_search_locations or []) if spec else []
folders += [os.path.join(sysconfig.get_path(name), "torch") for name in ("platlib", "purelib")]
found = [folder for folder in folders if os.path.exists(os.path.join(folder, "version.py"))]
print(found[0] if found else "")
print(sysconfig.get_path("scripts"))
]]
  OUTPUT_VARIABLE environment OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" environment "${environment}")
list(GET environment 0 torch_folder)
list(GET environment 1 scripts_folder)
if(Torch_DIR)
  file(REAL_PATH ${Torch_DIR}/../../.. torch_folder)
elseif(torch_folder)
  set(Torch_DIR ${torch_folder}/share/cmake/Torch)
else()
  message(STATUS "No PyTorch in this environment: building what needs none")
  set(VERNIER_WITH_TORCH OFF)
  return()
endif()
set(VERNIER_WITH_TORCH ON)
message(STATUS "Building against the PyTorch in ${torch_folder}")

# Programs and libraries find it where it lies beside them, so that the environment may move, or else where it is now.
cmake_path(GET torch_folder PARENT_PATH packages)
file(RELATIVE_PATH packages_from_scripts ${scripts_folder} ${packages})
set(VERNIER_PROGRAM_RPATH "$ORIGIN/${packages_from_scripts}/torch/lib;${torch_folder}/lib")
set(VERNIER_LIBRARY_RPATH "$ORIGIN/../../torch/lib;${torch_folder}/lib")
