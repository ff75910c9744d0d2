"""handlens.strokes: against a slow exact rasteriser, against MNIST's look, and every odd drawing a hand can make."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from handlens import strokes
from handlens.data import mnist
from handlens.errors import DataError
from handlens.strokes import Prepared, Stroke, pack, prepare, prepare_raster, rasterise, unpack
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

PAD = 280.0


def stroke(*points: tuple[float, float], width: float = 18.0, erase: bool = False) -> Stroke:
    return Stroke(np.array(points, np.float64).reshape(-1, 2), width, erase)


def arc(cx: float, cy: float, rx: float, ry: float, begin: float, end: float, n: int = 30) -> list[tuple[float, float]]:
    angles = np.radians(np.linspace(begin, end, n))
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


DRAWINGS = {
    "seven": [stroke((80, 60), (200, 62), (120, 230))],
    "zero": [stroke(*arc(140, 140, 60, 90, 0, 360))],
    "eight": [stroke(*arc(140, 95, 40, 45, 90, 450), *arc(140, 190, 50, 50, -90, 270))],
    "four": [stroke((170, 60), (90, 170), (210, 170)), stroke((165, 110), (165, 235))],
    "one": [stroke((140, 50), (138, 230))],
    "broad": [stroke((100, 60), (180, 60), (110, 220), width=40)],
    "thin": [stroke(*arc(140, 140, 60, 90, 30, 330), width=8)],
}


def exact(drawing: list[Stroke], x: float, y: float, scale: float, size: int, samples: int) -> NDArray[np.bool_]:
    """Ink at samples x samples points in each of size x size pixels of a window: brute force, point by point."""
    n = size * samples
    at = (np.arange(n) + 0.5) / (samples * scale)
    px, py = np.meshgrid(x + at, y + at)
    ink = np.zeros((n, n), np.bool_)
    for s in drawing:
        covered = np.zeros((n, n), np.bool_)
        ends = s.points[1:] if len(s.points) > 1 else s.points
        for a, b in zip(s.points, ends, strict=False):
            near = tuple(
                slice(*np.clip(np.searchsorted(at + o, (lo - s.width, hi + s.width)), 0, n))
                for o, lo, hi in ((y, min(a[1], b[1]), max(a[1], b[1])), (x, min(a[0], b[0]), max(a[0], b[0])))
            )  # only to save time: beyond it nothing is within reach
            gx, gy = px[near], py[near]
            d = b - a
            squared = float(d @ d)
            t = np.clip(((gx - a[0]) * d[0] + (gy - a[1]) * d[1]) / squared, 0, 1) if squared else np.zeros_like(gx)
            covered[near] |= np.hypot(gx - a[0] - t * d[0], gy - a[1] - t * d[1]) <= s.width / 2
        ink = ink & ~covered if s.erase else ink | covered
    return ink & (px >= 0) & (px <= PAD) & (py >= 0) & (py <= PAD)


def averaged(ink: NDArray[np.bool_], size: int) -> NDArray[np.float64]:
    n = len(ink) // size
    return ink.reshape(size, n, size, n).mean(axis=(1, 3))


def reinked(paths: list[NDArray[np.float64]]) -> list[Stroke]:
    """The paths where a pad is 20 pixels wide, with MNIST's line: path and line together span it."""
    points = np.concatenate(paths)
    low, high = points.min(axis=0), points.max(axis=0)
    unit = PAD / strokes.FIT
    scale = (strokes.FIT - strokes.INK_WIDTH) * unit / float((high - low).max())
    return [Stroke((p - (low + high) / 2) * scale + PAD / 2, strokes.INK_WIDTH * unit) for p in paths]


