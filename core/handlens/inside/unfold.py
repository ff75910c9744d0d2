"""The birth certificate of a number, for the page: how it was made, term by term, one layer at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .anatomy import TITLES
from .explain import Explanation
from .program import program as written
from .session import Answer, Session, question
from .wording import number, place_of

MOST = 12  # terms written out at first


def contributions(made: Explanation) -> Any:
    """(T,) float64: what each term gives to the number; for max pooling and softmax the values themselves."""
    if made.kind == "softmax":
        return np.asarray(made.details["exponentials"])
    return made.terms.products


def order_of(made: Explanation) -> Any:
    """The terms' numbers: those of a window as they lie, sums with the largest contribution first."""
    if made.kind == "max_pool":
        return np.arange(len(made.terms))
    return np.argsort(-np.abs(contributions(made)), kind="stable")


@question
async def certificate(
    session: Session, model: str, layer: str, index: Sequence[int], most: int = MOST, blank: bool = False
) -> Answer:
    """How one number was made: its rule, its largest terms with the cells they come from, the rest as one sum."""
    anatomy, lens = session.anatomy(model), await session.lens(model, blank)
    key = anatomy.row(layer)
    made = lens.explain(key, tuple(int(k) for k in index))
    terms, gives = made.terms, contributions(made)
    order = order_of(made)
    shown, rest = order[:most], order[most:]
    weights = terms.weights
    field = made.field
    found: dict[str, Any] = {
        "layer": key,
        "kind": made.kind,
        "title": TITLES[made.kind],
        "index": list(made.index),
        "place": place_of(made.index),
        "rule": made.rule,
        "value": made.value,
        "total": made.total,
        "bias": made.bias,
        "additive": made.additive,
        "has_bias": bool(made.bias) or made.kind in ("dense", "batch_norm"),
        "has_weights": weights is not None,
        "count": len(terms),
        "source": anatomy.row(terms.source) if terms.source else "",
        "terms": [
            {
                "index": [int(k) for k in terms.indices[t]],
                "place": place_of([int(k) for k in terms.indices[t]]),
                "value": float(terms.values[t]),
                "weight": float(weights[t]) if weights is not None else 0.0,
                "gives": float(gives[t]),
                "outside": bool(terms.outside[t]),
            }
            for t in shown
        ],
        "peak": float(np.abs(gives).max(initial=0.0)),
        "winner": int(made.details.get("winner", -1)),
        "rest_count": len(rest),
        "rest_sum": float(gives[rest].sum()),
        "box": list(field),
        "box_words": f"rows {field.top + 1} to {field.bottom}, columns {field.left + 1} to {field.right}",
        "field_size": [field.height, field.width],
        "footprint": session.footprint(field),
        "strokes": session.strokes_behind(made.index) if made.kind == "input" else [],
        "python": f'model.explain(image, "{key}", {tuple(made.index)})',
    }
    found["spoken"] = f"{TITLES[made.kind]} {key}, {found['place']}: {number(made.value)}, made of {len(terms)} terms."
    return found


@question
async def program(session: Session, model: str, layer: str, index: Sequence[int], blank: bool = False) -> Answer:
    """A short program in plain NumPy that prints the number."""
    lens = await session.lens(model, blank)
    text = written(lens, session.anatomy(model).row(layer), tuple(int(k) for k in index))
    return {"text": text}
