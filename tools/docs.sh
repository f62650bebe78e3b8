#!/usr/bin/env bash
# Makes pages of docs/ in build/docs, with Debian's mkdocs. Runs as root the first time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/install_packages.sh tools/docs_packages.txt
# Links out of docs/ (the README, sources) are for readers of the repository.
mkdocs build --quiet --clean
echo "build/docs/index.html"
