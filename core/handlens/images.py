"""Images: a photo, scan or screenshot of one digit to the 28x28 image that a network reads.

    pixels --over white, luma--> grey --paper, polarity, Otsu--> ink --less specks--> strokes.prepare_raster --> 28x28

The last steps are those of drawn ink. Paper is what most of the border shows; ink is what differs from it most, dark on
light or light on dark. A frame around the paper (a photo's table edge, a window's border) is looked inside, once.

Not done here: uneven light, ruled paper, several digits. Such an image is still read as one, and may be read wrongly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .strokes import Float, Prepared, prepare_raster

__all__ = ["grey", "otsu", "prepare"]

WORKING_SIDE = 400  # pixels of the longer side that are worked on; larger images are averaged down first
MAX_PIXELS = 100_000_000
CONTRAST = 16 / 255  # less than this between paper and ink is an empty sheet
FAINT = 0.06  # of full ink: paler pixels beside ink belong to the paper
SPECK = 0.03  # of the largest piece of ink: smaller pieces are specks
FRAME = 0.5  # of the area: more "ink" than this is a frame, and what it encloses is the paper
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709


def prepare(pixels: NDArray[Any]) -> Prepared | None:
    """Find the digit in an image and make the 28x28 image that a network reads.

    Args:
        pixels: uint8 (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA; any size, either polarity.
    Returns:
        the image and the stages on the way, `box` in pixels of the image given; None when nothing stands out from the
        paper.
    Raises:
        DataError: another type or shape, no pixel, or more than 100 million.
    """
    light, step, corner = _reduced(_checked(pixels))
    ink = _ink(light)
    if ink is None:
        return None
    mask = ink >= FAINT
    if (ink >= 0.5).mean() > FRAME:
        inside, at = _inside_frame(light, mask)
        within = _ink(inside) if inside is not None else None
        if within is not None and (within >= 0.5).mean() <= FRAME:
            ink, corner = within, (corner[0] + at[0] * step, corner[1] + at[1] * step)
            mask = ink >= FAINT
    ready = prepare_raster(ink * _without_specks(mask, ink >= 0.5), threshold=FAINT)
    if ready is None:
        return None
    x0, y0, x1, y1 = ready.box
    row, column = corner
    return replace(ready, box=(x0 * step + column, y0 * step + row, x1 * step + column, y1 * step + row))


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


def otsu(values: NDArray[Any]) -> float:
    """The threshold that best splits numbers from 0 to 1 in two classes, on a histogram of 256 bins.

    It maximises the variance between the classes,  w0 w1 (m0 - m1)^2.
    Source: N. Otsu, "A threshold selection method from gray-level histograms", 1979.
    """
    counts, edges = np.histogram(values, bins=256, range=(0.0, 1.0))
    weight = np.cumsum(counts)[:-1].astype(np.float64)
    total = float(counts.sum())
    centres = (edges[:-1] + edges[1:]) / 2
    moment = np.cumsum(counts * centres)
    rest = total - weight
    valid = (weight > 0) & (rest > 0)
    if not valid.any():
        return 0.5
    apart = np.where(valid, moment[:-1] / np.maximum(weight, 1) - (moment[-1] - moment[:-1]) / np.maximum(rest, 1), 0.0)
    between = weight * rest * apart**2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))  # empty bins between the classes tie: take the middle
    return float(edges[1 + int(best[len(best) // 2])])


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


def _ink(light: Float) -> Float | None:
    """How much ink each pixel holds, 0 paper to 1 full, whatever the polarity; None for an empty sheet."""
    height, width = light.shape
    ring = max(1, round(0.03 * min(height, width)))
    border = np.ones(light.shape, np.bool_)
    border[ring:-ring, ring:-ring] = False
    paper = np.float32(np.median(light[border]))
    # Median absolute deviation to standard deviation, for normal noise: 1.4826.
    noise = 1.4826 * float(np.median(np.abs(light[border] - paper)))
    darker, lighter = np.maximum(paper - light, 0.0), np.maximum(light - paper, 0.0)
    ink = darker if float((darker**2).sum()) >= float((lighter**2).sum()) else lighter
    ink = np.maximum(ink - np.float32(3.0 * noise), 0.0)
    if float(ink.max()) < CONTRAST:
        return None
    strong = ink[ink > otsu(ink)]
    if not strong.size:
        return None
    full = np.float32(max(float(np.percentile(strong, 80)), CONTRAST))
    return np.asarray(np.minimum(ink / full, 1.0), np.float32)


def _inside_frame(light: Float, mask: NDArray[np.bool_]) -> tuple[Float | None, tuple[int, int]]:
    """What lies inside the box of a frame's opening, less a margin, and the row and column where it begins."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    margin = max(1, round(0.02 * min(bottom - top, right - left)))
    inside = light[top + margin : bottom - margin, left + margin : right - margin]
    return (inside if min(inside.shape) >= 5 else None), (top + margin, left + margin)


def _without_specks(mask: NDArray[np.bool_], strong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the connected pieces of `mask` that hold enough of `strong`, beside the piece that holds most."""
    label = components(mask)
    size = np.bincount(label[strong & mask], minlength=int(np.max(label)) + 1)
    size[0] = 0  # what is not in the mask
    keep = size >= max(1.0, SPECK * float(np.max(size)))
    keep[0] = False
    return np.asarray(keep[label], np.bool_)


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
