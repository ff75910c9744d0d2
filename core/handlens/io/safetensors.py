"""Safetensors: read and write named arrays in the format of the `safetensors` package, with NumPy alone.

A file is  <u64 little-endian: n> <n bytes of JSON> <data>.  The JSON maps each name to its dtype, shape and
`data_offsets` [begin, end) within the data; `__metadata__` maps strings to strings. Nothing in a file can run code.

Everything read here may come from a stranger. The whole header is judged before the first tensor is made, so a bad file
gives one FormatError and nothing else: never a crash, never some of its tensors.

Source: the format description at the safetensors project (huggingface/safetensors, README "Format"), held in tests
against the `safetensors` package in both directions.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FormatError

__all__ = ["MAX_BYTES", "MAX_HEADER_BYTES", "read", "to_bytes", "write"]

Array = NDArray[Any]
Source = str | os.PathLike[str] | bytes | bytearray | memoryview

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors package itself
MAX_BYTES = 1 << 30  # 1 GiB: a thousand times our largest model, and still less than a browser tab can hold
MAX_RANK = 32  # NumPy 1.x allows 32 axes; no layer needs more than 4

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # NumPy has no bfloat16: read as the upper half of a float32, never written
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES: dict[str, str] = {d.newbyteorder("=").str[1:]: name for name, d in _DTYPES.items() if name != "BF16"}
_METADATA = "__metadata__"


@dataclass(frozen=True)
class _Entry:
    """One tensor as the header describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read(source: Source, *, max_bytes: int = MAX_BYTES) -> tuple[dict[str, Array], dict[str, str]]:
    """Read every tensor and the metadata of a safetensors file.

    Args:
        source: a path, or the bytes of a file.
        max_bytes: the largest file accepted.
    Returns:
        tensors by name in the order of the header (own, writable arrays; BF16 widened to float32), and the metadata.
    Raises:
        FormatError: the file is truncated, corrupt, oversized or of another kind; the message names it.
        OSError: the path cannot be opened.
    """
    name, data = _take(source, max_bytes)
    header_end = _header_end(name, data)
    entries, metadata = _parse_header(name, bytes(data[8:header_end]))
    _check_layout(name, entries, len(data) - header_end)
    body = data[header_end:]
    return {e.name: _tensor(name, e, body) for e in entries}, metadata


def to_bytes(tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> bytes:
    """Give the bytes of a safetensors file: the same tensors in the same order always give the same bytes.

    Args:
        tensors: arrays by name; float64/32/16, int64/32/16/8, uint8 or bool, any shape. The header keeps this order;
            the data lies by falling item size, so that every tensor is aligned to its own items.
        metadata: strings by name, written sorted.
    Raises:
        DataError: a dtype the format lacks, or a name or metadata value that is not a string.
    """
    arrays = {name: _writable(name, array) for name, array in tensors.items()}
    offsets: dict[str, tuple[int, int]] = {}
    position = 0
    by_item_size = sorted(arrays, key=lambda name: -arrays[name].itemsize)  # stable: ties keep the caller's order
    for name in by_item_size:
        offsets[name] = (position, position + arrays[name].nbytes)
        position += arrays[name].nbytes
    header: dict[str, Any] = {}
    if metadata:
        for key, value in metadata.items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise DataError(f"metadata {key!r}: {value!r} is not text; encode it first, e.g. json.dumps(value)")
        header[_METADATA] = dict(sorted(metadata.items()))
    for name, array in arrays.items():
        header[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("=").str[1:]],
            "shape": list(array.shape),
            "data_offsets": list(offsets[name]),
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)  # the data then starts at a multiple of 8
    if len(text) > MAX_HEADER_BYTES:
        raise DataError(f"a header of {len(text)} bytes is over the format's {MAX_HEADER_BYTES}; shorten the metadata")
    return b"".join([len(text).to_bytes(8, "little"), text, *(arrays[name].tobytes() for name in by_item_size)])


