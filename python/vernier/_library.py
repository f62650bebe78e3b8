"""The shared library and its functions (include/vernier/c.h)."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import pathlib
from typing import Any, Dict, cast

from vernier._errors import Error, Stopped

# vernier_status
OK = 0
STOPPED = 2


class ProgressStruct(ctypes.Structure):
    """vernier_progress"""

    _fields_ = [
        ("event", ctypes.c_int),
        ("phase", ctypes.c_char_p),
        ("number", ctypes.c_int),
        ("phases", ctypes.c_int),
        ("fraction", ctypes.c_double),
        ("detail", ctypes.c_char_p),
        ("phase_seconds", ctypes.c_double),
        ("job_eta_seconds", ctypes.c_double),
    ]


PROGRESS_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ProgressStruct))

# A text that is ours to free: c_char_p would turn into bytes and lose its place.
TEXT = ctypes.c_void_p
TEXT_PLACE = ctypes.POINTER(TEXT)
HANDLE_PLACE = ctypes.POINTER(ctypes.c_void_p)


def _path() -> str:
    """VERNIER_LIBRARY, or the library of this package, or the system's."""
    named = os.environ.get("VERNIER_LIBRARY")
    if named:
        return named
    own = pathlib.Path(__file__).parent / "lib" / "libvernier.so"
    return str(own) if own.exists() else "libvernier.so.0"


@functools.lru_cache(maxsize=None)
def loaded() -> ctypes.CDLL:
    """The library, loaded by the first call."""
    library = ctypes.CDLL(_path())
    open_arguments = [ctypes.c_char_p, HANDLE_PLACE, TEXT_PLACE, TEXT_PLACE]
    for name, result, arguments in (
        (
            "vernier_run_job",
            ctypes.c_int,
            [ctypes.c_char_p, ctypes.c_char_p, PROGRESS_FUNCTION, ctypes.c_void_p, TEXT_PLACE, TEXT_PLACE],
        ),
        ("vernier_free", None, [TEXT]),
        ("vernier_version", ctypes.c_char_p, []),
        ("vernier_build", ctypes.c_char_p, []),
        ("vernier_open_weights", ctypes.c_int, open_arguments),
        ("vernier_open_statistics", ctypes.c_int, open_arguments),
        (
            "vernier_read_tensor",
            ctypes.c_int,
            [
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_int64,
                ctypes.c_int64,
                ctypes.c_void_p,
                ctypes.c_size_t,
                TEXT_PLACE,
            ],
        ),
        ("vernier_close_tensors", None, [ctypes.c_void_p]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def take_text(place: ctypes.c_void_p) -> str:
    """The text that a function put there, which is freed."""
    if not place.value:
        raise MemoryError("vernier")
    try:
        return ctypes.string_at(place.value).decode()
    finally:
        loaded().vernier_free(place)


def check(status: int, error: ctypes.c_void_p) -> None:
    """Raises what a function that returned `status` put into `error`."""
    if status == OK:
        return
    text = take_text(error)
    raise (Stopped if status == STOPPED else Error).from_json(text)


def version() -> str:
    """Such as "0.1.0"."""
    return cast(bytes, loaded().vernier_version()).decode()


def build() -> Dict[str, Any]:
    """What `vernier --version` says: version, commit, modified, libtorch, simd_targets, simd_target, compiler."""
    return cast(Dict[str, Any], json.loads(loaded().vernier_build()))
