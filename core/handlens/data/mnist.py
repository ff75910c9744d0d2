"""MNIST: 60,000 training and 10,000 test images of handwritten digits, 28x28, white ink on black, as IDX files.

IDX: two zero bytes, one byte for the element type, one for the number of axes, each axis as a big-endian u32, the data.
How the images were made, which `handlens.strokes` repeats for drawn ink, was read off the files themselves and is held
by tests/unit/test_mnist.py: the ink's larger side measures 20 pixels, and the image was shifted by whole pixels so that
the centre of mass (pixel i counts as i) lies in [13.5, 14.5).

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits" (licence CC BY-SA 3.0).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FormatError

__all__ = ["FILES", "Mnist", "find_folder", "load", "read_idx"]

# Name, sha256 of the uncompressed file, shape.
FILES: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "train_images": (
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        (60000, 28, 28),
    ),
    "train_labels": (
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        (60000,),
    ),
    "test_images": (
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        (10000, 28, 28),
    ),
    "test_labels": (
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        (10000,),
    ),
}
MAX_BYTES = 1 << 30
WAY_OUT = "run: python3 build/make.py vendor"

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True, eq=False)
class Mnist:
    """The whole data set: images uint8 (N, 28, 28), 0 background to 255 ink; labels uint8 (N,), 0 to 9."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def read_idx(source: str | os.PathLike[str] | bytes) -> NDArray[Any]:
    """Read one IDX file, plain or gzip.

    Args:
        source: a path, or the bytes of a file.
    Returns:
        the array in its own shape, native byte order.
    Raises:
        FormatError: wrong magic number, element type, sizes or byte count; the message names the file.
        OSError: the path cannot be opened.
    """
    name = "bytes" if isinstance(source, bytes) else os.fspath(source)
    return _parse_idx(name, _unpacked(name, source if isinstance(source, bytes) else Path(source).read_bytes()))


def find_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """Find the folder that holds the four MNIST files.

    Looks at `folder`; else at $HANDLENS_MNIST; else at `.cache/mnist` in the working folder, the folders above it, and
    the repository this file belongs to.

    Raises:
        DataError: no such folder holds them; the message says how to get them.
    """
    if folder is not None:
        candidates = [Path(folder)]
    elif os.environ.get("HANDLENS_MNIST"):
        candidates = [Path(os.environ["HANDLENS_MNIST"])]
    else:
        here = Path.cwd()
        candidates = [root / ".cache" / "mnist" for root in (here, *here.parents, *Path(__file__).resolve().parents)]
    for candidate in candidates:
        if all(_file(candidate, name) is not None for name, _, _ in FILES.values()):
            return candidate
    where = str(candidates[0]) if len(candidates) == 1 else f".cache/mnist, looked for from {Path.cwd()} upwards"
    raise DataError(f"MNIST is not in {where}; {WAY_OUT}, or set HANDLENS_MNIST to a folder with its four IDX files")


def load(folder: str | os.PathLike[str] | None = None, *, verify: bool = True) -> Mnist:
    """Load MNIST whole.

    Args:
        folder: where the four IDX files are, plain or .gz; found by `find_folder` when left out.
        verify: compare each file's sha256 with the canonical one (0.1 s).
    Raises:
        DataError: the files are missing, or not the canonical ones.
        FormatError: a file is damaged.
    """
    place = find_folder(folder)
    arrays: dict[str, NDArray[np.uint8]] = {}
    for key, (name, digest, shape) in FILES.items():
        path = _file(place, name)
        if path is None:  # removed since find_folder looked
            raise DataError(f"{place / name} is gone; {WAY_OUT}")
        data = _unpacked(str(path), path.read_bytes())
        if verify and hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"{path}: not the canonical MNIST file (sha256 differs); delete it and {WAY_OUT}")
        array = _parse_idx(str(path), data)
        if array.dtype != np.uint8 or array.shape != shape:
            raise DataError(f"{path}: {array.dtype} {array.shape}, MNIST has uint8 {shape}; delete it and {WAY_OUT}")
        arrays[key] = array
    return Mnist(**arrays)


def _file(folder: Path, name: str) -> Path | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def _unpacked(name: str, data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"{name}: damaged gzip data: {error}") from None


def _parse_idx(name: str, data: bytes) -> NDArray[Any]:
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or data[3] == 0:
        raise FormatError(f"{name}: not an IDX file: it starts with {data[:4].hex(' ') or 'nothing'}")
    dtype, rank = np.dtype(_TYPES[data[2]]), data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise FormatError(f"{name}: truncated: {len(data)} bytes, the header of {rank} axes takes {start}")
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4))
    expected = dtype.itemsize
    for n in shape:
        expected *= n
    if 0 in shape or rank > 8 or expected > MAX_BYTES:
        raise FormatError(f"{name}: axes {str(shape)[:100]} are not those of a data set")
    if len(data) - start != expected:
        raise FormatError(f"{name}: {len(data) - start} bytes of data, axes {shape} of {dtype} need {expected}")
    array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))
