"""Memory of ours as a DLPack capsule (dlpack.h, version 0.8), which other packages take over without a copy."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, Sequence, Tuple

CPU = (1, 0)  # kDLCPU, the first

_INT, _FLOAT = 0, 2  # kDLInt, kDLFloat
_TYPE_CODES = {"f": _FLOAT, "i": _INT}


class _Tensor(ctypes.Structure):
    """DLTensor"""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("type_code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    """DLManagedTensor"""


_DELETER = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _DELETER)]

# What a consumer has taken over, by the address of its _Managed.
_alive: Dict[int, Tuple[Any, ...]] = {}


def _delete(managed: Any) -> None:
    _alive.pop(ctypes.addressof(managed.contents), None)


_deleter = _DELETER(_delete)
_CAPSULE_DESTRUCTOR = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_NAME = b"dltensor"

_new = ctypes.pythonapi.PyCapsule_New
_new.restype = ctypes.py_object
_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype = ctypes.c_int
_is_valid.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype = ctypes.c_void_p
_get_pointer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]


def _destroy(capsule: int) -> None:
    """Of a capsule that nobody took: a consumer renames the one that it takes."""
    if _is_valid(capsule, _NAME):
        _alive.pop(_get_pointer(capsule, _NAME), None)


_destructor = _CAPSULE_DESTRUCTOR(_destroy)


def capsule(owner: object, address: int, kind: str, item_bytes: int, shape: Sequence[int]) -> object:
    """A capsule of the row-major values at `address`, which `owner` keeps. `kind`: "f" or "i"."""
    extents = (ctypes.c_int64 * len(shape))(*shape)
    managed = _Managed()
    managed.tensor = _Tensor(
        data=address,
        device_type=CPU[0],
        device_id=CPU[1],
        ndim=len(shape),
        type_code=_TYPE_CODES[kind],
        bits=8 * item_bytes,
        lanes=1,
        shape=extents,
        strides=None,
        byte_offset=0,
    )
    managed.deleter = _deleter
    place = ctypes.addressof(managed)
    _alive[place] = (managed, extents, owner)
    return _new(place, _NAME, ctypes.cast(_destructor, ctypes.c_void_p))
