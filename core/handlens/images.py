"""Images: a photo, scan or screenshot to the 28x28 images that a network reads, one for each digit.

    pixels --over white, luma--> grey --handlens.paper--> ink --pieces, less specks--> groups --prepare_raster--> 28x28

The last steps are those of drawn ink. Paper is what most of the border shows, under any light; ink is what differs from
it most, dark on light or light on dark; ruled lines are taken away. A frame around the paper (a photo's table edge, a
window's border) is looked inside, once. A line much thinner than MNIST's is broadened, as ink on the pad is re-inked.

Not done here: digits that touch each other stay one piece, which a network should refuse; lines of writing; a page
turned by more than a few degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import grouping
from .errors import DataError
from .paper import ink_of, otsu, spread, without_rules
from .strokes import FIT, INK_WIDTH, SIDE, Float, Grid, Prepared, prepare_raster

__all__ = ["Sheet", "grey", "otsu", "prepare", "prepare_all", "sheet"]

WORKING_SIDE = 560  # pixels of the longer side that are worked on; larger images are averaged down first
MAX_PIXELS = 100_000_000
FAINT = 0.06  # of full ink: paler pixels beside ink belong to the paper
JOINS = 0.3  # of full ink: what paler pixels alone connect are two pieces
SPECK = 0.03  # of the largest piece of ink: smaller pieces are specks
FRAME = 0.5  # of the area: more "ink" than this is a frame, and what it encloses is the paper
SOLID = 0.7  # of its own box: a large piece that fills more is a sheet before a background
LARGE = 0.12  # of the area, for such a piece
EDGE = 0.5  # of a side: a piece along that much of the border is the edge of the page, where other ink is at hand
FINE_LINE = 1.5  # pixels of the 28x28: a thinner line is broadened
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709


@dataclass(frozen=True, eq=False)
class Sheet:
    """The ink of an image, piece by piece.

    ink: (H, W), 0 to 1. label: (H, W), 0 paper, 1, 2, .. the pieces. line: the width of the pen's line, in pixels.
    step, corner: pixels of the image given to one of `ink`, and the row and column there where it begins.
    """

    ink: Float
    label: NDArray[np.intp]
    line: float
    step: int
    corner: tuple[int, int]

    def layout(self) -> grouping.Layout:
        """Which pieces may make one digit."""
        return grouping.lay_out(grouping.of_labels(self.label, self.line))

    def prepared(self, pieces: Sequence[int] | None = None) -> Prepared | None:
        """The 28x28 image of some pieces (from 0; all when left out), `box` and `grid` in pixels of the image given."""
        number = np.zeros(int(self.label.max()) + 1, np.bool_)
        number[1:] = pieces is None
        if pieces is not None:
            number[np.asarray(pieces, np.intp) + 1] = True
        ink = self.ink * number[self.label]
        ready = prepare_raster(self._broadened(ink), threshold=FAINT)
        if ready is None:
            return None
        x0, y0, x1, y1 = ready.box
        row, column = self.corner
        box = (x0 * self.step + column, y0 * self.step + row, x1 * self.step + column, y1 * self.step + row)
        x, y, width, height, inked = ready.grid
        step = self.step
        grid = Grid(x * step + column, y * step + row, width * step, height * step, inked)
        return replace(ready, box=box, grid=grid)

    def _broadened(self, ink: Float) -> Float:
        """Ink whose line would come out much thinner than MNIST's, with its line as broad as re-inked strokes'."""
        rows, columns = np.flatnonzero(ink.max(axis=1) >= FAINT), np.flatnonzero(ink.max(axis=0) >= FAINT)
        if not len(rows):
            return ink
        side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
        reach = round((side * INK_WIDTH / FIT - self.line) / 2)
        if side < SIDE or self.line * FIT / side >= FINE_LINE or reach < 1:
            return ink
        top, left = max(0, rows[0] - reach), max(0, columns[0] - reach)
        part = (slice(top, rows[-1] + reach + 1), slice(left, columns[-1] + reach + 1))
        broad = np.zeros_like(ink)
        broad[part] = _disc_spread(ink[part], reach)
        return broad


def _disc_spread(ink: Float, reach: int) -> Float:
    """The largest ink within `reach` pixels, near enough: octagons by turns of a square and a cross."""
    for turn in range(reach):
        if turn % 2:
            ink = spread(ink, 1)
            continue
        padded = np.pad(ink, 1)
        ink = np.maximum(ink, np.maximum(padded[:-2, 1:-1], padded[2:, 1:-1]))
        ink = np.maximum(ink, np.maximum(padded[1:-1, :-2], padded[1:-1, 2:]))
    return ink


def sheet(pixels: NDArray[Any]) -> Sheet | None:
    """Find the ink of an image.

    Args:
        pixels: uint8 (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA; any size, either polarity.
    Returns:
        its pieces; None when nothing stands out from the paper.
    Raises:
        DataError: another type or shape, no pixel, or more than 100 million.
    """
    light, step, corner = _reduced(_checked(pixels))
    ink = ink_of(light)
    if ink is None:
        return None
    opening = _opening(ink)
    if opening is not None:
        top, bottom, left, right = opening
        within = ink_of(light[top:bottom, left:right])
        if within is not None and (within >= 0.5).mean() <= FRAME:
            ink, corner = within, (corner[0] + top * step, corner[1] + left * step)
    ink = without_rules(ink)
    if ink is None:
        return None
    ink = ink * _digits_only(ink)
    label = components(ink >= JOINS)
    if not label.any():
        label = components(ink >= FAINT)
    if not label.any():
        return None
    label = _grown(label, ink >= FAINT)
    return Sheet(ink, label, _line_width(ink), step, corner)


def prepare(pixels: NDArray[Any]) -> Prepared | None:
    """Find the ink in an image and make one 28x28 image of all of it.

    Args:
        pixels: as `sheet`.
    Returns:
        the image and the stages on the way, `box` in pixels of the image given; None when nothing stands out from the
        paper.
    Raises:
        DataError: as `sheet`.
    """
    found = sheet(pixels)
    return None if found is None else found.prepared()


def prepare_all(pixels: NDArray[Any]) -> list[Prepared]:
    """Find the digits in an image, told apart by their shapes and places alone; `numbers.read_image` asks a network.

    Args:
        pixels: as `sheet`.
    Returns:
        a 28x28 image and its stages for each digit, from left to right; none for an empty sheet.
    Raises:
        DataError: as `sheet`.
    """
    found = sheet(pixels)
    if found is None:
        return []
    layout = found.layout()
    scores = [layout.prior(group) for group in layout.groups]
    row, _ = grouping.best_row(len(layout.units), layout.groups, scores)
    made = [found.prepared(layout.parts(layout.groups[k])) for k in row]
    return [ready for ready in made if ready is not None]


def grey(pixels: NDArray[Any], paper: float = 1.0) -> Float:
    """Luma of 8-bit pixels, 0 black to 1 white:  Y = .2126 R + .7152 G + .0722 B  on the coded values (BT.709).

    Args:
        pixels: uint8 (H, W), (H, W, 3) or (H, W, 4). paper: the luma that shows through where alpha is below 1.
    """
    scale = np.float32(1.0 / 255.0)
    if pixels.ndim == 2:
        return np.asarray(pixels * scale, np.float32)
    # A channel at a time: three times as fast as a product with the three weights.
    luma: Float = np.asarray(pixels[..., 0] * (_LUMA[0] * scale), np.float32)
    for channel in (1, 2):
        luma += np.multiply(pixels[..., channel], _LUMA[channel] * scale, dtype=np.float32)
    if pixels.shape[2] == 4:
        alpha = np.multiply(pixels[..., 3], scale, dtype=np.float32)
        luma = (luma - np.float32(paper)) * alpha + np.float32(paper)
    return luma


def _checked(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        kind = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise DataError(f"an image must be a uint8 array, 0 to 255; got {kind}")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise DataError(f"an image has shape {pixels.shape}; give (height, width), or that with 3 or 4 channels")
    height, width = pixels.shape[:2]
    if not 0 < height * width <= MAX_PIXELS:
        raise DataError(f"an image of {width} x {height} pixels; give at least one and at most {MAX_PIXELS:,}")
    return pixels


def _reduced(pixels: NDArray[np.uint8]) -> tuple[Float, int, tuple[int, int]]:
    """Grey, averaged down by a whole step: the result, the step, and the row and column where it begins."""
    height, width = pixels.shape[:2]
    step = -(-max(height, width) // WORKING_SIDE)
    paper = _paper_beneath(pixels[:: min(step, height), :: min(step, width)])
    if step == 1:
        return grey(pixels, paper), 1, (0, 0)
    step = min(step, height, width)
    rows, columns = height // step, width // step
    top, left = (height - rows * step) // 2, (width - columns * step) // 2
    result = np.empty((rows, columns), np.float32)
    band = max(1, 4_000_000 // (width * step))  # rows of the result at a time, to bound the memory of large photos
    for row in range(0, rows, band):
        end = min(row + band, rows)
        part = grey(pixels[top + row * step : top + end * step, left : left + columns * step], paper)
        result[row:end] = part.reshape(end - row, step, columns, step).mean(axis=(1, 3))
    return result, step, (top, left)


def _paper_beneath(pixels: NDArray[np.uint8]) -> float:
    """The luma to lay under a transparent image: white, but black where what is opaque in it is itself nearly white."""
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return 1.0
    shown = pixels[pixels[..., 3] >= 128]
    if not 0 < len(shown) < pixels.shape[0] * pixels.shape[1]:
        return 1.0
    return 0.0 if float((shown[:, :3] @ _LUMA).mean()) > 191.0 else 1.0


def _opening(ink: Float) -> tuple[int, int, int, int] | None:
    """The rows and columns, from and to, inside a frame of "ink" or inside a sheet that lies before a background."""
    strong = ink >= 0.5
    if float(strong.mean()) > FRAME:
        box = _box(ink >= FAINT)
    else:
        label = components(strong)
        area = np.bincount(label.reshape(-1))
        area[0] = 0
        box = _box(label == int(area.argmax()))
        span = (box[1] - box[0]) * (box[3] - box[2])
        if span < LARGE * ink.size or int(area.max()) < SOLID * span:
            return None
    top, bottom, left, right = box
    margin = max(1, round(0.02 * min(bottom - top, right - left)))
    top, bottom, left, right = top + margin, bottom - margin, left + margin, right - margin
    return (top, bottom, left, right) if min(bottom - top, right - left) >= 5 else None


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First row, end row, first column, end column of what is true; something is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _digits_only(ink: Float) -> NDArray[np.bool_]:
    """Drop specks, and the edge of the page where it runs along the border beside other ink."""
    mask = ink >= FAINT
    label = components(mask)
    count = int(np.max(label))
    size = np.bincount(label[(ink >= 0.5) & mask], minlength=count + 1)
    size[0] = 0  # what is not in the mask
    along = np.zeros(count + 1)
    for side in (label[0], label[-1], label[:, 0], label[:, -1]):
        along = np.maximum(along, np.bincount(side, minlength=count + 1) / len(side))
    along[0] = 0
    inner = np.where(along < EDGE, size, 0)
    if float(np.max(inner)) >= 0.001 * ink.size:
        size = inner
    keep = size >= max(1.0, SPECK * float(np.max(size)))
    keep[0] = False
    return np.asarray(keep[label], np.bool_)


def _grown(label: NDArray[np.intp], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Give the pale pixels of the mask to the piece they are nearest to, step by step."""
    label = label.copy()
    while True:
        open_pixels = mask & (label == 0)
        wider = np.where(open_pixels, spread(label, 1), label)
        if np.array_equal(wider, label):
            return np.asarray(label, np.intp)
        label = wider


def _line_width(ink: Float) -> float:
    """The width of the pen's line: twice the area over the length of the outline.

    The outline's length is the number of steps between ink and paper along rows and columns, times pi/4 (Crofton).
    """
    padded = np.pad(ink, 1) >= 0.5
    steps = int((padded[1:] != padded[:-1]).sum()) + int((padded[:, 1:] != padded[:, :-1]).sum())
    return max(1.0, 2.0 * float(ink.sum()) / max(steps * np.pi / 4, 1.0))


def components(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Number the connected pieces of a mask, 8 neighbours: 0 outside, 1, 2, ... in the order of their first pixels.

    Runs of each row are joined with the runs they touch in the row above; then the smallest number spreads over each
    piece, halving the way to it every round.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1)
    row, start = np.nonzero(change > 0)
    end = np.nonzero(change < 0)[1]
    label = np.zeros(mask.shape, np.intp)
    if not len(row):
        return label
    stride = width + 2
    first = np.searchsorted(row * stride + end, (row - 1) * stride + start, "left")
    last = np.searchsorted(row * stride + start, (row - 1) * stride + end, "right")
    count = np.maximum(last - first, 0)
    below = np.repeat(np.arange(len(row)), count)
    above = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    root = np.arange(len(row))
    while True:
        least = np.minimum(root[below], root[above])
        joined = root.copy()
        for end_of_join in (root[below], root[above]):
            np.minimum.at(joined, end_of_join, least)
        joined = joined[joined]
        if np.array_equal(joined, root):
            break
        root = joined
    number = np.unique(root, return_inverse=True)[1].reshape(-1) + 1
    label[mask] = np.repeat(number, end - start)
    return label
