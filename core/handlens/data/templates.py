"""Stroke templates: how people write the ten digits, and some signs, as text that can be read and edited.

A template is a line of points `x,y`, in hundredths of the height, x right, y down. A smooth curve (Catmull-Rom) runs
through them; a point marked `!` is a corner; `|` lifts the pen. The number before the colon is how often the style is
drawn compared with the others of its digit.

The styles were drawn by hand for this project after looking at how writers differ. They hold those that MNIST, written
by Americans, has few of: the flagged and the based 1, the crossed 7, the one-stroke 4, the curled 9, the slashed 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

__all__ = ["DIGITS", "STYLES", "Template", "parse", "template"]

Float = NDArray[np.float64]

SPACING = 0.035  # of the height, between the sampled points of a curve; the network's pixel is 0.05

# name -> (digit, weight, strokes). A name begins with its digit in words.
DIGITS: dict[str, tuple[int, float, str]] = {
    "zero": (0, 3.0, "46,2 20,12 5,42 9,78 33,98 58,92 73,64 70,28 50,4 42,2"),
    "zero-clockwise": (0, 1.0, "22,10 48,2 70,24 73,62 54,95 26,96 7,68 6,34 22,8 34,3"),
    "zero-gap": (0, 1.0, "36,8 12,26 4,58 20,92 48,98 70,74 70,36 54,10"),
    "zero-flick": (0, 0.7, "2,16 26,8 54,4 75,32 72,70 46,97 18,85 8,55 16,26 36,7"),
    "zero-loop": (0, 0.7, "58,14 34,3 10,30 7,70 34,97 64,80 70,42 52,14 40,3 52,-3 64,8"),
    "zero-slashed": (0, 1.0, "46,2 20,12 5,42 9,78 33,98 58,92 73,64 70,28 50,4 42,2 | 72,6 6,96"),
    "zero-slashed-long": (0, 0.5, "46,2 20,12 5,42 9,78 33,98 58,92 73,64 70,28 50,4 42,2 | 84,-6 -6,106"),
    "zero-slashed-inside": (0, 0.4, "46,2 20,12 5,42 9,78 33,98 58,92 73,64 70,28 50,4 42,2 | 58,22 20,80"),
    "zero-twice": (0, 0.2, "44,2 14,20 6,62 32,98 64,82 72,36 48,4 16,18 9,60 34,94 60,84 69,40 50,6"),
    "zero-wide": (0, 0.4, "44,8 12,20 2,54 28,90 76,94 104,62 94,20 52,5 32,12"),
    "zero-spiral": (0, 0.2, "40,34 58,30 72,54 60,90 28,98 6,66 16,22 48,4 74,20 80,40"),
    "one": (1, 3.0, "50,0 50,50 50,100"),
    "one-flagged": (1, 2.0, "28,24 50,0! 50,50 50,100"),
    "one-flagged-long": (1, 2.0, "6,46 28,26 50,0! 50,50 48,100"),
    "one-flagged-steep": (1, 1.5, "28,58 40,30 52,0! 50,50 48,100"),
    "one-flagged-to-the-foot": (1, 0.4, "16,84 34,42 50,0! 52,50 53,100"),
    "one-flagged-curved": (1, 1.0, "14,30 34,22 50,0! 49,50 48,100"),
    "one-flagged-hooked": (1, 0.4, "20,34 28,26 50,0! 50,60 48,92 60,98"),
    "one-based": (1, 0.8, "50,0 50,100 | 16,100 84,99"),
    "one-flagged-based": (1, 2.0, "26,22 50,0! 50,100 | 14,100 86,99"),
    "one-long-based": (1, 1.0, "12,38 50,0! 50,100 | 10,100 90,98"),
    "one-based-in-one": (1, 1.0, "26,22 50,0! 50,98! 18,98! 84,99"),
    "one-based-left": (1, 0.6, "24,24 50,0! 50,96! 12,98"),
    "one-based-right": (1, 0.5, "24,24 50,0! 49,97! 84,96"),
    "one-based-far-right": (1, 0.4, "24,24 50,0! 50,96! 28,97! 98,94"),
    "two": (2, 2.5, "8,24 26,4 54,3 66,24 48,58 6,97! 40,96 76,98"),
    "two-loop": (2, 1.5, "8,24 28,4 58,5 66,28 46,62 17,94 4,88 14,77 34,86 78,97"),
    "two-soft": (2, 1.0, "10,20 32,2 64,9 60,36 32,70 8,94 30,93 78,98"),
    "two-angular": (2, 0.7, "8,10 36,7 64,9! 36,52 5,97! 76,97"),
    "two-curled": (2, 0.7, "24,30 8,22 22,4 54,3 66,24 48,58 6,97! 40,95 76,98"),
    "two-tailed": (2, 0.7, "8,24 28,3 60,6 62,34 30,72 6,94 26,86 52,96 72,92 76,80"),
    "two-hooked": (2, 0.5, "6,28 16,8 46,2 66,18 54,50 30,78 20,96! 50,97 62,94"),
    "two-loop-hooked": (2, 1.0, "8,24 28,4 58,5 64,28 44,62 17,92 6,88 18,80 42,92 64,99 76,90 74,76"),
    "two-long": (2, 0.7, "14,24 34,3 58,8 54,32 34,62 8,97! 56,97 102,94"),
    "two-swan": (2, 0.6, "4,16 20,0 50,3 60,18 44,46 16,80 14,97 40,99 62,92"),
    "two-waved": (2, 0.8, "2,22 18,5 46,4 58,20 40,50 14,84! 40,88 84,100"),
    "three": (3, 2.0, "8,14 30,0 58,8 58,34 28,47! 60,54 68,78 42,100 5,88"),
    "three-soft": (3, 1.5, "8,12 34,0 60,14 50,38 28,46 52,52 68,74 46,100 6,92"),
    "three-loop": (3, 1.0, "8,12 34,0 60,14 48,42 28,54 24,44 38,44 66,62 56,94 26,100 4,88"),
    "three-flat": (3, 1.0, "8,4 62,3! 30,42! 60,50 67,78 40,100 5,90"),
    "three-sharp": (3, 1.0, "6,10 34,2 60,10 52,34 22,46! 56,56 58,84 30,100 2,98"),
    "three-curled": (3, 0.5, "20,22 8,14 30,0 58,10 56,36 30,46! 62,56 66,82 40,100 14,94 12,84"),
    "three-leaning": (3, 1.0, "8,10 30,0 54,8 46,30 26,44! 46,52 50,72 34,96 4,98"),
    "three-small-bowl": (3, 0.8, "10,8 34,0 56,8 44,32 26,46! 43,54 44,78 24,98 2,92"),
    "four-open": (4, 2.0, "18,0 8,34 4,62! 40,60 76,58 | 56,22 54,60 50,100"),
    "four-open-curved": (4, 1.0, "22,2 10,30 8,58 32,62 74,54 | 58,20 50,100"),
    "four-open-low": (4, 1.0, "20,0 8,40 2,72! 26,70 52,68 | 46,42 40,100"),
    "four-lightning": (4, 0.7, "44,0 24,28 6,54! 40,52 70,46 | 56,28 42,100"),
    "four-open-tall": (4, 0.8, "18,0 12,36 4,68! 28,70 48,65 | 42,42 38,74 36,100"),
    "four-low-in-one": (4, 0.8, "18,0 12,34 4,66! 22,68 42,62! 46,40! 42,70 38,100"),
    "four-closed": (4, 1.5, "52,0 28,34 2,66! 40,65 80,65 | 53,0 52,50 51,100"),
    "four-closed-in-one": (4, 1.0, "58,2 30,32 0,62! 30,62 64,59! 63,30 59,3! 54,50 48,100"),
    "four-closed-round": (4, 0.6, "60,6 30,22 4,52 30,60 56,54 62,20! 56,60 48,100"),
    "four-stem-first": (4, 0.7, "46,100 52,50 54,2! 28,34 3,66! 40,64 80,64"),
    "four-open-in-one": (4, 1.5, "14,2 8,30 8,52! 32,52 56,46! 62,12! 56,50 46,100"),
    "four-cup": (4, 1.0, "10,4 8,36 26,52 52,42 64,4! 58,50 46,100"),
    "five": (5, 1.5, "20,3 14,42! 42,36 67,58 56,92 30,100 4,92 | 19,3 44,3 74,1"),
    "five-in-one": (5, 2.0, "68,3 44,3 20,4! 13,44! 42,36 67,58 60,86 32,100 4,92"),
    "five-curved": (5, 1.0, "66,3 22,6! 16,30 20,44 46,42 66,62 56,92 28,100 4,94"),
    "five-s": (5, 0.8, "66,6 38,3 16,20 26,44 58,60 58,86 30,99 4,92"),
    "five-detached": (5, 1.0, "16,12 12,46! 40,40 62,62 52,92 26,100 2,92 | 24,6 50,4 80,2"),
    "five-angular": (5, 0.7, "70,2 22,2! 14,48! 52,44! 54,78 40,98 4,98"),
    "five-low": (5, 0.5, "72,4 26,8! 8,44! 32,38 54,54 46,84 20,100 2,94"),
    "five-slack": (5, 1.0, "24,6 22,34 38,44 48,68 34,96 2,98 | 22,6 50,5 86,0"),
    "five-closed": (5, 0.4, "68,3 42,4 18,5! 12,46! 44,40 64,62 54,94 24,98 10,80"),
    "five-wide-bar": (5, 1.0, "22,10 16,46! 38,36 58,52 52,86 28,100 2,96 | 22,8 56,5 92,0"),
    "five-rising-bar": (5, 0.7, "24,14 14,46! 38,40 58,58 50,90 24,100 0,95 | 24,14 50,8 88,-4"),
    "six": (6, 2.0, "56,1 26,26 7,64 20,96 48,98 62,76 44,58 18,66 8,80"),
    "six-straight": (6, 1.0, "46,0 24,34 6,72 20,98 46,96 54,74 36,62 10,74"),
    "six-curled": (6, 0.8, "60,12 46,1 22,20 6,62 20,96 48,98 62,76 44,58 16,68 9,82"),
    "six-inside": (6, 1.0, "50,0 20,34 6,70 24,98 52,92 60,70 42,58 24,68 22,82"),
    "six-open": (6, 0.8, "52,0 20,36 6,72 26,98 52,92 56,70 36,64 22,70"),
    "six-upright": (6, 1.0, "30,0 12,36 8,76 28,98 54,88 54,66 32,58 10,72"),
    "six-crossing": (6, 0.5, "58,2 26,28 8,66 22,96 50,96 60,74 40,60 2,74"),
    "six-small-loop": (6, 0.6, "52,0 28,38 12,74 18,98 38,97 42,80 28,71 4,84"),
    "seven": (7, 2.0, "4,6 34,4 66,5! 48,46 30,100"),
    "seven-hooked": (7, 1.0, "4,24 6,6! 36,4 66,5! 48,46 30,100"),
    "seven-crossed": (7, 2.0, "4,6 34,4 66,5! 46,46 30,100 | 16,52 66,50"),
    "seven-hooked-crossed": (7, 1.0, "4,22 6,6! 36,4 66,5! 46,46 30,100 | 18,52 68,48"),
    "seven-curved": (7, 1.0, "4,12 28,3 62,8 58,36 42,64 34,100"),
    "seven-curved-crossed": (7, 1.0, "4,14 26,4 62,6 56,36 40,64 28,100 | 14,54 70,48"),
    "seven-humped-crossed": (7, 0.6, "0,24 18,8 54,10 66,30 60,62 58,100 | 32,62 76,58"),
    "seven-waved": (7, 0.8, "4,14 18,4 42,10 68,2! 48,44 32,100"),
    "seven-waved-crossed": (7, 0.8, "4,14 18,4 42,10 68,2! 48,44 32,100 | 18,54 68,46"),
    "seven-crossed-in-one": (7, 0.3, "4,6 34,4 66,5! 48,46 30,100! 22,62 20,52! 64,48"),
    "eight": (8, 2.0, "58,14 36,1 12,16 28,42 58,64 56,92 28,100 8,80 26,54 56,32 58,12"),
    "eight-left": (8, 1.0, "14,14 36,1 58,16 42,42 12,64 14,92 38,100 62,82 44,54 16,32 14,12"),
    "eight-top": (8, 1.0, "36,1 12,14 24,40 58,62 60,88 34,100 8,86 14,60 52,36 58,14 36,1"),
    "eight-open": (8, 1.0, "60,10 34,2 12,20 30,44 58,68 46,96 16,94 12,72 36,48 62,22 70,4"),
    "eight-circles": (8, 0.8, "36,2 12,22 36,46 60,22 40,2 | 36,46 6,72 36,100 66,74 40,46"),
    "eight-tailed": (8, 0.5, "2,36 24,42 50,30 58,12 38,1 18,14 32,44 58,70 46,97 20,98 12,76 40,46 60,24"),
    "eight-middle": (8, 0.5, "34,46 12,24 34,1 58,20 36,46 8,74 34,100 62,78 38,48"),
    "eight-narrow": (8, 0.5, "52,8 38,1 24,16 32,42 50,66 44,96 24,96 20,78 36,50 52,22"),
    "eight-ribbon": (8, 1.0, "14,14 28,2 44,32 56,74 40,98 18,96 12,76 34,44 64,3"),
    "eight-side-tail": (8, 0.8, "0,34 26,40 50,28 56,8 42,1 32,16 42,50 52,76 38,98 18,92 22,70 46,38 68,10"),
    "eight-right": (8, 0.8, "62,6 40,0 22,10 26,30 48,54 58,80 40,99 18,94 14,76 32,52 54,30 66,8"),
    "eight-heart": (8, 0.8, "36,15 22,3 9,16 34,44 58,74 38,99 14,84 30,54 60,18 50,3 37,14"),
    "eight-gap-left": (8, 0.8, "10,17 30,2 55,10 46,34 18,56 8,80 28,99 56,84 48,60 26,40"),
    "nine": (9, 1.5, "60,18 36,2 10,18 16,44 42,48 60,18! 60,56 56,100"),
    "nine-curved": (9, 1.5, "60,16 36,2 10,20 18,46 44,44 60,16! 58,56 38,100"),
    "nine-curled": (9, 2.0, "60,18 36,2 10,18 16,42 42,46 60,16! 64,58 54,92 28,100 6,90"),
    "nine-curled-wide": (9, 1.0, "56,16 34,2 8,16 14,38 38,42 58,14! 64,54 60,88 34,100 4,96 0,84"),
    "nine-circle": (9, 0.7, "40,2 12,14 14,40 40,46 60,26 44,3 | 60,4 58,50 54,100"),
    "nine-inside": (9, 0.7, "52,26 44,6 18,6 8,28 26,48 52,36 60,8 60,56 46,98"),
    "nine-gap": (9, 0.7, "54,6 28,4 8,24 20,46 46,40 64,8! 58,54 46,100"),
    "nine-soft": (9, 1.0, "58,12 32,3 10,22 24,44 52,32 60,14 64,44 56,84 30,100 8,92"),
    "nine-leaning": (9, 0.7, "56,6 28,10 14,32 30,42 56,22 64,6! 44,52 16,100"),
    "nine-small-head": (9, 1.2, "54,14 34,2 14,14 22,32 44,30 56,12! 60,50 52,90 26,100 2,96"),
    "nine-flat": (9, 0.8, "50,16 34,4 12,16 18,38 42,38 54,14! 60,56 58,96! 4,98"),
    "nine-open-head": (9, 1.0, "58,7 30,2 14,16 26,32 52,26 62,48 52,88 26,100 4,94"),
    "nine-knob": (9, 0.8, "54,12 42,3 32,15 42,25 55,13! 62,54 52,91 28,100 4,92"),
    "nine-thin": (9, 0.5, "58,8 44,2 32,20 42,32 58,14! 44,56 18,98"),
}

STYLES: dict[str, int] = {name: digit for name, (digit, _, _) in DIGITS.items()}


@dataclass(frozen=True, eq=False)
class Template:
    """A template ready to draw.

    controls: (k, 2) all control points, in heights. basis: (m, k), sampled points = basis @ controls.
    first, last: control indices where each stroke begins and ends. ends: (strokes,) sampled index after each stroke.
    """

    controls: Float
    basis: Float
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    ends: NDArray[np.intp]


@cache
def parse(text: str) -> Template:
    """Read a template's text; see the module's description.

    Raises:
        DataError: a point that is not two numbers, or a stroke of one point.
    """
    strokes = [part.split() for part in text.split("|")]
    if any(len(s) < 2 for s in strokes):
        raise DataError(f"template {text!r}: a stroke takes two points at least")
    try:
        points = np.array([[float(v) for v in p.rstrip("!").split(",")] for s in strokes for p in s]) / 100.0
        sizes = [len(s) for s in strokes]
        blocks = []
        at = 0
        for stroke in strokes:
            corner = np.array([p.endswith("!") for p in stroke])
            blocks.append(_catmull_rom(points[at : at + len(stroke)], corner))
            at += len(stroke)
    except ValueError as error:
        raise DataError(f"template {text!r}: a point is x,y: {error}") from None
    ends = np.cumsum([len(b) for b in blocks])
    basis = np.zeros((int(ends[-1]), len(points)))
    last = np.cumsum(sizes) - 1
    first = last - np.array(sizes) + 1
    for block, a, b, end in zip(blocks, first, last, ends, strict=True):
        basis[end - len(block) : end, a : b + 1] = block
    return Template(points, basis, first, last, ends)


def template(name: str) -> Template:
    """The template of one style of `STYLES`."""
    return parse(DIGITS[name][2])


def _catmull_rom(points: Float, corner: NDArray[np.bool_]) -> Float:
    """The (m, k) matrix that samples the curve through k points.

    Span i:  p(t) = (1, t, t^2, t^3) M (p[i-1], p[i], p[i+1], p[i+2]);  at an end and at a corner the missing
    neighbour is the reflection of the other one, so that the curve leaves it straight.
    Source: E. Catmull, R. Rom, "A class of local interpolating splines", 1974.
    """
    k = len(points)
    rows = []
    weights = np.array([[0.0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    eye = np.eye(k)
    for i in range(k - 1):
        length = float(np.hypot(*(points[i + 1] - points[i])))
        count = int(np.clip(np.ceil(length / SPACING), 2, 40))
        before = 2 * eye[i] - eye[i + 1] if i == 0 or corner[i] else eye[i - 1]
        after = 2 * eye[i + 1] - eye[i] if i + 2 == k or corner[i + 1] else eye[i + 2]
        t = (np.arange(count + (i + 2 == k)) / count)[:, None]
        rows.append(np.hstack([t**0, t, t**2, t**3]) @ weights @ np.stack([before, eye[i], eye[i + 1], after]))
    return np.concatenate(rows)