def write(
    path: str | os.PathLike[str], tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file whole or not at all: a stop half-way leaves what was there before.

    Args:
        path: the file to make or replace; its folder must exist.
        tensors, metadata: as in `to_bytes`.
    Raises:
        DataError: as in `to_bytes`, before anything is written.
        OSError: the folder is missing, full or read-only.
    """
    data = to_bytes(tensors, metadata)
    target = Path(path)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)  # mkstemp makes files that only their owner can read
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    value = os.umask(0o022)
    os.umask(value)
    return value


def _fail(name: str, problem: str) -> NoReturn:
    raise FormatError(f"{name}: not a usable safetensors file: {problem}")


def _take(source: Source, max_bytes: int) -> tuple[str, memoryview]:
    """Give the name to use in messages and the bytes, refusing too many before reading them."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = memoryview(source).cast("B")
        if len(data) > max_bytes:
            _fail("bytes", f"{len(data)} bytes, over the limit of {max_bytes}")
        return "bytes", data
    name = os.fspath(source)
    with open(name, "rb") as file:
        read_bytes = file.read(max_bytes + 1) if os.fstat(file.fileno()).st_size <= max_bytes else None
    if read_bytes is None or len(read_bytes) > max_bytes:
        _fail(name, f"larger than the limit of {max_bytes} bytes")
    return name, memoryview(read_bytes)


def _header_end(name: str, data: memoryview) -> int:
    if len(data) < 8:
        _fail(name, f"{len(data)} bytes, too short for the 8 bytes of the header length")
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER_BYTES:
        _fail(name, f"a header of {length} bytes, over the limit of {MAX_HEADER_BYTES}")
    if length > len(data) - 8:
        _fail(name, f"truncated: a header of {length} bytes is announced, {len(data) - 8} follow")
    return 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice!r} stands twice in the header")
    return result


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _parse_header(name: str, text: bytes) -> tuple[list[_Entry], dict[str, str]]:
    if not text.startswith(b"{"):
        _fail(name, "the header does not start with '{'; perhaps a file of another kind")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{name}: not a usable safetensors file: bad JSON in the header: {error}") from None
    if not isinstance(header, dict):
        _fail(name, "the header is not a JSON object")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _fail(name, f"{_METADATA} is not an object of strings")
    return [_parse_entry(name, key, value) for key, value in header.items()], metadata


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)  # type(), since True is an int


def _parse_entry(name: str, key: str, value: Any) -> _Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        _fail(name, f"tensor {key!r}: its entry is not exactly dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        _fail(name, f"tensor {key!r}: dtype {dtype!r}; read are {', '.join(_DTYPES)}")
    if not _naturals(shape) or len(shape) > MAX_RANK:
        _fail(name, f"tensor {key!r}: shape {str(shape)[:200]} is not a list of at most {MAX_RANK} sizes")
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _fail(name, f"tensor {key!r}: data_offsets {str(offsets)[:200]} are not [begin, end]")
    size = _DTYPES[dtype].itemsize
    extent = size
    for n in shape:
        size *= n
        extent *= max(n, 1)  # an empty tensor such as (0, 2**62) must still have a shape NumPy can hold
        if extent > 1 << 62:
            _fail(name, f"tensor {key!r}: shape {str(shape)[:200]} is larger than any memory")
    if size != offsets[1] - offsets[0]:
        _fail(name, f"tensor {key!r}: {dtype} {shape} needs {size} bytes, data_offsets give {offsets[1] - offsets[0]}")
    return _Entry(key, dtype, tuple(shape), offsets[0], offsets[1])


def _check_layout(name: str, entries: list[_Entry], available: int) -> None:
    """The tensors must tile the data: no overlap, no hole, nothing missing, nothing left over."""
    position = 0
    for entry in sorted(entries, key=lambda e: (e.begin, e.end)):
        if entry.end > available:
            _fail(name, f"truncated: tensor {entry.name!r} ends at byte {entry.end} of the data, {available} are there")
        if entry.begin < position:
            _fail(name, f"tensor {entry.name!r} overlaps the one before it at byte {entry.begin}")
        if entry.begin > position:
            _fail(name, f"a hole of {entry.begin - position} bytes before tensor {entry.name!r}")
        position = entry.end
    if position < available:
        _fail(name, f"{available - position} bytes after the last tensor")


def _tensor(name: str, entry: _Entry, body: memoryview) -> Array:
    raw = np.frombuffer(body[entry.begin : entry.end], _DTYPES["U8" if entry.dtype == "BOOL" else entry.dtype])
    if entry.dtype == "BOOL":
        if raw.size and int(raw.max()) > 1:
            _fail(name, f"tensor {entry.name!r}: BOOL holds a byte {int(raw.max())}; only 0 and 1 are")
        raw = raw.astype(np.bool_)
    elif entry.dtype == "BF16":
        raw = (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return raw.astype(raw.dtype.newbyteorder("="), copy=True).reshape(entry.shape)


def _writable(name: str, array: Array) -> Array:
    if not isinstance(name, str) or name == _METADATA:
        raise DataError(f"tensor name {name!r}: use any text but {_METADATA!r}")
    values = np.asarray(array)
    if values.dtype.newbyteorder("=").str[1:] not in _NAMES:
        raise DataError(f"tensor {name!r} is {values.dtype}; safetensors holds {', '.join(sorted(_NAMES))}: convert it")
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(values.shape)
