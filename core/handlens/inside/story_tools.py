"""What the article's figures are computed with: costs without memory, small networks of given weights, single ops.

Nothing here knows the article. Every size comes from the op table's shape rules, every value from its kernels.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..backends import NumpyBackend, drive
from ..graph import Graph, Op, Shape
from ..layers import Layer
from ..model import Sequential, name_layers
from ..plan import make_plan

Float = NDArray[np.float64]


class Cost(NamedTuple):
    """One layer by the shape rules alone: its output shape, its weights and biases, its multiply-adds an image."""

    layer: str
    kind: str
    shape: Shape
    weights: int
    biases: int
    multiply_adds: int

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases


def costs(layers: Sequence[Layer], input_shape: Sequence[int]) -> list[Cost]:
    """What each layer costs on one image of that shape; no parameter is ever made, so no size is too large.

    Raises ShapeError, as the network itself would, where layers do not fit.
    """
    row = [copy.copy(layer) for layer in layers]
    name_layers(row)
    graph, found = Graph(), []
    x = graph.declare("input", (1, *input_shape), "input")
    for layer in row:
        graph.layer, graph.label, before = layer.name, layer.label, len(graph.nodes)
        counts = {True: 0, False: 0}
        for p in layer.parameters(graph.shape(x)[1:]):
            graph.declare(f"{layer.name}.{p.name}", p.shape, "parameter")
            counts[p.name == "bias"] += math.prod(p.shape)
        x = layer.emit(graph, x, training=False)
        work = 0
        for node in graph.nodes[before:]:
            ins, outs = ([graph.shape(t) for t in names] for names in (node.inputs, node.outputs))
            work += node.op.multiply_adds(ins, outs, node.attrs)
        found.append(Cost(layer.name, type(layer).__name__, graph.shape(x)[1:], counts[False], counts[True], work))
    return found


def network(layers: Sequence[Layer], shape: Sequence[int], weights: Mapping[str, Any] | None = None) -> Sequential:
    """A network that may end in maps; ``weights`` replaces parameters by name ("conv1.weight")."""
    model = Sequential(layers, shape, loss="mean_squared_error")
    if weights:
        given = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        model.load_state_dict({**model.state_dict(), **given})
    return model


def _run(graph: Graph, values: Mapping[str, Float], name: str) -> Float:
    graph.outputs = {name: name}
    backend = NumpyBackend()
    program = drive(backend.load(make_plan(graph)))
    for tensor, value in values.items():
        backend.upload(program, tensor, value)
    backend.run(program)
    return np.array(drive(backend.fetch(program, name))[name], np.float64)


def _operands(arrays: Sequence[ArrayLike]) -> tuple[Graph, dict[str, Float]]:
    graph, values = Graph("float64"), {f"x{k}": np.asarray(a, np.float64) for k, a in enumerate(arrays)}
    for name, value in values.items():
        graph.declare(name, value.shape, "input")
    return graph, values


def apply(op: Op, *arrays: ArrayLike, **attrs: Any) -> Float:
    """One op of the table on float64 arrays."""
    graph, values = _operands(arrays)
    return _run(graph, values, graph.one(op, list(values), attrs))


def slope(op: Op, *arrays: ArrayLike, **attrs: Any) -> Float:
    """What the op's own gradient rule gives its first input, for a gradient of 1 at every output."""
    graph, values = _operands(arrays)
    made = graph.one(op, list(values), attrs)
    graph.declare("dy", graph.shape(made), "input")
    gradient = op.gradient(graph, graph.nodes[-1], ["dy"], [k == 0 for k in range(len(values))])[0]
    assert gradient is not None  # the first input was asked for
    return _run(graph, values | {"dy": np.ones(graph.shape("dy"))}, gradient)


def slope_by_differences(op: Op, x: ArrayLike, h: float = 1e-5) -> Float:
    """The slope of an elementwise op measured instead of derived: (f(x + h) - f(x - h)) / 2h."""
    at = np.asarray(x, np.float64)
    return (apply(op, at + h) - apply(op, at - h)) / (2 * h)


def plain(value: Any) -> Any:
    """JSON values of a result: an array becomes {"shape": [..], "values": [..]}, row by row, to four digits."""
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "values": [float(f"{v:.4g}") for v in value.ravel()]}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
