"""The table of ops on the host and in Chromium beside the peak of one core, from what `handlens.roofline` measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import readme_tables

SMALL = 0.02  # of a job's time on both sides: ops below it are put together
NONE = "–"


@dataclass(frozen=True)
class Cost:
    """Time of an op, or of several; its operations, and the bytes it moves."""

    ms: float
    operations: float
    bytes: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Cost:
        """That of a measured row."""
        return cls(
            row["milliseconds"], 1e6 * row["milliseconds"] * row["gflops"], 1e6 * row["milliseconds"] * row["gigabytes"]
        )

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.ms + other.ms, self.operations + other.operations, self.bytes + other.bytes)

    def cells(self, peak: float) -> list[str]:
        """Milliseconds, GFLOP/s and their part of the peak; GB/s where nothing is multiplied."""
        if not self.operations:
            return [f"{self.ms:.2f}", f"{1e-6 * self.bytes / self.ms:.1f} GB/s", NONE]
        speed = 1e-6 * self.operations / self.ms
        return [f"{self.ms:.2f}", f"{speed:.1f}", f"{speed / peak:.0%}"]


NOTHING = Cost(0, 0, 0)


def table(sides: Mapping[str, Mapping[str, Any]]) -> str:
    """A row an op, three columns a side. sides: by its name, what `roofline.measure` gave; the ops are the same."""
    first = next(iter(sides.values()))
    jobs = list(dict.fromkeys(row["job"] for row in first["ops"]))
    keys = [[(row["job"], row["op"], row["layer"]) for row in side["ops"]] for side in sides.values()]
    if any(other != keys[0] for other in keys):
        raise ValueError("the sides have not run the same ops")
    peaks = [side["peak"] for side in sides.values()]
    rows = []
    for job in jobs:
        at = [k for k, row in enumerate(first["ops"]) if row["job"] == job]
        costs = [[Cost.of(side["ops"][k]) for side in sides.values()] for k in at]
        total = added(costs)
        large = [any(c.ms >= SMALL * t.ms for c, t in zip(cost, total, strict=True)) for cost in costs]
        rows += [
            [" ".join(filter(None, (first["ops"][k]["op"], first["ops"][k]["layer"]))), *cells(cost, peaks)]
            for k, cost, shown in zip(at, costs, large, strict=True)
            if shown
        ]
        rest = [cost for cost, shown in zip(costs, large, strict=True) if not shown]
        if rest:
            rows.append([f"{len(rest)} others", *cells([without_speed(c) for c in added(rest)], peaks)])
        rows.append([f"**{job}**", *cells(total, peaks)])
    head = [f"{name} {what}" for name in sides for what in ("ms", "GFLOP/s", "of its peak")]
    return readme_tables.table(["op", *head], rows)


def added(costs: Sequence[Sequence[Cost]]) -> list[Cost]:
    """The sum of each side."""
    return [sum(side, NOTHING) for side in zip(*costs, strict=True)]


def without_speed(cost: Cost) -> Cost:
    """As bytes moved: a sum of ops of which most multiply nothing has no speed of multiplying."""
    return Cost(cost.ms, 0, cost.bytes)


def cells(costs: Sequence[Cost], peaks: Sequence[float]) -> list[str]:
    """The cells of all sides."""
    return [cell for cost, peak in zip(costs, peaks, strict=True) for cell in cost.cells(peak)]
