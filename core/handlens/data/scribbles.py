"""What is drawn on a pad that is not a digit: scribbles by rule, and signs and shapes from templates.

Left out, because each can be read as a digit: a circle or ellipse (0), a bar, slash, bracket or comma (1), a single
"greater than" (7), the exclamation mark (1 once its dot runs into the bar), an open flash (4 or 5), the lazy eight.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import human
from .templates import parse

__all__ = ["DRAWN", "SIGNS", "draw", "split"]

Float = NDArray[np.float64]
Strokes = list[Float]

# family -> its templates (see templates.py), chosen evenly.
SIGNS: dict[str, tuple[str, ...]] = {
    "square": (
        "4,4! 96,4! 96,96! 4,96! 4,2",
        "4,4! 4,96! 96,96! 96,4! 6,4",
        "0,20! 140,20! 140,90! 0,90! 0,16",
        "4,4 4,96 | 4,96 96,96 | 96,96 96,4 | 96,4 4,4",
        "50,0! 98,50! 50,100! 2,50! 52,-3",
    ),
    "triangle": (
        "50,4! 98,96! 2,96! 52,2",
        "50,96! 98,4! 2,4! 52,98",
        "4,4! 4,96! 96,96! 4,2",
        "50,4 2,96! 98,96 | 98,96 50,4",
    ),
    "star": (
        "20,98! 50,0! 80,98! 2,38! 98,38! 18,100",
        "50,0! 62,36! 98,38! 70,60! 80,98! 50,76! 20,98! 30,60! 2,38! 38,36! 52,-2",
        "50,0 50,100 | 4,26 96,74 | 4,74 96,26",
        "50,0! 92,74! 8,74! 50,0 | 50,100! 8,26! 92,26! 50,100",
    ),
    "arrow": (
        "0,50 100,50 | 74,24 100,50! 74,76",
        "100,50 0,50 | 26,24 0,50! 26,76",
        "50,100 50,0 | 22,28 50,0! 78,28",
        "50,0 50,100 | 22,72 50,100! 78,72",
        "4,96 96,4 | 50,4 96,4! 96,50",
        "0,50 96,50! 70,24 | 96,50 70,78",
    ),
    "cross": ("4,4 96,96 | 96,4 4,96", "50,0 50,100 | 0,50 100,50", "50,0 50,100 | 14,30 86,30"),
    "check": ("2,58 34,98! 98,4", "2,66 26,96 98,2", "0,50 30,90! 120,0"),
    "question": (
        "8,20 26,2 56,6 62,26 42,46 34,70 | 34,96 36,98",
        "4,26 20,2 60,4 64,34 36,48 36,72 | 33,94 38,94 37,99 33,98",
    ),
    "hash": (
        "30,2 24,98 | 72,2 66,98 | 2,34 98,30 | 2,70 98,66",
        "33,0 33,100 | 66,0 66,100 | 0,33 100,33 | 0,66 100,66",
        "0,0 0,100 | 33,0 33,100 | 66,0 66,100 | 100,0 100,100 | 0,0 100,0 | 0,33 100,33 | 0,66 100,66 | 0,100 100,100",
        "0,0! 100,0! 100,100! 0,100! 0,0 | 50,0 50,100 | 0,50 100,50",
    ),
    "tree": (
        "50,0! 84,40! 64,40! 98,76! 2,76! 36,40! 16,40! 50,0 | 42,76! 42,100! 58,100! 58,76",
        "50,100 50,40 | 50,60 20,30 | 50,52 80,20 | 50,40 34,4 | 50,40 60,2",
        "40,100 42,58 20,50 14,26 40,4 66,8 88,28 78,50 58,58 60,100",
    ),
    "fish": (
        "98,20! 60,60 24,76 0,50 24,24 60,40 98,82! 98,20 | 20,44 22,46",
        "0,50 30,24 70,30 90,50 70,70 30,76 0,50 | 90,50 120,24! 120,78! 90,50",
    ),
    "flag": (
        "6,100 6,0! 90,6! 88,50! 6,48",
        "6,100 6,0! 92,26! 6,52",
        "20,100 20,0 | 20,4 50,14 90,2! 90,46 50,58 20,48",
    ),
    "envelope": (
        "0,10! 140,10! 140,96! 0,96! 0,10! 70,60! 140,10",
        "0,10! 140,10! 140,96! 0,96! 0,10! 140,96 | 0,96 140,10",
        "0,0! 100,0! 100,100! 0,100! 0,0! 100,100 | 100,0 0,100",
    ),
    "cube": (
        "0,30! 70,30! 70,100! 0,100! 0,30 | 0,30 30,0! 100,0! 70,30 | 100,0 100,70! 70,100",
        "0,30! 70,30! 70,100! 0,100! 0,30 | 30,0! 100,0! 100,70! 30,70! 30,0 | 0,30 30,0 | 70,30 100,0 | 70,100 100,70",
    ),
    "sun": (
        "50,26 30,36 26,60 46,74 68,66 74,44 52,26 | 50,0 50,14 | 50,86 50,100 | 0,50 14,50 | 86,50 100,50 "
        "| 14,14 24,24 | 76,76 86,86 | 14,86 24,76 | 76,24 86,14",
        "50,30 34,40 34,60 50,70 66,60 66,40 50,30 | 50,2 50,20 | 50,80 50,98 | 4,50 22,50 | 78,50 96,50",
    ),
    "lightning": ("60,0! 10,56! 44,56! 24,100! 84,40! 52,42! 60,0",),
    "person": (
        "50,0 40,8 42,22 56,22 60,8 50,0 | 50,24 50,64 | 20,40 80,40 | 50,64 24,100 | 50,64 76,100",
        "50,0 36,10 40,26 60,26 64,10 50,0 | 50,26 50,66 | 50,40 20,20 | 50,40 80,22 | 50,66 30,100 | 50,66 72,100",
    ),
    "relation": (
        "0,36 100,34 | 0,66 100,64",
        "0,30 100,30 | 0,66 100,66 | 80,6 20,92",
        "0,10 96,50! 0,90 | 0,100 100,100",
        "0,20 100,20 | 0,50 100,50 | 0,80 100,80",
        "10,0 90,0 | 10,0 90,100! 10,100! 90,0",
        "90,4! 10,4! 56,48! 10,96! 92,96",
        "0,60 20,50! 40,100! 60,0! 130,0",
    ),
    # Held out.
    "heart": (
        "50,28 34,4 10,6 2,32 20,64 50,98! 80,64 98,32 88,6 64,4 50,30",
        "50,24! 30,2 6,12 6,42 50,98! 94,42 94,12 70,2 50,24",
        "50,98! 8,50 6,16 30,4 50,30! 70,4 94,16 92,50 48,100",
    ),
    "house": (
        "6,44! 6,100! 94,100! 94,44! 6,44! 50,2! 94,44",
        "0,46 50,2! 100,46 | 12,40! 12,100! 88,100! 88,40 | 40,100! 40,66! 60,66! 60,100",
        "4,100! 4,42! 50,2! 96,42! 96,100! 4,100! 96,42! 4,42! 96,100",
    ),
    "face": (
        "50,0 18,10 2,46 16,84 50,98 84,84 98,46 82,10 48,0 | 32,34 33,38 | 68,34 67,38 | 26,62 38,76 62,76 74,62",
        "50,0 18,10 2,46 16,84 50,98 84,84 98,46 82,10 48,0 | 34,28 34,42 | 66,28 66,42 | 28,72 50,64 72,72",
        "30,20 31,36 | 70,20 69,36 | 10,60 30,84 70,84 90,60",
        "50,0 18,10 2,46 16,84 50,98 84,84 98,46 82,10 48,0 | 32,36 36,34 | 66,34 70,36 "
        "| 50,44 46,58! 54,58 | 32,74 68,74",
    ),
    "flower": (
        "50,36 38,46 44,60 58,60 64,46 50,36 | 46,38 34,8 66,8 54,38 | 62,44 96,32 98,62 64,54 "
        "| 58,60 74,94 44,98 48,62 | 42,58 12,78 0,50 40,48",
        "50,2 40,16 50,26 62,16 50,2 | 50,26 34,22 34,36 50,30 66,38 66,24 50,26 | 50,30 50,100 "
        "| 50,70 26,56 30,76 50,74",
    ),
}


def split(points: Float, ends: NDArray[np.intp]) -> list[Strokes]:
    """Take drawings of one structure, points (n, m, 2), apart into the strokes of each."""
    spans = [slice(int(a), int(b)) for a, b in zip((0, *ends[:-1]), ends, strict=True)]
    return [[one[span] for span in spans] for one in points]


def _sign(name: str, count: int, rng: np.random.Generator) -> list[Strokes]:
    texts = SIGNS[name]
    chosen = rng.integers(len(texts), size=count)
    out: list[Strokes] = [[] for _ in range(count)]
    for i, text in enumerate(texts):
        at = np.flatnonzero(chosen == i)
        if len(at):
            shape = parse(text)
            points = human.write(human.sample(shape, len(at), rng), shape.ends, rng, human.STEADY)
            for j, strokes in zip(at, split(points, shape.ends), strict=True):
                out[j] = strokes
    return out


def _walk(count: int, rng: np.random.Generator) -> list[Strokes]:
    """A wandering line of 10 to 30 bends, smooth or angular."""
    out = []
    for _ in range(count):
        bends = int(rng.integers(10, 31))
        points = rng.uniform(0.0, 1.0, (bends, 2))
        if rng.random() < 0.5:  # nearby bends rather than anywhere
            points = np.cumsum(rng.normal(0.0, 1.0, (bends, 2)), axis=0)
        out.append([_smooth(points, int(rng.integers(0, 4)))])
    return out


def _tangle(count: int, rng: np.random.Generator) -> list[Strokes]:
    """A knot of line: sines of unlike frequencies in x and y (a Lissajous figure that drifts)."""
    t = np.linspace(0.0, 1.0, 220)
    a, b = rng.uniform(2.0, 6.0, (2, count, 1))
    phase = rng.uniform(0.0, 2 * np.pi, (4, count, 1))
    more = rng.uniform(0.2, 0.6, (2, count, 1))
    x = np.sin(2 * np.pi * a * t + phase[0]) + more[0] * np.sin(2 * np.pi * (a * 1.7 + 0.6) * t + phase[1])
    y = np.sin(2 * np.pi * b * t + phase[2]) + more[1] * np.sin(2 * np.pi * (b * 1.4 + 0.9) * t + phase[3])
    return [[s] for s in np.stack([x, y], axis=-1)]


def _zigzag(count: int, rng: np.random.Generator) -> list[Strokes]:
    """Teeth, 5 to 12 of them, along a line in any direction; four can be a 3."""
    out = []
    for _ in range(count):
        teeth = int(rng.integers(5, 13))
        along = np.linspace(0.0, 1.0, teeth + 1) + rng.normal(0.0, 0.15 / teeth, teeth + 1)
        side = np.where(np.arange(teeth + 1) % 2, 1.0, -1.0)
        across = side * rng.uniform(0.15, 0.6) * rng.uniform(0.7, 1.0, teeth + 1)
        out.append([_turned(_smooth(np.stack([along, across], axis=1), int(rng.integers(0, 3))), rng)])
    return out


def _wave(count: int, rng: np.random.Generator) -> list[Strokes]:
    """A wave of 2 to 5 periods, lying down, or two of them."""
    t = np.linspace(0.0, 1.0, 80)
    out = []
    for _ in range(count):
        periods, height = rng.uniform(2.0, 5.0), rng.uniform(0.06, 0.22)
        y = height * np.sin(2 * np.pi * (periods * t + rng.random()))
        line = np.stack([t, y], axis=1)
        lines = [line] if rng.random() < 0.7 else [line, line + np.array([0.0, 3 * height])]
        angle = np.deg2rad(rng.normal(0.0, 8.0))
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        out.append([s @ turn for s in lines])
    return out


def _spring(count: int, rng: np.random.Generator) -> list[Strokes]:
    """Loops in a row, as of a telephone's cord, 3 to 8."""
    out = []
    for _ in range(count):
        loops = rng.uniform(3.0, 8.0)
        t = np.linspace(0.0, loops, int(24 * loops))
        angle = 2 * np.pi * t * rng.choice((-1.0, 1.0))
        size = rng.uniform(0.3, 1.0) * (1 + rng.normal(0.0, 0.15) * np.sin(t))
        x = t * rng.uniform(0.25, 0.8) + size * np.cos(angle)
        line = np.stack([x, size * np.sin(angle) * rng.uniform(0.7, 1.8)], axis=1)
        out.append([_turned(line, rng)])
    return out


