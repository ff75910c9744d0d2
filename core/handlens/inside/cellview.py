"""One number for the page: the patch under the lens, the kernel, their product, the sum, and the way onward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import Array
from .anatomy import TITLES, Anatomy, apply
from .explain import Explanation, Lens
from .geometry import peak, scales, windowed
from .layerview import followers, head, pictured
from .session import Answer, Session, question
from .steps import IN_PLACE, Step
from .wording import number, place_of, written

MOST_TERMS = 40  # of a neuron, written out; the others are summed
CURVE = 121  # points of an activation's curve


def drawn(lens: Lens, anatomy: Anatomy, key: str, number: int) -> Answer:
    """A map of a layer, with what full colour stands for by each choice of the scale."""
    values = lens.values(key)
    one = values[number][None]
    return {**pictured(one), "scales": scales(lens, anatomy, one, values)}


def onward(lens: Lens, anatomy: Anatomy, key: str, index: Sequence[int]) -> list[Answer]:
    """Where the number goes: the cells in its place after it, up to the pooled cell that it counts for."""
    found = [same_place(lens, step, index) for step in followers(anatomy, key)]
    last = anatomy.after(str(found[-1]["name"]) if found else key)
    if last is not None and last.kind in ("max_pool", "avg_pool"):
        window = last.window
        at = [divmod(index[1 + a] + window.pads[a], window.strides[a]) for a in (0, 1)]  # the last window it is in
        if all(p < n and rest < k for (p, rest), n, k in zip(at, window.out, window.kernel, strict=True)):
            found.append(same_place(lens, last, [index[0], at[0][0], at[1][0]]))
    return found


def same_place(lens: Lens, step: Step, index: Sequence[int]) -> Answer:
    """A cell that is made of the one before it."""
    value = float(lens.values(step.key)[tuple(index)])
    return {"name": step.key, "kind": step.kind, "title": TITLES[step.kind], "index": list(index), "value": value}


def convolution(lens: Lens, anatomy: Anatomy, step: Step, made: Explanation, channel: int) -> Answer:
    """The lens over one map of the source; ``channel`` -1 for the one that contributes most."""
    shape = (step.reads[0], *step.kernel)
    patch, kernel, product = (
        a.reshape(shape) for a in (made.terms.values, np.asarray(made.terms.weights), made.terms.products)
    )
    sums = np.asarray(made.details["channel_sums"])
    order = [int(c) for c in np.argsort(-np.abs(sums), kind="stable")]
    c = channel if 0 <= channel < step.reads[0] else order[0]
    source = lens.values(step.source)
    then = onward(lens, anatomy, step.key, made.index)
    found = {
        "channel": c,
        "patch": patch[c],
        "kernel": kernel[c],
        "product": product[c],
        "outside": made.terms.outside.reshape(shape)[c].astype(np.float32),
        "kernel_peak": peak(kernel),
        "product_peak": peak(product),
        "channel_sum": float(sums[c]),
        "others_sum": float(sums.sum() - sums[c]),
        "sums": sums,
        "order": order,
        "sum": float(sums.sum()),
        "bias": made.bias,
        "has_bias": bool(made.details["bias"]),
        "source_map": drawn(lens, anatomy, step.source, c),
        "source_signed": bool(source.min() < 0),
        "target_map": drawn(lens, anatomy, step.key, made.index[0]),
        "onward": then,
        **windowed(step, made),
    }
    found["spoken"] = spoken_window(patch[c], len(sums), c) + spoken_sum(found, step, made)
    return found


def spoken_window(patch: Array, channels: int, channel: int) -> str:
    """The patch, row by row."""
    where = f"map {channel + 1} of {channels}, " if channels > 1 else ""
    return where + "; ".join(f"patch row {k + 1}: {', '.join(map(written, row))}" for k, row in enumerate(patch)) + "; "


def spoken_sum(found: Answer, step: Step, made: Explanation) -> str:
    """Sum, bias, what follows, and where it is written."""
    parts = [f"sum {number(found['sum'])}"]
    if found["has_bias"]:
        parts.append(f"bias {number(made.bias)}")
    last = made.value
    for entry in found["onward"]:
        if entry["kind"] in ("max_pool", "avg_pool"):
            break
        last = entry["value"]
        parts.append(f"{entry['title']}, {number(last)}")
    row, column = made.index[1:]
    return ", ".join(parts) + f", written to row {row + 1}, column {column + 1}"


def pooling(lens: Lens, anatomy: Anatomy, step: Step, made: Explanation, channel: int) -> Answer:
    """Max and average pooling of the same window, whichever the network uses. Both maps have one scale, so that equal
    numbers look equal."""
    maps, own = lens.values(step.source), made.index[0]
    attrs = {name: value for name, value in step.attrs.items() if name != "include_pad"}
    both = {name: apply(f"{name}2d", [maps[None]], attrs)[0] for name in ("max_pool", "avg_pool")}
    shape = made.details["kernel"]
    inside = np.where(made.terms.outside, -np.inf, made.terms.values)
    row, column = made.index[1:]
    together = np.stack([both["max_pool"], both["avg_pool"]])
    full = scales(lens, anatomy, together[:, own], together)
    found = {
        "channel": own,
        "patch": made.terms.values.reshape(shape),
        "outside": made.terms.outside.reshape(shape).astype(np.float32),
        "winner": int(inside.argmax()),
        "tied": [int(k) for k in np.flatnonzero(inside == inside.max())],
        "count": int(made.details["count"]),
        "maximum": float(both["max_pool"][own, row, column]),
        "average": float(both["avg_pool"][own, row, column]),
        "maximum_map": {**pictured(both["max_pool"][own][None]), "scales": full},
        "average_map": {**pictured(both["avg_pool"][own][None]), "scales": full},
        "source_map": drawn(lens, anatomy, step.source, own),
        "source_signed": bool(maps.min() < 0),
        "onward": [],
        **windowed(step, made),
    }
    found["tie"] = tie(len(found["tied"]), found["count"])
    found["spoken"] = (
        spoken_window(found["patch"], 1, 0)
        + f"largest {number(found['maximum'])}{', ' + found['tie'] if found['tie'] else ''}, "
        + f"mean {number(found['average'])}, written to row {row + 1}, column {column + 1}"
    )
    return found


def tie(equal: int, count: int) -> str:
    """Which of several largest cells of a window wins; "" where one is the largest alone."""
    if equal < 2:
        return ""
    which = f"all {count} are" if equal == count else f"{equal} are"
    return f"{which} equally large: of those the first wins, row by row from the top left"


def activation(lens: Lens, anatomy: Anatomy, step: Step, made: Explanation, channel: int) -> Answer:
    """The function's curve, with all values of the same map on it."""
    own = made.index[0] if len(step.shape) == 3 else slice(None)
    met = lens.values(step.source)[own].ravel()
    reach = max(1.0, peak(met))
    x = np.linspace(-reach, reach, CURVE)
    return {
        "x": made.terms.values[0],
        "slope": float(made.details["slope"]),
        "curve_x": x,
        "curve_y": apply(step.kind, [x], step.attrs),
        "met_x": met,
        "met_y": lens.values(step.key)[own].ravel(),
        "reach": reach,
        "below": int((met < 0).sum()),
        "count": int(met.size),
        "onward": onward(lens, anatomy, step.key, made.index) if len(step.shape) == 3 else [],
        "spoken": f"{TITLES[step.kind]} of {number(made.terms.values[0])} is {number(made.value)}, "
        + place_of(made.index),
    }


