"""A hand: what makes the same sign come out different each time it is written.

Everything works on many drawings of one structure at once: points of shape (n, m, 2), in heights of the sign, x right,
y down, the strokes one after the other and `ends` the index after each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .templates import Template

__all__ = ["LOOSE", "STEADY", "Hand", "sample", "write"]

Float = NDArray[np.float64]
_MOST_ROUNDING = 6  # passes


@dataclass(frozen=True)
class Hand:
    """How much a hand varies; each is the standard deviation of a normal distribution unless said otherwise.

    jitter: of a control point, in heights. ends: a stroke's end, along the stroke. stroke: a whole stroke's place.
    waist: moves the middle up or down. taper: widens the top against the foot. aspect, aspect_mean: of the width's
    logarithm. slant, slant_mean: x per y. turn: degrees. wobble: a smooth bending of the whole sign. tremor: largest,
    per point. rounding: largest, 0 to 1, of corners.
    """

    jitter: float = 0.028
    ends: float = 0.05
    stroke: float = 0.02
    waist: float = 0.16
    taper: float = 0.16
    aspect: float = 0.2
    aspect_mean: float = -0.08
    slant: float = 0.18
    slant_mean: float = 0.12
    turn: float = 5.0
    wobble: float = 0.022
    tremor: float = 0.008
    rounding: float = 1.0


LOOSE = Hand()
STEADY = Hand(
    0.014,
    0.03,
    0.012,
    waist=0.08,
    taper=0.1,
    aspect=0.16,
    aspect_mean=0.0,
    slant=0.14,
    slant_mean=0.05,
    wobble=0.014,
    tremor=0.006,
    rounding=0.7,
)


def sample(template: Template, count: int, rng: np.random.Generator, hand: Hand = LOOSE) -> Float:
    """Draw a template `count` times, each with its own control points; `write` then adds the rest.

    Returns:
        (count, m, 2), the strokes end at `template.ends`.
    """
    controls = template.controls
    k = len(controls)
    care = rng.gamma(3.0, 1 / 3, (count, 1, 1))  # some write neatly, some do not
    moved = controls + rng.normal(0.0, hand.jitter, (count, k, 2)) * care
    sizes = template.last - template.first + 1
    place = rng.normal(0.0, hand.stroke, (count, len(sizes), 2)) * care if len(sizes) > 1 else np.zeros((count, 1, 2))
    moved = moved + np.repeat(place, sizes, axis=1)
    # Overshoot, or stop short: the ends of a stroke move along it.
    for end, inner in ((template.first, template.first + 1), (template.last, template.last - 1)):
        way = moved[:, end] - moved[:, inner]
        length = np.maximum(np.hypot(way[..., 0], way[..., 1]), 1e-6)[..., None]
        step = np.maximum(rng.normal(0.0, hand.ends, (count, len(end), 1)) * care, -0.6 * length)
        moved[:, end] += way / length * step
    return np.asarray(template.basis @ moved, np.float64)


def write(points: Float, ends: NDArray[np.intp], rng: np.random.Generator, hand: Hand = LOOSE) -> Float:
    """Give drawings the proportions, slant, bends, tremor and rounded corners of a hand.

    Args:
        points: (n, m, 2). ends: (strokes,) index after each stroke.
    Returns:
        (n, m, 2), in heights as before.
    """
    n = len(points)

    def normal(deviation: float, mean: float = 0.0, low: float = -2.5, high: float = 2.5) -> Float:
        return np.asarray(mean + deviation * np.clip(rng.standard_normal((n, 1)), low, high))

    x, y = points[..., 0], points[..., 1]
    middle = (x.min(axis=1, keepdims=True) + x.max(axis=1, keepdims=True)) / 2
    x = x - middle
    y = y + normal(hand.waist) * np.sin(np.pi * np.clip(y, 0.0, 1.0)) / np.pi
    x = x * (1 + normal(hand.taper) * (0.5 - y)) * np.exp(normal(hand.aspect, hand.aspect_mean, -1.7, 2.0))
    for frequency in (0.6, 1.1):  # waves to a height
        phase = rng.uniform(0.0, 2 * np.pi, (n, 4))
        amplitude = normal(hand.wobble / frequency), normal(hand.wobble / frequency)
        direction = rng.uniform(0.0, 2 * np.pi, (n, 2))
        wave = 2 * np.pi * frequency
        one = wave * (np.cos(direction[:, :1]) * x + np.sin(direction[:, :1]) * y) + phase[:, :1]
        two = wave * (np.cos(direction[:, 1:]) * x + np.sin(direction[:, 1:]) * y) + phase[:, 1:2]
        x, y = x + amplitude[0] * np.sin(one), y + amplitude[1] * np.sin(two)
    x = x + normal(hand.slant, hand.slant_mean) * (0.5 - y)
    angle = np.deg2rad(normal(hand.turn))
    x, y = np.cos(angle) * x - np.sin(angle) * (y - 0.5), np.sin(angle) * x + np.cos(angle) * (y - 0.5)
    out = np.stack([x, y])
    noise = rng.standard_normal(out.shape)
    # Noise that lasts a few points is a line's unsteadiness and not a point's.
    noise[..., 1:-1] = (noise[..., :-2] + noise[..., 1:-1] + noise[..., 2:]) / np.sqrt(3)
    out += noise * rng.uniform(0.0, hand.tremor, (n, 1))
    _round(out, ends, rng.uniform(0.0, hand.rounding, (n, 1)))
    return np.ascontiguousarray(np.moveaxis(out, 0, -1))


def _round(points: Float, ends: NDArray[np.intp], amount: Float) -> None:
    """Draw each point towards the middle of its neighbours, up to six times; the ends of strokes stay.

    points: (2, n, m), changed in place. amount: (n, 1), 0 for never to 1 for all six times.
    """
    if points.shape[-1] < 3:
        return
    inner = np.ones(points.shape[-1])
    inner[ends - 1] = 0.0
    inner[ends[:-1]] = 0.0
    for i in range(_MOST_ROUNDING):
        part = np.clip(amount * _MOST_ROUNDING - i, 0.0, 1.0) * 0.5
        if not part.any():
            break
        change = (points[..., :-2] + points[..., 2:]) / 2
        change -= points[..., 1:-1]
        change *= part * inner[1:-1]
        points[..., 1:-1] += change
