"""handlens.images and handlens.paper: photos, scans and screenshots of digits, in either polarity and any light."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from handlens.data import mnist
from handlens.errors import DataError
from handlens.images import components, grey, otsu, prepare, prepare_all, sheet
from handlens.paper import spread
from handlens.strokes import Float, Prepared, Stroke, rasterise
from handlens.strokes import prepare as prepare_strokes
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

SEVEN = [
    Stroke(np.array([[80.0, 60], [200, 62], [120, 230]]), 20.0),
    Stroke(np.array([[110.0, 150], [190, 150]]), 20.0),
]
INK = rasterise(SEVEN, 280, 280.0)


def expected() -> Prepared:
    result = prepare_strokes(SEVEN, 280.0, without=("re-ink",))  # a picture keeps its line
    assert result is not None
    return result


def picture(paper: float, ink: float, cover: Float = INK) -> NDArray[np.uint8]:
    return np.round(paper + (ink - paper) * cover).astype(np.uint8)


def close(pixels: NDArray[Any], mean: float = 0.02) -> Prepared:
    result = prepare(pixels)
    assert result is not None
    assert float(np.abs(result.fitted - expected().fitted).mean()) < mean
    return result


@pytest.mark.parametrize("paper, ink", [(255, 0), (0, 255), (200, 60), (90, 140), (40, 10)])
def test_either_polarity_and_any_contrast(paper: float, ink: float) -> None:
    result = close(picture(paper, ink))
    assert np.allclose(result.box, expected().box, atol=1.5)


def test_channels_and_colours() -> None:
    flat = picture(255, 0)
    close(flat[..., None])
    close(np.stack([flat] * 3, axis=2))
    red_on_blue = np.stack([picture(0, 230), picture(0, 40), picture(200, 30)], axis=2)
    close(red_on_blue)


@pytest.mark.parametrize("colour", [0, 120, 255])
def test_transparent_paper_with_dark_or_light_ink(colour: int) -> None:
    pixels = np.full((280, 280, 4), colour, np.uint8)
    pixels[..., 3] = np.round(255 * INK)
    close(pixels)
    pixels[INK == 0, :3] = 17  # what lies under transparent pixels does not count
    close(pixels)


@pytest.mark.parametrize("size", [(60, 60), (150, 150), (1000, 1000), (37, 1900), (1900, 37), (2600, 900)])
def test_any_size(size: tuple[int, int]) -> None:
    """The digit in an image of any size and shape, boxes given in the pixels of that image."""
    side = min(size)
    y, x = (size[0] - side) // 2, (size[1] - side) // 2
    pixels = np.full(size, 230, np.uint8)
    pixels[y : y + side, x : x + side] = picture(230, 30, rasterise(SEVEN, side, 280.0))
    if side < 50:  # averaged down to 7 pixels of height: there, but no longer a 7
        assert prepare(pixels) is not None
        return
    result = close(pixels, 0.05)
    box = np.array(expected().box) * side / 280 + [x, y, x, y]
    assert np.allclose(result.box, box, atol=2 + max(size) / 200)


def test_noise_and_specks_of_a_photo() -> None:
    rng = np.random.default_rng(0)
    noisy = picture(190, 60).astype(np.float64) + rng.normal(0, 8, (280, 280))
    for _ in range(40):  # specks of dust, anywhere
        y, x = rng.integers(0, 277, 2)
        noisy[y : y + 3, x : x + 3] = 70
    close(np.clip(noisy, 0, 255).astype(np.uint8), 0.04)


def test_a_broken_digit_keeps_its_pieces() -> None:
    broken = INK.copy()
    broken[100:112] = 0
    whole, result = expected(), prepare(picture(255, 0, broken))
    assert result is not None and np.allclose(result.box, whole.box, atol=1.5)


@pytest.mark.parametrize("paper, ink, frame", [(255, 0, 0), (255, 0, 90), (20, 240, 255)])
def test_a_frame_around_the_paper_is_looked_inside(paper: float, ink: float, frame: int) -> None:
    framed = np.full((340, 380), frame, np.uint8)
    framed[30:310, 50:330] = picture(paper, ink)
    result = close(framed, 0.03)
    assert np.allclose(result.box, np.array(expected().box) + np.array([50, 30, 50, 30]), atol=2)


# Uneven light, ruled paper, several digits.

Y, X = np.mgrid[0:280, 0:280] / 280.0
LIGHTS = {
    "from one side": 0.45 + 0.5 * X,
    "from a corner": 0.5 + 0.25 * X + 0.2 * Y,
    "a lamp": 0.9 - 0.6 * ((X - 0.4) ** 2 + (Y - 0.6) ** 2),
    "a shadow's edge across": np.where(X + 0.3 * Y > 0.62, 0.9, 0.5),
    "a soft shadow below": 0.9 - 0.4 / (1 + np.exp(-(Y - 0.55) * 60)),
}


@pytest.mark.parametrize("name", LIGHTS)
@pytest.mark.parametrize("dark", [True, False])
def test_uneven_light(name: str, dark: bool) -> None:
    noise = np.random.default_rng(0).normal(0, 0.006, INK.shape)
    reflected = 1 - 0.8 * INK if dark else 0.25 + 0.75 * INK
    result = close(np.round(255 * np.clip(LIGHTS[name] * reflected + noise, 0, 1)).astype(np.uint8), 0.05)
    assert np.allclose(result.box, expected().box, atol=4)


def ruled(tilt: float, across: bool, level: float = 0.65) -> NDArray[np.float64]:
    y, x = np.mgrid[0:400, 0:400]
    lines = np.abs((y + tilt * (x - 200)) % 36 - 20) < 1
    if across:
        lines |= np.abs((x - tilt * (y - 200)) % 36 - 20) < 1
    else:
        lines |= np.abs(x - 30) < 1.5  # the margin
    return np.where(lines, level, 1.0)


@pytest.mark.parametrize("tilt", [0.0, 0.02, -0.045])
@pytest.mark.parametrize("across", [False, True])
def test_ruled_paper_and_its_margin(tilt: float, across: bool) -> None:
    ink = np.pad(INK, 60)
    result = close(np.round(230 * ruled(tilt, across) * (1 - 0.85 * ink)).astype(np.uint8), 0.04)
    assert np.allclose(result.box, np.array(expected().box) + 60, atol=3)


def test_ruled_paper_without_ink_is_none() -> None:
    assert prepare(np.round(230 * ruled(0.02, False)).astype(np.uint8)) is None


def test_a_bar_that_fills_a_close_cut_is_no_ruled_line() -> None:
    x0, y0, x1, y1 = (round(n) for n in expected().box)
    close(picture(255, 0)[y0:y1, x0:x1])


def row_of(*centres: float, width: float = 8.0) -> tuple[list[Stroke], NDArray[np.uint8]]:
    """Sevens side by side, and their picture."""
    drawn = [Stroke((s.points - [140, 145]) * 0.3 + [x, 140], width) for x in centres for s in SEVEN]
    return drawn, picture(235, 40, rasterise(drawn, 700, 280.0))


def test_several_digits_from_left_to_right() -> None:
    _, pixels = row_of(60, 120, 185, 240)
    found = prepare_all(pixels)
    assert [round((p.box[0] + p.box[2]) / 2 / 2.5) for p in found] == pytest.approx([60, 120, 185, 240], abs=2)
    (whole,) = prepare_all(picture(255, 0))
    same = prepare(picture(255, 0))
    assert same is not None and np.array_equal(whole.image, same.image)
    assert prepare_all(blank(200)) == []
    together = prepare(pixels)
    assert together is not None and together.box[0] < 130 and together.box[2] > 620


def test_fine_lines_are_broadened_to_mnists() -> None:
    """A ball pen's line on a large digit would all but vanish in 28 x 28."""
    fine = rasterise([Stroke(s.points, 3.0) for s in SEVEN], 560, 280.0)
    result = prepare(picture(240, 30, fine))
    inked = prepare_strokes(SEVEN, 280.0)
    assert result is not None and inked is not None
    likeness = np.corrcoef(result.image.reshape(-1), inked.image.reshape(-1))[0, 1]
    assert likeness > 0.93 and 0.7 < result.image.sum() / inked.image.sum() < 1.3


