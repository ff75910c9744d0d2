"""Losses: the mean over the batch, with what the metrics need, in one pass.

A loss is the root of the backward graph: its gradient rule takes no ``dy`` (it is 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import ShapeError
from ..graph import Attrs, Binding, Gradients, Graph, Node, Op, Run, Scratch, Shapes
from .activation import softmax_into
from .table import register


class SoftmaxCrossEntropyDx(Op):
    name = "softmax_cross_entropy_dx"
    inputs = ("probabilities", "labels")
    outputs = ("dlogits",)
    equation = "dlogits[n,k] = (p[n,k] - t[n,k]) / N, t = (1 - smoothing) * onehot(label) + smoothing / K"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [ins[0]]

    def numpy(self, b: Binding) -> Run:
        (p, labels), dx = b.ins, b.outs[0]
        n, k = p.shape
        smoothing = float(b.attrs.get("smoothing", 0.0))
        rows = np.arange(n)

        def run() -> None:
            np.subtract(p, smoothing / k, out=dx)
            dx[rows, labels] -= 1.0 - smoothing
            np.multiply(dx, 1.0 / n, out=dx)

        return run


softmax_cross_entropy_dx = register(SoftmaxCrossEntropyDx)


class SoftmaxCrossEntropy(Op):
    name = "softmax_cross_entropy"
    inputs = ("logits", "labels")
    outputs = ("loss", "correct", "probabilities")
    equation = (
        "loss = -1/N sum over n,k of t[n,k] * log p[n,k], p = softmax(logits), "
        "t = (1 - smoothing) * onehot(label) + smoothing / K;  correct = rows whose largest logit is at the label"
    )

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        if len(ins[0]) != 2 or tuple(ins[1]) != ins[0][:1]:
            raise ShapeError(f"cross-entropy needs logits (N, classes) and labels (N,); got {ins[0]} and {ins[1]}")
        return [(1,), (1,), ins[0]]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(softmax_cross_entropy_dx, (node.outputs[2], node.inputs[1]), node.attrs), None]

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        return {"log_p": (ins[0], "")}

    def numpy(self, b: Binding) -> Run:
        (logits, labels), (loss, correct, p) = b.ins, b.outs
        log_p = b.work["log_p"]
        rows = np.arange(logits.shape[0])
        smoothing = float(b.attrs.get("smoothing", 0.0))

        def run() -> None:
            softmax_into(logits, p, -1)
            np.subtract(logits, logits.max(axis=1, keepdims=True), out=log_p)
            np.subtract(log_p, np.log(np.exp(log_p).sum(axis=1, keepdims=True)), out=log_p)
            hit = log_p[rows, labels]
            loss[0] = -((1.0 - smoothing) * hit + smoothing * log_p.mean(axis=1)).mean()
            correct[0] = np.count_nonzero(logits.argmax(axis=1) == labels)

        return run


softmax_cross_entropy = register(SoftmaxCrossEntropy)


class MeanSquaredErrorDx(Op):
    name = "mean_squared_error_dx"
    inputs = ("y", "target")
    outputs = ("dy",)
    equation = "dy = 2 (y - target) / (number of elements)"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [ins[0]]

    def numpy(self, b: Binding) -> Run:
        (y, target), dy = b.ins, b.outs[0]

        def run() -> None:
            np.subtract(y, target, out=dy)
            np.multiply(dy, 2.0 / y.size, out=dy)

        return run


mean_squared_error_dx = register(MeanSquaredErrorDx)


class MeanSquaredError(Op):
    name = "mean_squared_error"
    inputs = ("y", "target")
    outputs = ("loss",)
    equation = "loss = sum (y - target)^2 / (number of elements)"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        if tuple(ins[0]) != tuple(ins[1]):
            raise ShapeError(f"mean squared error needs outputs and targets of one shape; got {ins[0]} and {ins[1]}")
        return [(1,)]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(mean_squared_error_dx, node.inputs), None]

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        return {"difference": (ins[0], "")}

    def numpy(self, b: Binding) -> Run:
        (y, target), loss, difference = b.ins, b.outs[0], b.work["difference"]

        def run() -> None:
            np.subtract(y, target, out=difference)
            loss[0] = np.square(difference, out=difference).sum() / math.prod(y.shape)

        return run


mean_squared_error = register(MeanSquaredError)
