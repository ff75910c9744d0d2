"""Ink: pen strokes to the 28x28 image that a network reads, made exactly as MNIST was made.

One path for the page, the command line, training and tests:

    strokes --edge of the pad, eraser--> paths --re-ink--> 100x100 --area average--> 20x20 --centre of mass--> 28x28

Ink is kept as vectors: the brush changes only what the pad shows. What a network reads is drawn anew along the paths
with a line `INK_WIDTH` pixels of the 28x28 wide, so a digit drawn tiny in a corner, or with a broad brush, comes out
as one that fills the pad. What counts is what stands on the pad: ink beyond its edge does not, and an eraser takes the
paths away that its tip went over.

Conventions, read off MNIST itself (tests/unit/test_mnist.py holds them against all 70,000 images):
- The ink's box, line width included, is scaled so that its larger side measures 20 pixels. Its smaller side keeps the
  aspect exactly and is centred in the 20, so it may begin inside a pixel (three quarters of MNIST's smaller sides take
  an even number of pixels, as centring gives).
- The 20x20 is moved by whole pixels, so that the centre of mass, counting pixel i as i, lies in [13.5, 14.5).

Each stage can be left out (`STAGES`), to see what it is worth.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998, section III.A.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError

__all__ = [
    *("FIT", "INK_WIDTH", "SIDE", "STAGES", "Grid", "Prepared", "Stroke"),
    *("inked", "left_on_pad", "pack", "prepare", "prepare_raster", "rasterise", "unpack"),
]

Float = NDArray[np.float32]
Box = tuple[float, float, float, float]

SIDE = 28  # pixels of the image
FIT = 20  # pixels of the digit's larger side within it
INK_WIDTH = 2.5  # pixels: the line that digits are re-inked with
STAGES = ("re-ink", "crop", "aspect", "centre")  # what `prepare` can leave out
OVERSAMPLE = 5  # raster pixels to one pixel of the 20x20, each way
INK_SIDE = 140  # pixels of the pad's raster that is made for display
MAX_SIZE = 4096  # pixels of a raster's side
MAX_COORDINATE = 1e6  # pad units; a pad has hundreds
MIN_WIDTH = 1e-4  # pad units; still far above the rounding of the largest coordinate
_HATCHING = 8  # strokes: more than these may be hatching, which fills a shape
_HATCHED = (1.3, 4.0)  # pixels: the shape's own line width, where it is one; thinner ones gain from MNIST's
_TAP = 0.75  # of the brush: paths smaller than this are a spot that is not blown up to a digit's size
_ERASER_STEPS = 32  # to the eraser's width: how finely a path is looked at under it
_MERGE = 0.5  # raster pixels: points that follow each other closer than this along the path are merged
_CELLS = 1 << 16  # cells evaluated at a time: small enough for the caches, 15 % faster than all at once


@dataclass(frozen=True, eq=False)
class Stroke:
    """One stroke of a round pen or eraser.

    points: (n, 2) x, y in pad units, x right, y down; one point is a dot, none draws nothing.
    width: diameter of the tip in pad units. erase: removes the ink of the strokes before it instead of adding ink.

    Raises:
        DataError: points of another shape, a coordinate that is not finite or beyond 1e6, a width outside
            1e-4 to 1e6.
    """

    points: NDArray[np.float64]
    width: float
    erase: bool = False

    def __post_init__(self) -> None:
        try:
            points = np.asarray(self.points, np.float64)
            width = float(self.width)
        except (TypeError, ValueError) as error:
            raise DataError(f"a stroke's points and width must be numbers: {error}") from None
        if points.size == 0:
            points = points.reshape(0, 2)
        if points.ndim != 2 or points.shape[1] != 2:
            raise DataError(f"a stroke's points have shape {points.shape}; give (n, 2), a row x, y for each point")
        bad = ~(np.abs(points) <= MAX_COORDINATE).all(axis=1)  # true for NaN too
        if bad.any():
            i = int(np.argmax(bad))
            raise DataError(f"point {i} of a stroke is ({points[i, 0]}, {points[i, 1]}); leave such points out")
        if not MIN_WIDTH <= width <= MAX_COORDINATE:
            raise DataError(f"a stroke's width is {width}; give {MIN_WIDTH:g} to {MAX_COORDINATE:g} pad units")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "width", width)
        object.__setattr__(self, "erase", bool(self.erase))


class Grid(NamedTuple):
    """Where an image's pixels lie on what it was made of: pixel (row, column) begins at (x + column * width,
    y + row * height), in pad units of strokes or pixels of a raster. inked: whether lines have `INK_WIDTH` there, not
    the brush's width.
    """

    x: float
    y: float
    width: float
    height: float
    inked: bool

    def moved(self, row: int, column: int) -> Grid:
        """The grid of a larger image in which this one's first pixel is (row, column)."""
        return self._replace(x=self.x - column * self.width, y=self.y - row * self.height)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A digit made ready, and the stages on the way; every array is float32, 0 paper to 1 ink.

    image: (28, 28), what the network reads. fitted: (20, 20), before centring. offset: (row, column) in the image where
    fitted's first pixel went. crop: the raster of the box. box: x0, y0, x1, y1 of the ink, in pad units (of strokes) or
    pixels (of a raster). grid: where the image's pixels lie there.
    """

    image: Float
    box: Box
    crop: Float
    fitted: Float
    offset: tuple[int, int]
    grid: Grid
    _draw: Callable[[], Float] = field(repr=False)

    @cached_property
    def ink(self) -> Float:
        """The raster before cropping, for display; made when first asked for, since reading needs it not."""
        return self._draw()


def pack(strokes: Sequence[Stroke]) -> Float:
    """Flatten strokes to float32 numbers: for each stroke n, width, erase (0 or 1), x0, y0, x1, y1, ..."""
    parts = [
        np.concatenate(([len(s.points), s.width, float(s.erase)], s.points.reshape(-1))).astype(np.float32)
        for s in strokes
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def unpack(flat: ArrayLike) -> list[Stroke]:
    """Rebuild strokes from the numbers that `pack` (or the page's pad) made.

    Raises:
        DataError: numbers missing or left over, or a stroke that is not one; the message says which.
    """
    try:
        values = np.asarray(flat, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise DataError(f"packed strokes must be numbers: {error}") from None
    strokes: list[Stroke] = []
    at = 0
    while at < len(values):
        head = values[at : at + 3]
        if len(head) < 3 or not head[0] >= 0 or head[0] != np.floor(head[0]) or head[2] not in (0.0, 1.0):
            raise DataError(f"stroke {len(strokes)}, number {at}: not n, width, erase (0 or 1) but {head.tolist()}")
        if head[0] > (len(values) - at - 3) // 2:
            raise DataError(f"stroke {len(strokes)}, number {at}: {head[0]:g} points announced, fewer follow")
        end = at + 3 + 2 * int(head[0])
        strokes.append(Stroke(values[at + 3 : end].reshape(-1, 2), float(head[1]), bool(head[2])))
        at = end
    return strokes


def rasterise(strokes: Sequence[Stroke], size: int, extent: float) -> Float:
    """Draw strokes as they stand on the pad.

    Ink covers a pixel by  clip(min(r + d, 1/2) - max(d - r, -1/2), 0, 1),  d the distance of its centre from the path
    and r half the line's width, in pixels: the exact cover of a straight line parallel to the pixels, close elsewhere.
    Ink over ink keeps the larger cover; an eraser of cover e leaves (1 - e) of the ink before it.

    Args:
        strokes: in the order drawn. size: pixels of the raster's side, 1 to 4096. extent: side of the pad, pad units.
    Returns:
        float32 (size, size), 0 paper to 1 ink.
    Raises:
        DataError: size or extent out of range.
    """
    if not 1 <= size <= MAX_SIZE:
        raise DataError(f"raster size {size}: give 1 to {MAX_SIZE} pixels")
    side = _checked_extent(extent)
    return _draw(strokes, _View(0.0, 0.0, size / side, int(size)))


def prepare(strokes: Sequence[Stroke], extent: float, without: Collection[str] = ()) -> Prepared | None:
    """Turn the ink on a pad into the 28x28 image that a network reads, exactly as MNIST was made.

    Args:
        strokes: in the order drawn. extent: side of the square pad, in pad units.
        without: stages of `STAGES` to leave out. "re-ink": lines keep the brush's width (as the many strokes of a shape
            filled by hatching always do, where the shape has a line of its own). "crop": the whole pad is
            scaled down, not the ink's box. "aspect": the box is stretched to a square. "centre": the 20x20 stays in
            the middle.
    Returns:
        the image and the stages on the way, or None when no ink is left on the pad.
    Raises:
        DataError: extent is not from 1e-4 to 1e6, or a stage is none.
    """
    side = _checked_extent(extent)
    unknown = sorted(set(without) - set(STAGES))
    if unknown:
        raise DataError(f"there is no stage {unknown[0]!r} to leave out; there are: {', '.join(STAGES)}")
    drawn = [s for s in strokes if len(s.points)]
    paths = left_on_pad(drawn, side)
    if not paths:
        return None
    if len(paths) > _HATCHING and "re-ink" not in without and _is_hatched(paths, side):
        without = {*without, "re-ink"}
    raster, place, grid = _fitted_raster(paths, side, without)
    fitted = raster.reshape(FIT, OVERSAMPLE, FIT, OVERSAMPLE).mean(axis=(1, 3), dtype=np.float32)
    spans = _spans(raster > 0)
    crop = raster if spans is None or "crop" in without else raster[spans[0] : spans[1], spans[2] : spans[3]]
    centre = "centre" not in without
    return _centred(fitted, place, grid, crop, lambda: rasterise(drawn, INK_SIDE, side), centre=centre)


def prepare_raster(raster: ArrayLike, *, threshold: float = 0.5) -> Prepared | None:
    """Turn a raster of one digit into the 28x28 image by the same last steps as `prepare`.

    Args:
        raster: (H, W), 0 paper to 1 ink, values beyond are clipped. threshold: the box holds every pixel that reaches
            it (paler pixels inside the box stay as they are).
    Returns:
        as `prepare`, `box` in pixels of the raster; None when no pixel reaches the threshold.
    Raises:
        DataError: not a 2-D array of finite numbers, or threshold not above 0 and at most 1.
    """
    try:
        ink = np.asarray(raster, np.float32)
    except (TypeError, ValueError) as error:
        raise DataError(f"a raster must be an array of numbers: {error}") from None
    if ink.ndim != 2 or ink.size == 0:
        raise DataError(f"a raster has shape {ink.shape}; give (height, width), both at least 1")
    if not np.isfinite(ink).all():
        raise DataError("a raster holds NaN or infinity; give numbers from 0 (paper) to 1 (ink)")
    if not 0 < threshold <= 1:
        raise DataError(f"threshold {threshold}: give a number above 0 and at most 1")
    ink = np.clip(ink, 0.0, 1.0)
    spans = _spans(ink >= threshold)
    if spans is None:
        return None
    top, bottom, left, right = spans
    crop = ink[top:bottom, left:right]
    square = max(crop.shape)
    fitted = np.asarray(_averaging(crop.shape[0], square) @ crop @ _averaging(crop.shape[1], square).T, np.float32)
    corner = [float(first - (square - n) // 2) for first, n in zip((left, top), crop.shape[::-1], strict=True)]
    grid = Grid(corner[0], corner[1], square / FIT, square / FIT, inked=False)
    return _centred(fitted, (float(left), float(top), float(right), float(bottom)), grid, crop, lambda: ink)


# The last steps, shared by strokes and rasters.


def _averaging(n: int, square: int) -> Float:
    """The (20, n) matrix that averages `square` pixels by area over 20, n of them ink's and centred, the rest blank.

    Centred to whole pixels of the raster, so that a digit of MNIST's own size is copied, not blurred by half a pixel.
    """
    step = square / FIT
    edges = np.arange(FIT + 1) * step - (square - n) // 2
    pixel = np.arange(n)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.asarray(np.clip(overlap, 0.0, None) / step, np.float32)


def _centred(
    fitted: Float, box: Box, grid: Grid, crop: Float, draw: Callable[[], Float], *, centre: bool = True
) -> Prepared | None:
    fitted = np.clip(fitted, 0.0, 1.0).astype(np.float32)
    mass = float(fitted.sum(dtype=np.float64))
    if mass <= 0.0:
        return None
    row = column = (SIDE - FIT) // 2
    if centre:
        row = _shift(fitted.sum(axis=1, dtype=np.float64), mass)
        column = _shift(fitted.sum(axis=0, dtype=np.float64), mass)
    image = np.zeros((SIDE, SIDE), np.float32)
    # Blank rows and columns of the 20x20 may fall off the image; ink never does (see _shift).
    rows = slice(max(0, -row), min(FIT, SIDE - row))
    columns = slice(max(0, -column), min(FIT, SIDE - column))
    image[rows.start + row : rows.stop + row, columns.start + column : columns.stop + column] = fitted[rows, columns]
    return Prepared(image, box, np.ascontiguousarray(crop), fitted, (row, column), grid.moved(row, column), draw)


def _shift(profile: NDArray[np.float64], mass: float) -> int:
    """Whole pixels that bring the centre of mass into [13.5, 14.5), or as near as ink stays within the image."""
    centre = float(profile @ np.arange(FIT)) / mass
    # The small number lets a symmetric drawing, whose centre is at a tie, come out the same whatever the rounding.
    shift = int(np.ceil(SIDE / 2 - 0.5 - centre - 1e-4))
    inked = np.flatnonzero(profile > 0)
    return int(np.clip(shift, -inked[0], SIDE - 1 - inked[-1]))


# The paths of the ink.


def _checked_extent(extent: float) -> float:
    if not MIN_WIDTH <= extent <= MAX_COORDINATE:
        raise DataError(f"pad extent {extent}: give the pad's side, {MIN_WIDTH:g} to {MAX_COORDINATE:g} pad units")
    return float(extent)


def left_on_pad(strokes: Sequence[Stroke], extent: float) -> list[Stroke]:
    """The pen's paths as far as their ink stands on the pad, cut where a later eraser went over them."""
    left: list[Stroke] = []
    for i, stroke in enumerate(strokes):
        if stroke.erase:
            continue
        pieces = _within(stroke.points, stroke.width / 2, extent)
        for eraser in (s for s in strokes[i + 1 :] if s.erase):
            pieces = [rest for piece in pieces for rest in _erased(piece, eraser)]
        left += [Stroke(piece, stroke.width) for piece in pieces]
    return left


