"""One layer for the page: all its maps, and for a kernel everything that lies between its input and its output."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Array
from .anatomy import TITLES, Anatomy
from .explain import Lens, rule_of, weighted
from .session import Answer, Session, classes, question, weights_of
from .steps import IN_PLACE, Step

Index = tuple[int, ...]


def as_maps(values: Array) -> Array:
    """(C, H, W), with a vector as one row."""
    return values if values.ndim == 3 else values.reshape(1, 1, -1)


def pictured(values: Array) -> Answer:
    """Maps with their range: over all, and the largest size in each."""
    maps = as_maps(values)
    return {
        "low": float(maps.min()),
        "high": float(maps.max()),
        "peaks": np.abs(maps).max(axis=(1, 2)),
        "values": maps,
    }


def full(maps: Array, layer: float, network: float) -> Answer:
    """The value of full colour, by what it reaches over: "map" (F,), a value a map; "layer" and "network"."""
    return {"map": np.abs(maps).reshape(len(maps), -1).max(axis=1), "layer": layer, "network": network}


def scaled(values: Array, network: float) -> Answer:
    """:func:`pictured`, with the value of full colour."""
    return {**pictured(values), "full": full(as_maps(values), largest(values), network)}


def largest(values: Array) -> float:
    """How far from 0 they reach."""
    return float(np.abs(values).max())


def network_peaks(lens: Lens, anatomy: Anatomy) -> tuple[float, float]:
    """Of the values in all rows, and of all kernels and weights of neurons, what is farthest from 0."""
    weights = [one.parameters[0] for one in anatomy.rows.values() if one.kind in ("conv2d", "dense")]
    values = max(largest(lens.values(key)) for key in anatomy.rows)
    return values, max((largest(np.asarray(lens.model.parameter(name))) for name in weights), default=0.0)


def channel_maps(step: Step, source: Array, kernel: Array) -> Array:
    """(C, P, Q) float64: what each map of the source contributes to every cell; their sum and the bias are the output.

    source: (C, H, W); kernel: (C, KH, KW), one of the layer's.
    """
    window = step.window
    top, left, bottom, right = window.pads
    padded = np.pad(source.astype(np.float64), ((0, 0), (top, bottom), (left, right)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, window.kernel, axis=(1, 2))
    patches = patches[:, :: window.strides[0], :: window.strides[1]][:, : window.out[0], : window.out[1]]
    found: Array = np.einsum("cpqij,cij->cpq", patches, kernel)
    return found


def followers(anatomy: Anatomy, key: str) -> list[Step]:
    """The rows after this one that keep every cell in its place: batch norm, activation, dropout."""
    found, step = [], anatomy.after(key)
    while step is not None and step.kind in IN_PLACE:
        found.append(step)
        step = anatomy.after(step.key)
    return found


def head(anatomy: Anatomy, step: Step) -> Answer:
    """What every answer about a layer says of it."""
    return {
        "layer": step.key,
        "kind": step.kind,
        "title": TITLES[step.kind],
        "rule": rule_of(step),
        "source": anatomy.row(step.source),
        "shape": list(step.shape),
        "source_shape": list(step.reads),
    }


def kernel_parts(
    lens: Lens, anatomy: Anatomy, step: Step, number: int, network: float, network_weights: float
) -> Answer:
    """Kernel ``number`` of a convolution: its matrices, the maps between, their sum, the bias and what follows.

    ``..full``: the value of full colour (:func:`full`). "layer" is for ``between`` all maps of this kernel, for ``sum``
    the sums of all kernels; the network's is never less, since both lie between layers.
    """
    kernel, bias = weighted(lens, step, number)
    weights = np.asarray(lens.model.parameter(step.parameters[0]))
    between = channel_maps(step, lens.values(step.source), kernel)
    total, sums = between.sum(axis=0)[None], lens.values(step.key)
    if len(step.parameters) > 1:
        sums = sums - np.asarray(lens.model.parameter(step.parameters[1]))[:, None, None]
    reach, sum_reach = largest(between), max(largest(sums), largest(total))
    return {
        "kernels": weights,
        "kernel_peak": largest(weights),
        "kernel_full": full(weights, largest(weights), network_weights),
        "matrices": kernel,
        "between": between,
        "between_full": full(between, reach, max(reach, network)),
        "sum": {**pictured(total), "full": full(total, sum_reach, max(sum_reach, network))},
        "bias": bias,
        "has_bias": len(step.parameters) > 1,
        "onward": [onward(lens, one, number, network) for one in followers(anatomy, step.key)],
    }


def onward(lens: Lens, step: Step, number: int, network: float) -> Answer:
    """Map ``number`` of a row that follows a convolution, on the scale of all its maps."""
    values = lens.values(step.key)
    shown = {"name": step.key, "title": TITLES[step.kind], **pictured(values[number][None])}
    return {**shown, "full": full(values[number][None], largest(values), network)}


def strongest(values: Array) -> Index:
    """The cell of a map that is farthest from 0."""
    row, column = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    return int(row), int(column)


@question
async def layer(session: Session, model: str, layer: str, number: int = 0, blank: bool = False) -> Answer:
    """A layer: the maps it reads and makes; of a convolution, kernel ``number`` with all that lies between.

    ``cell`` is where that map (of what follows, if something does) is farthest from 0, and ``shares`` what each channel
    contributes there. ``full``, of each picture: the value of full colour, for every choice of the legend;
    ``state``: another text as soon as a weight is another. ``names``: of the network's scores and probabilities, the
    class of each number; of any other layer none.
    """
    anatomy, lens = session.anatomy(model), await session.lens(model, blank)
    step = anatomy.rows[anatomy.row(layer)]
    number = min(max(0, number), step.shape[0] - 1)
    network, weights_of_all = network_peaks(lens, anatomy)
    found: dict[str, Any] = {
        **head(anatomy, step),
        "number": number,
        "state": "{}-{}".format(*weights_of(lens.model)),
        "outputs": scaled(lens.values(step.key), network),
        "inputs": scaled(lens.values(step.source), network) if step.source else False,
    }
    behind = anatomy.after(step.key)
    while behind is not None and behind.kind in ("softmax", *IN_PLACE):
        behind = anatomy.after(behind.key)
    scores = behind is None and step.shape == lens.model.output_shape
    found["names"] = classes(lens.model, step.shape[0]) if scores else []
    if len(step.shape) == 3:
        last = [step, *followers(anatomy, step.key)][-1] if step.kind == "conv2d" else step
        found["cell"] = list(strongest(lens.values(last.key)[number]))
    if step.kind == "conv2d":
        found |= kernel_parts(lens, anatomy, step, number, network, weights_of_all)
        row, column = found["cell"]
        shares = found["between"][:, row, column]
        found |= {"shares": shares, "order": [int(c) for c in np.argsort(-np.abs(shares), kind="stable")]}
    if step.kind == "dense":
        weights, image = np.asarray(lens.model.parameter(step.parameters[0])), anatomy.image_behind(step.source)
        alone = image is not None and image.shape[0] == 1
        found["weights"] = weights.reshape(-1, *image.shape[1:]) if alone and image is not None else False
        found["weight_full"] = full(weights, largest(weights), weights_of_all)
    return found
