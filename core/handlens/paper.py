"""Paper: what of a photo, scan or screenshot is ink, whatever the light on it and the lines printed on it.

    grey --paper by its border, a surface, or its surroundings--> ink, 0 to 1 --less ruled lines--> ink

Even paper is one number, the border's median. Light that fades over the sheet is a quadratic surface, fitted so that
what differs from it (the ink) has no say. Where that does not fit, a shadow with an edge lies on the paper: then the
paper is what a closing makes of the picture, the lightest within reach of the darkest within reach, so that strokes
vanish and shadows stay. On uneven paper ink is counted as the share of the light that it takes.

Ruled lines are thin, straight and run from edge to edge; they go where no stroke crosses them.

Sources: J. W. Tukey's biweight for the surface, by iteratively reweighted least squares; J. Serra, "Image Analysis and
Mathematical Morphology", 1982, for the closing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .strokes import Float

__all__ = ["ink_of", "otsu", "spread", "without_rules"]

CONTRAST = 16 / 255  # less than this between paper and ink is an empty sheet
EVEN = 0.03  # border pixels nearer than this to their median, nine of ten, make even paper
SHADOW = 0.15  # share of the border that a surface may miss; beyond, a shadow lies on it
REACH = 0.16  # of the shorter side: the closing's window, wider than any line
THIN = 0.02  # of the side across: the thickest ruled line
ACROSS = 0.6  # share of the picture's length that a ruled line covers at least
CRUMBS = 3e-4  # of the area: less than this left beside ruled lines is left of them
TILT = 0.07  # rise to run of the steepest ruled line, 4 degrees


def ink_of(light: Float) -> Float | None:
    """How much ink each pixel holds, 0 paper to 1 full, whatever the polarity and the light; None for an empty sheet.

    Args:
        light: (H, W) luma, 0 to 1.
    """
    border = _border(light.shape)
    middle = np.float32(np.median(light[border]))
    paper: Float = np.full_like(light, middle)
    even = min(light.shape) < 40 or _even(light, border)
    if not even:
        paper = _surface(light, float(middle), border)
    rest = light - paper
    dark = float((np.minimum(rest, 0.0) ** 2).sum()) >= float((np.maximum(rest, 0.0) ** 2).sum())
    noise = _noise(rest[border])
    if not even and float((np.abs(rest[border]) > max(0.06, 4.0 * noise)).mean()) > SHADOW:
        dark = _darker_lines(light)
        paper = _surroundings(light, dark)
        rest = light - paper
        noise = max(_noise(rest[border]), 0.015)
    ink = np.maximum(-rest if dark else rest, 0.0)
    ink = np.maximum(ink - np.float32(3.0 * noise), 0.0)
    if float(ink.max()) < CONTRAST:
        return None
    if not even and dark:
        ink = ink / np.maximum(paper, np.float32(0.2))
    return _full(ink)


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


def without_rules(ink: Float) -> Float | None:
    """Take ruled lines away, along and across; what is left brought to 0..1 again, or None where nothing is."""
    cleaned = _ruled(_ruled(ink).T).T
    if cleaned is ink or np.array_equal(cleaned, ink):
        return ink
    full = _full(np.ascontiguousarray(cleaned)) if float(cleaned.max()) >= CONTRAST else None
    return full if full is not None and float((full >= 0.5).mean()) >= CRUMBS else None


def spread(values: NDArray[Any], reach: int) -> NDArray[Any]:
    """The largest value within `reach` pixels along each axis (a square window), edges repeated."""
    for axis in (0, 1):
        padded = np.pad(values, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        length, covered, window = padded.shape[axis], 1, 2 * reach + 1
        while covered < window:  # windows of 1, 2, 4, .. pixels, then the rest
            step = min(covered, window - covered)
            length -= step
            padded = np.maximum(_part(padded, axis, 0, length), _part(padded, axis, step, step + length))
            covered += step
        values = padded
    return values


def _part(values: NDArray[Any], axis: int, start: int, end: int) -> NDArray[Any]:
    return values[start:end] if axis == 0 else values[:, start:end]


def _border(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    ring = max(1, round(0.03 * min(shape)))
    border = np.ones(shape, np.bool_)
    border[ring:-ring, ring:-ring] = False
    return border


def _noise(rest: NDArray[Any]) -> float:
    """Standard deviation by the median absolute deviation: 1.4826 times that, for normal noise."""
    return 1.4826 * float(np.median(np.abs(rest - np.median(rest))))


def _full(ink: Float) -> Float | None:
    strong = ink[ink > otsu(ink)]
    if not strong.size:
        return None
    full = np.float32(max(float(np.percentile(strong, 80)), CONTRAST))
    return np.asarray(np.minimum(ink / full, 1.0), np.float32)


def _even(light: Float, border: NDArray[np.bool_]) -> bool:
    """Whether the border shows one paper, strokes that reach it left aside, be they dark or light."""
    if _alike(light[border]):
        return True
    # The paper goes on beyond the edges: so a stroke along an edge is as thin as any, and a shadow as broad.
    margin = round(REACH * min(light.shape))
    inside = (slice(margin, -margin),) * 2
    wider = np.pad(light, margin, constant_values=np.median(light[border]))
    return any(_alike(_surroundings(wider, dark)[inside][border]) for dark in (True, False))


def _alike(values: NDArray[Any]) -> bool:
    return float(np.percentile(np.abs(values - np.median(values)), 90)) <= EVEN


def _surface(light: Float, middle: float, border: NDArray[np.bool_]) -> Float:
    """A quadratic in x and y, first through the border alone, then through all that lies near it."""
    height, width = light.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    step = max(1, min(height, width) // 80)
    thin = (slice(step // 2, None, step),) * 2
    values = light[thin].astype(np.float64).reshape(-1)
    on_border = border[thin].reshape(-1)
    across, down = (np.broadcast_to(v, light.shape)[thin].reshape(-1) for v in (x, y))
    rows = np.stack([np.ones_like(across), across, down, across**2, across * down, down**2], axis=1)
    found = np.array([middle, 0, 0, 0, 0, 0], np.float64)
    for limit, here in ((0.6, on_border), (0.3, on_border), *((n, on_border | True) for n in (0.2, 0.12, 0.08, 0.06))):
        known, wanted = rows[here], values[here]
        rest = wanted - known @ found
        weight = np.maximum(1 - (rest / max(limit, 4.685 * _noise(rest))) ** 2, 0.0) ** 2
        if float(weight.mean()) < 0.1:
            break
        moments = (known * weight[:, None]).T
        found = np.linalg.solve(moments @ known + 1e-6 * len(known) * np.eye(6), moments @ wanted)
    a, b, c, d, e, f = found
    return np.asarray(np.clip(a + b * x + d * x * x + (c + e * x) * y + f * y * y, 0.0, 1.0), np.float32)


def _darker_lines(light: Float) -> bool:
    """Whether thin structures are darker than what is around them; shadows are too broad to count."""
    calm = _averaged(light, 1)
    reach = max(2, round(REACH / 3 * min(light.shape) / 2))
    closed, opened = -spread(-spread(calm, reach), reach), spread(-spread(-calm, reach), reach)
    return float(((closed - calm) ** 2).sum()) >= float(((calm - opened) ** 2).sum())


def _surroundings(light: Float, dark: bool) -> Float:
    """The paper as a closing shows it (an opening for light ink), smoothed."""
    sign = np.float32(1.0 if dark else -1.0)
    calm = _averaged(light * sign, 1)
    reach = max(2, round(REACH * min(light.shape) / 2))
    closed = -spread(-spread(calm, reach), reach)
    paper: Float = _averaged(closed, max(1, reach // 12)) * sign
    return paper


def _averaged(values: NDArray[Any], reach: int) -> Float:
    """The mean of a square window, edges repeated."""
    window = 2 * reach + 1
    for axis in (0, 1):
        padded = np.pad(values, [(reach + 1, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        total = np.cumsum(padded, axis=axis, dtype=np.float64)
        length = values.shape[axis]
        values = (_part(total, axis, window, window + length) - _part(total, axis, 0, length)) / window
    return np.asarray(values, np.float32)


def _ruled(ink: Float) -> Float:
    """Take away lines that run from the left edge to the right."""
    height, width = ink.shape
    if height < 40 or width < 40:
        return ink
    columns = np.arange(0, width, max(1, width // 150))
    row, number = np.nonzero(ink[:, columns] >= 0.15)
    away = columns[number] - width / 2
    best, found = -1.0, (0.0, np.zeros(height))
    for tilt in np.linspace(-TILT, TILT, 57):
        level = np.round(row - tilt * away).astype(np.intp)
        inside = (level >= 0) & (level < height)
        profile = np.bincount(level[inside], minlength=height) / len(columns)
        sharp = float((np.partition(profile, height - 12)[-12:] ** 2).sum())
        if sharp > best:
            best, found = sharp, (float(tilt), profile)
    tilt, profile = found
    edges = np.flatnonzero(np.diff(np.concatenate(([0], profile >= ACROSS, [0])).astype(np.int8)))
    result = ink
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if end - first <= max(1, round(THIN * height)):
            if result is ink:
                result = ink.copy()
            _take_line(ink, result, (int(first), int(end)), tilt)
    return result


def _take_line(ink: Float, result: Float, rows: tuple[int, int], tilt: float) -> None:
    """Blank one line, but not where ink stands both above and below, nor where it is much darker than the line."""
    height, width = ink.shape
    column = np.arange(width)
    shift = np.round(tilt * (column - width / 2)).astype(np.intp)
    first, end = rows[0] - 1 + shift, rows[1] + 1 + shift  # with the line's soft edges
    reach = np.arange(rows[1] - rows[0] + 2)
    inside = np.clip(first[None, :] + reach[:, None], 0, height - 1)
    darkest = ink[inside, column].max(axis=0)
    level = float(np.median(darkest))
    gap = 2
    above = ink[np.clip(first - gap, 0, height - 1), column] >= 0.4
    below = ink[np.clip(end - 1 + gap, 0, height - 1), column] >= 0.4
    kept = (above & below) | (darkest > 1.6 * level + 0.1)
    for k in range(len(reach)):
        here = inside[k, ~kept]
        result[here, column[~kept]] = 0.0
