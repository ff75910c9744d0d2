"""What the peers' bench measured: one record an engine and job, as JSON lines and as one Markdown table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import readme_tables

Kind = Literal["infer", "train"]
NONE = "–"


@dataclass(frozen=True)
class Job:
    """Something every engine is asked to do over and over."""

    kind: Kind
    batch: int

    @property
    def title(self) -> str:
        """The heading of its column."""
        return f"training step, {self.batch}" if self.kind == "train" else f"inference, batch {self.batch}"


@dataclass
class Record:
    """Milliseconds a run of one engine at one job, one number a round; or why there is none."""

    library: str
    backend: str
    job: Job
    samples: list[float] = field(default_factory=list)
    reason: str = ""

    @property
    def median(self) -> float | None:
        """The middle of the rounds, None without any."""
        return statistics.median(self.samples) if self.samples else None

    def line(self, **more: Any) -> str:
        """One line of JSON."""
        rounded = [round(sample, 4) for sample in self.samples]
        middle = None if self.median is None else round(self.median, 4)
        return json.dumps({**asdict(self), "samples": rounded, "median_ms": middle, **more})


def duration(ms: float) -> str:
    """A time to three digits at most: 0.52 ms, 33 ms, 12.2 s."""
    if ms < 10:
        return f"{ms:.2f} ms"
    if ms < 1000:
        return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.1f} ms"
    return f"{ms / 1000:.1f} s" if ms < 100_000 else f"{ms / 1000:.0f} s"


def cell(record: Record | None) -> str:
    """The median, or a dash."""
    return NONE if record is None or record.median is None else duration(record.median)


def table(records: Sequence[Record], jobs: Sequence[Job]) -> str:
    """A row an engine, a column a job; under it, why a dash is one."""
    found = {(r.library, r.backend, r.job): r for r in records}
    engines = list(dict.fromkeys((r.library, r.backend) for r in records))
    rows = [
        [f"{name}, {backend}", *(cell(found.get((name, backend, job))) for job in jobs)] for name, backend in engines
    ]
    notes: list[str] = []
    for name, backend in engines:
        reasons: dict[str, list[str]] = {}
        for job in jobs:
            record = found.get((name, backend, job))
            if record is not None and record.reason:
                reasons.setdefault(record.reason, []).append(job.title)
        for reason, titles in reasons.items():
            where = "" if len(titles) == len(jobs) else f" ({'; '.join(titles)})"
            notes.append(f"- {name}, {backend}{where}: {reason}\n")
    text = readme_tables.table(["engine", *(job.title for job in jobs)], rows)
    return text + ("\n" + "".join(notes) if notes else "")
