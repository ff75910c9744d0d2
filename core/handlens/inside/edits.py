"""What was done at the operating table as a short text, for the address of the page: a reload does it again.

    weight:conv1:2.0.0.1:-0.5 ~ pooling:pool1:average ~ zero:conv2:4          (without the spaces)

Only letters, digits and ``: . _ - ~`` stand in it, so that nothing needs quoting there. Names of hand-made kernels have
"_" for a space. Indices count from 0, as in the arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import DataError

__all__ = ["LONGEST", "Edit", "read", "written"]

Edit = tuple[str, dict[str, Any]]  # an action of the question "edited", and its arguments

LONGEST = 1200  # characters: what is longer is not written at all
FIELD = re.compile(r"[A-Za-z0-9_.-]+")


def index_of(text: str) -> list[int]:
    """ "2.0.0.1" as numbers."""
    return [int(part) for part in text.split(".")]


def dotted(index: Sequence[int]) -> str:
    """Numbers as "2.0.0.1"."""
    return ".".join(str(int(k)) for k in index)


def shortest(value: float) -> str:
    """A float32 with as many digits as tell it from its neighbours."""
    return f"{float(value):.9g}".replace("e+", "e")


def joined(name: str) -> str:
    """A name without spaces."""
    return name.replace(" ", "_")


def spaced(text: str) -> str:
    """A name as it is spoken."""
    return text.replace("_", " ")


# For each action its arguments in order: the name, how it is written, and how it is read.
Way = tuple[str, Callable[[Any], str], Callable[[str], Any]]
LAYER: Way = ("layer", str, str)
FORMS: dict[str, tuple[Way, ...]] = {
    "weight": (LAYER, ("index", dotted, index_of), ("value", shortest, float), ("parameter", str, str)),
    "zero": (LAYER, ("kernel", str, int)),
    "kernel": (LAYER, ("kernel", str, int), ("name", joined, spaced), ("channel", str, int)),
    "pooling": (LAYER, ("kind", str, str)),
    "stride": (LAYER, ("stride", str, int)),
    "padding": (LAYER, ("padding", str, str)),
    "activation": (LAYER, ("kind", str, str)),
}
OPTIONAL = ("parameter", "channel")


def written(edits: Sequence[Edit]) -> str:
    """Edits, oldest first, as text; "" for none, for too many, and for one that has no such form."""
    lines = []
    for action, arguments in edits:
        known = FORMS.get(action, ())
        given = {name for name, value in arguments.items() if value is not None} - {"joined"}
        if not known or not given <= {name for name, _, _ in known}:
            return ""
        fields = [write(arguments[name]) for name, write, _ in known if arguments.get(name) is not None]
        if not all(FIELD.fullmatch(field) for field in fields):
            return ""
        lines.append(":".join([action, *fields]))
    text = "~".join(lines)
    return text if len(text) <= LONGEST else ""


def read(text: str) -> list[Edit]:
    """The edits of a text; DataError for one that :func:`written` has not made."""
    found: list[Edit] = []
    for line in text.split("~") if text else []:
        action, *fields = line.split(":")
        known = FORMS.get(action, ())
        needed = sum(name not in OPTIONAL for name, _, _ in known)
        if not known or not needed <= len(fields) <= len(known):
            raise DataError(f"{line!r} is no edit; there are: {', '.join(FORMS)}")
        try:
            named = zip(known, fields, strict=False)
            found.append((action, {name: convert(field) for (name, _, convert), field in named}))
        except ValueError as error:
            raise DataError(f"{line!r} is no edit: {error}") from None
    return found