def normalisation(lens: Lens, anatomy: Anatomy, step: Step, made: Explanation, channel: int) -> Answer:
    """Batch norm, as its own step: minus the mean, over the deviation, times gamma, plus beta."""
    details = {k: float(made.details[k]) for k in ("gamma", "beta", "mean", "variance", "epsilon", "deviation")}
    x = float(made.terms.values[0])
    return {
        **details,
        "x": x,
        "centred": x - details["mean"],
        "normalised": float(made.details["normalised"]),
        "scaled": float(made.details["normalised"]) * details["gamma"],
        "onward": onward(lens, anatomy, step.key, made.index) if len(step.shape) == 3 else [],
        "spoken": f"{number(x)} minus the mean {number(details['mean'])}, divided by {number(details['deviation'])}, "
        f"times {number(details['gamma'])}, plus {number(details['beta'])}, is {number(made.value)}",
    }


def copy(lens: Lens, anatomy: Anatomy, step: Step, made: Explanation, channel: int) -> Answer:
    """Flatten: which cell of which map this number of the list is; dropout: the same number."""
    place = [int(k) for k in made.terms.indices[0]]
    found: Answer = {"origin": place, "onward": []}
    said = f"number {made.index[0] + 1} of the list"
    if step.kind == "flatten":
        whole = lens.values(step.key)
        found["vector"] = {**pictured(whole), "scales": scales(lens, anatomy, whole, whole)}
    if step.kind == "flatten" and len(place) == 3:
        c, row, column = place
        height, width = step.reads[1:]
        found |= {
            "source_map": drawn(lens, anatomy, step.source, c),
            "formula": f"({c} \u00b7 {height} + {row}) \u00b7 {width} + {column} = {made.index[0]}",
            "counted": f"The rule counts from 0: index {made.index[0]}, of map {c}, row {row}, column {column}. "
            f"Here everything is counted from 1: number {made.index[0] + 1}, {place_of(place)}.",
        }
        said += f", index {made.index[0]} when counted from 0,"
    found["spoken"] = f"{said} is {place_of(place)}: {number(made.value)}"
    if step.kind != "flatten":
        found["spoken"] = f"{place_of(made.index)} passes unchanged: {number(made.value)}"
    return found


