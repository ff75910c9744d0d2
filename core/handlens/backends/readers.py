"""Who reads what a step of a plan writes: what a backend has to know before it makes one kernel of two steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..plan import Plan


class Call(Protocol):
    """A step of a plan, or a backend's own: its operands by name."""

    @property
    def inputs(self) -> tuple[str, ...]: ...

    @property
    def outputs(self) -> tuple[str, ...]: ...

    @property
    def updates(self) -> tuple[str, ...]: ...


def key(plan: Plan, name: str) -> tuple[str, int]:
    """Where a tensor lies: views of one value share it."""
    place = plan.tensors[name]
    return place.buffer, place.offset


def readers(plan: Plan, calls: Sequence[Call], made: int) -> list[int]:
    """The calls that read what call ``made`` writes first, until something else is written there; len(calls), which is
    no call, stands for those who read a public output."""
    home = key(plan, calls[made].outputs[0])
    found = []
    for k in range(made + 1, len(calls)):
        if any(key(plan, t) == home for t in calls[k].inputs):
            found.append(k)
        if any(key(plan, t) == home for t in (*calls[k].outputs, *calls[k].updates)):
            return found
    return [*found, len(calls)] if any(key(plan, t) == home for t in plan.outputs.values()) else found
