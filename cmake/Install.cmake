# cmake --install BUILD --prefix PREFIX: programs, libraries, headers, a CMake package, recipes.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(vernier_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vernier)

install(TARGETS vernier RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS libvernier EXPORT vernierTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(VERNIER_WITH_TORCH)
  # A libtorch of a PyTorch wheel is found where it was when this was built.
  set_target_properties(vernier-torch libvernier-torch PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  install(TARGETS vernier-torch libvernier-torch
          RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_SKIP)
endif()

install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/vernier DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/recipes/ DESTINATION ${CMAKE_INSTALL_DATADIR}/vernier/recipes
        FILES_MATCHING PATTERN "*.json")
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT vernierTargets NAMESPACE vernier:: DESTINATION ${vernier_package_dir})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/vernierConfig.cmake.in
  ${CMAKE_BINARY_DIR}/vernierConfig.cmake INSTALL_DESTINATION ${vernier_package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/vernierConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/vernierConfig.cmake ${CMAKE_BINARY_DIR}/vernierConfigVersion.cmake
        DESTINATION ${vernier_package_dir})
