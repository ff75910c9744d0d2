"""A hand: the digits that one person has drawn and named, and the file in which they can be taken along.

The file is JSON:  {"format": "handlens-hand/1", "digits": [{"label": 7, "extent": 280, "strokes": [{"width": 22,
"erase": false, "points": [x, y, ...]}], "read": "1", "model": "digits", "when": "2025-01-31T12:00:00Z"}, ...]}.
A digit that was never ink, but 28x28 numbers, has "image", 784 numbers from 0 to 1, in place of extent and strokes.
What is read may come from a stranger: all of it is judged first, and one FormatError says what is wrong.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import DataError, FormatError
from .graph import Array
from .strokes import SIDE, Stroke, prepare

__all__ = ["Drawn", "dumps", "images", "loads"]

FORMAT = "handlens-hand/1"
MOST_DIGITS, MOST_POINTS, MOST_BYTES = 10_000, 20_000, 50_000_000
FARTHEST = 1e4  # pad units: a pad has hundreds
WORDS = ("read", "model", "when")


@dataclass(frozen=True, eq=False)
class Drawn:
    """One digit as it was drawn, and what its writer says it is.

    label: 0 to 9. strokes and extent: as on the pad; or image: float32 (28, 28) where it was never ink.
    notes: what was read instead, by which model, when; for people, not for the network.
    """

    label: int
    strokes: list[Stroke] = field(default_factory=list)
    extent: float = 280.0
    image: Array | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def pixels(self) -> Array | None:
        """What a network sees of it, float32 (28, 28); None where no ink is left."""
        if self.image is not None:
            return self.image
        prepared = prepare(self.strokes, self.extent)
        return None if prepared is None else prepared.image


def images(drawn: Sequence[Drawn]) -> tuple[Array, Array]:
    """Images (N, 28, 28) float32 and labels (N,) of those that have ink."""
    found = [(pixels, one.label) for one in drawn if (pixels := one.pixels()) is not None]
    made = np.array([pixels for pixels, _ in found], np.float32).reshape(-1, SIDE, SIDE)
    return made, np.array([label for _, label in found], np.int64)


def dumps(drawn: Sequence[Drawn]) -> str:
    """The file of these digits; coordinates to a hundredth of a pad unit."""
    return json.dumps({"format": FORMAT, "digits": [_written(one) for one in drawn]}, separators=(",", ":")) + "\n"


def _written(one: Drawn) -> dict[str, Any]:
    made: dict[str, Any] = {"label": one.label, **one.notes}
    if one.image is not None:
        return made | {"image": [round(float(value), 4) for value in one.image.reshape(-1)]}
    strokes = [
        {"width": s.width, "erase": bool(s.erase), "points": [round(float(v), 2) for v in s.points.reshape(-1)]}
        for s in one.strokes
    ]
    return made | {"extent": one.extent, "strokes": strokes}


def loads(text: str | bytes) -> list[Drawn]:
    """The digits of such a file. Raises FormatError saying which digit is wrong, and how."""
    if len(text) > MOST_BYTES:
        raise FormatError(f"the file has {len(text) / 1e6:.0f} MB; a hand has at most {MOST_BYTES / 1e6:.0f}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise FormatError("the file is not JSON; choose one that was exported here") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("digits"), list):
        raise FormatError(f"the file holds no digits of a hand ({FORMAT}); choose one that was exported here")
    if len(value["digits"]) > MOST_DIGITS:
        raise FormatError(f"the file holds {len(value['digits'])} digits; at most {MOST_DIGITS} can be read")
    return [_read(f"digit {number}", entry) for number, entry in enumerate(value["digits"], 1)]


def _read(where: str, entry: Any) -> Drawn:
    if not isinstance(entry, dict):
        raise FormatError(f"{where} is no object with a label and strokes")
    label = entry.get("label")
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label <= 9:
        raise FormatError(f"{where}: its label must be 0 to 9; it is {str(label)[:40]!r}")
    notes = {name: entry[name][:200] for name in WORDS if isinstance(entry.get(name), str)}
    if "image" in entry:
        pixels = _numbers(f"{where}: image", entry["image"], 0.0, 1.0)
        if len(pixels) != SIDE * SIDE:
            raise FormatError(f"{where}: an image has {SIDE * SIDE} numbers; here are {len(pixels)}")
        return Drawn(label, image=pixels.astype(np.float32).reshape(SIDE, SIDE), notes=notes)
    listed, extent = entry.get("strokes"), _numbers(f"{where}: extent", [entry.get("extent")], 1.0, FARTHEST)[0]
    if not isinstance(listed, list) or not listed:
        raise FormatError(f"{where} has neither strokes nor an image")
    strokes = [_stroke(f"{where}, stroke {number}", stroke) for number, stroke in enumerate(listed, 1)]
    if sum(len(s.points) for s in strokes) > MOST_POINTS:
        raise FormatError(f"{where}: more than {MOST_POINTS} points")
    return Drawn(label, strokes, float(extent), notes=notes)


def _stroke(where: str, entry: Any) -> Stroke:
    if not isinstance(entry, dict) or not isinstance(entry.get("erase"), bool):
        raise FormatError(f"{where} must have points, a width and erase (true or false)")
    points = _numbers(f"{where}: points", entry.get("points"), -FARTHEST, FARTHEST)
    width = _numbers(f"{where}: width", [entry.get("width")], 0.1, FARTHEST)[0]
    if not len(points) or len(points) % 2:
        raise FormatError(f"{where}: points are pairs of x and y, at least one; here are {len(points)} numbers")
    try:
        return Stroke(points.reshape(-1, 2), float(width), entry["erase"])
    except DataError as error:
        raise FormatError(f"{where}: {error}") from None


def _numbers(where: str, values: Any, low: float, high: float) -> Array:
    """A list of finite numbers within bounds."""
    if not isinstance(values, list) or len(values) > 2 * MOST_POINTS:
        raise FormatError(f"{where} must be a list of numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise FormatError(f"{where} must be finite numbers; got {str(value)[:40]!r}")
        if not low <= value <= high:
            raise FormatError(f"{where} must lie from {low:g} to {high:g}; got {value:g}")
    return np.array(values, np.float64)
