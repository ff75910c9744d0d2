"""The overview of a photo's ink: where things are, how much ink there is, what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from handlens.errors import DataError
from handlens.overview import MARGIN, overview

DISCS = ((150, 115, 40), (150, 315, 40))  # row, column, radius


def discs(height: int = 300, width: int = 500) -> np.ndarray:
    """Dark ink on light paper: two discs."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.full((height, width), 235, np.uint8)
    for row, column, radius in DISCS:
        pixels[np.hypot(rows - row, columns - column) <= radius] = 20
    return pixels


def test_ink_stands_where_the_boxes_say() -> None:
    shown = overview(discs())
    assert shown is not None and shown.ink.shape == (112, 112) and shown.ink.dtype == np.float32
    assert shown.size == pytest.approx(281 * (1 + 2 * MARGIN), abs=2)
    for row, column, radius in DISCS:
        box = shown.share((column - radius, row - radius, column + radius + 1, row + radius + 1))
        left, top, right, bottom = (112 * edge for edge in box)
        middle = shown.ink[int((top + bottom) / 2)]
        assert middle[int(left) + 2 : int(right) - 1].min() > 0.95
        assert middle[max(0, int(left) - 6) : int(left) - 1].max() == 0.0
        assert middle[int(right) + 2 : int(right) + 8].max() == 0.0
    # area averages keep the amount of ink
    inked = int((discs() < 128).sum())
    assert float(shown.ink.sum()) * (shown.size / 112) ** 2 == pytest.approx(inked, rel=0.03)


def test_either_polarity_and_any_size_give_the_same_overview() -> None:
    plain = overview(discs())
    for other in (255 - discs(), np.kron(discs(), np.ones((3, 3), np.uint8))):
        shown = overview(other)
        assert plain is not None and shown is not None
        assert np.abs(shown.ink - plain.ink).max() < 0.2
    assert overview(discs(), side=28).ink.shape == (28, 28)  # type: ignore[union-attr]


def test_what_cannot_be_shown() -> None:
    assert overview(np.full((50, 50), 200, np.uint8)) is None
    with pytest.raises(DataError, match="1 to 1024"):
        overview(discs(), side=0)
