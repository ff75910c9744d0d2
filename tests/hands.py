"""Drawings for the browser: digits by people, or by the project's own writer where the stroke file is not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from handlens.data import generator, unipen

CELLS = 28
SEED = 20260101  # of the generator's digits; training uses others

Drawing = tuple[str, list[list[tuple[float, float]]]]  # what it says, and its strokes in cells of the 28 x 28


@cache
def digits() -> tuple[list[unipen.Digit], str]:
    """Digits that no model here was trained on, and where they come from.

    They are of the writers who choose thresholds: the report's writers are read once, by `handlens evaluate --drawn`.
    """
    file = unipen.find_file()
    if file is None:
        return generator.digits(2000, SEED), "digits of the project's own generator, for want of the stroke file"
    return unipen.split(unipen.read(file), "choose"), "real pen strokes"


def cells(strokes: Sequence[Any], extent: float = CELLS) -> list[list[tuple[float, float]]]:
    """Strokes on a pad as the desk draws them."""
    return [[(float(x) * CELLS / extent, float(y) * CELLS / extent) for x, y in stroke.points] for stroke in strokes]


def drawn(digit: Any, size: float = 18.0, **place: Any) -> list[list[tuple[float, float]]]:
    """A digit in the middle of the pad, 18 cells high or wide unless said otherwise."""
    return cells(digit.drawn(CELLS, size, 2.2, **place))


def spread(count: int, offset: int = 0) -> list[unipen.Digit]:
    """So many of each of the ten digits in turn, spread over the writers; another offset gives others."""
    of_label: dict[int, list[unipen.Digit]] = {label: [] for label in range(10)}
    for digit in digits()[0]:
        of_label[digit.label].append(digit)
    each = -(-count // 10)
    chosen = []
    for k in range(each):
        for some in of_label.values():
            chosen.append(some[(k * len(some) // each + offset) % len(some)])
    return chosen[:count]
