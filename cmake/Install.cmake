# cmake --install BUILD --prefix PREFIX: programs, libraries, headers, a CMake package, recipes. Components: `vernier`,
# `torch` (what runs models, and the example) and `development`. In a wheel folders are those of Wheel.cmake.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(vernier_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vernier)
set(vernier_data_dir ${CMAKE_INSTALL_DATADIR}/vernier)

install(TARGETS vernier RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT vernier)
install(TARGETS libvernier EXPORT vernierTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT vernier
        NAMELINK_COMPONENT development
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/recipes/ DESTINATION ${vernier_data_dir}/recipes
        COMPONENT vernier FILES_MATCHING PATTERN "*.json")
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT vernier)

if(VERNIER_WITH_TORCH)
  if(VERNIER_WHEEL)
    set_target_properties(vernier-torch PROPERTIES INSTALL_RPATH "${VERNIER_PROGRAM_RPATH}")
    set_target_properties(libvernier-torch PROPERTIES INSTALL_RPATH "${VERNIER_LIBRARY_RPATH}")
  else()
    # A libtorch of a PyTorch wheel is found where it was when this was built.
    set_target_properties(vernier-torch libvernier-torch PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  endif()
  install(TARGETS vernier-torch libvernier-torch
          RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT torch
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT torch NAMELINK_SKIP)
  # What the quick start's recipe reads, where it looks for it.
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/examples/mini-deepseek-v4
          DESTINATION ${vernier_data_dir}/examples COMPONENT torch)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/datasets/samples
          DESTINATION ${vernier_data_dir}/datasets COMPONENT torch)
endif()

if(VERNIER_WHEEL)
  if(VERNIER_WHEEL_PREFIX)  # of the libraries that are linked into the wheel
    install(DIRECTORY ${VERNIER_WHEEL_PREFIX}/licences DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT vernier)
  endif()
  return()
endif()

install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/vernier DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT development)
install(EXPORT vernierTargets NAMESPACE vernier:: DESTINATION ${vernier_package_dir}
        COMPONENT development)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/vernierConfig.cmake.in
  ${CMAKE_BINARY_DIR}/vernierConfig.cmake INSTALL_DESTINATION ${vernier_package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/vernierConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/vernierConfig.cmake ${CMAKE_BINARY_DIR}/vernierConfigVersion.cmake
        DESTINATION ${vernier_package_dir} COMPONENT development)
