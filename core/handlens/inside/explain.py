"""Every number has a birth certificate: what a cell of a network was made of, term by term.

    explanation = model.explain(image, "conv2", (3, 4, 5))
    explanation.value, explanation.terms.products, explanation.bias, explanation.total, explanation.field

A cell is (layer, index): any key of ``model.trace``, and the place in it without the batch: (map, row, column) or (k,).
The source of the terms is again a key and their indices again places in it, so that one walks from a probability down
to the pixels. Values are what the backend computed, in single precision; products and sums are made here, in double.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..graph import Array, Shape
from ..ops.pool import average_divisor
from . import receptive
from .receptive import Box
from .steps import Index, Step, find, one_image, steps

if TYPE_CHECKING:
    from ..model import Sequential

# Kind -> how its cells are made, in one line; see :func:`rule_of` for layers without a bias.
RULES = {
    "input": "a pixel of the image: given, not made",
    "conv2d": "y[f,p,q] = b[f] + sum over c,i,j of w[f,c,i,j] * x[c, p*s+i-top, q*s+j-left]",
    "dense": "y[k] = b[k] + sum over i of w[k,i] * x[i]",
    "batch_norm": "y = gamma * (x - mean) / sqrt(variance + epsilon) + beta",
    "avg_pool": "y[c,p,q] = sum of the window's cells / their number; cells of the padding do not count",
    "global_avg_pool": "y[c] = sum over all cells of map c / their number",
    "flatten": "y[k] = x[c,row,column] with k = (c * height + row) * width + column",
    "dropout": "y = x: dropout acts while training only",
    "identity": "y = x",
    "max_pool": "y[c,p,q] = the largest cell of the window; cells of the padding never win",
    "relu": "y = max(x, 0)",
    "leaky_relu": "y = x where x > 0, else slope * x",
    "sigmoid": "y = 1 / (1 + exp(-x))",
    "tanh": "y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))",
    "softmax": "y[k] = exp(x[k] - max x) / sum over j of exp(x[j] - max x)",
}
BIAS = re.compile(r"\bb\[\w\] \+ ")
# Kinds whose cells are the sum of their products and the bias: a maximum and a ReLU too, which let one value pass and
# multiply the others by 0.
SUMS = (
    *("conv2d", "dense", "batch_norm", "avg_pool", "global_avg_pool", "flatten", "dropout", "identity"),
    *("max_pool", "relu", "leaky_relu"),
)


@dataclass(frozen=True, eq=False)
class Terms:
    """What a cell is made of, T cells of the source.

    source: key of the trace. indices: (T, rank) places in it; beyond its edges where ``outside``. values: (T,) float64,
    what stands there, 0 outside. weights: (T,) float64, what each is multiplied by: a weight, one part of an average,
    or how much a maximum or ReLU lets pass (1, 0, the slope of a leaky one); None where nothing is multiplied.
    products: (T,) float64, value times weight. outside: (T,) bool, cells of the padding.
    As an array, the terms are the products.
    """

    source: str
    indices: Array
    values: Array
    weights: Array | None = None
    outside: Array = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        if len(self.outside) != len(self.values):
            object.__setattr__(self, "outside", np.zeros(len(self.values), bool))

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.products, dtype, copy=True if copy is None else copy)

    @cached_property
    def products(self) -> Array:
        """(T,) float64: exact for weights, since two singles' product fits a double."""
        return self.values if self.weights is None else self.values * self.weights

    @cached_property
    def order(self) -> Array:
        """(T,) the terms' numbers, those that count most first: by the size of the product, whatever its sign; where
        nothing is multiplied by the value, cells of the padding last. Equal ones stay as they come."""
        ranks = np.where(self.outside, -np.inf, self.values) if self.weights is None else np.abs(self.products)
        return np.argsort(-ranks, kind="stable")


