"""The registry behind the op table: one instance an op, found by name when a plan is loaded."""

from __future__ import annotations

from typing import TypeVar

from ..errors import PlanError
from ..graph import Op

TABLE: dict[str, Op] = {}
AnyOp = TypeVar("AnyOp", bound=Op)


def register(cls: type[AnyOp]) -> AnyOp:
    """Put one instance of the class into the table and return it."""
    if cls.name in TABLE:
        raise PlanError(f"op {cls.name!r} is defined twice")
    instance = cls()
    TABLE[cls.name] = instance
    return instance


def find(name: str) -> Op:
    """The op of that name; a PlanError names the nearest ones otherwise."""
    try:
        return TABLE[name]
    except KeyError:
        import difflib

        near = ", ".join(difflib.get_close_matches(name, TABLE)) or ", ".join(sorted(TABLE))
        raise PlanError(f"no op is called {name!r}; did you mean: {near}?") from None