def exact_fitted(paths: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The 20x20 by its definition, on a fine grid: the average over each pixel's area of the ink drawn anew."""
    return averaged(exact(reinked(paths), 0, 0, strokes.FIT / PAD, strokes.FIT, 16), strokes.FIT)


def cut(path: NDArray[np.float64], eraser: Stroke) -> list[NDArray[np.float64]]:
    """What an eraser leaves of a path, point by point on a fine walk along it."""
    walk = np.concatenate([np.linspace(a, b, 100) for a, b in pairwise(path)])
    pieces: list[list[NDArray[np.float64]]] = [[]]
    for point in walk:
        a, b = eraser.points[0], eraser.points[-1]  # the erasers here are straight
        t = np.clip((point - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        if np.hypot(*(point - a - t * (b - a))) > eraser.width / 2:
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [np.array(piece) for piece in pieces if piece]


def ready(drawing: list[Stroke], extent: float = PAD) -> Prepared:
    result = prepare(drawing, extent)
    assert result is not None
    assert result.image.shape == (28, 28) and result.image.dtype == np.float32
    assert result.fitted.shape == (20, 20) and result.fitted.dtype == np.float32
    assert result.image.min() >= 0 and 0 < result.image.max() <= 1
    assert np.isclose(result.image.sum(), result.fitted.sum(), rtol=1e-5)  # centring loses no ink
    return result


def centre_of_mass(image: NDArray[np.float32]) -> tuple[float, float]:
    mass = float(image.sum())
    at = np.arange(len(image))
    return float(image.sum(axis=1) @ at) / mass, float(image.sum(axis=0) @ at) / mass


# Against the exact rasteriser.


@pytest.mark.parametrize("name", DRAWINGS)
def test_raster_equals_the_exact_one(name: str) -> None:
    ours = rasterise(DRAWINGS[name], 140, PAD)
    truth = averaged(exact(DRAWINGS[name], 0, 0, 140 / PAD, 140, 8), 140)
    error = np.abs(ours - truth)
    assert error.max() < 0.3  # pixels where two edges meet, at crossings and sharp turns
    assert np.percentile(error, 99.5) < 0.08
    assert abs(float(ours.sum()) / float(truth.sum()) - 1) < 0.004


@pytest.mark.parametrize("name", DRAWINGS)
def test_fitted_equals_the_exact_one(name: str) -> None:
    error = np.abs(ready(DRAWINGS[name]).fitted - exact_fitted([s.points for s in DRAWINGS[name]]))
    assert error.max() < 0.06 and error.mean() < 0.005


def test_fitted_equals_the_exact_one_after_erasing_and_at_the_border() -> None:
    (eight,), (zero,) = DRAWINGS["eight"], DRAWINGS["zero"]
    top = stroke((60, 60), (220, 90), width=30, erase=True)
    side = stroke((200, 60), (200, 220), width=50, erase=True)
    bar = stroke((150, 130), (190, 130))
    cases = [
        ([eight, top], cut(eight.points, top)),
        ([zero, side, bar], [*cut(zero.points, side), bar.points]),
        # Where a line leaves the pad, its end is where its ink ends, moved to the edge.
        ([stroke((-60, 40), (150, 60), (330, 200))], [np.array([(0, 44.857), (150, 60), (280, 168.111)])]),
        (
            [stroke((200, 100), (400, 150), (200, 270), width=2)],
            [np.array([(200, 100), (280, 120)]), np.array([(280, 222), (200, 270)])],
        ),
    ]
    for drawing, paths in cases:
        error = np.abs(ready(drawing).fitted - exact_fitted(paths))
        assert error.max() < 0.15 and error.mean() < 0.01


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.floats(20, 260), st.floats(20, 260)), min_size=1, max_size=6), st.floats(12, 40))
@example([(20.15625, 20.09375)], 12.0)
def test_any_polyline_equals_the_exact_one(points: list[tuple[float, float]], width: float) -> None:
    drawing = [stroke(*points, width=width)]
    path = drawing[0].points
    assume(float(np.ptp(path, axis=0).max()) > width)  # smaller is a spot, tested below
    error = np.abs(ready(drawing).fitted - exact_fitted([path]))
    assert error.max() < 0.25 and error.mean() < 0.02


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(DRAWINGS)), st.floats(1, 60), st.floats(0.25, 1))
def test_the_brush_changes_nothing_but_the_pad(name: str, width: float, scale: float) -> None:
    drawing = [Stroke((s.points - 140) * scale + 140, width) for s in DRAWINGS[name]]
    span = max(float(np.ptp(s.points, axis=0).max()) for s in drawing)
    assume(width < span)
    assert np.abs(ready(drawing).image - ready(DRAWINGS[name]).image).max() < 0.02


