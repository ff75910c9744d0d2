"""Batch normalisation (Ioffe & Szegedy, 2015): training with its adjoint, inference, and folding into a layer's weights.

The statistics are over every axis but the channels (axis 1); the variance is the batch's own (divided by n, not n - 1),
as in Keras and ONNX; PyTorch's running variance is divided by n - 1 instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import ShapeError
from ..graph import Array, Attrs, Binding, Graph, Node, Op, Run, Scratch, Shape, Shapes
from .table import register


def per_channel(values: Array, ndim: int) -> Array:
    """(C,) as (1, C, 1, 1): broadcastable against (N, C, H, W), or (1, C) against (N, C)."""
    return values.reshape((1, -1) + (1,) * (ndim - 2))


def check_channels(ins: Shapes) -> int:
    """Number of channels, after checking every per-channel vector against it."""
    x = ins[0]
    if len(x) < 2:
        raise ShapeError(f"batch normalisation needs (N, C, ..); got {x}")
    for other in ins[1:]:
        if tuple(other) != (x[1],):
            raise ShapeError(f"{x[1]} channels met per-channel values of shape {tuple(other)}")
    return x[1]


def axes_of(ndim: int) -> tuple[int, ...]:
    """Every axis but the channels."""
    return (0, *range(2, ndim))


class BatchNormDx(Op):
    name = "batch_norm_dx"
    inputs = ("x", "gamma", "mean", "inv_std", "dy")
    outputs = ("dx", "dgamma", "dbeta")
    equation = (
        "dbeta = sum dy;  dgamma = sum dy * xhat;  dx = gamma * inv_std * (dy - dbeta/m - xhat * dgamma/m), "
        "xhat = (x - mean) * inv_std, sums over the m values of a channel"
    )

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        channels = check_channels(ins[:4])
        return [ins[0], (channels,), (channels,)]

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        return {"xhat": (ins[0], ""), "product": (ins[0], "")}

    def numpy(self, b: Binding) -> Run:
        x, gamma, mean, inv_std, dy = b.ins
        dx, dgamma, dbeta = b.outs
        xhat, product = b.work["xhat"], b.work["product"]
        axes, m = axes_of(x.ndim), math.prod(x.shape) // x.shape[1]

        def run() -> None:
            np.subtract(x, per_channel(mean, x.ndim), out=xhat)
            np.multiply(xhat, per_channel(inv_std, x.ndim), out=xhat)
            np.multiply(dy, xhat, out=product)
            np.copyto(dgamma, product.sum(axis=axes))
            np.copyto(dbeta, dy.sum(axis=axes))
            np.multiply(xhat, per_channel(dgamma / m, x.ndim), out=xhat)
            np.subtract(dy, xhat, out=dx)
            np.subtract(dx, per_channel(dbeta / m, x.ndim), out=dx)
            np.multiply(dx, per_channel(gamma * inv_std, x.ndim), out=dx)

        return run


batch_norm_dx = register(BatchNormDx)


class BatchNorm(Op):
    name = "batch_norm"
    inputs = ("x", "gamma", "beta")
    outputs = ("y", "mean", "inv_std")
    updates = ("running_mean", "running_var")
    equation = (
        "y = gamma * (x - mean) / sqrt(var + epsilon) + beta, mean and var of this batch;  "
        "running = momentum * running + (1 - momentum) * batch"
    )

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        channels = check_channels(ins)
        return [ins[0], (channels,), (channels,)]

    def gradient(
        self, graph: Graph, node: Node, dys: Sequence[str | None], wanted: Sequence[bool]
    ) -> Sequence[str | None]:
        x, gamma, _ = node.inputs
        _, mean, inv_std = node.outputs
        return graph.emit(batch_norm_dx, (x, gamma, mean, inv_std, str(dys[0])), node.attrs)

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        return {"square": (ins[0], "")}

    def numpy(self, b: Binding) -> Run:
        x, gamma, beta = b.ins
        y, mean, inv_std = b.outs
        square, axes = b.work["square"], axes_of(x.ndim)
        epsilon, momentum = float(b.attrs["epsilon"]), float(b.attrs["momentum"])

        def run() -> None:
            np.copyto(mean, x.mean(axis=axes))
            np.subtract(x, per_channel(mean, x.ndim), out=y)
            np.multiply(y, y, out=square)
            variance = square.mean(axis=axes)
            np.copyto(inv_std, 1.0 / np.sqrt(variance + epsilon))
            np.multiply(y, per_channel(gamma * inv_std, x.ndim), out=y)
            np.add(y, per_channel(beta, x.ndim), out=y)
            for running, batch in zip(b.updates, (mean, variance), strict=True):
                np.multiply(running, momentum, out=running)
                np.add(running, (1.0 - momentum) * batch, out=running)

        return run


batch_norm = register(BatchNorm)


class BatchNormInference(Op):
    name = "batch_norm_inference"
    inputs = ("x", "gamma", "beta", "running_mean", "running_var")
    equation = "y = gamma * (x - running_mean) / sqrt(running_var + epsilon) + beta"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        check_channels(ins)
        return [ins[0]]

    def numpy(self, b: Binding) -> Run:
        x, gamma, beta, mean, variance = b.ins
        y, epsilon = b.outs[0], float(b.attrs["epsilon"])

        def run() -> None:
            factor = gamma / np.sqrt(variance + epsilon)
            np.multiply(x, per_channel(factor, x.ndim), out=y)
            np.add(y, per_channel(beta - mean * factor, x.ndim), out=y)

        return run


batch_norm_inference = register(BatchNormInference)


class BatchNormFold(Op):
    """Runs once, when a plan's parameters are loaded: the normalisation disappears into the layer before it."""

    name = "batch_norm_fold"
    inputs = ("w", "gamma", "beta", "running_mean", "running_var", "b?")
    outputs = ("folded_w", "folded_b")
    equation = "w' = w * f, b' = (b - running_mean) * f + beta, f = gamma / sqrt(running_var + epsilon), per kernel"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        w: Shape = tuple(ins[0])
        for other in ins[1:]:
            if tuple(other) != (w[0],):
                raise ShapeError(f"{w[0]} kernels met per-channel values of shape {tuple(other)}")
        return [w, (w[0],)]

    def numpy(self, b: Binding) -> Run:
        w, gamma, beta, mean, variance = b.ins[:5]
        bias = b.ins[5] if len(b.ins) > 5 else None
        folded_w, folded_b = b.outs
        epsilon = float(b.attrs["epsilon"])

        def run() -> None:
            factor = gamma / np.sqrt(variance + epsilon)
            np.multiply(w, factor.reshape((-1,) + (1,) * (w.ndim - 1)), out=folded_w)
            shift = -mean if bias is None else bias - mean
            np.add(shift * factor, beta, out=folded_b)

        return run


batch_norm_fold = register(BatchNormFold)
