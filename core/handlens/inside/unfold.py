"""The birth certificate of a number, for the page: how it was made, term by term, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .anatomy import TITLES, Anatomy
from .explain import Explanation
from .program import program as written
from .session import Answer, Session, classes, question
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


ORDERS = {"max_pool": "as they lie in the window, row by row"}  # of the terms, where it is not by their size


def line_of(made: Explanation) -> Answer | None:
    """How the straight line of a batch norm, ``scale * x + shift``, comes from what it has learned (gamma, beta) and
    met while training (mean, variance): deviation = sqrt(variance + epsilon), scale = gamma / deviation, and shift =
    beta - mean * scale. None for other kinds."""
    if made.kind != "batch_norm":
        return None
    names = ("gamma", "beta", "mean", "variance", "epsilon", "deviation", "scale")
    return {**{name: float(made.details[name]) for name in names}, "shift": made.bias}


def named_place(anatomy: Anatomy, key: str, index: Sequence[int]) -> str:
    """A cell in words, with its class where the row's numbers are the classes: "number 8 (7)"."""
    words = place_of(index)
    if key not in {anatomy.row(name) for name in ("logits", "probabilities") if name in anatomy.steps}:
        return words
    return f"{words} ({classes(anatomy.model, anatomy.steps[key].shape[-1])[index[-1]]})"


def division(made: Explanation, place: Callable[[int], str]) -> Answer | None:
    """How a softmax made a share of its exponentials: the ``largest`` score (of the cell ``place``), which is taken off
    each score, this cell's exponential ``own``, the ``sum`` of all, and ``share``, the one by the other. None for other
    kinds."""
    if made.kind != "softmax":
        return None
    own, best = int(made.details["position"]), int(np.argmax(made.terms.values))
    return {
        "largest": made.details["largest"],
        "place": place(best),
        "own": float(made.details["exponentials"][own]),
        "sum": made.details["sum"],
        "share": made.total,
    }


@question
async def certificate(
    session: Session, model: str, layer: str, index: Sequence[int], most: int = MOST, blank: bool = False
) -> Answer:
    """How one number was made: its rule, its largest terms with the cells they come from, the rest as one sum; of a
    softmax also the :func:`division`, of a batch norm the :func:`line_of`. A maximum has all cells of its
    window; ``tied`` of them are the largest."""
    anatomy, lens = session.anatomy(model), await session.lens(model, blank)
    key = anatomy.row(layer)
    made = lens.explain(key, tuple(int(k) for k in index))
    terms, gives = made.terms, contributions(made)
    order = order_of(made)
    most = len(order) if made.kind in ORDERS else most  # the others of a window are no "smaller terms", nor a sum
    shown, rest = order[:most], order[most:]
    weights = terms.weights
    field = made.field
    source = anatomy.row(terms.source) if terms.source else ""

    def place(term: int) -> str:
        return named_place(anatomy, source, [int(k) for k in terms.indices[term]])

    found: dict[str, Any] = {
        "layer": key,
        "kind": made.kind,
        "title": TITLES[made.kind],
        "index": list(made.index),
        "place": named_place(anatomy, key, made.index),
        "rule": made.rule,
        "value": made.value,
        "total": made.total,
        "bias": made.bias,
        "additive": made.additive,
        "has_bias": bool(made.bias) or made.kind in ("dense", "batch_norm"),
        "has_weights": weights is not None,
        "count": len(terms),
        "source": source,
        "ordered": ORDERS.get(made.kind, "the largest first"),
        "terms": [
            {
                "index": [int(k) for k in terms.indices[t]],
                "place": place(t),
                "value": float(terms.values[t]),
                "weight": float(weights[t]) if weights is not None else 0.0,
                "gives": float(gives[t]),
                **({"shifted": float(terms.values[t] - made.details["largest"])} if made.kind == "softmax" else {}),
                "outside": bool(terms.outside[t]),
            }
            for t in shown
        ],
        "peak": float(np.abs(gives).max(initial=0.0)),
        "division": division(made, place),
        "line": line_of(made),
        "winner": int(made.details.get("winner", -1)),
        "tied": int(made.details.get("tied", 0)),
        "rest_count": len(rest),
        "rest_sum": float(gives[rest].sum()),
        "box": list(field),
        "box_words": f"rows {field.top + 1} to {field.bottom}, columns {field.left + 1} to {field.right}",
        "field_size": [field.height, field.width],
        "footprint": session.footprint(field),
        "strokes": session.strokes_behind(made.index) if made.kind == "input" else [],
        "python": f'model.explain(image, "{key}", {tuple(made.index)})',
    }
    said = f"{made.value:.1e}" if 0 < abs(made.value) < 0.005 else number(made.value)  # not "0.00"
    found["spoken"] = f"{TITLES[made.kind]} {key}, {found['place']}: {said}, made of {len(terms)} terms."
    return found


@question
async def program(session: Session, model: str, layer: str, index: Sequence[int], blank: bool = False) -> Answer:
    """A short program in plain NumPy that prints the number."""
    lens = await session.lens(model, blank)
    text = written(lens, session.anatomy(model).row(layer), tuple(int(k) for k in index))
    return {"text": text}
