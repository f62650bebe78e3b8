#!/usr/bin/env bash
# Seen: PyTorch 2.13.0's wheel has the headers of {fmt} 12.1 below torch/include, but none of its libraries has what
# they need when they are not used as a header-only library: fmt::v12::vformat is undefined. TORCH_INCLUDE_DIRS of the
# wheel's CMake package names that folder. (GCC 12.2.)
# Why it matters: a program that uses a distribution's {fmt} and libtorch together is compiled against the wheel's
# headers as soon as that folder is an include directory, of -I or -isystem, for both come before /usr/include; and then
# its linking fails over symbols of a version that nobody asked for, or, had both the same version, it would link
# headers of one build with a library of another. The system's headers must come first by a -I of their own.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0
torch=$(echo "$work"/venv/lib/python3*/site-packages/torch)

cat > "$work/text.cc" <<'CC'
#include <fmt/format.h>

#include <cstdio>

int main() { std::puts(fmt::format("{} of {}", 3, FMT_VERSION).c_str()); }
CC

# build FLAGS...: compiles and links the program as the wheel's CMake package has it.
build() {
  g++ -std=c++20 "$@" -isystem "$torch/include" "$work/text.cc" -o "$work/text" -L "$torch/lib" \
    -Wl,-rpath,"$torch/lib" -Wl,--no-as-needed -ltorch -ltorch_cpu -lc10 2> "$work/errors"
}

if build; then
  echo "This has changed: it links."
  exit 1
fi
grep -om1 'undefined reference to `fmt::v12::vformat' "$work/errors"
build -DFMT_HEADER_ONLY
said=$("$work/text")
echo "header-only: $said"
if [[ $said != "3 of 120100" ]]; then
  echo "This has changed."
  exit 1
fi
echo "As seen: headers of {fmt} 12.1, and nothing to link them with."
