"""A network as a row of steps, each with its place in the trace: what it does, to what, with which weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..graph import Array, Attrs, Binding, Op, Shape
from ..ops.table import find

if TYPE_CHECKING:
    from ..model import Sequential

# Steps that work cell by cell: they have the shape of what they are given.
ELEMENTWISE = {"batch_norm_inference", "relu", "leaky_relu", "sigmoid", "tanh", "dropout"}
POOLS = {"max_pool2d", "avg_pool2d"}

TITLES = {
    "input": "Input",
    "conv2d": "Convolution",
    "batch_norm_inference": "Batch norm",
    "relu": "ReLU",
    "leaky_relu": "Leaky ReLU",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "max_pool2d": "Max pooling",
    "avg_pool2d": "Average pooling",
    "global_avg_pool2d": "Global average pooling",
    "reshape": "Flatten",
    "dropout": "Dropout",
    "dense": "Dense",
    "softmax": "Softmax",
}


@dataclass(frozen=True)
class Step:
    """One entry of ``model.trace(x)``.

    name: its name there; layer: the layer it belongs to; kind: the op's name, "input", or "dropout" for a layer that
    does nothing at inference. source: the entry it is computed from. shape: without the batch. weights: the operands
    after the first, by name. parameters, multiply_adds (an image) and bytes (float32) are this step's own.
    """

    name: str
    layer: str
    kind: str
    source: str
    shape: Shape
    weights: tuple[str, ...] = ()
    attrs: Attrs = field(default_factory=dict)
    parameters: int = 0
    multiply_adds: int = 0
    weight_bytes: int = 0

    @property
    def title(self) -> str:
        """What this kind of step is called."""
        return TITLES.get(self.kind, self.kind)

    @property
    def value_bytes(self) -> int:
        """Bytes of the values it makes for an image."""
        return 4 * math.prod(self.shape)


def steps(model: Sequential) -> dict[str, Step]:
    """All steps by name, in order of computation. "logits" and "probabilities" stand only where no layer has them."""
    graph = model.graph(1)
    made_by = {node.outputs[0]: node for node in graph.nodes}
    holds = {"input": "input"}  # tensor -> the step that stands for it, the latest one
    found = {"input": Step("input", "input", "input", "", model.input_shape)}

    def add(name: str, layer: str, tensor: str) -> None:
        node = made_by.get(tensor)
        shape = graph.shape(tensor)[1:]
        if node is None or tensor in holds:  # dropout: the values pass through
            found[name] = Step(name, layer, "dropout", holds[tensor], shape)
        else:
            weights = node.inputs[1:]
            own = [graph[t] for t in weights]
            ins, outs = ([graph.shape(t) for t in names] for names in (node.inputs, node.outputs))
            found[name] = Step(
                name,
                layer,
                node.op.name,
                holds[node.inputs[0]],
                shape,
                weights,
                node.attrs,
                sum(t.size for t in own if t.role == "parameter"),
                node.op.multiply_adds(ins, outs, node.attrs),
                4 * sum(t.size for t in own),
            )
        holds[tensor] = name

    for layer in model.layers:
        if f"{layer.name}.linear" in graph.tensors:
            add(f"{layer.name}.linear", layer.name, f"{layer.name}.linear")
        add(layer.name, layer.name, graph.outputs[layer.name])
    last = graph.outputs.get("probabilities")
    if last is not None and last not in holds:
        add("probabilities", "probabilities", last)
    return found


def step_of(model: Sequential, name: str) -> Step:
    """The step of a name, "logits" and "probabilities" included; DataError names those there are."""
    found = steps(model)
    if name not in found and name in ("logits", "probabilities"):
        last = list(found.values())[-1]
        name = last.name if name == "probabilities" or last.kind != "softmax" else last.source
    if name not in found:
        raise DataError(f"this network has no layer {name!r}; there are: {', '.join(found)}")
    return found[name]


def image_behind(found: dict[str, Step], name: str) -> Step | None:
    """The step whose maps a vector lists, through flatten and dropout: (C, H, W); None where it is no such list."""
    step = found[name]
    while step.kind in ("reshape", "dropout"):
        step = found[step.source]
    return step if len(step.shape) == 3 and name != step.name else None


def apply(op: str | Op, arrays: list[Array], attrs: Attrs | None = None) -> Array:
    """What an op of the table makes of arrays, by its NumPy kernel, in the precision of the first."""
    row = find(op) if isinstance(op, str) else op
    given: dict[str, Any] = dict(attrs or {})
    ins = [np.ascontiguousarray(array) for array in arrays]
    outs = [np.empty(shape, ins[0].dtype) for shape in row.shapes([a.shape for a in ins], given)]
    work = {
        name: np.empty(shape, dtype or ins[0].dtype)
        for name, (shape, dtype) in row.workspace([a.shape for a in ins], [o.shape for o in outs], given).items()
    }
    row.numpy(Binding(ins, outs, [], given, work))()
    return outs[0]
