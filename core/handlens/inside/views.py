"""What the page's views ask of the core: a question by name, answered with plain values and arrays.

No number that a view shows is computed anywhere else. Answers are dicts of numbers, text, lists and float32 arrays;
engine.py packs them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..graph import Array
from .anatomy import step_of
from .session import QUESTIONS, Answer, Session, question

if TYPE_CHECKING:
    from ..model import Sequential


async def answer(session: Session, name: str, arguments: Mapping[str, Any]) -> Answer:
    """Ask a question by name; DataError where there is none of that name."""
    if name not in QUESTIONS:
        raise DataError(f"no view asks {name!r}; there are: {', '.join(sorted(QUESTIONS))}")
    return await QUESTIONS[name](session, **arguments)


def classes(model: Sequential, count: int) -> list[str]:
    """What the outputs stand for: the file's classes, or numbers from 0."""
    named = model.metadata.get("classes")
    return (
        [str(c) for c in named] if isinstance(named, list) and len(named) == count else [str(k) for k in range(count)]
    )


def as_maps(values: Array) -> Array:
    """(C, H, W), with a vector as one row."""
    return values if values.ndim == 3 else values.reshape(1, 1, -1)


@question
async def network(session: Session, model: str) -> Answer:
    """The network as it is: every step in order, with its shape and its cost."""
    found, chosen = session.steps(model), session.model(model)
    rows = [
        {
            "name": step.name,
            "layer": step.layer,
            "kind": step.kind,
            "title": step.title,
            "source": step.source,
            "shape": list(step.shape),
            "parameters": step.parameters,
            "multiply_adds": step.multiply_adds,
            "weight_bytes": step.weight_bytes,
            "bytes": step.value_bytes,
        }
        for step in found.values()
    ]
    summary = chosen.summary()
    return {
        "model": model,
        "rows": rows,
        "aliases": {name: step_of(chosen, name).name for name in ("logits", "probabilities") if chosen.loss.classifies},
        "classes": classes(chosen, chosen.output_shape[0]),
        "parameters": summary.parameters,
        "multiply_adds": summary.multiply_adds,
        "bytes": summary.bytes,
        "backend": chosen.backend.name,
    }


@question
async def maps(session: Session, model: str, blank: bool = False) -> Answer:
    """All values of all steps for the drawing as it stands, with their ranges: of each map, each step, and of all."""
    traced = await session.trace(model, blank)
    rows, peak = [], 0.0
    for name in session.steps(model):
        shown = as_maps(traced[name])
        low, high = float(shown.min()), float(shown.max())
        peaks = np.abs(shown).max(axis=(1, 2))
        rows.append({"name": name, "low": low, "high": high, "peaks": peaks, "values": shown})
        peak = max(peak, -low, high)
    return {"rows": rows, "peak": peak, "ink": float(session.image(blank).sum())}