@dataclass(frozen=True, eq=False)
class Explanation:
    """How one cell was made.

    layer, index: the cell. kind: the op's name; rule: see :func:`rule_of`. value: what the backend computed.
    terms, bias: what it is made of (bias 0 where the rule has none). field: its receptive field on the image.
    details, by kind: weight and bias (the parameters' names, "" for none); for windows ``window`` (row and column of
    its first cell in the unpadded source, negative in the padding), ``kernel``, ``strides``, ``pads``; conv2d
    ``channel_sums``; max_pool ``winner`` (the term's number; of equal ones the first), ``winner_index``, ``tied``;
    poolings ``count``; activations ``slope``, the derivative at the value met; batch_norm its statistics; softmax
    ``position``, ``largest``, ``exponentials``, ``sum``.
    """

    layer: str
    index: Index
    kind: str
    rule: str
    value: float
    terms: Terms
    bias: float
    field: Box
    details: Mapping[str, Any]

    @cached_property
    def total(self) -> float:
        """What the rule makes of the terms in double precision, before rounding: for sums, products and bias added."""
        return self.replay()

    @property
    def additive(self) -> bool:
        """Whether the value is the sum of the products and the bias."""
        return self.kind in SUMS

    @property
    def magnitude(self) -> float:
        """What the rounding of ``value`` is measured against: the sum of the absolute products and bias; 1 for
        functions onto 0..1 and -1..1."""
        if self.kind == "input":
            return abs(self.value)
        if not self.additive:
            return 1.0
        shift = abs(self.bias)
        if self.kind == "batch_norm":  # its bias is a difference itself
            shift = abs(self.details["beta"]) + abs(self.details["mean"] * self.details["scale"])
        return float(np.abs(self.terms.products).sum()) + shift

    def replay(self) -> float:
        """The value, computed from the terms alone by the stated rule, in double precision."""
        values = self.terms.values
        if self.kind == "input":
            return self.value
        if self.kind == "max_pool":
            return float(values[~self.terms.outside].max())
        if self.kind == "softmax":
            exponentials = np.exp(values - values.max())
            return float(exponentials[self.details["position"]] / exponentials.sum())
        if self.additive:
            return float(self.terms.products.sum()) + self.bias
        return activated(self.kind, float(values[0]))[0]


class Lens:
    """A hand lens over a network that has looked at one image: explains any cell without computing anything again.

    model: the network. trace: what ``model.trace(image)`` gave for one image, with or without the batch's axis. After a
    change of the network's layers, weights or image, take a new lens.
    """

    def __init__(self, model: Sequential, trace: Mapping[str, Array]) -> None:
        self.model, self.trace = model, trace
        image, rank = trace.get("input"), len(model.input_shape)
        if image is None or image.ndim not in (rank, rank + 1) or (image.ndim > rank and len(image) != 1):
            raise DataError('a lens needs the trace of one image, as model.trace(image) gives it, "input" included')
        self.lead = (1,) * (image.ndim - rank)
        self.steps = steps(model, image.shape[-rank:])

    @classmethod
    def over(cls, model: Sequential, x: Array) -> Lens:
        """The lens over one image: (H, W), (C, H, W), or a batch that holds one."""
        return cls(model, model.trace(one_image(model, x)))

    @classmethod
    async def over_async(cls, model: Sequential, x: Array) -> Lens:
        """:meth:`over` for an event loop."""
        return cls(model, await model.trace_async(one_image(model, x)))

    def values(self, key: str) -> Array:
        """The values of a key of the trace, without the batch; DataError where there are none of that shape."""
        step = find(self.steps, key)
        found = self.trace.get(key)
        if found is None or found.shape != (*self.lead, *step.shape):
            met = "nothing" if found is None else f"shape {found.shape}"
            raise DataError(
                f'the trace has {met} for "{key}", the network makes {(*self.lead, *step.shape)}; trace it anew'
            )
        return found[0] if self.lead else found

    def field(self, layer: str, index: int | Sequence[int]) -> Box:
        """The receptive field of a cell on the image."""
        return receptive.boxed(receptive.seen(self.steps, layer, find(self.steps, layer).checked(index)))

    def program(self, layer: str, index: int | Sequence[int]) -> str:
        """A short program in plain NumPy that makes the number of a cell again; see :mod:`handlens.inside.program`."""
        from .program import program

        return program(self, layer, index)

    def explain(self, layer: str, index: int | Sequence[int]) -> Explanation:
        """How cell ``index`` of ``layer`` was made. Raises DataError naming what was met and what there is."""
        step = find(self.steps, layer)
        cell = step.checked(index)
        terms, bias, details = MAKERS[step.kind](self, step, cell)
        value, box = float(self.values(layer)[cell]), self.field(layer, cell)
        return Explanation(layer, cell, step.kind, rule_of(step), value, terms, bias, box, details)


