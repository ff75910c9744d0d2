"""The project's own writer: digits in all styles, and drawings that are not digits, from a seed.

    digits(count, seed)            -> unipen.Digit's, all classes alike often, styles by their weight (templates.py)
    rejects(count, seed, families) -> Reject's: scribbles, shapes, letters, digits spoilt or in pairs

With it anyone without the stroke file can rebuild a model nearly as good. `TRAINED` families are for training,
`HELD_OUT` ones for the report alone; a font is the family `font:<name>`. Everything follows from the seed and the
count (NumPy's PCG64); the fonts come from .cache/fonts (data/fonts.py), and without them the other families go on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..seeds import checked_seed
from ..strokes import Stroke
from . import fonts, human, scribbles
from .templates import DIGITS, STYLES, parse, template
from .unipen import Digit

__all__ = ["FAMILIES", "HELD_OUT", "STYLES", "TRAINED", "Reject", "available", "digits", "rejects"]

Float = NDArray[np.float64]
Strokes = list[Float]

HEIGHT = 400.0  # tablet units that a digit is high, about as in the UCI collection


@dataclass(frozen=True, eq=False)
class Reject:
    """One drawing that is not a digit: its family, and its strokes, (n, 2) points x, y, y down, of any size."""

    family: str
    strokes: Strokes

    def drawn(
        self,
        extent: float = 280.0,
        size: float = 200.0,
        width: float = 18.0,
        centre: tuple[float, float] | None = None,
        rotation: float = 0.0,
    ) -> list[Stroke]:
        """Draw it on a pad; arguments, result and errors as of `unipen.Digit.drawn`."""
        return Digit(-1, -1, -1, self.strokes).drawn(extent, size, width, centre, rotation)


def digits(count: int, seed: int, styles: Sequence[str] | None = None) -> list[Digit]:
    """Write digits as people do.

    Args:
        count: how many; classes come equally often, in random order. seed: of all random numbers.
        styles: names of `STYLES` to choose from; all when left out. Classes without a style do not come then.
    Returns:
        writer -1; sample is the index of its style in `list(STYLES)`.
    Raises:
        DataError: count or seed is not a whole number of at least 0, or a style is unknown.
    """
    rng = np.random.Generator(np.random.PCG64(checked_seed(seed)))
    number = _checked_count(count)
    names = list(STYLES)
    allowed = names if styles is None else list(styles)
    for name in allowed:
        if name not in STYLES:
            raise DataError(f"style {name!r}: there are {', '.join(names)}")
    classes = sorted({STYLES[name] for name in allowed})
    if not classes:
        raise DataError("no style to choose from")
    labels = rng.permutation(np.arange(number) % len(classes))
    style = np.zeros(number, np.intp)
    for i, label in enumerate(classes):
        mine = [name for name in allowed if STYLES[name] == label]
        weight = np.array([DIGITS[name][1] for name in mine])
        at = np.flatnonzero(labels == i)
        style[at] = np.array([names.index(n) for n in mine])[rng.choice(len(mine), len(at), p=weight / weight.sum())]
    drawn: list[Strokes] = [[] for _ in range(number)]
    for i in np.unique(style):
        at = np.flatnonzero(style == i)
        shape = template(names[i])
        points = human.write(human.sample(shape, len(at), rng), shape.ends, rng) * HEIGHT
        for j, strokes in zip(at, scribbles.split(points, shape.ends), strict=True):
            drawn[j] = strokes
    return [Digit(STYLES[names[s]], -1, int(s), d) for s, d in zip(style, drawn, strict=True)]


def rejects(count: int, seed: int, families: Sequence[str] | None = None) -> list[Reject]:
    """Draw what is not a digit.

    Args:
        count: how many. seed: of all random numbers. families: names of `FAMILIES`; `TRAINED` when left out. Each
            comes as often as its weight in `FAMILIES` says against the others.
    Returns:
        in random order. Where the fonts are missing, families that need them are left out with a warning.
    Raises:
        DataError: count or seed is not a whole number of at least 0, a family is unknown, or none is left.
    """
    rng = np.random.Generator(np.random.PCG64(checked_seed(seed)))
    number = _checked_count(count)
    asked = list(TRAINED if families is None else families)
    names = available(asked)
    if len(names) < len(asked):
        left = ", ".join(f for f in asked if f not in names)
        warnings.warn(f"left out, since the fonts are not here: {left}; {fonts.WAY_OUT}", stacklevel=2)
    if not names:
        raise DataError(f"no family to draw from: the fonts are not in .cache/fonts; {fonts.WAY_OUT}")
    weight = np.array([FAMILIES[name] for name in names])
    chosen = rng.choice(len(names), number, p=weight / weight.sum())
    if number >= len(names):
        chosen[: len(names)] = np.arange(len(names))  # none is missing
    chosen = rng.permutation(chosen)
    out: list[Reject | None] = [None] * number
    for i, name in enumerate(names):
        at = np.flatnonzero(chosen == i)
        for j, strokes in zip(at, _draw(name, len(at), rng) if len(at) else [], strict=True):
            out[j] = Reject(name, strokes)
    return [r for r in out if r is not None]


def available(families: Sequence[str]) -> list[str]:
    """Those of the families that can be drawn here: all, or without the fonts' ones where there are no fonts.

    Raises:
        DataError: a family is unknown.
    """
    for name in families:
        if name not in FAMILIES:
            raise DataError(f"family {name!r}: there are {', '.join(FAMILIES)}")
    here = fonts.find_folder() is not None
    return [name for name in families if here or not _needs_fonts(name)]


def _checked_count(count: int) -> int:
    if isinstance(count, bool) or int(count) != count or count < 0:
        raise DataError(f"count must be a whole number of at least 0; got {count!r}")
    return int(count)


def _needs_fonts(family: str) -> bool:
    return family.startswith("font:") or family in ("symbols", "letter pair")


def _sized(strokes: Strokes) -> Strokes:
    """Scale a drawing to tablet units, its larger side `HEIGHT`; a spot stays one."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    size = float((points.max(axis=0) - low).max())
    return [(s - low) * (HEIGHT / size if size > 1e-6 else 1.0) for s in strokes]