def _spiral(count: int, rng: np.random.Generator) -> list[Strokes]:
    """A spiral of 2.5 to 6 turns."""
    out = []
    for _ in range(count):
        turns = rng.uniform(2.5, 6.0)
        t = np.linspace(0.0, 1.0, int(30 * turns))
        angle = 2 * np.pi * (turns * t + rng.random()) * rng.choice((-1.0, 1.0))
        radius = t ** rng.uniform(0.7, 1.2) + 0.02
        line = np.stack([radius * np.cos(angle), radius * np.sin(angle) * rng.uniform(0.7, 1.3)], axis=1)
        out.append([line])
    return out


def _fill(count: int, rng: np.random.Generator) -> list[Strokes]:
    """An area filled by strokes to and fro, in one line or in many, sometimes twice in two directions."""
    out = []
    for _ in range(count):
        strokes: Strokes = []
        for _ in range(1 if rng.random() < 0.7 else 2):
            rows = int(rng.integers(5, 13))
            y = np.repeat(np.linspace(0.0, rng.uniform(0.6, 1.4), rows), 2)
            x = np.tile([0.0, 1.0, 1.0, 0.0], rows)[: 2 * rows] + rng.normal(0.0, 0.06, 2 * rows)
            line = np.stack([x, y + x * rng.normal(0.0, 0.15)], axis=1)
            pieces = [line] if rng.random() < 0.6 else np.split(line, rows)
            angle = rng.uniform(0.0, np.pi)
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            strokes += [(p - (0.5, 0.5)) @ turn for p in pieces]
        out.append(strokes)
    return out


