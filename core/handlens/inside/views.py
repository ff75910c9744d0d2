"""What the page's views ask of the core: a question by name, answered with plain values and arrays.

No number that a view shows is computed anywhere else. Answers are dicts of numbers, text, lists and float32 arrays;
engine.py packs them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DataError
from . import cellview, operate, story_question, unfold, why  # noqa: F401  (their questions)
from .anatomy import TITLES
from .layerview import pictured
from .session import QUESTIONS, Answer, Session, classes, question


async def answer(session: Session, name: str, arguments: Mapping[str, Any]) -> Answer:
    """Ask a question by name; DataError where there is none of that name."""
    if name not in QUESTIONS:
        raise DataError(f"no view asks {name!r}; there are: {', '.join(sorted(QUESTIONS))}")
    return await QUESTIONS[name](session, **arguments)


@question
async def network(session: Session, model: str) -> Answer:
    """The network as it is: every step in order, with its shape and its cost."""
    anatomy, chosen = session.anatomy(model), session.model(model)
    rows = [
        {
            "name": key,
            "layer": step.layer,
            "kind": step.kind,
            "title": TITLES[step.kind],
            "source": anatomy.row(step.source),
            "shape": list(step.shape),
            "parameters": anatomy.costs[key].parameters,
            "multiply_adds": anatomy.costs[key].multiply_adds,
            "weight_bytes": anatomy.costs[key].weight_bytes,
            "bytes": anatomy.costs[key].value_bytes,
        }
        for key, step in anatomy.rows.items()
    ]
    summary = chosen.summary()
    return {
        "model": model,
        "rows": rows,
        "aliases": anatomy.aliases,
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
    for name in session.anatomy(model).rows:
        row = {"name": name, **pictured(traced[name][0])}
        rows.append(row)
        peak = max(peak, -row["low"], row["high"])
    return {"rows": rows, "peak": peak, "ink": float(session.image(blank).sum())}