def mass_of_line(image: NDArray[np.float32]) -> float:
    return float(image.sum()) / 17.5


def test_every_stage_left_out_shows_its_damage() -> None:
    """Without re-inking a broad brush is broad; without crop a small drawing stays small and where it is; and so on."""
    one = [stroke((30, 30), (30, 100), width=30)]
    whole = ready(one)
    assert abs(mass_of_line(whole.image) - strokes.INK_WIDTH) < 0.35
    broad = prepare(one, PAD, ("re-ink",))
    small = prepare(one, PAD, ("crop", "centre"))
    narrow = [stroke((100, 40), (140, 140), (100, 240))]
    stretched = prepare(narrow, PAD, ("aspect",))
    beside = prepare([stroke((60, 60), (60, 200), (200, 200))], PAD, ("centre",))
    assert broad is not None and small is not None and stretched is not None and beside is not None
    assert broad.fitted.sum() > 2 * whole.fitted.sum()
    assert small.image[14:].sum() == 0 and small.image[:, 14:].sum() == 0 and small.image.any(axis=1).sum() < 10
    assert stretched.image.any(axis=0).sum() > 15 > ready(narrow).image.any(axis=0).sum()
    assert beside.offset == (4, 4) != ready([stroke((60, 60), (60, 200), (200, 200))]).offset
    with pytest.raises(DataError, match=r"no stage 'ink'.*re-ink, crop, aspect, centre"):
        prepare(one, PAD, ("ink",))


def test_a_dotted_line_is_a_line_and_a_hatched_shape_a_shape() -> None:
    """Cells set one by one are inked as the line they make; rows that fill a broad line keep its width."""
    dots = [stroke((140, y), width=10) for y in range(40, 250, 10)]
    assert np.abs(ready(dots).image - ready([stroke((140, 40), (140, 240))]).image).max() < 0.1
    rows = [stroke((125, y), (155, y), width=10) for y in range(40, 250, 10)]
    assert ready(rows).fitted.any(axis=0).sum() <= 5


def test_cover_of_a_line_along_the_pixels_is_exact() -> None:
    """A line of width 2.5 centred in a row of pixels: that row full, the next ones three quarters, the rest blank."""
    image = rasterise([stroke((-50, 14.5), (50, 14.5), width=2.5)], 28, 28)
    assert np.allclose(image[14], 1) and np.allclose(image[[13, 15]], 0.75) and not image[:13].any()
    thin = rasterise([stroke((-50, 14.5), (50, 14.5), width=0.25)], 28, 28)
    assert np.allclose(thin[14], 0.25) and not thin[13].any()


# What must not change the answer.


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(DRAWINGS)), st.floats(0.05, 1.2), st.floats(0, 1), st.floats(0, 1))
def test_size_and_place_change_nothing(name: str, scale: float, u: float, v: float) -> None:
    """The whole drawing, line width included, scaled and moved anywhere on the pad: the same 20x20 within 2 %."""
    drawing = DRAWINGS[name]
    x0, y0, x1, y1 = ready(drawing).box
    assume(scale * (y1 - y0) < PAD - 1 and scale * (x1 - x0) < PAD - 1)
    move = np.array([u * (PAD - scale * (x1 - x0)), v * (PAD - scale * (y1 - y0))])
    moved = [Stroke((s.points - (x0, y0)) * scale + move, s.width * scale) for s in drawing]
    assert np.abs(ready(moved).fitted - ready(drawing).fitted).max() < 0.02


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(4)), st.lists(st.booleans(), min_size=4, max_size=4))
def test_order_and_direction_of_strokes_change_nothing(order: list[int], turn: list[bool]) -> None:
    drawing = [*DRAWINGS["four"], stroke((60, 80), (100, 60), width=25), stroke((180, 80))]
    other = [Stroke(drawing[i].points[:: -1 if turn[i] else 1], drawing[i].width) for i in order]
    assert np.abs(ready(other).image - ready(drawing).image).max() < 0.02