def rule_of(step: Step) -> str:
    """How the cells of a row are made, in one line: that of ``RULES``, without a bias where the layer has none."""
    rule = RULES[step.kind]
    return BIAS.sub("", rule) if step.kind in ("conv2d", "dense") and len(step.parameters) < 2 else rule


Made = tuple[Terms, float, dict[str, Any]]


def given(lens: Lens, step: Step, index: Index) -> Made:
    """A pixel: no terms."""
    return Terms("", np.zeros((0, len(index)), np.intp), np.zeros(0)), 0.0, {}


def copied(lens: Lens, step: Step, index: Index) -> Made:
    """Flatten, dropout: another cell's value, unchanged."""
    place = tuple(at[0] for at in receptive.reads(step, [[i] for i in index]))
    return single(lens, step, place), 0.0, {}


def single(lens: Lens, step: Step, place: Index, weight: float | None = None) -> Terms:
    """One cell of the source."""
    values = np.array([lens.values(step.source)[place]], np.float64)
    return Terms(step.source, np.array([place], np.intp), values, None if weight is None else np.array([weight]))


def windowed(lens: Lens, step: Step, index: Index, maps: slice) -> tuple[Array, Array, Array, dict[str, Any]]:
    """(indices, values, outside, details) of the cells under a window, map by map, row by row."""
    window, source = step.window, lens.values(step.source)[maps]
    top, left = (index[1 + axis] * window.strides[axis] - window.pads[axis] for axis in (0, 1))
    grid = cells((len(source), *window.kernel), (maps.start, top, left))
    rows, columns = grid[:, 1], grid[:, 2]
    outside = (rows < 0) | (rows >= source.shape[1]) | (columns < 0) | (columns >= source.shape[2])
    values = np.zeros(len(grid))
    inside = grid[~outside]
    values[~outside] = source[inside[:, 0] - maps.start, inside[:, 1], inside[:, 2]]
    details = {"window": (top, left), "kernel": window.kernel, "strides": window.strides, "pads": window.pads}
    return grid, values, outside, details


def cells(shape: Shape, first: Index) -> Array:
    """(T, rank) the places of a block of cells in row-major order, ``first`` the first of them."""
    return np.indices(shape).reshape(len(shape), -1).T + np.array(first)


def convolved(lens: Lens, step: Step, index: Index) -> Made:
    """A patch of every map, times the kernel's matrix for that map."""
    grid, values, outside, details = windowed(lens, step, index, slice(0, step.reads[0]))
    weight, bias = weighted(lens, step, index[0])
    terms = Terms(step.source, grid, values, weight.reshape(-1), outside)
    details["channel_sums"] = terms.products.reshape(step.reads[0], -1).sum(axis=1)
    return terms, bias, details | names(step)


def connected(lens: Lens, step: Step, index: Index) -> Made:
    """All numbers of the source, each times its weight."""
    weight, bias = weighted(lens, step, index[0])
    values = lens.values(step.source).astype(np.float64)
    return Terms(step.source, np.arange(len(values))[:, None], values, weight), bias, names(step)


def weighted(lens: Lens, step: Step, unit: int) -> tuple[Array, float]:
    """The weights and the bias of one kernel or neuron."""
    weight, *bias = step.parameters
    return (
        np.asarray(lens.model.parameter(weight)[unit], np.float64),
        float(lens.model.parameter(bias[0])[unit]) if bias else 0.0,
    )


def names(step: Step) -> dict[str, Any]:
    """What the parameters of a convolution or dense layer are called."""
    return {"weight": step.parameters[0], "bias": step.parameters[1] if len(step.parameters) > 1 else ""}


