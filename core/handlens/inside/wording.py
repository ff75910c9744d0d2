"""How numbers and cells are said aloud: short, with the sign in front, counted from 1."""

from __future__ import annotations

from collections.abc import Sequence

MINUS = "\u2212"


def number(value: float) -> str:
    """Two decimals, with a minus sign proper: "2.31", "−0.10"."""
    return f"{float(value):.2f}".replace("-", MINUS)


def written(value: float) -> str:
    """As short as it goes: "0", "0.9", "−1"."""
    text = f"{float(value):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", MINUS)


def place_of(index: Sequence[int]) -> str:
    """A cell: "map 4, row 5, column 6", or "number 7"."""
    if len(index) == 3:
        return f"map {index[0] + 1}, row {index[1] + 1}, column {index[2] + 1}"
    return ", ".join(f"number {k + 1}" for k in index)
