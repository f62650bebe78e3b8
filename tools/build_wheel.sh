#!/usr/bin/env bash
# Builds build/wheels/vernier-VERSION-py3-none-manylinux_2_28_ARCH.whl: what needs no PyTorch, for every Linux with glibc
# 2.28 or newer. Runs on Debian 12 as root, for either processor on either. Safe to repeat.
#   tools/build_wheel.sh [x86_64|aarch64]   this machine's without
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

arch=${1:-$(uname -m)}
case $arch in x86_64 | aarch64) ;; *) echo "build_wheel.sh: $arch is neither x86_64 nor aarch64" >&2 && exit 1 ;; esac
glibc=2.28
root=$PWD/build/wheels
work=$root/$arch

tools/install_packages.sh tools/wheel/packages.txt
python=$root/python
if ! cmp -s tools/wheel/requirements.txt "$python/requirements.txt"; then
  rm -rf "$python"
  python3 -m pip install --quiet --root-user-action ignore --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --requirement tools/wheel/requirements.txt --target "$python"
  cp tools/wheel/requirements.txt "$python"
fi
export PYTHONPATH=$python ZIG_GLOBAL_CACHE_DIR=$root/zig-cache ZIG_LOCAL_CACHE_DIR=$root/zig-cache

mkdir -p "$work/zig"
wrap() { printf '#!/bin/sh\nexec %s %s "$@"\n' "$python/ziglang/zig" "$2" >"$work/zig/$1" && chmod +x "$work/zig/$1"; }
# Without symbols, here because the machine's strip knows one processor.
wrap cc "cc -target $arch-linux-gnu.$glibc -s"
wrap c++ "c++ -target $arch-linux-gnu.$glibc -s"
wrap ar ar
wrap ranlib ranlib
tools/wheel/fetch_sources.sh "$root/sources"
tools/wheel/build_dependencies.sh "$arch" "$root/sources" "$work"

rm -rf "$work/wheel"
PKG_CONFIG_LIBDIR=$work/prefix/lib/pkgconfig:$work/prefix/share/pkgconfig _PYTHON_HOST_PLATFORM=linux-$arch \
  python3 -m pip wheel . --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir "$work/wheel" \
  --config-settings=build-dir="$work/vernier" --config-settings=install.strip=false \
  --config-settings=cmake.define.CMAKE_TOOLCHAIN_FILE="$PWD/tools/wheel/zig.cmake" \
  --config-settings=cmake.define.VERNIER_WHEEL_ARCH="$arch" --config-settings=cmake.define.VERNIER_WHEEL_ZIG="$work/zig" \
  --config-settings=cmake.define.VERNIER_WHEEL_PREFIX="$work/prefix" --config-settings=cmake.define.VERNIER_WITH_TORCH=OFF
python3 -m wheel tags --remove --platform-tag "manylinux_${glibc/./_}_$arch" "$work"/wheel/*.whl >/dev/null
tools/wheel/check_wheel.py "$glibc" "$work"/wheel/*.whl
mv "$work"/wheel/*.whl "$root"
ls -l "$root"/*"$arch".whl