def test_points_between_on_the_way_change_nothing() -> None:
    """A browser's coalesced points: 2,000 of them on the same lines give the same image as the corners alone."""
    (seven,) = DRAWINGS["seven"]
    at = np.linspace(0, 2, 2001)
    dense = np.stack([np.interp(at, [0, 1, 2], seven.points[:, i]) for i in (0, 1)], axis=1)
    assert np.abs(ready([Stroke(dense, seven.width)]).image - ready([seven]).image).max() < 0.03  # at the sharp corner
    again = np.repeat(seven.points, 50, axis=0)  # a pen that rests
    assert np.abs(ready([Stroke(again, seven.width)]).image - ready([seven]).image).max() < 1e-5


def test_symmetric_drawings_centre_the_same_wherever_they_stand() -> None:
    for x, y in np.random.default_rng(0).uniform(40, 240, (50, 2)):
        assert ready([stroke((x, y), width=30)]).offset == (4, 4)


# MNIST's conventions.


@pytest.mark.parametrize("name", DRAWINGS)
def test_box_20_and_centre_of_mass_as_in_mnist(name: str) -> None:
    (drawn, result) = DRAWINGS[name], ready(DRAWINGS[name])
    rows, columns = result.image.any(axis=1).sum(), result.image.any(axis=0).sum()
    assert max(rows, columns) == 20
    spans = np.ptp(np.concatenate([s.points for s in drawn]), axis=0)
    line = strokes.INK_WIDTH
    assert abs(min(rows, columns) - line - (20 - line) * float(spans.min() / spans.max())) <= 2
    assert all(13.5 - 1e-3 <= c < 14.5 for c in centre_of_mass(result.image))
    row, column = result.offset
    assert row in range(9) or column in range(9)
    placed = np.zeros((60, 60), np.float32)
    placed[16 + row : 36 + row, 16 + column : 36 + column] = result.fitted
    assert np.array_equal(placed[16:44, 16:44], result.image)


def test_box_is_the_inks_with_its_width() -> None:
    drawing = [stroke((80, 60), (200, 62), (120, 230), width=20)]
    result = ready(drawing)
    assert result.box == (70, 50, 210, 240)
    assert result.crop.shape == (
        100,
        76,
    )  # 170 x 120 of path in 87.5 pixels, MNIST's line of 12.5 around it, whole pixels
    assert np.array_equal(result.ink, rasterise(drawing, 140, PAD))


def test_ink_is_never_cut_off_where_the_centre_of_mass_lies_far_out() -> None:
    """A heavy end and a long thin tail would push the tail off the image; the ink stays, the centring gives way."""
    drawing = [stroke(*((x, y) for y in range(40, 90, 8) for x in (40, 240, 40))), stroke((140, 90), (140, 240))]
    image = ready(drawing).image
    assert image[27].any()


@pytest.fixture(scope="module")
def digits() -> mnist.Mnist:
    try:
        return mnist.load()
    except DataError as error:
        pytest.skip(str(error))


def rows_as_strokes(image: NDArray[np.uint8]) -> list[Stroke]:
    """What the browser test draws: each row's run of pixels over 127 as a horizontal stroke, the brush one pixel."""
    step = PAD / 28
    drawing = []
    for y, row in enumerate(image > 127):
        change = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
        for a, b in change.reshape(-1, 2):
            drawing.append(
                stroke(((a + 0.5) * step, (y + 0.5) * step), ((b - 0.5) * step, (y + 0.5) * step), width=step)
            )
    return drawing


