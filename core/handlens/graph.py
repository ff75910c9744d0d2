"""The graph of ops: what a network computes, with every shape known, before anything is run.

Layers emit nodes into a :class:`Graph`; ``autodiff`` adds the backward nodes, ``fuse`` rewrites, ``plan`` freezes.
An :class:`Op` states, side by side, its equation, shape rule, gradient rule, cost and NumPy kernel (see ``ops``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .errors import PlanError, ShapeError

if TYPE_CHECKING:
    import numpy as np

Shape = tuple[int, ...]
Shapes = Sequence[Shape]
Attrs = Mapping[str, Any]
Array = Any  # an ndarray of the plan's own dtype; NumPy's generic parameters would only repeat "Any" at length
Gradients = Sequence[str | None]  # names of tensors that hold gradients, None where there is none
Scratch = Mapping[str, tuple[Shape, str]]  # name -> shape and dtype; "" is the dtype of the op's first input
Role = Literal["input", "control", "parameter", "gradient", "moment", "state", "folded", "value"]


@dataclass(frozen=True)
class Tensor:
    """A named array of known shape. ``role`` says which buffer it lives in, ``layer`` who made it."""

    name: str
    shape: Shape
    dtype: str = "float32"
    role: Role = "value"
    layer: str = ""

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Binding:
    """What a NumPy kernel gets, once, before the first run: arrays in the op's order, attributes, scratch memory."""

    ins: Sequence[Array]
    outs: Sequence[Array]
    updates: Sequence[Array]
    attrs: Attrs
    work: Mapping[str, Array] = field(default_factory=dict)


Run = Callable[[], None]


class Op:
    """One row of the op table. Subclasses state the five things side by side and are registered by ``ops.table``.

    ``inputs``/``outputs``/``updates`` name the operands in order; an input that ends in ``?`` may be left out.
    ``updates`` are read and written in place.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    outputs: ClassVar[tuple[str, ...]] = ("y",)
    updates: ClassVar[tuple[str, ...]] = ()
    equation: ClassVar[str]
    view: ClassVar[bool] = False  # the output is the input's memory under another shape: no kernel runs

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        """Shapes of the outputs; raises ShapeError (without a layer's name, which the graph adds)."""
        raise NotImplementedError

    def dtypes(self, ins: Sequence[str], attrs: Attrs) -> Sequence[str]:
        """Element types of the outputs: by default that of the first input."""
        return [ins[0]] * len(self.outputs)

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        """Emit the adjoint ops; return, per input, the tensor that holds its gradient, or None."""
        raise PlanError(f"op {self.name!r} has no gradient rule; it can only be used where no gradient is asked for")

    def multiply_adds(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> int:
        """Multiply-adds of one run (weights only, as the field counts them: biases and comparisons are not)."""
        return 0

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        """Scratch arrays that the NumPy kernel needs while it runs; the backend places them once."""
        return {}

    def numpy(self, b: Binding) -> Run:
        """The reference kernel: prepare views once, return the function that runs."""
        raise NotImplementedError


@dataclass(frozen=True)
class Node:
    """One op applied to named tensors. ``prologue`` nodes run once after the parameters are loaded."""

    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    updates: tuple[str, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)
    layer: str = ""
    prologue: bool = False


class Graph:
    """Nodes in execution order over named tensors.

    ``layer`` is the name written on everything emitted until it is changed; errors quote it.
    """

    def __init__(self, dtype: str = "float32") -> None:
        self.dtype = dtype
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.outputs: dict[str, str] = {}  # public name -> tensor
        self.layer = ""
        self.label = ""  # how errors call the layer, for instance: Conv2D "conv2"

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def shape(self, name: str) -> Shape:
        """Shape of a tensor."""
        return self.tensors[name].shape

    def declare(self, name: str, shape: Iterable[int], role: Role, dtype: str = "") -> str:
        """Add a tensor that no node makes: an input, control value, parameter or state. Returns its name."""
        if name in self.tensors:
            raise PlanError(f"tensor {name!r} is declared twice; give the layers different names")
        self.tensors[name] = Tensor(name, tuple(int(n) for n in shape), dtype or self.dtype, role, self.layer)
        return name

    def emit(
        self,
        op: Op,
        inputs: Sequence[str],
        attrs: Attrs | None = None,
        *,
        name: str = "",
        outputs: Sequence[str] = (),
        updates: Sequence[str] = (),
        prologue: bool = False,
        role: Role = "value",
    ) -> tuple[str, ...]:
        """Append ``op`` and return the names of its outputs.

        ``name`` is the stem of the output names (default: the op's name); ``outputs`` names tensors that already
        exist and shall be written (a parameter's gradient, say).
        """
        attrs = dict(attrs or {})
        ins = [self.tensors[i] for i in inputs]
        try:
            shapes = op.shapes([t.shape for t in ins], attrs)
        except ShapeError as error:
            raise ShapeError(f"{self.label or self.layer or op.name}: {error}") from None
        dtypes = op.dtypes([t.dtype for t in ins], attrs)[: len(shapes)]
        if outputs:
            made = tuple(outputs)
            for tensor, shape in zip(made, shapes, strict=True):
                if self.tensors[tensor].shape != tuple(shape):
                    raise PlanError(f"{op.name} makes {tuple(shape)}, but {tensor!r} is {self.tensors[tensor].shape}")
        else:
            stem = name or (f"{self.layer}.{op.name}" if self.layer else op.name)
            made = tuple(self._fresh(stem if len(shapes) == 1 else f"{stem}.{o}") for o in op.outputs[: len(shapes)])
            for tensor, shape, dtype in zip(made, shapes, dtypes, strict=True):
                self.tensors[tensor] = Tensor(tensor, tuple(shape), dtype, role, self.layer)
        self.nodes.append(Node(op, tuple(inputs), made, tuple(updates), attrs, self.layer, prologue))
        return made

    def one(self, op: Op, inputs: Sequence[str], attrs: Attrs | None = None, *, name: str = "") -> str:
        """:meth:`emit` for an op with one output; returns its name."""
        return self.emit(op, inputs, attrs, name=name)[0]

    def _fresh(self, stem: str) -> str:
        name, k = stem, 2
        while name in self.tensors:
            name, k = f"{stem}_{k}", k + 1
        return name

    def consumers(self) -> dict[str, list[int]]:
        """For every tensor, the indexes of the nodes that read it."""
        readers: dict[str, list[int]] = {}
        for index, node in enumerate(self.nodes):
            for tensor in (*node.inputs, *node.updates):
                readers.setdefault(tensor, []).append(index)
        return readers


def as_numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype for a plan's dtype name."""
    import numpy as np

    return np.dtype(name)
