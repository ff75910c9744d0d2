"""One layer for the page: all its maps, and for a kernel everything that lies between its input and its output."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Array
from .anatomy import TITLES, Anatomy
from .explain import RULES, Lens, weighted
from .session import Answer, Session, question
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
        "rule": RULES[step.kind],
        "source": anatomy.row(step.source),
        "shape": list(step.shape),
        "source_shape": list(step.reads),
    }


def kernel_parts(lens: Lens, anatomy: Anatomy, step: Step, number: int) -> Answer:
    """Kernel ``number`` of a convolution: its matrices, the maps between, their sum, the bias and what follows."""
    kernel, bias = weighted(lens, step, number)
    weights = np.asarray(lens.model.parameter(step.parameters[0]))
    between = channel_maps(step, lens.values(step.source), kernel)
    return {
        "kernels": weights,
        "kernel_peak": float(np.abs(weights).max()),
        "kernel_peaks": np.abs(weights).max(axis=(1, 2, 3)),
        "matrices": kernel,
        "between": between,
        "between_peak": float(np.abs(between).max()),
        "sum": pictured(between.sum(axis=0)[None]),
        "bias": bias,
        "has_bias": len(step.parameters) > 1,
        "onward": [
            {"name": one.key, "title": TITLES[one.kind], **pictured(lens.values(one.key)[number][None])}
            for one in followers(anatomy, step.key)
        ],
    }


def strongest(values: Array) -> Index:
    """The cell of a map that is farthest from 0."""
    row, column = np.unravel_index(int(np.abs(values).argmax()), values.shape)
    return int(row), int(column)


@question
async def layer(session: Session, model: str, layer: str, number: int = 0, blank: bool = False) -> Answer:
    """A layer: the maps it reads and makes; of a convolution, kernel ``number`` with all that lies between.

    ``cell`` is where that map (of what follows, if something does) is farthest from 0, and ``shares`` what each channel
    contributes there.
    """
    anatomy, lens = session.anatomy(model), await session.lens(model, blank)
    step = anatomy.rows[anatomy.row(layer)]
    number = min(max(0, number), step.shape[0] - 1)
    found: dict[str, Any] = {
        **head(anatomy, step),
        "number": number,
        "outputs": pictured(lens.values(step.key)),
        "inputs": pictured(lens.values(step.source)) if step.source else False,
    }
    if len(step.shape) == 3:
        last = [step, *followers(anatomy, step.key)][-1] if step.kind == "conv2d" else step
        found["cell"] = list(strongest(lens.values(last.key)[number]))
    if step.kind == "conv2d":
        found |= kernel_parts(lens, anatomy, step, number)
        row, column = found["cell"]
        shares = found["between"][:, row, column]
        found |= {"shares": shares, "order": [int(c) for c in np.argsort(-np.abs(shares), kind="stable")]}
    if step.kind == "dense":
        weights, image = np.asarray(lens.model.parameter(step.parameters[0])), anatomy.image_behind(step.source)
        alone = image is not None and image.shape[0] == 1
        found["weights"] = weights.reshape(-1, *image.shape[1:]) if alone and image is not None else False
        found["weight_peak"] = float(np.abs(weights).max())
        found["weight_peaks"] = np.abs(weights).max(axis=1)
    return found