def test_mnist_digits_drawn_row_by_row_come_back(digits: mnist.Mnist) -> None:
    """Drawn again and prepared, an image lies closer to itself than to any other of a thousand, nine times of ten."""
    images = digits.test_images[:1000].reshape(1000, -1) / np.float32(255)
    found, mass = [], []
    for i in range(200):
        result = ready(rows_as_strokes(digits.test_images[i]))
        distance = ((images - result.image.reshape(-1)) ** 2).sum(axis=1)
        found.append(digits.test_labels[int(distance.argmin())] == digits.test_labels[i])
        mass.append(float(result.image.sum() / images[i].sum()))
    assert np.mean(found) >= 0.95
    assert 0.8 < np.mean(mass) < 1.25  # thin ones gain a little


# Odd drawings.


@pytest.mark.parametrize(
    "drawing",
    [
        [],
        [stroke()],
        [stroke(), stroke(erase=True)],
        [stroke((10, 10), erase=True)],
        [stroke((100, 100), (150, 150)), stroke((100, 100), (150, 150), width=20, erase=True)],
        [stroke((100, 100), (150, 150)), stroke((0, 140), (280, 140), width=300, erase=True)],
        [stroke((-100, -100), (-50, 300))],
        [stroke((400, 400))],
        [stroke((-100, 400), (400, 1000), width=4)],
    ],
)
def test_no_ink_on_the_pad_is_none(drawing: list[Stroke]) -> None:
    assert prepare(drawing, PAD) is None
    assert not (rasterise(drawing, 56, PAD) > 0.5).any()


def test_order_of_erasing_counts() -> None:
    pen, eraser = stroke((60, 140), (220, 140)), stroke((140, 60), (140, 220), width=40, erase=True)
    before, after = rasterise([eraser, pen], 140, PAD), rasterise([pen, eraser], 140, PAD)
    assert np.array_equal(before, rasterise([pen], 140, PAD))
    assert after[70, 70] == 0 and after[70, 40] == 1
    drawn_again = rasterise([pen, eraser, pen], 140, PAD)
    assert np.array_equal(drawn_again, before)


def test_erasing_a_part_shrinks_the_box_to_what_is_left() -> None:
    whole = [stroke((60, 60), (60, 220)), stroke((200, 60), (200, 220))]
    left = ready([*whole, stroke((200, 40), (200, 240), width=60, erase=True)])
    assert np.allclose(left.box, (51, 51, 69, 229), atol=2)
    assert np.abs(left.fitted - ready(whole[:1]).fitted).max() < 0.12


def test_a_crumb_left_by_the_eraser_is_found_and_read_alone() -> None:
    drawing = [stroke((30, 30), (250, 250)), stroke((60, 60), (270, 270), width=60, erase=True)]
    x0, y0, x1, y1 = ready(drawing).box
    assert 15 < x0 < 22 and 15 < y0 < 22 and x1 - x0 < 40 and y1 - y0 < 40


@pytest.mark.parametrize("width", [1.0, 3.0, 18.0, 100.0])
def test_a_tap_is_a_spot_of_the_lines_width(width: float) -> None:
    """Whatever the brush, and even when the finger slipped a little: not blown up to the size of a digit."""
    still = [stroke(*[(100, 120)] * n, width=width) for n in (1, 2, 500)]
    for drawing in [*still, stroke((100, 120), (100 + width / 4, 120), width=width)]:
        result = ready([drawing])
        assert np.pi / 4 * strokes.INK_WIDTH**2 * 0.95 < float(result.fitted.sum()) < 25
        assert result.fitted[10, 10] > 0.9 and not result.fitted[:4].any() and not result.fitted[:, :4].any()