def normalised(lens: Lens, step: Step, index: Index) -> Made:
    """Batch norm at inference: a straight line, ``scale * x + shift``."""
    channel = [float(lens.model.parameter(name)[index[0]]) for name in step.parameters]
    gamma, beta, mean, variance = channel
    epsilon = float(step.attrs["epsilon"])
    deviation = math.sqrt(variance + epsilon)
    scale = gamma / deviation
    terms = single(lens, step, index, scale)
    details = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance, "epsilon": epsilon}
    details |= {"deviation": deviation, "scale": scale, "normalised": (float(terms.values[0]) - mean) / deviation}
    return terms, beta - mean * scale, details


def largest(lens: Lens, step: Step, index: Index) -> Made:
    """The cells of the window, of which the largest wins."""
    grid, values, outside, details = windowed(lens, step, index, slice(index[0], index[0] + 1))
    eligible = np.where(outside, -np.inf, values)
    winner = int(np.argmax(eligible))
    details |= {"winner": winner, "winner_index": tuple(int(i) for i in grid[winner])}
    details |= {"tied": int(np.count_nonzero(eligible == eligible[winner])), "count": int((~outside).sum())}
    passed = np.zeros(len(grid))
    passed[winner] = 1.0
    return Terms(step.source, grid, values, passed, outside), 0.0, details


def averaged(lens: Lens, step: Step, index: Index) -> Made:
    """The cells of the window, each divided by how many count."""
    grid, values, outside, details = windowed(lens, step, index, slice(index[0], index[0] + 1))
    padded = bool(step.attrs.get("include_pad", False))
    count = int(average_divisor((1, *step.reads), step.window, padded)[index[1:]])
    weights = np.where(outside & (not padded), 0.0, 1.0 / count)
    return Terms(step.source, grid, values, weights, outside), 0.0, {**details, "count": count}


def averaged_whole(lens: Lens, step: Step, index: Index) -> Made:
    """All cells of one map, each divided by their number."""
    values = lens.values(step.source)[index[0]]
    grid = cells((1, *values.shape), (index[0], 0, 0))
    weights = np.full(values.size, 1.0 / values.size)
    return Terms(step.source, grid, values.reshape(-1).astype(np.float64), weights), 0.0, {"count": values.size}


def bent(lens: Lens, step: Step, index: Index) -> Made:
    """An activation function of one cell."""
    alpha = float(step.attrs.get("alpha", 0.01))
    slope = activated(step.kind, float(lens.values(step.source)[index]), alpha)[1]
    passed = slope if step.kind in ("relu", "leaky_relu") else None
    details = {"slope": slope, **({"alpha": alpha} if step.kind == "leaky_relu" else {})}
    return single(lens, step, index, passed), 0.0, details


def activated(kind: str, x: float, alpha: float = 0.0) -> tuple[float, float]:
    """An activation function and its derivative at ``x``; at 0 that of ReLU is 0, of leaky ReLU ``alpha``."""
    if kind in ("relu", "leaky_relu"):
        return (x, 1.0) if x > 0 else (alpha * x, alpha) if kind == "leaky_relu" else (0.0, 0.0)
    if kind == "tanh":
        y = math.tanh(x)
        return y, 1.0 - y * y
    y = (1.0 + math.tanh(x / 2)) / 2  # the sigmoid, without overflow
    return y, y * (1.0 - y)


def shared(lens: Lens, step: Step, index: Index) -> Made:
    """Softmax: all scores along the last axis."""
    values = lens.values(step.source)[index[:-1]].astype(np.float64)
    grid = np.array([(*index[:-1], k) for k in range(len(values))], np.intp)
    exponentials = np.exp(values - values.max())
    details = {"position": index[-1], "largest": float(values.max()), "exponentials": exponentials}
    return Terms(step.source, grid, values), 0.0, {**details, "sum": float(exponentials.sum())}


MAKERS: dict[str, Callable[[Lens, Step, Index], Made]] = {
    "input": given,
    "conv2d": convolved,
    "dense": connected,
    "batch_norm": normalised,
    "avg_pool": averaged,
    "global_avg_pool": averaged_whole,
    "flatten": copied,
    "dropout": copied,
    "identity": copied,
    "max_pool": largest,
    "relu": bent,
    "leaky_relu": bent,
    "sigmoid": bent,
    "tanh": bent,
    "softmax": shared,
}
