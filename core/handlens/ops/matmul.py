"""Matrix products, the dense layer and the small ops around them: add, scale, reshape, sums."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import ShapeError
from ..graph import Attrs, Binding, Gradients, Graph, Node, Op, Run, Shape, Shapes
from .activation import in_place
from .table import register


class DenseDx(Op):
    name = "dense_dx"
    inputs = ("w", "dy")
    outputs = ("dx",)
    equation = "dx[n,i] = sum over o of dy[n,o] * w[o,i]"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [(ins[1][0], ins[0][1])]

    def multiply_adds(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> int:
        return ins[1][0] * math.prod(ins[0])

    def numpy(self, b: Binding) -> Run:
        (w, dy), dx = b.ins, b.outs[0]
        return lambda: np.matmul(dy, w, out=dx)


dense_dx = register(DenseDx)


class DenseDw(Op):
    name = "dense_dw"
    inputs = ("x", "dy")
    outputs = ("dw", "db")
    equation = "dw[o,i] = sum over n of dy[n,o] * x[n,i];  db[o] = sum over n of dy[n,o]"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [(ins[1][1], ins[0][1]), (ins[1][1],)][: 2 if attrs.get("bias", True) else 1]

    def multiply_adds(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> int:
        return ins[0][0] * math.prod(outs[0])

    def numpy(self, b: Binding) -> Run:
        (x, dy), dw = b.ins, b.outs[0]
        db = b.outs[1] if len(b.outs) > 1 else None

        def run() -> None:
            np.matmul(dy.T, x, out=dw)
            if db is not None:
                np.sum(dy, axis=0, out=db)

        return run


dense_dw = register(DenseDw)


class Dense(Op):
    name = "dense"
    inputs = ("x", "w", "b?")
    equation = "y[n,o] = activation(b[o] + sum over i of w[o,i] * x[n,i])"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        x, w = ins[:2]
        if len(x) != 2:
            raise ShapeError(f"a dense layer needs vectors (N, inputs); got {tuple(x)}; put a Flatten before it")
        if x[1] != w[1]:
            raise ShapeError(f"expected {w[1]} inputs, got {x[1]}")
        if any(tuple(bias) != (w[0],) for bias in ins[2:]):
            raise ShapeError(f"{w[0]} neurons need a bias of shape {(w[0],)}; got {ins[2]}")
        return [(x[0], w[0])]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        x, w = node.inputs[:2]
        dy = str(dys[0])
        grads: list[str | None] = [None] * len(node.inputs)
        if any(wanted[1:]):
            grads[1:] = graph.emit(dense_dw, (x, dy), {"bias": len(node.inputs) > 2})
        if wanted[0]:
            grads[0] = graph.one(dense_dx, (w, dy))
        return grads

    def multiply_adds(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> int:
        return ins[0][0] * math.prod(ins[1])

    def numpy(self, b: Binding) -> Run:
        x, w = b.ins[:2]
        y = b.outs[0]
        bias = b.ins[2] if len(b.ins) > 2 else None
        activate = in_place(b.attrs.get("activation"), float(b.attrs.get("alpha", 0.01)))

        def run() -> None:
            np.matmul(x, w.T, out=y)
            if bias is not None:
                np.add(y, bias, out=y)
            if activate is not None:
                activate(y)

        return run


dense = register(Dense)


def turned(shape: Shape, transpose: bool) -> Shape:
    """The shape with its last two axes exchanged."""
    return (*shape[:-2], shape[-1], shape[-2]) if transpose else tuple(shape)


def broadcast(*shapes: Shape) -> Shape:
    """NumPy's broadcasting rule, with our error."""
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        raise ShapeError(f"shapes {' and '.join(map(str, shapes))} do not broadcast") from None


def summed_to(graph: Graph, tensor: str, shape: Shape) -> str:
    """``tensor`` itself, or its sum down to the ``shape`` that broadcasting had blown up."""
    return tensor if graph.shape(tensor) == tuple(shape) else graph.one(sum_to, (tensor,), {"shape": list(shape)})


