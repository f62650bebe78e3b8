#!/usr/bin/env bash
# Builds the Debian packages build/packages/vernier_*.deb and vernier-torch_*.deb for Debian 12 and this processor.
# Runs as root. Safe to repeat.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/install_packages.sh
cmake --preset release
cmake --build --preset release --target vernier libvernier vernier_pages
rm -rf build/packages
cpack --config build/release/CPackConfig.cmake
rm -rf build/packages/_CPack_Packages
# For tools/quickstart.sh: what they were built from.
build/release/tools/vernier --version | sed -n 's/^commit *//p' >build/packages/commit
ls -l build/packages
