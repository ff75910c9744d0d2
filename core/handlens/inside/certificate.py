"""The last step of a birth certificate: from a pixel of the 28x28 back to the ink on the pad.

What a network reads was cropped, scaled and centred (:mod:`handlens.strokes`); ``Prepared.grid`` says where each pixel
came from, so that a receptive field can be outlined on the drawing itself, and a pixel's ink credited to its strokes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..strokes import FIT, SIDE, Prepared, Stroke, inked, left_on_pad
from .receptive import Box


class Rectangle(NamedTuple):
    """x0 to x1 to the right and y0 to y1 down, in pad units (pixels, of a raster)."""

    x0: float
    y0: float
    x1: float
    y1: float


class Inked(NamedTuple):
    """What one stroke did to a pixel.

    stroke: its number among those drawn. cover: the ink that it puts there alone, 0 to 1. share: the part of the
    pixel's value that it was the first to bring; the shares add up to the value.
    """

    stroke: int
    cover: float
    share: float


def footprint(prepared: Prepared, extent: float, box: Box, corner: tuple[float, float] = (0.0, 0.0)) -> Rectangle:
    """Where a box of pixels of the 28x28 lies on the pad, from its corner and clipped to it.

    The box of no pixel, and one that lies beyond the pad, has an area of 0. A path inks a pixel from half a line's
    width away, where the line is as wide as the network sees it (2.5 pixels where digits are inked anew).

    prepared: the digit. extent: side of the pad (of a raster: its larger side). box: pixels, the ends exclusive.
    corner: left and top of what the pad shows, where that is a part of a raster.
    """
    grid, (left, top) = prepared.grid, corner
    edges = (
        grid.x + box.left * grid.width - left,
        grid.y + box.top * grid.height - top,
        grid.x + box.right * grid.width - left,
        grid.y + box.bottom * grid.height - top,
    )
    return Rectangle(*(min(max(edge, 0.0), float(extent)) for edge in edges))


def strokes_of(
    drawn: Sequence[Stroke],
    prepared: Prepared,
    extent: float,
    row: int,
    column: int,
    own: Collection[int] | None = None,
) -> list[Inked]:
    """The strokes that inked pixel (row, column) of the 28x28, in the order drawn; none where there is only paper.

    drawn: all strokes on the pad, erasers included. prepared: what :func:`handlens.strokes.prepare` made of them.
    own: numbers of the strokes that it was made of, where the pad holds several digits (default: all of them).
    Raises DataError for a pixel outside the image.
    """
    if not (0 <= row < SIDE and 0 <= column < SIDE):
        raise DataError(f"pixel ({row}, {column}) is not on the image; rows and columns are 0 to {SIDE - 1}")
    top, left = prepared.offset
    found: list[Inked] = []
    if not (0 <= row - top < FIT and 0 <= column - left < FIT):
        return found  # nothing is inked outside the 20x20 that was centred
    so_far = np.zeros(())
    for number, stroke in enumerate(drawn):
        if stroke.erase or not len(stroke.points) or (own is not None and number not in own):
            continue
        erasers = [later for later in drawn[number + 1 :] if later.erase]
        paths = left_on_pad([stroke, *erasers], float(extent))
        cells = inked(paths, prepared.grid, row, column) if paths else np.zeros((), np.float32)
        if cells.any():
            total = np.maximum(so_far, cells)
            found.append(Inked(number, float(cells.mean(dtype=np.float64)), float((total - so_far).mean())))
            so_far = total
    return found