def _within(points: NDArray[np.float64], reach: float, extent: float) -> list[NDArray[np.float64]]:
    """The parts of a path whose ink reaches onto the pad, moved onto it where only the ink's edge does."""
    if (points >= 0.0).all() and (points <= extent).all():
        return [points]
    if len(points) == 1:
        seen = ((points > -reach) & (points < extent + reach)).all()
        return [np.clip(points, 0.0, extent)] if seen else []
    start, along = points[:-1], np.diff(points, axis=0)
    enter, leave = _inside_square(start, along, reach * (1 - 1e-9), extent)
    pieces: list[list[NDArray[np.float64]]] = []
    joined = False  # whether the path comes into this segment without having left the pad
    for k in np.flatnonzero(enter <= leave):
        if not (joined and enter[k] == 0.0 and enter[k - 1] <= leave[k - 1]):
            pieces.append([start[k] + along[k] * enter[k]])
        pieces[-1].append(start[k] + along[k] * leave[k])
        joined = leave[k] == 1.0
    return [np.clip(np.array(piece), 0.0, extent) for piece in pieces]


def _erased(path: NDArray[np.float64], eraser: Stroke) -> list[NDArray[np.float64]]:
    """What is left of a path when the eraser's tip has taken all of it that came under."""
    reach = eraser.width / 2
    fine = _subdivided(path, eraser.width / _ERASER_STEPS)
    kept = _distance(fine, eraser.points) > reach
    if kept.all():
        return [path]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], kept, [False])).astype(np.int8)))
    return [fine[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _subdivided(path: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """The path with points put between, so that none is farther than `step` from the next; at most 100,000 of them."""
    length = np.hypot(*np.diff(path, axis=0).T)
    step = max(step, float(length.sum()) / 100_000)
    count = np.maximum(np.ceil(length / step), 1.0).astype(np.intp)
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    share = (number / np.repeat(count, count))[:, None]
    between = np.repeat(path[:-1], count, axis=0) * (1 - share) + np.repeat(path[1:], count, axis=0) * share
    return np.concatenate((between, path[-1:]))


def _distance(points: NDArray[np.float64], path: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distance of each point from a path."""
    start = path[:-1] if len(path) > 1 else path
    along = np.diff(path, axis=0) if len(path) > 1 else np.zeros_like(path)
    squared = np.maximum((along**2).sum(axis=1), 1e-300)
    nearest = np.full(len(points), np.inf)
    for first in range(0, len(start), 64):  # some segments at a time bound the memory
        part = slice(first, first + 64)
        away = points[:, None] - start[part]
        t = np.clip((away * along[part]).sum(axis=2) / squared[part], 0.0, 1.0)
        away -= t[:, :, None] * along[part]
        np.minimum(nearest, np.hypot(away[..., 0], away[..., 1]).min(axis=1), out=nearest)
    return nearest


def _is_hatched(paths: Sequence[Stroke], extent: float) -> bool:
    """Whether many strokes fill a shape whose line is about MNIST's: then they are no lines of their own.

    The shape's line width is twice its area by the length of its outline, which is 4/pi too long in pixels.
    """
    raster, _, _ = _fitted_raster(paths, extent, ("re-ink",))
    ink = np.pad(raster >= 0.5, 1)
    outline = np.count_nonzero(np.diff(ink, axis=0)) + np.count_nonzero(np.diff(ink, axis=1))
    width = 2 * np.count_nonzero(ink) / max(outline * np.pi / 4, 1.0) / OVERSAMPLE
    return bool(_HATCHED[0] <= width <= _HATCHED[1])


def _fitted_raster(paths: Sequence[Stroke], extent: float, without: Collection[str]) -> tuple[Float, Box, Grid]:
    """The raster of 20 x 20 times the oversampling, the box of the ink in pad units, and the grid of the 20 x 20."""
    half = np.array([s.width / 2 for s in paths])[:, None]
    points = [s.points for s in paths]
    inner = np.array([p.min(axis=0) for p in points]), np.array([p.max(axis=0) for p in points])
    low, high = (inner[0] - half).min(axis=0), (inner[1] + half).max(axis=0)  # with the brush's width
    box = tuple(float(n) for n in np.clip(np.concatenate((low, high)), 0.0, extent))
    fine = FIT * OVERSAMPLE
    room = float(fine)
    if "crop" in without:
        low, high = np.zeros(2), np.full(2, extent)
    elif "re-ink" not in without:
        low, high = inner[0].min(axis=0), inner[1].max(axis=0)
        room -= INK_WIDTH * OVERSAMPLE
    span = high - low
    if "aspect" not in without:
        span = np.full(2, span.max())
    scale = room / np.maximum(span, _TAP * 2 * float(half.max()))
    centre = (low + high) / 2
    corner, pixel = centre - fine / 2 / scale, OVERSAMPLE / scale
    grid = Grid(float(corner[0]), float(corner[1]), float(pixel[0]), float(pixel[1]), "re-ink" not in without)
    raster = _draw(_on_raster(paths, centre, scale, grid.inked), _View(0.0, 0.0, 1.0, fine))
    return raster, (box[0], box[1], box[2], box[3]), grid


def _on_raster(paths: Sequence[Stroke], centre: NDArray[Any], scale: NDArray[Any], inked: bool) -> list[Stroke]:
    """Paths on the pad in cells of the raster, in whose middle `centre` comes to lie."""
    wide, middle = INK_WIDTH * OVERSAMPLE, FIT * OVERSAMPLE / 2
    stretch = float(np.sqrt(scale[0] * scale[1]))  # a round tip stays round when the box is stretched
    return [Stroke((s.points - centre) * scale + middle, wide if inked else s.width * stretch) for s in paths]


def inked(paths: Sequence[Stroke], grid: Grid, row: int, column: int) -> Float:
    """How much ink some paths alone put on pixel (row, column) of an image with that grid, cell by cell of the raster
    that `prepare` averages: (OVERSAMPLE, OVERSAMPLE), 0 to 1."""
    pixel = np.array((grid.width, grid.height))
    moved = _on_raster(paths, (grid.x, grid.y) + FIT / 2 * pixel, OVERSAMPLE / pixel, grid.inked)
    return _draw(moved, _View(float(column * OVERSAMPLE), float(row * OVERSAMPLE), 1.0, OVERSAMPLE))


def _spans(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """First row, end row, first column, end column of what is true."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


# The rasteriser.


@dataclass(frozen=True)
class _View:
    """A square window on the pad: its first corner in pad units, pixels per pad unit, pixels of its side."""

    x: float
    y: float
    scale: float
    size: int


def _draw(strokes: Sequence[Stroke], view: _View) -> Float:
    ink = np.zeros((view.size, view.size), np.float32)
    for erase, group in groupby((s for s in strokes if len(s.points)), key=lambda s: s.erase):
        cover = _cover(list(group), view)
        ink = ink * (np.float32(1.0) - cover) if erase else np.maximum(ink, cover)
    return ink


def _cover(strokes: Sequence[Stroke], view: _View) -> Float:
    """The cover of the strokes' union, strokes of equal width drawn together."""
    cover = np.zeros((view.size, view.size), np.float32)
    for width, group in groupby(sorted(strokes, key=lambda s: s.width), key=lambda s: s.width):
        radius = width / 2 * view.scale
        start, along = _segments([(s.points - (view.x, view.y)) * view.scale for s in group], radius, view.size)
        if len(start):
            distance = np.sqrt(_nearest(start, along, radius, view.size))
            r = np.float32(radius)
            inner = np.minimum(distance + r, np.float32(0.5)) - np.maximum(distance - r, np.float32(-0.5))
            cover = np.maximum(cover, np.maximum(inner, np.float32(0.0)))
    return cover


def _segments(paths: list[NDArray[np.float64]], radius: float, size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cut paths in raster pixels into short pieces near the raster: start points and the way to their end points."""
    points = np.concatenate(paths)
    ends = np.cumsum([len(p) for p in paths])
    first = np.zeros(len(points), np.bool_)
    first[0] = True
    first[ends[:-1]] = True
    last = np.zeros(len(points), np.bool_)
    last[ends - 1] = True
    # Merge points that crowd: keep the first point in each stretch of the path, and both ends of each stroke.
    step = np.zeros(len(points))
    step[1:] = np.hypot(*np.diff(points, axis=0).T)
    step[first] = 0.0
    stretch = np.floor(np.cumsum(step) / _MERGE)
    keep = first | last
    keep[1:] |= np.diff(stretch) > 0
    points, first, last = points[keep], first[keep], last[keep]
    # A dot is a segment from a point to itself; otherwise each point but a stroke's last begins a segment.
    begins = np.flatnonzero(~last | (first & last))
    start = points[begins]
    along = np.where((first & last)[begins, None], 0.0, points[np.minimum(begins + 1, len(points) - 1)] - start)
    start, along = _clipped(start, along, radius + 1.0, size)
    piece = max(8.0, 2.0 * radius)  # about where windows and their number together cost least
    count = np.maximum(np.ceil(np.hypot(along[:, 0], along[:, 1]) / piece), 1.0).astype(np.intp)
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    along = np.repeat(along / count[:, None], count, axis=0)
    return np.repeat(start, count, axis=0) + along * number[:, None], along


def _clipped(start: NDArray[Any], along: NDArray[Any], margin: float, size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Keep of each segment what lies within the raster and a margin."""
    enter, leave = _inside_square(start, along, margin, size)
    seen = enter <= leave
    start, along, enter, leave = start[seen], along[seen], enter[seen, None], leave[seen, None]
    return start + along * enter, along * (leave - enter)


def _inside_square(
    start: NDArray[Any], along: NDArray[Any], margin: float, size: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The share of each segment, from and to, within the square and a margin: from > to where none (Liang-Barsky)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        low, high = (-margin - start) / along, (size + margin - start) / along
    still = along == 0.0
    inside = (start >= -margin) & (start <= size + margin)
    enter = np.where(still, np.where(inside, 0.0, 2.0), np.minimum(low, high)).max(axis=1)
    leave = np.where(still, np.where(inside, 1.0, -1.0), np.maximum(low, high)).min(axis=1)
    return np.maximum(enter, 0.0), np.minimum(leave, 1.0)


def _nearest(start: NDArray[Any], along: NDArray[Any], radius: float, size: int) -> Float:
    """Squared distance of every pixel's centre from the nearest segment, where it is within reach of the line.

    Each segment is compared with the pixels of one small window around it, all segments at once. With p the pixel less
    the segment's start, u its direction, L its length:  t = clip(p.u, 0, L),  d^2 = p.p + t (t - 2 p.u).
    """
    length = np.hypot(along[:, 0], along[:, 1])
    reach = radius + 0.5
    window = int(np.ceil(float(length.max()) + 2 * reach)) + 1
    if window >= size:
        window, pad = size, 0
        corner = np.zeros((len(start), 2), np.intp)
    else:
        pad = window + int(np.ceil(radius)) + 2  # windows of segments in the margin reach outside the raster
        corner = np.ceil(start + along / 2 - (window - 1) / 2 - 0.5).astype(np.intp)
    stride = size + 2 * pad
    squares = np.full(stride * stride, np.inf, np.float32)
    safe = np.where(length > 0, length, 1.0)
    u = (along / safe[:, None]).astype(np.float32)
    reach_along = length.astype(np.float32)
    offset = (corner + 0.5 - start).astype(np.float32)
    index = (corner[:, 1] + pad) * stride + corner[:, 0] + pad
    cell = np.arange(window, dtype=np.float32)
    cells = (np.arange(window)[:, None] * stride + np.arange(window)[None, :]).reshape(-1)
    chunk = max(1, _CELLS // (window * window))
    for i in range(0, len(start), chunk):
        part = slice(i, i + chunk)
        x, y = offset[part, 0, None] + cell, offset[part, 1, None] + cell
        dot = (y * u[part, 1, None])[:, :, None] + (x * u[part, 0, None])[:, None, :]
        t = np.clip(dot, np.float32(0.0), reach_along[part, None, None])
        dot += dot
        np.subtract(t, dot, out=dot)
        dot *= t
        dot += (y * y)[:, :, None] + (x * x)[:, None, :]
        np.minimum.at(squares, (index[part, None] + cells).reshape(-1), dot.reshape(-1))
    inner = squares.reshape(stride, stride)[pad : pad + size, pad : pad + size]
    return np.maximum(inner, np.float32(0.0))
