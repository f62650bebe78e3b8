#!/usr/bin/env bash
# From a bare Debian 12 to a calibrated NVFP4 checkpoint: installs, builds (Release) and runs the quick start
# recipe. Where tools/build_packages.sh made packages of this commit, installs these and builds nothing. Safe to repeat:
# what is installed, built or finished is kept.
#   --clean  forget an earlier quick start's calibration and output first
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

commit_of() { "$1" --version 2>/dev/null | sed -n 's/^commit *//p'; }
packages_are_current() {
  local head
  head=$(git rev-parse --short=12 HEAD 2>/dev/null) && [ -z "$(git status --porcelain --untracked-files=no)" ] &&
    [ "$(cat build/packages/commit 2>/dev/null)" = "$head" ]
}

if [ "${1:-}" = --clean ]; then rm -rf out/mini-deepseek-v4-nvfp4 runs/quickstart; fi
if packages_are_current; then
  command=/usr/bin/vernier
  if [ "$(commit_of /usr/bin/vernier-torch)" != "$(cat build/packages/commit)" ]; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --reinstall --allow-downgrades ./build/packages/*.deb
  fi
else
  tools/install_packages.sh
  cmake --preset release
  cmake --build --preset release --target vernier
  command=build/release/tools/vernier
fi
"$command" run recipes/quickstart.json