def _dots(count: int, rng: np.random.Generator) -> list[Strokes]:
    """Two to seven taps: a row, a column, a heap."""
    out = []
    for _ in range(count):
        n = int(rng.integers(2, 8))
        row = np.stack([np.arange(n), np.zeros(n)], axis=1) + rng.normal(0.0, 0.12, (n, 2))
        places = (row, row[:, ::-1], rng.uniform(0.0, 3.0, (n, 2)))[int(rng.integers(3))]
        out.append([p[None] + rng.normal(0.0, 0.02, (int(rng.integers(1, 4)), 2)) for p in places])
    return out


def _tap(count: int, rng: np.random.Generator) -> list[Strokes]:
    """One spot."""
    return [[rng.uniform(0.0, 1.0, (1, 2))] for _ in range(count)]


def _polygon(count: int, rng: np.random.Generator) -> list[Strokes]:
    """A closed figure of 5 to 9 corners whose sides cross each other."""
    out = []
    for _ in range(count):
        corners = rng.uniform(0.0, 1.0, (int(rng.integers(5, 10)), 2))
        out.append([np.concatenate([corners, corners[:1]])])
    return out


def _lines(count: int, rng: np.random.Generator) -> list[Strokes]:
    """Three to seven strokes, straight or bent, anywhere."""
    out = []
    for _ in range(count):
        strokes = []
        for _ in range(int(rng.integers(3, 8))):
            ends = rng.uniform(0.0, 1.0, (2, 2))
            middle = ends.mean(axis=0) + rng.normal(0.0, 0.15, 2) * (rng.random() < 0.5)
            strokes.append(_smooth(np.stack([ends[0], middle, ends[1]]), 2))
        out.append(strokes)
    return out


def _smooth(points: Float, rounds: int) -> Float:
    """Cut corners (Chaikin, 1974), `rounds` times."""
    for _ in range(rounds):
        a, b = points[:-1], points[1:]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        points = np.concatenate([points[:1], cut, points[-1:]])
    return points


def _turned(points: Float, rng: np.random.Generator) -> Float:
    angle = rng.uniform(0.0, 2 * np.pi)
    return np.asarray(points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]))


DRAWN: dict[str, Callable[[int, np.random.Generator], list[Strokes]]] = {
    "walk": _walk,
    "zigzag": _zigzag,
    "spring": _spring,
    "spiral": _spiral,
    "polygon": _polygon,
    "lines": _lines,
    "dots": _dots,
    "tap": _tap,
    # Held out.
    "tangle": _tangle,
    "fill": _fill,
    "wave": _wave,
}


def draw(family: str, count: int, rng: np.random.Generator) -> list[Strokes]:
    """Draw `count` of one family of `SIGNS` or `DRAWN`; strokes (n, 2), y down, of any size."""
    return _sign(family, count, rng) if family in SIGNS else DRAWN[family](count, rng)