def test_the_edge_of_the_page_is_no_ink_beside_a_digit() -> None:
    pixels = picture(230, 40)
    pixels[:, :14] = 60
    result = close(pixels, 0.03)
    assert np.allclose(result.box, expected().box, atol=2)


def test_a_sheet_before_a_background_is_looked_inside() -> None:
    table = np.full((600, 600), 70, np.uint8)
    table[200:480, 150:430] = picture(240, 30)
    result = close(table, 0.03)
    assert np.allclose(result.box, np.array(expected().box) + np.array([150, 200, 150, 200]), atol=4)


def test_the_line_is_measured() -> None:
    for width in (6.0, 12.0, 20.0):
        found = sheet(picture(255, 0, rasterise([Stroke(s.points, width) for s in SEVEN], 280, 280.0)))
        assert found is not None and found.line == pytest.approx(width, rel=0.15)


@settings(deadline=None)
@given(
    hnp.arrays(np.int64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-5, 5)),
    st.integers(1, 6),
)
def test_spread_is_the_largest_of_a_square(values: NDArray[np.int64], reach: int) -> None:
    slow = [
        [
            values[max(0, r - reach) : r + reach + 1, max(0, c - reach) : c + reach + 1].max()
            for c in range(values.shape[1])
        ]
        for r in range(values.shape[0])
    ]
    assert np.array_equal(spread(values, reach), slow)