def test_a_one_a_single_unit_wide_is_as_bold_as_any() -> None:
    result = ready([stroke((140, 40), (140, 240), width=1.0)])
    assert result.image.any(axis=1).sum() == 20
    assert abs(float(result.fitted.sum()) - 17.5 * 2.5 - np.pi / 4 * 2.5**2) < 0.5  # the line, and its round ends


@pytest.mark.parametrize("extent", [1.0, 28.0, 280.0, 4000.0])
def test_the_pads_own_units_do_not_matter(extent: float) -> None:
    k = extent / PAD
    scaled = [Stroke(s.points * k, s.width * k) for s in DRAWINGS["four"]]
    assert np.abs(ready(scaled, extent).image - ready(DRAWINGS["four"]).image).max() < 1e-3


def test_ink_past_the_border_counts_as_far_as_one_sees_it() -> None:
    """A pen dragged far out of the pad shrinks nothing: the box ends at the pad's edge."""
    x0, y0, x1, y1 = ready([stroke((40, 140), (5000, 140)), stroke((60, 60), (60, 220))]).box
    assert np.allclose((x0, y0, x1, y1), (31, 51, 280, 229), atol=3)
    tiny = ready([stroke((279, 279), width=20)])  # a quarter of a dot, in the corner
    assert tiny.box[2:] == (280, 280) and tiny.fitted[10, 10] > 0.9
    along = ready([stroke((-3, 40), (-3, 240), width=20)])  # drawn on the very edge: what is seen of it is a line
    assert along.box[0] == 0 and along.image.any(axis=1).sum() == 20
    again = ready([stroke((100, 100), (100, 300), (150, 300), (150, 100))])  # out of the pad and in again: two lines
    assert not again.image[24:, 14].any()


def test_tiny_drawings_far_apart_in_scale() -> None:
    small = ready([Stroke((s.points - 140) * 0.004 + 140, s.width * 0.004) for s in DRAWINGS["eight"]])
    assert np.abs(small.fitted - ready(DRAWINGS["eight"]).fitted).max() < 0.01


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e7])
def test_coordinates_that_are_none_are_refused_by_their_number(bad: float) -> None:
    with pytest.raises(DataError, match="point 1 of a stroke"):
        stroke((1, 2), (3, bad), (4, 5))


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_widths_that_are_none_are_refused(width: float) -> None:
    with pytest.raises(DataError, match="width"):
        stroke((1, 2), width=width)


def test_points_of_another_shape_or_kind_are_refused() -> None:
    for points in (np.zeros(3), np.zeros((2, 3)), np.zeros((1, 2, 2))):
        with pytest.raises(DataError, match="shape"):
            Stroke(points, 1.0)
    with pytest.raises(DataError, match="numbers"):
        Stroke([["a", "b"]], 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("extent", [0.0, -5.0, float("nan"), float("inf")])
def test_a_pad_without_extent_is_refused(extent: float) -> None:
    for call in (lambda: prepare(DRAWINGS["one"], extent), lambda: rasterise(DRAWINGS["one"], 28, extent)):
        with pytest.raises(DataError, match="extent"):
            call()
    with pytest.raises(DataError, match="raster size 0"):
        rasterise([], 0, PAD)


SPOT = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)) | st.tuples(st.floats(0, 280), st.floats(0, 280))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.lists(SPOT, max_size=8), st.floats(1e-4, 300), st.booleans()), max_size=4))
def test_any_drawing_gives_an_image_or_none(parts: list[tuple[list[tuple[float, float]], float, bool]]) -> None:
    result = prepare([stroke(*points, width=width, erase=erase) for points, width, erase in parts], PAD)
    if result is not None:
        assert np.isfinite(result.image).all() and 0 <= result.image.min() <= result.image.max() <= 1
        assert result.crop.size and result.image.sum() > 0
        assert 0 <= result.box[0] < result.box[2] <= PAD and 0 <= result.box[1] < result.box[3] <= PAD


