"""Activation functions. The adjoints of ReLU, sigmoid and tanh read the output, so that fusion can drop the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from ..graph import Array, Attrs, Binding, Gradients, Graph, Node, Op, Run, Scratch, Shapes
from .blocks import elementwise
from .table import register


def sigmoid_in_place(y: Array) -> None:
    """``1 / (1 + exp(-y))`` as ``(1 + tanh(y / 2)) / 2``: the same function, and no overflow at any input."""
    np.multiply(y, 0.5, out=y)
    np.tanh(y, out=y)
    np.add(y, 1.0, out=y)
    np.multiply(y, 0.5, out=y)


def in_place(kind: str | None, alpha: float = 0.01) -> Callable[[Array], None] | None:
    """The function that applies a fused activation to an array in place, or None for no activation."""
    if kind is None:
        return None
    if kind == "leaky_relu":
        return lambda y: np.copyto(y, y * alpha, where=y < 0)
    table: dict[str, Callable[[Array], None]] = {
        "relu": lambda y: np.maximum(y, 0.0, out=y),
        "sigmoid": sigmoid_in_place,
        "tanh": lambda y: np.tanh(y, out=y),
    }
    return table[kind]


class Elementwise(Op):
    """An op whose output has the shape of its first input."""

    inputs: ClassVar[tuple[str, ...]] = ("x",)

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [ins[0]]

    def numpy(self, b: Binding) -> Run:
        x, y = b.ins[0], b.outs[0]
        apply = in_place(self.name, float(b.attrs.get("alpha", 0.01)))
        assert apply is not None

        def kernel(x: Array, y: Array) -> None:
            np.copyto(y, x)
            apply(y)

        return elementwise(kernel, x, y)


class FromOutput(Elementwise):
    """Adjoint ``dx = dy * f'(x)`` with f' written in terms of ``y = f(x)``."""

    inputs = ("y", "dy")
    outputs = ("dx",)


class ReluDx(FromOutput):
    name = "relu_dx"
    equation = "dx = dy where y > 0, else 0  (the derivative at 0 is 0)"

    def numpy(self, b: Binding) -> Run:
        (y, dy), dx = b.ins, b.outs[0]
        return elementwise(lambda y, dy, dx: np.multiply(dy, y > 0, out=dx), y, dy, dx)


relu_dx = register(ReluDx)


class Relu(Elementwise):
    name = "relu"
    equation = "y = max(x, 0)"

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(relu_dx, (node.outputs[0], str(dys[0])))]


relu = register(Relu)


class SigmoidDx(FromOutput):
    name = "sigmoid_dx"
    equation = "dx = dy * y * (1 - y)"

    def numpy(self, b: Binding) -> Run:
        (y, dy), dx = b.ins, b.outs[0]

        def kernel(y: Array, dy: Array, dx: Array) -> None:
            np.subtract(1.0, y, out=dx)
            np.multiply(dx, y, out=dx)
            np.multiply(dx, dy, out=dx)

        return elementwise(kernel, y, dy, dx)


sigmoid_dx = register(SigmoidDx)


class Sigmoid(Elementwise):
    name = "sigmoid"
    equation = "y = 1 / (1 + exp(-x))"

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(sigmoid_dx, (node.outputs[0], str(dys[0])))]


sigmoid = register(Sigmoid)


class TanhDx(FromOutput):
    name = "tanh_dx"
    equation = "dx = dy * (1 - y^2)"

    def numpy(self, b: Binding) -> Run:
        (y, dy), dx = b.ins, b.outs[0]

        def kernel(y: Array, dy: Array, dx: Array) -> None:
            np.multiply(y, y, out=dx)
            np.subtract(1.0, dx, out=dx)
            np.multiply(dx, dy, out=dx)

        return elementwise(kernel, y, dy, dx)


tanh_dx = register(TanhDx)


class Tanh(Elementwise):
    name = "tanh"
    equation = "y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))"

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(tanh_dx, (node.outputs[0], str(dys[0])))]


tanh = register(Tanh)


class LeakyReluDx(Elementwise):
    name = "leaky_relu_dx"
    inputs = ("x", "dy")
    outputs = ("dx",)
    equation = "dx = dy where x > 0, else alpha * dy  (the derivative at 0 is alpha)"

    def numpy(self, b: Binding) -> Run:
        (x, dy), dx = b.ins, b.outs[0]
        alpha = float(b.attrs.get("alpha", 0.01))

        def kernel(x: Array, dy: Array, dx: Array) -> None:
            np.multiply(dy, alpha, out=dx)
            np.copyto(dx, dy, where=x > 0)

        return elementwise(kernel, x, dy, dx)


leaky_relu_dx = register(LeakyReluDx)


class LeakyRelu(Elementwise):
    name = "leaky_relu"
    equation = "y = x where x > 0, else alpha * x"

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(leaky_relu_dx, (node.inputs[0], str(dys[0])), node.attrs)]


leaky_relu = register(LeakyRelu)


def softmax_into(x: Array, y: Array, axis: int) -> None:
    """Softmax along ``axis``; the maximum is taken off first, so that no exponential overflows."""
    np.subtract(x, x.max(axis=axis, keepdims=True), out=y)
    np.exp(y, out=y)
    np.divide(y, y.sum(axis=axis, keepdims=True), out=y)


class SoftmaxDx(Elementwise):
    name = "softmax_dx"
    inputs = ("y", "dy")
    outputs = ("dx",)
    equation = "dx = y * (dy - sum(dy * y))"

    def numpy(self, b: Binding) -> Run:
        (y, dy), dx = b.ins, b.outs[0]
        axis = int(b.attrs.get("axis", -1))

        def run() -> None:
            np.multiply(y, dy, out=dx)
            np.subtract(dy, dx.sum(axis=axis, keepdims=True), out=dx)
            np.multiply(dx, y, out=dx)

        return run


softmax_dx = register(SoftmaxDx)


class Softmax(Elementwise):
    name = "softmax"
    equation = "y_i = exp(x_i - max x) / sum_j exp(x_j - max x)"

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(softmax_dx, (node.outputs[0], str(dys[0])), node.attrs)]

    def numpy(self, b: Binding) -> Run:
        x, y, axis = b.ins[0], b.outs[0], int(b.attrs.get("axis", -1))
        return lambda: softmax_into(x, y, axis)


softmax = register(Softmax)


def hash_uniform(seed: Array, index: Array, out: Array) -> None:
    """A 32-bit integer hash of (seed, element index), the same bits on every backend (lowbias32, C. Wellons 2018)."""
    np.multiply(index, np.uint32(0x9E3779B9), out=out)
    np.add(out, seed, out=out)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        np.bitwise_xor(out, out >> np.uint32(shift), out=out)
        np.multiply(out, np.uint32(factor), out=out)
    np.bitwise_xor(out, out >> np.uint32(16), out=out)


class Dropout(Elementwise):
    """Inverted dropout. It is its own adjoint: the mask is computed again from the same seed."""

    name = "dropout"
    inputs = ("x", "seed")
    equation = "y_i = x_i / (1 - rate) where hash(seed + salt, i) >= rate * 2^32, else 0"

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(dropout, (str(dys[0]), node.inputs[1]), node.attrs), None]

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        return {"bits": (ins[0], "uint32")}

    def numpy(self, b: Binding) -> Run:
        (x, seed), y, bits = b.ins, b.outs[0], b.work["bits"]
        rate, salt = float(b.attrs["rate"]), np.uint32(b.attrs.get("salt", 0))
        index = np.arange(x.size, dtype=np.uint32).reshape(x.shape)
        threshold = np.uint32(min(round(rate * 2**32), 2**32 - 1))
        scale = 1.0 / (1.0 - rate)

        def run() -> None:
            hash_uniform(seed + salt, index, bits)
            np.multiply(x, scale, out=y)
            np.multiply(y, bits >= threshold, out=y)

        return run


dropout = register(Dropout)