def neuron(lens: Lens, anatomy: Anatomy, step: Step, made: Explanation, channel: int) -> Answer:
    """A dense neuron: its terms, the largest contribution first, and its weights as an image where they lie on one."""
    weights, products = np.asarray(made.terms.weights), made.terms.products
    order = made.terms.order[:MOST_TERMS]
    image = anatomy.image_behind(anatomy.row(step.source))
    found: Answer = {
        "order": [int(k) for k in order],
        "values": made.terms.values[order],
        "weights": weights[order],
        "products": products[order],
        "count": len(products),
        "rest_count": len(products) - len(order),
        "rest_sum": float(products.sum() - products[order].sum()),
        "positive": float(products[products > 0].sum()),
        "negative": float(products[products < 0].sum()),
        "sum": float(products.sum()),
        "bias": made.bias,
        "has_bias": bool(made.details["bias"]),
        "weight_image": False,
        "product_image": False,
        "behind": "",
        "onward": [same_place(lens, one, made.index) for one in followers(anatomy, step.key)],
    }
    if image is not None:
        found["behind"] = image.key
        found["places"] = [list(map(int, np.unravel_index(k, image.shape))) for k in order]
        found["weight_image"] = pictured(weights.reshape(image.shape))
        found["product_image"] = pictured(products.reshape(image.shape))
        found["map_sums"] = products.reshape(image.shape[0], -1).sum(axis=1)
    after = "".join(f", {entry['title']}, {number(entry['value'])}" for entry in found["onward"])
    found["spoken"] = (
        f"{len(products)} terms, sum {number(found['sum'])}, bias {number(made.bias)}, {number(made.value)}{after}"
    )
    return found


def shares(lens: Lens, anatomy: Anatomy, step: Step, made: Explanation, channel: int) -> Answer:
    """Softmax step by step, for all scores at once."""
    scores, exponentials = made.terms.values, np.asarray(made.details["exponentials"])
    total = float(made.details["sum"])
    return {
        "scores": scores,
        "largest": float(made.details["largest"]),
        "shifted": scores - float(made.details["largest"]),
        "exponentials": exponentials,
        "sum": total,
        "shares": exponentials / total,
        "onward": [],
        "spoken": f"score {number(scores[made.index[-1]])}, minus the largest {number(made.details['largest'])}, "
        f"exponential {number(exponentials[made.index[-1]])}, divided by {number(total)}, is {number(made.value)}",
    }


def whole_map(lens: Lens, anatomy: Anatomy, step: Step, made: Explanation, channel: int) -> Answer:
    """Global average pooling: one map, one number."""
    return {
        "count": int(made.details["count"]),
        "sum": float(made.terms.values.sum()),
        "source_map": drawn(lens, anatomy, step.source, made.index[0]),
        "onward": [],
        "spoken": f"the mean of {made.details['count']} cells is {number(made.value)}",
    }


def pixel(lens: Lens, anatomy: Anatomy, step: Step, made: Explanation, channel: int) -> Answer:
    """A pixel of the image."""
    return {
        "source_map": drawn(lens, anatomy, "input", made.index[0]),
        "onward": [],
        "spoken": f"pixel {place_of(made.index)}: {number(made.value)}",
    }


VIEWS: dict[str, Callable[[Lens, Anatomy, Step, Explanation, int], Answer]] = {
    "input": pixel,
    "conv2d": convolution,
    "max_pool": pooling,
    "avg_pool": pooling,
    "relu": activation,
    "leaky_relu": activation,
    "sigmoid": activation,
    "tanh": activation,
    "batch_norm": normalisation,
    "flatten": copy,
    "dropout": copy,
    "identity": copy,
    "dense": neuron,
    "softmax": shares,
    "global_avg_pool": whole_map,
}


@question
async def cell(
    session: Session, model: str, layer: str, index: Sequence[int], channel: int = -1, blank: bool = False
) -> Answer:
    """One number: what the lens shows there. An index that reaches beyond the layer is brought back into it."""
    anatomy, lens = session.anatomy(model), await session.lens(model, blank)
    step = anatomy.rows[anatomy.row(layer)]
    given = [*index, *[0] * len(step.shape)][: len(step.shape)]
    inside = tuple(min(max(0, int(k)), n - 1) for k, n in zip(given, step.shape, strict=True))
    made = lens.explain(step.key, inside)
    found: dict[str, Any] = {
        **head(anatomy, step),
        "index": list(inside),
        "value": made.value,
        "total": made.total,
        "box": list(made.field),
        **VIEWS[step.kind](lens, anatomy, step, made, channel),
    }
    if step.kind in IN_PLACE and len(step.shape) == 3:  # the cell keeps its place: both maps, to choose it on
        found |= {
            "source_map": drawn(lens, anatomy, step.source, inside[0]),
            "target_map": drawn(lens, anatomy, step.key, inside[0]),
        }
    found["footprint"] = session.footprint(made.field)
    found["spoken"] = found["spoken"][:1].upper() + found["spoken"][1:] + "."
    return found
