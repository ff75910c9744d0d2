"""An overview of an image's ink: square, small, without paper, ruling and specks; what the pad shows of a photo.

pixels --sheet (handlens.images)--> ink --square around it--> area average --> (side, side)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import images
from .errors import DataError
from .strokes import Float

__all__ = ["Overview", "overview"]

SIDE = 112  # pixels: four to each cell of the pad
MARGIN = 0.08  # of the ink's longer side, on each side of it


@dataclass(frozen=True, eq=False)
class Overview:
    """ink: float32 (side, side), 0 paper to 1 ink. left, top, size: the square it shows, in pixels of the image."""

    ink: Float
    left: float
    top: float
    size: float

    def share(self, box: Sequence[float]) -> list[float]:
        """A box x0, y0, x1, y1 in pixels of the image, as shares of the overview's side."""
        x0, y0, x1, y1 = box
        left, top = self.left, self.top
        return [float(n) / self.size for n in (x0 - left, y0 - top, x1 - left, y1 - top)]


def overview(pixels: NDArray[Any], side: int = SIDE) -> Overview | None:
    """Show all ink of an image in a square.

    Args:
        pixels: as `images.sheet`. side: of the overview, 1 to 1024 pixels.
    Returns:
        the overview; None where nothing stands out from the paper.
    Raises:
        DataError: as `images.sheet`; a side out of range.
    """
    if not 1 <= side <= 1024:
        raise DataError(f"overview of {side} pixels: give 1 to 1024")
    sheet = images.sheet(pixels)
    if sheet is None:
        return None
    ink = sheet.ink * (sheet.label > 0)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    size = float(max(height, width)) * (1 + 2 * MARGIN)
    top, left = (rows[0] + rows[-1] + 1 - size) / 2, (columns[0] + columns[-1] + 1 - size) / 2
    down, across = _averaging(ink.shape[0], top, size, side), _averaging(ink.shape[1], left, size, side)
    row, column = sheet.corner
    return Overview(
        np.clip(down @ ink @ across.T, 0.0, 1.0).astype(np.float32),
        float(left * sheet.step + column),
        float(top * sheet.step + row),
        size * sheet.step,
    )


def _averaging(n: int, start: float, size: float, side: int) -> Float:
    """The (side, n) matrix that averages n pixels by area over `side` cells, which span `size` pixels from `start`."""
    step = size / side
    edges = start + np.arange(side + 1) * step
    pixel = np.arange(n)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.clip(overlap, 0.0, None) / step, np.float32)
