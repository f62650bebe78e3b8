# Defines vernier_torch: libtorch, from Debian's libtorch-dev or from a PyTorch wheel
# (-DTorch_DIR=.../site-packages/torch/share/cmake/Torch).
add_library(vernier_torch INTERFACE)
set(libstdcxx stdc++)
if(Torch_DIR AND EXISTS "${Torch_DIR}/../../../version.py")
  include(WheelLibtorch)
else()
  # CMake's own Torch package; its global compile flags are kept out of the torch-free folders.
  set(saved_cxx_flags "${CMAKE_CXX_FLAGS}")
  find_package(Torch REQUIRED)
  set(CMAKE_CXX_FLAGS "${saved_cxx_flags}")
endif()

# SYSTEM: warnings inside libtorch's headers are not ours.
target_include_directories(vernier_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
# Wheels bring the headers of another {fmt} along, which would come before those of the library that
# is linked. Directories of -I come before any of -isystem.
find_path(wheel_fmt fmt/format.h PATHS ${TORCH_INCLUDE_DIRS} NO_DEFAULT_PATH NO_CACHE)
if(wheel_fmt)
  get_target_property(fmt_includes fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
  find_path(fmt_include fmt/format.h PATHS ${fmt_includes} NO_DEFAULT_PATH NO_CACHE REQUIRED)
  set(own_include "${CMAKE_BINARY_DIR}/own_include")
  file(MAKE_DIRECTORY "${own_include}")
  file(CREATE_LINK "${fmt_include}/fmt" "${own_include}/fmt" SYMBOLIC)
  target_include_directories(vernier_torch BEFORE INTERFACE "${own_include}")
endif()
separate_arguments(torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
target_compile_options(vernier_torch INTERFACE ${torch_flags})
# libstdc++ comes first: the libtorch of PyTorch's wheels exports an old std::filesystem of its own,
# and directory_iterator and remove_all of a newer compiler crash in it.
target_link_libraries(vernier_torch INTERFACE ${libstdcxx} ${TORCH_LIBRARIES})