def _draw(family: str, count: int, rng: np.random.Generator) -> list[Strokes]:
    if family.startswith("font:"):
        return _glyphs([(family[5:], c) for c in fonts.LETTERS], count, rng)
    if family in _OWN:
        return _OWN[family](count, rng)
    return scribbles.draw(family, count, rng)


# Letters and signs from the fonts.


def _glyphs(kinds: list[tuple[str, str]], count: int, rng: np.random.Generator) -> list[Strokes]:
    """Glyphs, each (font, character), chosen evenly and written by hand."""
    read = {font: fonts.glyphs(font) for font in sorted({font for font, _ in kinds})}
    chosen = rng.integers(len(kinds), size=count)
    out: list[Strokes] = [[] for _ in range(count)]
    for i in np.unique(chosen):
        font, character = kinds[i]
        strokes = read[font][character]
        at = np.flatnonzero(chosen == i)
        ends = np.cumsum([len(s) for s in strokes])
        points = human.write(np.repeat(np.concatenate(strokes)[None], len(at), axis=0), ends, rng)
        for j, drawn in zip(at, scribbles.split(points, ends), strict=True):
            out[j] = drawn
    return out


def _symbols(count: int, rng: np.random.Generator) -> list[Strokes]:
    """Signs of a keyboard that are not a digit's shape: not / \\ | ( ) [ ] { } < > ! , ' - _."""
    kinds = [(f, c) for f in fonts.TRAINED for c in sorted(set('&%$#@=+*?:;"') & fonts.glyphs(f).keys())]
    return _glyphs(kinds, count, rng)


def _letter_pair(count: int, rng: np.random.Generator) -> list[Strokes]:
    """Two or three letters in a row, of one font."""
    many = rng.choice((2, 2, 3), count)
    font = rng.integers(len(fonts.TRAINED), size=count)
    of_letter = np.repeat(font, many)
    letters: list[Strokes] = [[] for _ in of_letter]
    for i in np.unique(font):
        at = np.flatnonzero(of_letter == i)
        for j, strokes in zip(at, _glyphs([(fonts.TRAINED[i], c) for c in fonts.LETTERS], len(at), rng), strict=True):
            letters[j] = strokes
    rest = iter(letters)
    return [_row([next(rest) for _ in range(n)], rng.uniform(0.05, 0.35, n), rng) for n in many]


# Digits that are not one digit.


def _row(parts: list[Strokes], gaps: Float, rng: np.random.Generator) -> Strokes:
    """Set drawings side by side; a gap, in heights, may be below 0."""
    out: Strokes = []
    right = 0.0
    for part, gap in zip(parts, gaps, strict=True):
        points = np.concatenate(part)
        low, high = points.min(axis=0), points.max(axis=0)
        scale = rng.uniform(0.8, 1.15) / max(float(high[1] - low[1]), 0.5 * float(high[0] - low[0]), 1e-6)
        place = np.array([right + (gap if out else 0.0), rng.normal(0.0, 0.06)])
        middle = np.array([low[0], (low[1] + high[1]) / 2])
        out += [(s - middle) * scale + place for s in part]
        right = place[0] + float(high[0] - low[0]) * scale
    return out


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 62))


