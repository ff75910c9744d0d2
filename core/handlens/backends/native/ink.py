"""Strokes to 28x28 images by the compiled kernels: what :mod:`handlens.strokes` and ``grouping`` make, in one C call.

core/kernels/ink.h has the functions; tests/unit/test_ink_kernel.py holds them to Python.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import BackendError
from .library import Library

CANDIDATES, FOUND, CROWDED, SIDE = 12, 8, 256, 28  # of ink.h
ALIGNMENT = 64  # bytes, of the scratch: HL_ALIGNMENT of handlens.h


@dataclass(frozen=True, eq=False)
class Inked:
    """What ``hl_ink`` found.

    images: (n, 28, 28) float32, 0 paper to 1 ink, n at least 1. groups: for each the units of ink from the first to the
    last, that not included. priors: the logarithm of the probability that geometry gives it. last: its last stroke.
    boxes: x0, y0, x1, y1 of its ink, pad units. crowded: more pieces, surely apart, than a number has digits.
    """

    images: NDArray[np.float32]
    groups: list[tuple[int, int]]
    priors: list[float]
    last: list[int]
    boxes: list[tuple[float, float, float, float]]
    crowded: bool


def ink(library: Library, flat: NDArray[np.float32], extent: float) -> Inked | None:
    """Make the images of a drawing; None for a blank pad.

    Args:
        library: an opened build. flat: packed strokes (`strokes.pack`). extent: side of the pad, in pad units.
    Raises:
        BackendError: the kernels refuse it, or are of a version that has no ink; Python can say why.
    """
    values = np.ascontiguousarray(flat, np.float32)
    try:
        c_scratch, c_ink = library.c.hl_ink_scratch, library.c.hl_ink
    except AttributeError:
        raise BackendError(f"{library.path.name} reads no ink") from None
    pointer, size = ctypes.c_void_p, ctypes.c_ssize_t
    c_scratch.argtypes, c_scratch.restype = [ctypes.c_int32], size
    c_ink.argtypes = [pointer, ctypes.c_int32, ctypes.c_double, pointer, pointer, pointer, size]
    needed = int(c_scratch(len(values)))
    if needed < 0:
        raise BackendError(f"the compiled kernels do not take {len(values):,} numbers of ink")
    images, found = np.empty((CANDIDATES, SIDE, SIDE), np.float32), np.empty((CANDIDATES, FOUND))
    room = np.empty(needed + ALIGNMENT, np.uint8)
    scratch = room.ctypes.data + -room.ctypes.data % ALIGNMENT
    where = (images.ctypes.data, found.ctypes.data, scratch, needed)
    count = int(c_ink(values.ctypes.data, len(values), float(extent), *where))
    if count < 0:
        raise BackendError(f"the compiled kernels do not take this ink (error {count})")
    made = count & ~CROWDED
    if not made:
        return None
    rows = found[:made].tolist()
    return Inked(
        images[:made],
        [(int(row[0]), int(row[1])) for row in rows],
        [row[2] for row in rows],
        [int(row[3]) for row in rows],
        [(row[4], row[5], row[6], row[7]) for row in rows],
        bool(count & CROWDED),
    )
