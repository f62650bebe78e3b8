# The libtorch of a PyTorch wheel, as find_package(Torch) would give it: TORCH_INCLUDE_DIRS, TORCH_LIBRARIES and
# Torch_VERSION. The wheel's own CMake package demands a CUDA toolkit where the libtorch has CUDA; Vernier includes no
# header of CUDA's and calls none of its functions, so that it needs none.
file(REAL_PATH "${Torch_DIR}/../../.." torch_folder)
file(STRINGS "${torch_folder}/version.py" version_line REGEX "^__version__")
string(REGEX MATCH "[0-9]+[.][0-9]+[.][0-9]+[^']*" Torch_VERSION "${version_line}")

file(STRINGS "${Torch_DIR}/TorchConfig.cmake" old_abi REGEX "_GLIBCXX_USE_CXX11_ABI=0")
if(old_abi)
  message(FATAL_ERROR "PyTorch ${Torch_VERSION} has GCC 4's strings, which no library here has. Install 2.6 or newer.")
endif()

set(TORCH_INCLUDE_DIRS "${torch_folder}/include" "${torch_folder}/include/torch/csrc/api/include")
set(TORCH_LIBRARIES "")
foreach(library torch torch_cpu c10)
  list(APPEND TORCH_LIBRARIES "${torch_folder}/lib/lib${library}.so")
endforeach()
# Devices announce themselves when they are loaded, and are called by nobody.
foreach(library torch_cuda c10_cuda torch_hip c10_hip torch_xpu c10_xpu)
  if(EXISTS "${torch_folder}/lib/lib${library}.so")
    list(APPEND device_libraries "${torch_folder}/lib/lib${library}.so")
  endif()
endforeach()
if(device_libraries)
  list(APPEND TORCH_LIBRARIES -Wl,--no-as-needed ${device_libraries} -Wl,--as-needed)
endif()
# What these in turn need (CUDA's libraries lie in other packages) they find themselves when they are loaded. The linker
# then knows no libstdc++ of theirs, and takes hidden functions of it for missing ones unless it is named as a file.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.so.6
                OUTPUT_VARIABLE shared_libstdcxx OUTPUT_STRIP_TRAILING_WHITESPACE)
if(IS_ABSOLUTE "${shared_libstdcxx}")
  set(libstdcxx "${shared_libstdcxx}")
endif()
target_link_options(vernier_torch INTERFACE -Wl,--unresolved-symbols=ignore-in-shared-libs)
message(STATUS "Found PyTorch ${Torch_VERSION}: ${torch_folder}")
