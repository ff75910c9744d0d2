"""The article's figures that count: parameters of dense layers and kernels, output sizes, receptive fields, flatten.

Everything is counted from the layers' own declarations and the op table's shape rules (`story_tools.costs`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import DataError
from ..layers import Conv2D, Dense, Flatten, Layer, MaxPool2D
from .story_tools import Cost, costs, network

BYTES = 4  # of a float32
ADAM = 3  # a parameter and Adam's two moments
LARGEST_SIDE = 1024  # px
LARGEST_TIMED = 10_000_000  # weights that are really made, to be timed


def whole(value: Any, low: int, high: int, what: str) -> int:
    """A whole number from low to high; DataError otherwise."""
    if isinstance(value, bool) or not float(value).is_integer() or not low <= value <= high:
        raise DataError(f"{what}: a whole number from {low} to {high} is needed, got {value!r}")
    return int(value)


def dense_against_kernels(
    side: int = 224, channels: int = 1, hidden: int = 100, kernels: int = 3, kernel: int = 3, timed: bool = False
) -> dict[str, Any]:
    """A first layer on an image of side x side: ``hidden`` dense neurons, or ``kernels`` kernels.

    Counted: inputs, weights, biases, bytes (float32; with Adam's moments), multiply-adds; and the dense layer with as
    many outputs as the kernels' maps have cells. reused: how often each weight of a kernel is used in one image.
    timed: also how long either takes for one image here, in ms on NumPy; DataError beyond LARGEST_TIMED weights.
    """
    side, channels = whole(side, 1, LARGEST_SIDE, "side"), whole(channels, 1, 4, "channels")
    hidden, kernels = whole(hidden, 1, 10**6, "neurons"), whole(kernels, 1, 10**4, "kernels")
    kernel = whole(kernel, 1, 16, "kernel size")
    shape = (channels, side, side)
    flat, dense = costs([Flatten(), Dense(hidden)], shape)
    (conv,) = costs([Conv2D(kernels, kernel)], shape)
    one, same = (costs([Flatten(), Dense(n)], shape)[1] for n in (1, math.prod(conv.shape)))
    return {
        "side": side,
        "timed": timed,
        "channels": channels,
        "hidden": hidden,
        "kernels": kernels,
        "kernel": kernel,
        "inputs": flat.shape[0],
        "into_one": one.weights,
        "dense": counted(dense),
        "conv": counted(conv),
        "same_outputs": counted(same),
        "outputs": math.prod(conv.shape),
        "map": conv.shape[1],
        "reused": conv.multiply_adds // conv.weights,
        "ratio": dense.parameters / conv.parameters,
        "same_ratio": same.weights / conv.weights,
        **(times(shape, hidden, kernels, kernel, dense.weights) if timed else {}),
    }


def times(shape: tuple[int, int, int], hidden: int, kernels: int, kernel: int, weights: int) -> dict[str, float]:
    """Milliseconds of one image through either layer."""
    if weights > LARGEST_TIMED:
        raise DataError(f"{weights:,} weights take too much memory to be timed here; up to {LARGEST_TIMED:,} will do")
    return {
        "dense_ms": milliseconds([Flatten(), Dense(hidden, kernel_initializer="zeros")], shape),
        "conv_ms": milliseconds([Conv2D(kernels, kernel)], shape),
    }


def milliseconds(layers: Sequence[Layer], shape: tuple[int, int, int]) -> float:
    """One image through these layers on NumPy: the median of seven runs, after one to warm up."""
    model, x, taken = network(layers, shape), np.random.default_rng(0).random((1, *shape), np.float32), []
    for _ in range(8):
        started = perf_counter()
        model.predict(x)
        taken.append((perf_counter() - started) * 1e3)
    return float(np.median(taken[1:]))


def counted(cost: Cost) -> dict[str, int]:
    """A layer's costs as numbers by name; bytes of its parameters, alone and while Adam trains them."""
    return {
        "weights": cost.weights,
        "biases": cost.biases,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "bytes": BYTES * cost.parameters,
        "training_bytes": ADAM * BYTES * cost.parameters,
    }


def sliding(size: int = 28, kernel: int = 3, stride: int = 1, padding: int = 0, step: int = 0) -> dict[str, Any]:
    """Where a kernel stands on a size x size image: output size, one step's window, and the pixels none ever covers.

    out: ``floor((n + 2p - k) / s) + 1``. top, left: of the window at ``step`` (row by row), negative in the padding.
    reached (size, size): how many windows cover each pixel; gaps: the rows, and alike the columns, that none covers, as
    (first, behind the last). Raises ShapeError where the kernel does not fit.
    """
    n, k = whole(size, 1, 64, "image"), whole(kernel, 1, 16, "kernel")
    s, p = whole(stride, 1, 8, "stride"), whole(padding, 0, 8, "padding")
    out = costs([Conv2D(1, k, s, p)], (1, n, n))[0].shape[1]
    starts = np.arange(out) * s - p
    covered = np.array([((starts <= pixel) & (pixel < starts + k)).sum() for pixel in range(n)])
    at = whole(step, 0, 10**6, "step") % (out * out)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], covered == 0, [False]]).astype(np.int8)))
    return {
        "size": n,
        "kernel": k,
        "stride": s,
        "padding": p,
        "out": out,
        "steps": out * out,
        "step": at,
        "row": at // out,
        "column": at % out,
        "top": int(starts[at // out]),
        "left": int(starts[at % out]),
        "reached": np.outer(covered, covered),
        "gaps": edges.reshape(-1, 2).tolist(),
        "left_over": int((np.outer(covered, covered) == 0).sum()),
        "formula": f"⌊({n} + 2·{p} − {k}) / {s}⌋ + 1 = {out}",
    }


def flatten(
    side: int = 28, filters: int = 3, kernel: int = 5, pools: int = 1, cell: tuple[int, int, int] = (0, 0, 0)
) -> dict[str, Any]:
    """From maps to one vector: how long it is, which number a cell becomes, and what the dense layers after it cost.

    One convolution, ``pools`` times 2x2 max pooling, flatten, a dense layer of half as many neurons, ten classes.
    cell: (map, row, column) of the last maps, taken into range; index: its place in the list,
    ``(map * rows + row) * columns + column``.
    """
    first = Conv2D(whole(filters, 1, 64, "kernels"), whole(kernel, 1, 16, "kernel size"))
    body = [first, *(MaxPool2D(2) for _ in range(whole(pools, 0, 4, "poolings")))]
    maps = costs([*body, Flatten()], (1, whole(side, 1, LARGEST_SIDE, "side"), side))
    count, rows, columns = maps[-2].shape
    length = maps[-1].shape[0]
    head = costs([Dense(max(1, length // 2), activation="relu"), Dense(10)], (length,))
    place = [min(max(0, int(at)), n - 1) for at, n in zip(cell, (count, rows, columns), strict=True)]
    total = sum(cost.parameters for cost in (*maps, *head))
    return {
        "side": int(side),
        "chain": [{"layer": cost.layer, "kind": cost.kind, "shape": list(cost.shape)} for cost in maps],
        "maps": count,
        "rows": rows,
        "columns": columns,
        "length": length,
        "cell": place,
        "index": (place[0] * rows + place[1]) * columns + place[2],
        "flatten_parameters": maps[-1].parameters,
        "half": head[0].shape[0],
        "half_parameters": head[0].parameters,
        "classes": head[1].shape[0],
        "class_parameters": head[1].parameters,
        "parameters": total,
        "head_share": sum(cost.parameters for cost in head) / total,
        "multiply_adds": sum(cost.multiply_adds for cost in (*maps, *head)),
    }


def pooling_saves(side: int = 28, first: int = 8, second: int = 16, timed: bool = False) -> dict[str, Any]:
    """What a 2x2 pooling saves the next convolution: values to read and multiply-adds, with it and without; timed:
    its milliseconds as well."""
    layers: list[Layer] = [Conv2D(first, 3, padding="same"), MaxPool2D(2), Conv2D(second, 3, padding="same")]
    pooled, bare = costs(layers, (1, side, side)), costs([layers[0], layers[2]], (1, side, side))
    return {
        "values": math.prod(bare[0].shape),
        "pooled_values": math.prod(pooled[1].shape),
        "kernels": second,
        "maps": first,
        "side": bare[0].shape[1],
        "pooled_side": pooled[1].shape[1],
        "work": bare[1].multiply_adds,
        "pooled_work": pooled[2].multiply_adds,
        "share": math.prod(pooled[1].shape) / math.prod(bare[0].shape),
        **({"ms": next_layer(bare[0], second), "pooled_ms": next_layer(pooled[1], second)} if timed else {}),
    }


def next_layer(before: Cost, kernels: int) -> float:
    """Milliseconds of a 3x3 convolution alone, behind a layer that makes such maps."""
    maps, rows, columns = before.shape
    return milliseconds([Conv2D(kernels, 3, padding="same")], (maps, rows, columns))
