"""The network step by step: for every value of a trace the op that makes it, and the value that it reads.

All of it is read off the unfused graph, never off names, so that it holds for whatever layers emit.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, ShapeError
from ..graph import Array, Attrs, Graph, Node, Shape
from ..layers import Dropout
from ..ops.pool import window_of
from ..ops.window import Window, resolve

if TYPE_CHECKING:
    from ..model import Sequential

Index = tuple[int, ...]

# Op -> the kind of cell that it makes. These are the ops that layers emit for inference.
KINDS = {
    "conv2d": "conv2d",
    "dense": "dense",
    "batch_norm_inference": "batch_norm",
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softmax": "softmax",
    "max_pool2d": "max_pool",
    "avg_pool2d": "avg_pool",
    "global_avg_pool2d": "global_avg_pool",
    "reshape": "flatten",
}
# Kinds whose cells keep their place: cell (c, y, x) is made of cell (c, y, x).
IN_PLACE = ("batch_norm", "relu", "leaky_relu", "sigmoid", "tanh", "dropout", "identity")


@dataclass(frozen=True)
class Step:
    """How one value of the trace is made. Shapes are those of one image, without the batch.

    key: its name in the trace. kind: see ``KINDS``; "input" is given, "dropout" and "identity" change nothing.
    source: the trace's name of what it reads, "" for the input. parameters: names of weight, bias and statistics.
    layer: the layer that it belongs to, "" where the network itself adds it.
    """

    key: str
    kind: str
    shape: Shape
    source: str = ""
    reads: Shape = ()
    attrs: Attrs = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    layer: str = ""
    kernel: tuple[int, int] = (1, 1)

    @property
    def window(self) -> Window:
        """The window that slides over the source, of a convolution or a pooling."""
        if self.kind == "conv2d":
            return resolve(self.reads[1], self.reads[2], self.kernel, self.attrs)
        return window_of((1, *self.reads), self.attrs)

    def checked(self, index: int | Sequence[int]) -> Index:
        """``index`` as whole numbers inside this value; DataError naming what was met and what there is."""
        given = tuple(index) if isinstance(index, Sequence | np.ndarray) else (index,)
        whole = all(isinstance(i, int | np.integer) and not isinstance(i, bool) for i in given)
        if whole and len(given) == len(self.shape) and all(0 <= i < n for i, n in zip(given, self.shape, strict=True)):
            return tuple(int(i) for i in given)
        axes = ("map", "row", "column") if len(self.shape) == 3 else ("number",)
        ranges = ", ".join(f"{a} 0 to {n - 1}" for a, n in zip(axes, self.shape, strict=True))
        raise DataError(f'"{self.key}" has no cell {given!r}; its cells are ({ranges})')


def steps(model: Sequential, input_shape: Shape | None = None) -> dict[str, Step]:
    """Every key of ``model.trace(x)``, in its order, with the step that makes it.

    input_shape: of the image, where it is not the network's own.
    Raises ShapeError where such an image does not fit, DataError for an op that no layer of this package emits.
    """
    graph = model.graph(1, input_shape)
    made_by = {name: node for node in graph.nodes for name in node.outputs}
    found = {"input": Step("input", "input", graph.shape("input")[1:])}
    shown = {"input": "input"}  # tensor -> the last key that shows it
    tensor = "input"
    for layer in model.layers:
        before, tensor = tensor, graph.outputs[layer.name]
        if tensor == before:  # nothing happens here at inference
            kind, source = "dropout" if isinstance(layer, Dropout) else "identity", found[shown[before]]
            found[layer.name] = Step(layer.name, kind, source.shape, source.key, source.shape, layer=layer.name)
        else:
            linear = f"{layer.name}.linear"
            for key, name in ((linear, linear), (layer.name, tensor)):
                if name in made_by:
                    found[key] = _step(graph, made_by[name], key, shown)
                    shown[name] = key
        shown[tensor] = layer.name
    for key, name in graph.outputs.items():
        if key not in found:  # "logits", "probabilities", "outputs": other names of what a layer has made, or new
            found[key] = _step(graph, made_by[name], key, shown) if name in made_by else found["input"]
            shown[name] = key
    return found


def _step(graph: Graph, node: Node, key: str, shown: dict[str, str]) -> Step:
    """The step of a node, under a key of the trace."""
    if node.op.name not in KINDS:
        raise DataError(f'"{key}" is made by the op {node.op.name!r}, of which no explanation is known')
    source, *parameters = node.inputs
    weight = graph.shape(parameters[0]) if parameters else ()
    return Step(
        key,
        KINDS[node.op.name],
        graph.shape(node.outputs[0])[1:],
        shown[source],
        graph.shape(source)[1:],
        node.attrs,
        tuple(parameters),
        node.layer,
        (weight[2], weight[3]) if len(weight) == 4 else (1, 1),
    )


def find(found: dict[str, Step], key: str) -> Step:
    """The step of that key; DataError naming the nearest ones otherwise."""
    if key in found:
        return found[key]
    near = difflib.get_close_matches(str(key), found, 3) or list(found)
    raise DataError(f"the network has no layer called {key!r}; there are: {', '.join(near)}")


def one_image(model: Sequential, x: Array) -> Array:
    """One image as a batch of one: (H, W), (C, H, W), (inputs,) or a batch that holds one; ShapeError otherwise."""
    image = np.asarray(x)
    rank = len(model.input_shape)
    if image.ndim == rank - 1 and model.input_shape[0] == 1:
        image = image[None]  # (H, W) of a network that takes one channel
    if image.ndim == rank:
        image = image[None]
    checked = model.checked_images(image)
    if len(checked) != 1:
        raise ShapeError(f"one image is explained at a time; got {len(checked)} (shape {np.shape(x)})")
    return checked
