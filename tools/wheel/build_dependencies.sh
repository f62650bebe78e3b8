#!/usr/bin/env bash
# build_dependencies.sh ARCH SOURCES DIR: the libraries of a wheel for ARCH, static, from SOURCES (fetch_sources.sh)
# into DIR/prefix, with the compiler wrappers in DIR/zig. What is built stays.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
arch=$1 sources=$(realpath "$2")
mkdir -p "$3" && cd "$3"
prefix=$PWD/prefix zig=$PWD/zig
mkdir -p prefix/lib prefix/include built

if [ ! -d prefix/share/cmake ]; then
  mkdir -p prefix/share && cp -r "$sources"/headers/usr/include/. prefix/include && cp -r "$sources"/headers/usr/share/. prefix/share
fi
# What their licences ask for: to be named wherever they are.
mkdir -p prefix/licences
for file in "$sources"/*/debian/copyright; do cp "$file" "prefix/licences/$(basename "${file%/debian/copyright}")"; done
for folder in "$sources"/headers/usr/share/doc/*; do cp "$folder/copyright" "prefix/licences/${folder##*/}"; done

# once NAME COMMAND...: unless it was done. (A function is called with its errors looked at, so that set -e does not
# hold in it.)
once() {
  [ ! -f "built/$1.done" ] || return 0
  echo "building $1"
  "${@:2}" >"built/$1.log" 2>&1 || { tail -n 30 "built/$1.log" >&2; return 1; }
  touch "built/$1.done"
}

with_cmake() {  # NAME SOURCE OPTION...
  cmake -G Ninja -S "$sources/$2" -B "built/$1" -DCMAKE_TOOLCHAIN_FILE="$here/zig.cmake" -DVERNIER_WHEEL_ARCH="$arch" \
    -DVERNIER_WHEEL_ZIG="$zig" -DVERNIER_WHEEL_PREFIX="$prefix" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" \
    -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON "${@:3}" &&
    cmake --build "built/$1" --target install
}

sqlite() (
  rm -rf built/sqlite3 && mkdir built/sqlite3 && cd built/sqlite3 &&
    "$sources/sqlite3/configure" && make sqlite3.c &&
    "$zig/cc" -O2 -fPIC -DSQLITE_THREADSAFE=1 -DSQLITE_OMIT_LOAD_EXTENSION -c sqlite3.c -o sqlite3.o &&
    "$zig/ar" rcs "$prefix/lib/libsqlite3.a" sqlite3.o && cp sqlite3.h "$prefix/include"
)

uring() (
  rm -rf built/liburing && cp -r "$sources/liburing" built/liburing && cd built/liburing &&
    ./configure --cc="$zig/cc" --cxx="$zig/c++" --prefix="$prefix" --libdir="$prefix/lib" --libdevdir="$prefix/lib" &&
    make -C src ENABLE_SHARED=0 AR="$zig/ar" RANLIB="$zig/ranlib" install &&
    make liburing.pc && install -D -m 644 liburing.pc "$prefix/lib/pkgconfig/liburing.pc"
)

once fmt with_cmake fmt fmtlib -DFMT_TEST=OFF -DFMT_DOC=OFF
once highway with_cmake highway highway -DHWY_ENABLE_CONTRIB=OFF -DHWY_ENABLE_EXAMPLES=OFF -DHWY_ENABLE_TESTS=OFF
once onetbb with_cmake onetbb onetbb -DTBB_TEST=OFF -DTBB_STRICT=OFF -DTBBMALLOC_BUILD=OFF \
  -DTBB_DISABLE_HWLOC_AUTOMATIC_SEARCH=ON -DTBB_ENABLE_IPO=OFF
once pcre2 with_cmake pcre2 pcre2 -DPCRE2_BUILD_PCRE2GREP=OFF -DPCRE2_BUILD_TESTS=OFF -DPCRE2_SUPPORT_JIT=ON
once utf8proc with_cmake utf8proc utf8proc
once xxhash with_cmake xxhash xxhash/cmake_unofficial -DXXHASH_BUILD_XXHSUM=OFF
once sqlite3 sqlite
once liburing uring
