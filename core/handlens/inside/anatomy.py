"""A network as the page shows it: its steps in order, what each is called and costs; and single ops on arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..graph import Array, Attrs, Binding
from ..ops.table import find
from .steps import Step, steps

if TYPE_CHECKING:
    from ..model import Sequential

TITLES = {
    "input": "Input",
    "conv2d": "Convolution",
    "batch_norm": "Batch norm",
    "relu": "ReLU",
    "leaky_relu": "Leaky ReLU",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "max_pool": "Max pooling",
    "avg_pool": "Average pooling",
    "global_avg_pool": "Global average pooling",
    "flatten": "Flatten",
    "dropout": "Dropout",
    "identity": "Nothing",
    "dense": "Dense",
    "softmax": "Softmax",
}


@dataclass(frozen=True)
class Cost:
    """Of one step for one image: trainable parameters, multiply-adds, bytes of its weights and of its values."""

    parameters: int
    multiply_adds: int
    weight_bytes: int
    value_bytes: int


class Anatomy:
    """A network's steps, walked once.

    steps: every key of the trace; rows: those that are shown, in order, each value once; aliases: the keys that are
    other names of a row ("logits", "probabilities"), and which; costs: by row.
    """

    def __init__(self, model: Sequential) -> None:
        self.model, self.steps = model, steps(model)
        own = {key for key, step in self.steps.items() if key in ("input", step.layer, f"{step.layer}.linear")}
        own |= {key for key, step in self.steps.items() if not step.layer}
        self.rows = {key: step for key, step in self.steps.items() if key in own}
        self.aliases = {key: step.layer for key, step in self.steps.items() if key not in own}
        self.costs = costs(model, self.rows)

    def row(self, key: str) -> str:
        """The row that a key of the trace stands for; DataError where there is none."""
        row = self.aliases.get(key, key)
        if row and row not in self.rows:
            raise DataError(f"{self.model.name} has no layer {row!r}; there are: {', '.join(self.rows)}")
        return row

    def image_behind(self, key: str) -> Step | None:
        """The step whose maps a vector lists, through flatten and dropout; None where it is no such list."""
        step = self.steps[key]
        while step.kind in ("flatten", "dropout", "identity"):
            step = self.steps[step.source]
        return step if len(step.shape) == 3 and step.key != key else None

    def after(self, key: str) -> Step | None:
        """The row that reads this one; None for the last."""
        return next((step for step in self.rows.values() if step.source == key), None)


def costs(model: Sequential, rows: dict[str, Step]) -> dict[str, Cost]:
    """What each row costs, counted from the op table as ``model.summary()`` does."""
    graph = model.graph(1)
    made_by = {node.outputs[0]: node for node in graph.nodes}
    found = {}
    for key, step in rows.items():
        tensor = key if key.endswith(".linear") else graph.outputs.get(key, key)
        node = made_by.get(tensor) if step.kind not in ("input", "dropout", "identity") else None
        parameters = work = weights = 0
        if node is not None:
            own = [graph[name] for name in node.inputs[1:]]
            ins, outs = ([graph.shape(name) for name in names] for names in (node.inputs, node.outputs))
            work = node.op.multiply_adds(ins, outs, node.attrs)
            parameters = sum(t.size for t in own if t.role == "parameter")
            weights = 4 * sum(t.size for t in own)
        found[key] = Cost(parameters, work, weights, 4 * math.prod(step.shape))
    return found


def apply(op: str, arrays: list[Array], attrs: Attrs | None = None) -> Array:
    """What an op of the table makes of arrays, by its NumPy kernel, in the precision of the first."""
    row, given = find(op), dict[str, Any](attrs or {})
    ins = [np.ascontiguousarray(array) for array in arrays]
    shapes = [array.shape for array in ins]
    outs = [np.empty(shape, ins[0].dtype) for shape in row.shapes(shapes, given)]
    wanted = row.workspace(shapes, [out.shape for out in outs], given)
    work = {name: np.empty(shape, dtype or ins[0].dtype) for name, (shape, dtype) in wanted.items()}
    row.numpy(Binding(ins, outs, [], given, work))()
    return outs[0]
