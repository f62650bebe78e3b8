# cpack: the Debian packages vernier (with the headers) and vernier-torch, from a build against Debian's libraries.
# tools/build_packages.sh is the way to them.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME vernier)
set(CPACK_PACKAGE_VENDOR Vernier)
set(CPACK_PACKAGE_CONTACT "The Vernier developers <vernier@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_SOURCE_DIR}/build/packages)
set(CPACK_STRIP_FILES ON)

# The headers come with the command: together they take less than the package's own documentation would.
set(CPACK_COMPONENTS_ALL vernier development)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENT_VERNIER_GROUP command)
set(CPACK_COMPONENT_DEVELOPMENT_GROUP command)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMMAND_PACKAGE_NAME vernier)
set(CPACK_DEBIAN_COMMAND_DESCRIPTION "inspect, convert and audit quantised language models")
# Chat templates are rendered by Jinja.
set(CPACK_DEBIAN_COMMAND_PACKAGE_RECOMMENDS python3-jinja2)

if(VERNIER_WITH_TORCH)
  list(APPEND CPACK_COMPONENTS_ALL torch)
  set(CPACK_COMPONENT_TORCH_GROUP models)
  set(CPACK_DEBIAN_MODELS_PACKAGE_NAME vernier-torch)
  set(CPACK_DEBIAN_MODELS_DESCRIPTION "calibrate and evaluate quantised language models")
  set(CPACK_DEBIAN_MODELS_PACKAGE_DEPENDS "vernier (= ${PROJECT_VERSION})")
  # libtorch multiplies with any BLAS; this one is many times faster than the reference.
  set(CPACK_DEBIAN_MODELS_PACKAGE_RECOMMENDS libopenblas0)
endif()
include(CPack)
