"""Single-stroke vector fonts: letters as pen paths, from SVG fonts that the build fetches into `.cache/fonts`.

No human letters are at hand; these stand in for them where a network learns, and is measured on, what is not a digit.

Sources: A. V. Hershey, "Calligraphy for Computers", 1967, and the EMS fonts by S. B. Michaels (SIL Open Font Licence),
as SVG fonts by W. H. Oskay, in the package `hersheytext` by J. Todd; licences in build/vendor.lock.json.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from html import unescape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FormatError

__all__ = ["FONTS", "HELD_OUT", "LETTERS", "TRAINED", "WAY_OUT", "find_folder", "glyphs", "parse"]

Float = NDArray[np.float64]
WAY_OUT = "run: python3 build/make.py vendor"
SPACING = 0.04  # of the glyph's larger side, between points

# Fonts of one design stay on one side: a network that saw the upright has seen the italic.
TRAINED = (
    "EMSAllure",
    "EMSElfin",
    "EMSFelix",
    "EMSNixish",
    "EMSNixishItalic",
    "EMSOsmotron",
    "HersheyGothEnglish",
    "HersheySans1",
    "HersheySansMed",
    "HersheySerifBold",
    "HersheySerifBoldItalic",
    "HersheySerifMed",
    "HersheySerifMedItalic",
)
HELD_OUT = ("EMSReadability", "EMSReadabilityItalic", "EMSTech", "HersheyScript1", "HersheyScriptMed")
FONTS = TRAINED + HELD_OUT

# Letters that are left out, because as a drawing they are a digit, and why.
LIKE_DIGITS: dict[str, str] = {
    "O": "0",
    "o": "0",
    "D": "0 once its corners are rounded",
    "Q": "0 with a tail, and 2 in a script",
    "I": "1, based",
    "l": "1",
    "i": "1",
    "J": "1 whose base runs to the left only",
    "j": "1 whose base runs to the left only",
    "Z": "2",
    "z": "2",
    "y": "4, open and in one stroke",
    "S": "5",
    "s": "5",
    "b": "6",
    "G": "6",
    "B": "8",
    "g": "9, curled",
    "q": "9",
}
LETTERS = "".join(c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in LIKE_DIGITS)

_GLYPH = re.compile(r"<glyph\b([^>]*?)/?>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(\w[\w-]*)="([^"]*)"')
_TOKEN = re.compile(r"[MLCZ]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|\S")


def find_folder(folder: str | os.PathLike[str] | None = None) -> Path | None:
    """Find the folder that holds the fonts of `FONTS`; None where there is none.

    Looks at `folder`; else at $HANDLENS_FONTS; else at `.cache/fonts` in the working folder, the folders above it, and
    the repository this file belongs to.
    """
    if folder is not None:
        candidates = [Path(folder)]
    elif os.environ.get("HANDLENS_FONTS"):
        candidates = [Path(os.environ["HANDLENS_FONTS"])]
    else:
        here = Path.cwd()
        candidates = [root / ".cache" / "fonts" for root in (here, *here.parents, *Path(__file__).resolve().parents)]
    for candidate in candidates:
        if all((candidate / f"{name}.svg").is_file() for name in FONTS):
            return candidate
    return None


def glyphs(name: str, folder: str | os.PathLike[str] | None = None) -> dict[str, list[Float]]:
    """The glyphs of one font of `FONTS`: character -> its strokes, see `parse`.

    Raises:
        DataError: no such font, or the fonts are not here; the message says how to get them.
        FormatError: a damaged file.
    """
    if name not in FONTS:
        raise DataError(f"font {name!r}: there are {', '.join(FONTS)}")
    place = find_folder(folder)
    if place is None:
        raise DataError(f"the fonts are not in .cache/fonts; {WAY_OUT}, or set HANDLENS_FONTS to a folder with them")
    return _read(place / f"{name}.svg")


@lru_cache(maxsize=len(FONTS))
def _read(path: Path) -> dict[str, list[Float]]:
    return parse(path.read_text("utf-8"), str(path))


def parse(text: str, name: str = "text") -> dict[str, list[Float]]:
    """Read an SVG font whose glyphs are pen paths of M, L, C and Z.

    Returns:
        for each character with ink its strokes, (n, 2) points x, y evenly spaced, y down; the ink's box begins at 0, 0
        and its larger side is 1.
    Raises:
        FormatError: a path of other commands, or no glyph at all.
    """
    found: dict[str, list[Float]] = {}
    for match in _GLYPH.finditer(text):
        attributes = dict(_ATTRIBUTE.findall(match[1]))
        character = unescape(attributes.get("unicode", ""))
        if len(character) == 1 and attributes.get("d", "").strip():
            found[character] = _normal(_strokes(attributes["d"], f"{name}, glyph {character!r}"))
    if not found:
        raise FormatError(f"{name}: no glyph in it; is it an SVG font?")
    return found


def _strokes(path: str, where: str) -> list[Float]:
    """The polylines of an SVG path, y turned down."""
    tokens = _TOKEN.findall(path)
    strokes: list[list[tuple[float, float]]] = []
    command, at = "", 0
    while at < len(tokens):
        if tokens[at] in "MLCZ":
            command, at = tokens[at], at + 1
            if command == "Z" and strokes:
                strokes[-1].append(strokes[-1][0])
            continue
        count = {"M": 2, "L": 2, "C": 6}.get(command, 0)
        try:
            values = [float(t) for t in tokens[at : at + count]]
        except ValueError:
            values = []
        if count == 0 or len(values) < count or (command != "M" and not strokes):
            raise FormatError(f"{where}: cannot read its path at {' '.join(tokens[at : at + 4])!r}")
        at += count
        if command == "M":
            strokes.append([(values[0], values[1])])
            command = "L"  # further pairs after a move are lines
        elif command == "L":
            strokes[-1].append((values[0], values[1]))
        else:
            strokes[-1] += _cubic(strokes[-1][-1], values)
    return [np.array(s) * (1.0, -1.0) for s in strokes]


def _cubic(start: tuple[float, float], values: list[float]) -> list[tuple[float, float]]:
    """Points along a cubic Bezier curve, without its start."""
    p = np.array([start, values[0:2], values[2:4], values[4:6]])
    t = (np.arange(1, 9) / 8)[:, None]
    points = (1 - t) ** 3 * p[0] + 3 * (1 - t) ** 2 * t * p[1] + 3 * (1 - t) * t**2 * p[2] + t**3 * p[3]
    return [(float(x), float(y)) for x, y in points]


def _normal(strokes: list[Float]) -> list[Float]:
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    size = max(float((points.max(axis=0) - low).max()), 1e-9)
    return [_even((s - low) / size) for s in strokes]


def _even(points: Float) -> Float:
    """The same path with points every `SPACING`."""
    length = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))))
    if length[-1] <= 0:
        return points[:1]
    at = np.linspace(0.0, length[-1], max(2, int(np.ceil(length[-1] / SPACING)) + 1))
    return np.stack([np.interp(at, length, points[:, i]) for i in (0, 1)], axis=1)
