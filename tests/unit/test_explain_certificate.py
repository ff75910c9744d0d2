"""From a pixel back to the ink: where the 28x28 lies on the pad, and which strokes inked a pixel."""

from __future__ import annotations

import numpy as np
import pytest
from handlens import numbers
from handlens.errors import DataError
from handlens.inside.certificate import Rectangle, footprint, strokes_of
from handlens.inside.receptive import Box
from handlens.inside.session import Session
from handlens.overview import overview
from handlens.strokes import STAGES, Stroke, prepare, prepare_raster, rasterise

EXTENT = 280.0
SEVEN = [
    Stroke(np.array([[60.0, 60], [210, 50], [120, 230]]), 20),
    Stroke(np.array([[90.0, 140], [190, 130]]), 30),
    Stroke(np.array([[230.0, 60], [230, 100]]), 24, erase=True),
    Stroke(np.zeros((0, 2)), 20),
    Stroke(np.array([[225.0, 80]]), 20),
]


@pytest.mark.parametrize("without", [(), *((stage,) for stage in STAGES), STAGES])
def test_the_strokes_shares_add_up_to_the_pixel(without: tuple[str, ...]) -> None:
    prepared = prepare(SEVEN, EXTENT, without)
    assert prepared is not None
    for row in range(0, 28, 3):
        for column in range(0, 28, 2):
            found = strokes_of(SEVEN, prepared, EXTENT, row, column)
            assert sum(one.share for one in found) == pytest.approx(prepared.image[row, column], abs=1e-6)
            assert all(0 <= one.share <= one.cover <= 1 for one in found) and [*found] == sorted(found)
            assert {one.stroke for one in found} <= {0, 1, 4}


def test_where_strokes_cross_the_first_has_the_ink_and_the_other_its_cover() -> None:
    cross = [Stroke(np.array([[40.0, 140], [240, 140]]), 20), Stroke(np.array([[140.0, 40], [140, 240]]), 20)]
    prepared = prepare(cross, EXTENT)
    assert prepared is not None
    both = strokes_of(cross, prepared, EXTENT, 14, 14)
    assert [one.stroke for one in both] == [0, 1]
    assert both[0].share == both[0].cover and both[1].share < both[1].cover
    assert strokes_of(cross, prepared, EXTENT, 14, 14, own=[1]) == [both[1]._replace(share=both[1].cover)]


@pytest.mark.parametrize("without", [(), ("aspect",), ("crop",), ("centre",)])
def test_a_pixels_footprint_is_where_its_ink_lies(without: tuple[str, ...]) -> None:
    """A tap far from the rest inks the pixels in whose footprint it lies: their centre of mass is found there."""
    tap = np.array([70.0, 200.0])
    drawn = [Stroke(np.array([[200.0, 40], [220, 240]]), 8), Stroke(tap[None], 8)]
    prepared = prepare(drawn, EXTENT, without)
    assert prepared is not None
    ink = {
        (row, column): sum(one.cover for one in strokes_of(drawn, prepared, EXTENT, row, column, own=[1]))
        for row in range(28)
        for column in range(28)
    }
    total, place = sum(ink.values()), np.zeros(2)
    for (row, column), amount in ink.items():
        x0, y0, x1, y1 = footprint(prepared, EXTENT, Box(row, column, row + 1, column + 1))
        place += amount / total * np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    np.testing.assert_allclose(place, tap, atol=0.5)  # of 280


def test_footprints_are_clipped_to_the_pad_and_neighbours_touch() -> None:
    prepared = prepare(SEVEN, EXTENT)
    assert prepared is not None
    whole = footprint(prepared, EXTENT, Box(0, 0, 28, 28))
    assert min(whole) >= 0 and max(whole) <= EXTENT
    left, right = (footprint(prepared, EXTENT, Box(9, c, 12, c + 3)) for c in (9, 12))
    assert left.x1 == pytest.approx(right.x0, abs=1e-9) and left.y0 == right.y0
    assert footprint(prepared, EXTENT, Box(5, 5, 5, 5)).x0 == footprint(prepared, EXTENT, Box(5, 5, 5, 5)).x1


def test_a_raster_has_a_grid_too() -> None:
    raster = np.zeros((50, 60), np.float32)
    raster[5:45, 10:20] = 1  # 40 high: two of its pixels make one
    prepared = prepare_raster(raster)
    assert prepared is not None and prepared.grid.width == prepared.grid.height == 2.0
    rows, columns = (np.flatnonzero(prepared.image.any(axis=axis)) for axis in (1, 0))
    box = Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    found = footprint(prepared, 60, box)
    assert (found.y0, found.y1) == (5, 45)
    assert found.x0 in (9.0, 10.0) and found.x1 in (20.0, 21.0)  # five pixels' width is centred to half of one


def test_what_is_no_pixel_is_refused_and_paper_has_no_strokes() -> None:
    prepared = prepare(SEVEN, EXTENT)
    assert prepared is not None
    with pytest.raises(DataError, match=r"pixel \(28, 0\) is not on the image"):
        strokes_of(SEVEN, prepared, EXTENT, 28, 0)
    assert strokes_of(SEVEN, prepared, EXTENT, 0, 0) == []
    assert isinstance(footprint(prepared, EXTENT, Box(0, 0, 1, 1)), Rectangle)


def test_each_of_several_digits_has_its_footprint() -> None:
    """On the pad, and on the overview that the pad shows of a file: around that digit's own ink, and no other."""
    drawn = [
        Stroke(np.array([[30.0, 70], [110, 70], [90, 120], [70, 200]]), 20),
        Stroke(np.array([[190.0, 60], [190, 200]]), 20),
    ]
    found = numbers.candidates(drawn, EXTENT)
    assert found is not None
    sheet = np.pad(255 * (1 - rasterise(drawn, 700, EXTENT)), ((90, 160), (40, 10)), constant_values=255)
    pixels = sheet.astype(np.uint8)
    file, shows = numbers.candidates_of_image(pixels), overview(pixels)
    assert file is not None and shows is not None
    window = (shows.left, shows.top, shows.size)
    for k, stroke in enumerate(drawn):
        for made, last in ((found, {"extent": EXTENT}), (file, {"extent": None, "window": window})):
            one = next(p for p, g in zip(made.made, made.groups, strict=True) if g == (k, k + 1))
            rows, columns = (np.flatnonzero((one.image > 0.5).any(axis=axis)) for axis in (1, 0))
            box = Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
            left, top, right, bottom = Session({}, {"prepared": lambda one=one: one, **last}).footprint(box)[0]
            ink = np.array([*(stroke.points.min(axis=0) - 10), *(stroke.points.max(axis=0) + 10)]) / EXTENT
            if made is file:  # as the pad shows it
                raster = ink * 700 + np.array([40, 90, 40, 90])
                ink = np.array(shows.share(raster))
            np.testing.assert_allclose((left, top, right, bottom), ink, atol=0.06)
    whole = Session(
        {}, {"prepared": lambda: file.made[0], "extent": None, "window": None}
    )  # the pad shows the 28 x 28 itself
    assert whole.footprint(Box(0, 0, 28, 14)) == [[0.0, 0.0, 0.5, 1.0]]  # the pad shows the 28 x 28 itself
