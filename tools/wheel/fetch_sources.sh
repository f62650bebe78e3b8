#!/usr/bin/env bash
# fetch_sources.sh DIR: Debian's source packages of sources.txt into DIR/NAME and the headers of headers.txt into
# DIR/headers, from where apt has its packages. What is there stays.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1" && cd "$1"
names() { sed -e 's/[[:space:]]*#.*//' -e '/^[[:space:]]*$/d' "$here/$1"; }

# apt as it is set up, but for source packages and with lists of its own.
mkdir -p apt/parts apt/lists/partial
for file in /etc/apt/sources.list.d/*.sources; do
  [ ! -f "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"apt/parts/${file##*/}"
done
cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >apt/parts/lines.list || true
source_apt=(-q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$PWD/apt/parts" -o "Dir::State::Lists=$PWD/apt/lists"
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)

# The newest version that the archive still has: a mirror may list one that it no longer keeps.
fetch() {
  local version
  for version in $(apt-cache "${source_apt[@]}" showsrc "$1" | sed -n 's/^Version: //p' | sort -rVu); do
    rm -rf unpacked && mkdir unpacked
    if (cd unpacked && apt-get "${source_apt[@]}" source "$1=$version" >>../apt/log 2>&1); then
      mv unpacked/*/ "$1"
      rm -rf unpacked
      echo "$1 $version"
      return 0
    fi
  done
  echo "fetch_sources.sh: $1: no version of its source can be had: see $PWD/apt/log" >&2
  return 1
}

for name in $(names sources.txt); do
  [ -d "$name" ] && continue
  [ -s apt/updated ] || { apt-get "${source_apt[@]}" update >apt/log 2>&1 && date >apt/updated; }
  fetch "$name"
done
if [ ! -d headers ]; then
  mkdir -p packages
  (cd packages && apt-get -q -o APT::Sandbox::User=root download $(names headers.txt))
  for package in packages/*.deb; do dpkg-deb -x "$package" headers.new; done
  mv headers.new headers
fi
