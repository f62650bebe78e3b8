"""Weights of a checkpoint, dequantised, and what a calibration observed, as tensors."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import math
import os
import threading
from types import TracebackType
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, Type, Union

from vernier import _dlpack, _library

Path = Union[str, "os.PathLike[str]"]


@dataclasses.dataclass(frozen=True)
class _DType:
    kind: str  # as DLPack and NumPy call it
    bytes: int
    format: Any  # as struct calls it


_DTYPES = {"F32": _DType("f", 4, "f"), "F64": _DType("f", 8, "d"), "I64": _DType("i", 8, "q")}


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """One row of a list of tensors."""

    name: str
    dtype: str  # as it is read: "F32", "F64" or "I64"
    shape: Tuple[int, ...]
    # Of a weight "role", "format" and "layer" (-1: none); of a statistic "statistic", "module", "layer" and "tokens".
    facts: Mapping[str, Any]


class Tensor:
    """Values in memory, row-major. numpy.asarray(tensor), torch.from_dlpack(tensor) and memoryview(tensor.data) share it."""

    def __init__(self, dtype: str, shape: Tuple[int, ...]) -> None:
        self.dtype = dtype
        self.shape = shape
        self._bytes = (ctypes.c_uint64 * -(-math.prod(shape) * _DTYPES[dtype].bytes // 8))()  # aligned as these

    @property
    def data(self) -> memoryview:
        """The values, flat and writable."""
        values: memoryview = memoryview(self._bytes).cast("B").cast(_DTYPES[self.dtype].format)
        return values[: math.prod(self.shape)]

    @property
    def address(self) -> int:
        """Where the values lie, as long as the tensor lives."""
        return ctypes.addressof(self._bytes)

    @property
    def __array_interface__(self) -> Dict[str, Any]:
        dtype = _DTYPES[self.dtype]
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": f"<{dtype.kind}{dtype.bytes}",
            "data": (self.address, False),
        }

    def __dlpack__(self, *, stream: object = None, copy: Optional[bool] = None, **_newer: object) -> object:
        """Consumers of newer versions take the old capsule too."""
        if copy:
            raise BufferError("a Tensor is shared, not copied")
        dtype = _DTYPES[self.dtype]
        return _dlpack.capsule(self, self.address, dtype.kind, dtype.bytes, self.shape)

    def __dlpack_device__(self) -> Tuple[int, int]:
        return _dlpack.CPU

    def __repr__(self) -> str:
        return f"Tensor({self.dtype}, {list(self.shape)})"


class Tensors:
    """The tensors of a checkpoint or a run, by name: a mapping whose values are TensorInfo, and read().

    May be read by several threads at a time. close() gives back what it holds; so does the end of a with statement.
    """

    def __init__(self, open_function: Callable[..., int], path: Path) -> None:
        self._handle: Optional[int] = None
        self._readers = 0
        self._idle = threading.Condition()
        handle, rows, error = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        status = open_function(
            os.fspath(path).encode(), ctypes.byref(handle), ctypes.byref(rows), ctypes.byref(error)
        )
        _library.check(status, error)
        self._handle = handle.value
        self._infos = {info.name: info for info in map(_info, json.loads(_library.take_text(rows)))}

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def __contains__(self, name: object) -> bool:
        return name in self._infos

    def __getitem__(self, name: str) -> TensorInfo:
        return self._infos[name]

    def infos(self) -> List[TensorInfo]:
        """In the order of the source."""
        return list(self._infos.values())

    def read(self, name: str, rows: Optional[Tuple[int, int]] = None, out: Any = None) -> Tensor | Any:
        """The tensor, or rows [begin, end) of its first dimension.

        With `out`, a writable buffer of just that many bytes (an array of NumPy, an array.array, ...), the values go
        there, and it is what is returned.
        """
        info = self._infos.get(name)
        dtype, shape = (info.dtype, info.shape) if info else ("F32", ())
        begin, end = rows if rows is not None else (0, shape[0] if shape else 1)
        if out is None:
            taken = Tensor(dtype, (max(0, end - begin), *shape[1:]) if shape else ())
            self._read_into(name, begin, end - begin, taken.address, taken.data.nbytes)
            return taken
        view = memoryview(out)
        if not view.c_contiguous:
            raise BufferError("out is not contiguous")
        place = (ctypes.c_char * view.nbytes).from_buffer(out)
        self._read_into(name, begin, end - begin, ctypes.addressof(place), view.nbytes)
        return out

    def _read_into(self, name: str, first: int, count: int, address: int, size: int) -> None:
        with self._idle:
            handle = self._handle
            if handle is None:
                raise ValueError("the tensors are closed")
            self._readers += 1
        try:
            error = ctypes.c_void_p()
            status = _library.loaded().vernier_read_tensor(
                handle, name.encode(), first, count, address, size, ctypes.byref(error)
            )
        finally:
            with self._idle:
                self._readers -= 1
                self._idle.notify_all()
        _library.check(status, error)

    def close(self) -> None:
        """Nothing can be read afterwards. Waits for reads that are under way in other threads."""
        with self._idle:
            handle, self._handle = self._handle, None
            self._idle.wait_for(lambda: self._readers == 0)
        if handle is not None:
            _library.loaded().vernier_close_tensors(handle)

    def __enter__(self) -> Tensors:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _info(row: Dict[str, Any]) -> TensorInfo:
    return TensorInfo(row.pop("name"), row.pop("dtype"), tuple(row.pop("shape")), row)


def open_weights(checkpoint: Path) -> Tensors:
    """Every weight of a checkpoint that holds numbers; reading dequantises to F32."""
    return Tensors(_library.loaded().vernier_open_weights, checkpoint)


def open_statistics(run: Path) -> Tensors:
    """Every statistic of a run directory, under its name in safetensors (docs/store.md)."""
    return Tensors(_library.loaded().vernier_open_statistics, run)