def _two_digits(count: int, rng: np.random.Generator) -> list[Strokes]:
    """Two or three digits side by side with a gap."""
    many = rng.choice((2, 2, 2, 3), count)
    written = iter(digits(int(many.sum()), _seed(rng)))
    return [_row([next(written).strokes for _ in range(n)], rng.uniform(0.08, 0.4, n), rng) for n in many]


def _touching(count: int, rng: np.random.Generator) -> list[Strokes]:
    """Two digits that touch or overlap a little."""
    written = iter(digits(2 * count, _seed(rng)))
    return [_row([next(written).strokes for _ in range(2)], rng.uniform(-0.12, 0.03, 2), rng) for _ in range(count)]


def _junk(count: int, rng: np.random.Generator) -> list[Strokes]:
    """A digit crossed out, scribbled over, or with a sign beside it."""
    out = []
    walks = scribbles.draw("walk", count, rng)
    for digit, walk, kind in zip(digits(count, _seed(rng)), walks, rng.integers(3, size=count), strict=True):
        strokes = _sized(digit.strokes)
        if kind == 0:  # crossed out: two strokes through it, or more
            size = np.max(np.concatenate(strokes), axis=0)
            for _ in range(rng.integers(2, 5)):
                tilt = rng.uniform(-0.3, 0.3)
                y = rng.uniform(0.2, 0.8)
                strokes.append((np.array([[-0.2, y - tilt], [1.2, y + tilt]]) + rng.normal(0, 0.08, (2, 2))) * size)
        elif kind == 1:
            strokes += [s * rng.uniform(0.6, 1.1) + rng.normal(0.0, 40.0, 2) for s in _sized(walk)]
        else:
            strokes = _row([strokes, walk], np.array([0.0, rng.uniform(0.0, 0.3)]), rng)
        out.append(strokes)
    return out


_PARTS = (  # what is left of a digit and is none: 4 without its stem, halves of 0, 2, 3, 5, 8
    "20,0 4,62! 40,60 76,58",
    "52,2 20,12 5,50 20,88 54,98",
    "4,10 8,70 34,98 60,70 66,8",
    "4,90 8,30 34,2 60,30 66,92",
    "8,24 26,4 54,3 66,24 62,44",
    "4,97! 40,96 76,98 | 30,40 50,30",
    "20,3 14,60 | 20,3 44,3 74,1",
    "2,40 20,10 50,12 60,40 40,60",
    "8,80 30,98 60,84 66,50",
    "10,0 40,40 70,0",
    "10,100 40,56 70,100",
    "10,0 60,50 10,100 | 80,0 80,30",
)


def _partial(count: int, rng: np.random.Generator) -> list[Strokes]:
    chosen = rng.integers(len(_PARTS), size=count)
    out: list[Strokes] = [[] for _ in range(count)]
    for i in np.unique(chosen):
        shape = parse(_PARTS[i])
        at = np.flatnonzero(chosen == i)
        points = human.write(human.sample(shape, len(at), rng), shape.ends, rng)
        for j, drawn in zip(at, scribbles.split(points, shape.ends), strict=True):
            out[j] = drawn
    return out


_OWN: dict[str, Callable[[int, np.random.Generator], list[Strokes]]] = {
    "symbols": _symbols,
    "letter pair": _letter_pair,
    "two digits": _two_digits,
    "touching digits": _touching,
    "digit with junk": _junk,
    "partial digit": _partial,
}

_HELD_OUT_SHAPES = ("tangle", "fill", "wave", "heart", "house", "face", "flower")
_WEIGHTS = {
    "two digits": 4.0,
    "touching digits": 4.0,
    "digit with junk": 2.0,
    "walk": 2.0,
    "tap": 0.2,
    "partial digit": 1.0,
}

# family -> how often it comes, against the others.
FAMILIES: dict[str, float] = {
    **{name: _WEIGHTS.get(name, 1.0) for name in (*scribbles.DRAWN, *scribbles.SIGNS, *_OWN)},
    **{f"font:{name}": 2.0 for name in fonts.FONTS},
}
HELD_OUT: tuple[str, ...] = (*_HELD_OUT_SHAPES, *(f"font:{name}" for name in fonts.HELD_OUT))
TRAINED: tuple[str, ...] = tuple(name for name in FAMILIES if name not in HELD_OUT)