def blank(value: int, shape: tuple[int, ...] = (50, 60)) -> NDArray[np.uint8]:
    return np.full(shape, value, np.uint8)


@pytest.mark.parametrize(
    "make",
    [
        lambda: blank(0),
        lambda: blank(255),
        lambda: blank(128, (1, 1)),
        lambda: blank(9, (1, 500, 3)),
        lambda: blank(0, (40, 40, 4)),
        lambda: blank(255, (40, 40, 4)),
        lambda: np.clip(np.random.default_rng(1).normal(200, 4, (300, 300)), 0, 255).astype(np.uint8),
    ],
)
def test_an_empty_sheet_is_none(make: Callable[[], NDArray[np.uint8]]) -> None:
    assert prepare(make()) is None


@pytest.mark.parametrize(
    "bad, reason",
    [
        (np.zeros((5, 5)), "float64"),
        (np.zeros((5, 5), np.uint16), "uint16"),
        ([[0, 1]], "list"),
        (np.zeros(5, np.uint8), "shape"),
        (np.zeros((5, 5, 2), np.uint8), "shape"),
        (np.zeros((2, 5, 5, 3), np.uint8), "shape"),
        (np.zeros((0, 5), np.uint8), "at least one"),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000)), "at most 100,000,000"),
    ],
)
def test_what_is_no_image_is_refused(bad: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        prepare(bad)


SIZES = st.tuples(st.integers(1, 24), st.integers(1, 24))
CHANNELS = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4]))


@settings(deadline=None, max_examples=150)
@given(hnp.arrays(np.uint8, SIZES | CHANNELS))
def test_any_pixels_give_an_image_or_none(pixels: NDArray[np.uint8]) -> None:
    result = prepare(pixels)
    if result is not None:
        assert result.image.shape == (28, 28) and np.isfinite(result.image).all()
        assert result.image.min() >= 0 and 0 < result.image.max() <= 1
        x0, y0, x1, y1 = result.box
        assert 0 <= x0 < x1 <= pixels.shape[1] and 0 <= y0 < y1 <= pixels.shape[0]


def test_mnist_images_come_back_in_either_polarity() -> None:
    try:
        images = mnist.load().test_images[:120]
    except DataError as error:
        pytest.skip(str(error))
    likeness = []
    for image in images:
        for pixels in (image, 255 - image, np.pad(image // 2, 60)):
            result = prepare(pixels)
            assert result is not None
            likeness.append(float(np.corrcoef(result.image.reshape(-1), image.reshape(-1))[0, 1]))
    assert np.mean(likeness) > 0.995 and np.mean(np.array(likeness) > 0.999) > 0.95


def test_luma_is_bt709_over_paper() -> None:
    pixels = np.array([[[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [0, 0, 0, 51]]], np.uint8)
    assert np.allclose(grey(pixels), [[0.2126, 0.7152, 0.0722, 0.8]])
    assert np.allclose(grey(pixels[..., :3]), [[0.2126, 0.7152, 0.0722, 0.0]])
    assert np.allclose(grey(pixels, paper=0.0)[0, 3], 0.0)


def test_otsu_splits_two_classes_in_the_middle_of_their_gap() -> None:
    values = np.concatenate([np.full(900, 0.1), np.full(100, 0.9)])
    assert abs(otsu(values) - 0.5) < 0.01
    assert otsu(np.full(10, 0.3)) == 0.5


def slow_components(mask: NDArray[np.bool_]) -> int:
    todo = {(int(r), int(c)) for r, c in np.argwhere(mask)}
    count = 0
    while todo:
        count += 1
        front = [todo.pop()]
        while front:
            r, c = front.pop()
            near = {(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & todo
            todo -= near
            front += near
    return count


@settings(deadline=None, max_examples=150)
@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14))))
def test_components_are_those_of_a_flood_fill(mask: NDArray[np.bool_]) -> None:
    label = components(mask)
    assert np.array_equal(label > 0, mask)
    assert len(np.unique(label[mask])) == slow_components(mask) == int(label.max(initial=0))
    padded = np.pad(label, 1)
    here = padded[1:-1, 1:-1]
    for i in range(3):
        for j in range(3):
            there = padded[i : i + label.shape[0], j : j + label.shape[1]]
            assert np.array_equal(here[(here > 0) & (there > 0)], there[(here > 0) & (there > 0)])


def test_a_long_winding_piece_is_one() -> None:
    spiral = np.zeros((101, 101), np.bool_)
    spiral[::2] = True
    spiral[1::4, -1] = True
    spiral[3::4, 0] = True
    assert components(spiral).max() == 1
