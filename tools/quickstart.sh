#!/usr/bin/env bash
# From a bare Debian 12 to a calibrated NVFP4 checkpoint: installs, builds (Release) and runs the quick start
# recipe. Safe to repeat: what is installed, built or finished is kept.
#   --clean  forget an earlier quick start's calibration and output first
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --clean ]; then rm -rf out/mini-deepseek-v4-nvfp4 runs/quickstart; fi
tools/install_packages.sh
cmake --preset release
cmake --build --preset release --target vernier
build/release/tools/vernier run recipes/quickstart.json