class Matmul(Op):
    name = "matmul"
    inputs = ("a", "b")
    equation = "y[..,m,n] = sum over k of a[..,m,k] * b[..,k,n]  (transpose_a, transpose_b exchange the last two axes)"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        if min(len(s) for s in ins) < 2:
            raise ShapeError(f"matmul needs matrices; got {ins[0]} and {ins[1]}; reshape a vector to one row or column")
        a, b = turned(ins[0], attrs.get("transpose_a", False)), turned(ins[1], attrs.get("transpose_b", False))
        if a[-1] != b[-2]:
            raise ShapeError(f"matmul of {a} by {b}: the inner sizes {a[-1]} and {b[-2]} differ")
        return [(*broadcast(a[:-2], b[:-2]), a[-2], b[-1])]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        (a, b), dy = node.inputs, str(dys[0])
        ta, tb = node.attrs.get("transpose_a", False), node.attrs.get("transpose_b", False)

        def product(left: str, right: str, tl: bool, tr: bool) -> str:
            return graph.one(matmul, (left, right), {"transpose_a": tl, "transpose_b": tr})

        da = (product(b, dy, tb, True) if ta else product(dy, b, False, not tb)) if wanted[0] else None
        db = (product(dy, a, True, ta) if tb else product(a, dy, not ta, False)) if wanted[1] else None
        return [
            None if da is None else summed_to(graph, da, graph.shape(a)),
            None if db is None else summed_to(graph, db, graph.shape(b)),
        ]

    def multiply_adds(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> int:
        return math.prod(outs[0]) * turned(ins[0], attrs.get("transpose_a", False))[-1]

    def numpy(self, b: Binding) -> Run:
        left, right = b.ins
        if b.attrs.get("transpose_a"):
            left = np.swapaxes(left, -1, -2)
        if b.attrs.get("transpose_b"):
            right = np.swapaxes(right, -1, -2)
        y = b.outs[0]
        return lambda: np.matmul(left, right, out=y)


matmul = register(Matmul)


class SumTo(Op):
    name = "sum_to"
    inputs = ("x",)
    equation = "y = x summed over every axis along which y is 1 or absent"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        if broadcast(ins[0], tuple(attrs["shape"])) != tuple(ins[0]):
            raise ShapeError(f"{ins[0]} cannot be summed to {tuple(attrs['shape'])}")
        return [tuple(attrs["shape"])]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(broadcast_to, (str(dys[0]),), {"shape": list(graph.shape(node.inputs[0]))})]

    def numpy(self, b: Binding) -> Run:
        x, y = b.ins[0], b.outs[0]
        wide = (1,) * (x.ndim - y.ndim) + y.shape
        axes = tuple(k for k, n in enumerate(wide) if n == 1)
        flat = y.reshape(wide)
        return lambda: np.copyto(flat, x.sum(axis=axes, keepdims=True))


sum_to = register(SumTo)


class BroadcastTo(Op):
    name = "broadcast_to"
    inputs = ("x",)
    equation = "y[..] = x[..], repeated along the axes where x is 1 or absent"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        if broadcast(ins[0], tuple(attrs["shape"])) != tuple(attrs["shape"]):
            raise ShapeError(f"{ins[0]} does not broadcast to {tuple(attrs['shape'])}")
        return [tuple(attrs["shape"])]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(sum_to, (str(dys[0]),), {"shape": list(graph.shape(node.inputs[0]))})]

    def numpy(self, b: Binding) -> Run:
        x, y = b.ins[0], b.outs[0]
        return lambda: np.copyto(y, x)


broadcast_to = register(BroadcastTo)


class Add(Op):
    name = "add"
    inputs = ("a", "b")
    equation = "y = a + b  (broadcasting)"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [broadcast(*ins)]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [
            summed_to(graph, str(dys[0]), graph.shape(i)) if w else None
            for i, w in zip(node.inputs, wanted, strict=True)
        ]

    def numpy(self, b: Binding) -> Run:
        (left, right), y = b.ins, b.outs[0]
        return lambda: np.add(left, right, out=y)


add = register(Add)


class Scale(Op):
    name = "scale"
    inputs = ("x",)
    equation = "y = factor * x"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [ins[0]]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(scale, (str(dys[0]),), node.attrs)]

    def numpy(self, b: Binding) -> Run:
        x, y, factor = b.ins[0], b.outs[0], float(b.attrs["factor"])
        return lambda: np.multiply(x, factor, out=y)


scale = register(Scale)


class Reshape(Op):
    name = "reshape"
    inputs = ("x",)
    equation = "y = the elements of x, in row-major order (C, H, W), under another shape"
    view = True

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        shape = [int(n) for n in attrs["shape"]]
        if shape.count(-1) == 1:
            known = -math.prod(shape)
            shape[shape.index(-1)] = math.prod(ins[0]) // known if known else 0
        if math.prod(shape) != math.prod(ins[0]):
            raise ShapeError(f"{math.prod(ins[0])} elements of shape {ins[0]} do not fill {tuple(attrs['shape'])}")
        return [tuple(shape)]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(reshape, (str(dys[0]),), {"shape": list(graph.shape(node.inputs[0]))})]


reshape = register(Reshape)