# The wire.


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.floats(-999, 999, width=32), st.floats(-999, 999, width=32)), max_size=5),
            st.floats(0.5, 64, width=32),
            st.booleans(),
        ),
        max_size=5,
    )
)
def test_pack_and_unpack_are_inverse(parts: list[tuple[list[tuple[float, float]], float, bool]]) -> None:
    drawing = [stroke(*points, width=width, erase=erase) for points, width, erase in parts]
    flat = pack(drawing)
    assert flat.dtype == np.float32 and len(flat) == sum(3 + 2 * len(s.points) for s in drawing)
    for source in (flat, flat.tolist()):
        back = unpack(source)
        assert len(back) == len(drawing)
        for a, b in zip(back, drawing, strict=True):
            assert np.array_equal(a.points, b.points) and (a.width, a.erase) == (b.width, b.erase)


@pytest.mark.parametrize(
    "flat, reason",
    [
        ([1, 18], "stroke 0, number 0"),
        ([2, 18, 0, 1, 1], "2 points announced, fewer follow"),
        ([-1, 18, 0], "not n, width, erase"),
        ([1.5, 18, 0, 1, 1], "not n, width, erase"),
        ([float("nan"), 18, 0], "not n, width, erase"),
        ([float("inf"), 18, 0], "announced"),
        ([1, 18, 2, 1, 1], "not n, width, erase"),
        ([1, 18, 0, 1, 1, 7], "stroke 1, number 5"),
        ([1, 0, 0, 1, 1], "width is 0"),
        ([1, 18, 0, 1, float("nan")], "point 0"),
        ("abc", "numbers"),
    ],
)
def test_damaged_numbers_are_refused(flat: object, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        unpack(flat)  # type: ignore[arg-type]


# Rasters.


def test_a_raster_takes_the_same_last_steps() -> None:
    for drawing in DRAWINGS.values():
        raster = averaged(exact(drawing, 0, 0, 560 / PAD, 560, 2), 560)
        result, as_drawn = prepare_raster(raster, threshold=0.5), prepare(drawing, PAD, ("re-ink",))
        assert result is not None and as_drawn is not None
        assert np.abs(result.fitted - as_drawn.fitted).max() < 0.12
        assert np.allclose(np.array(result.box) / 2, ready(drawing).box, atol=1)


@pytest.mark.parametrize("n", [1, 2, 7, 19, 20, 21, 33, 200])
def test_rasters_of_any_size_keep_their_share_of_ink(n: int) -> None:
    result = prepare_raster(np.pad(np.ones((n, n)), ((3, 0), (0, 5))))
    assert result is not None and np.allclose(result.fitted, 1) and result.offset == (4, 4)
    assert result.box == (0, 3, n, 3 + n) and result.ink.shape == (n + 3, n + 5)


def test_an_empty_raster_is_none_and_bad_ones_are_refused() -> None:
    assert prepare_raster(np.zeros((5, 5))) is None
    assert prepare_raster(np.full((5, 5), 0.4)) is None
    for bad, reason in (
        (np.zeros(5), "shape"),
        (np.zeros((0, 5)), "shape"),
        (np.full((5, 5), np.nan), "NaN"),
        ([["a"]], "numbers"),
    ):
        with pytest.raises(DataError, match=reason):
            prepare_raster(bad)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="threshold"):
        prepare_raster(np.ones((5, 5)), threshold=0.0)


def test_work_follows_the_path_not_the_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 points on the same line cost no more pieces than the raster can show."""
    seen: list[int] = []
    nearest = strokes._nearest

    def counting(start: NDArray[np.float64], *rest: object) -> NDArray[np.float32]:
        seen.append(len(start))
        return nearest(start, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(strokes, "_nearest", counting)
    at = np.linspace(0, 2 * np.pi, 20_000)
    ready([Stroke(np.stack([140 + 80 * np.cos(at), 140 + 80 * np.sin(at)], axis=1), 18.0)])
    assert seen and max(seen) <= 2 * math.pi * 45 / 0.5 + 2
