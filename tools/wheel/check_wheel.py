#!/usr/bin/env python3
"""check_wheel.py GLIBC WHEEL: whether every program and library of the wheel runs with that glibc and nothing else.

Looks at the libraries that they need and the versions of the symbols, asks auditwheel for its opinion, and holds the
size to its limit.
"""

import io
import pathlib
import subprocess
import sys
import zipfile

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

# Parts of glibc, which everybody has.
LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
LARGEST_BYTES = 20_000_000


def version_of(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def complaints(name: str, elf: ELFFile, glibc: str) -> list[str]:
    dynamic = elf.get_section_by_name(".dynamic")
    needed = {tag.needed for tag in dynamic.iter_tags("DT_NEEDED")}
    found = [f"{name} needs {library}" for library in sorted(needed - LIBRARIES)]
    for section in elf.iter_sections():
        if not isinstance(section, GNUVerNeedSection):
            continue
        for library, versions in section.iter_versions():
            for version in versions:
                family, _, number = version.name.partition("_")
                if family != "GLIBC" or version_of(number) > version_of(glibc):
                    found.append(f"{name} needs {version.name} of {library.name}")
    return found


def main() -> int:
    glibc, path = sys.argv[1], pathlib.Path(sys.argv[2])
    found = []
    programs = 0
    with zipfile.ZipFile(path) as wheel:
        for name in wheel.namelist():
            content = wheel.read(name)
            if content[:4] != b"\x7fELF":
                continue
            programs += 1
            found += complaints(name, ELFFile(io.BytesIO(content)), glibc)
    if programs < 2:
        found.append(f"{path.name} holds {programs} programs and libraries")
    if path.stat().st_size > LARGEST_BYTES:
        found.append(f"{path.name} has {path.stat().st_size} bytes and may have {LARGEST_BYTES}")
    opinion = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", str(path)], capture_output=True, text=True, check=True
    ).stdout
    policy = f"manylinux_{glibc.replace('.', '_')}_"
    if f'platform tag: "{policy}' not in " ".join(opinion.split()):
        print(opinion)
        found.append(f"auditwheel finds another platform than {policy}*")
    for complaint in found:
        print(f"check_wheel.py: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
