"""Batch normalisation (Ioffe & Szegedy, 2015): training with its adjoint, inference, folding into the layer before.

The statistics are over every axis but the channels (axis 1); the variance is the batch's own (divided by n, not n - 1),
as in Keras and ONNX; PyTorch's running variance is divided by n - 1 instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import ShapeError
from ..graph import Array, Attrs, Binding, Gradients, Graph, Node, Op, Run, Scratch, Shape, Shapes
from .blocks import image_blocks
from .matmul import scale
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


def channel_sums(a: Array, b: Array | None = None) -> Array:
    """Sum of ``a`` (or of ``a * b``) per channel: each row of a map in the array's precision, the rows in float64."""
    rows = (a.shape[0], a.shape[1], -1)
    sums = a.reshape(rows).sum(axis=2) if b is None else np.einsum("ncx,ncx->nc", a.reshape(rows), b.reshape(rows))
    total: Array = sums.sum(axis=0, dtype=np.float64)
    return total


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
        return {"block": ((image_blocks(ins[0])[0].stop, *ins[0][1:]), "")}

    def numpy(self, b: Binding) -> Run:
        x, gamma, mean, inv_std, dy = b.ins
        dx, dgamma, dbeta = b.outs
        m, ndim = math.prod(x.shape) // x.shape[1], x.ndim
        parts = [(x[cut], dy[cut], dx[cut], b.work["block"][: cut.stop - cut.start]) for cut in image_blocks(x.shape)]

        def run() -> None:
            centre, scale = per_channel(mean, ndim), per_channel(inv_std, ndim)
            total = np.zeros((2, x.shape[1]))
            for x_part, dy_part, _, block in parts:
                np.subtract(x_part, centre, out=block)
                np.multiply(block, scale, out=block)
                total += channel_sums(dy_part, block), channel_sums(dy_part)
            np.copyto(dgamma, total[0])
            np.copyto(dbeta, total[1])
            factor = gamma * inv_std  # dx = factor dy - (factor inv_std dgamma / m) (x - mean) - factor dbeta / m
            slope = per_channel(factor * inv_std * dgamma / m, ndim)
            shift = per_channel(factor * dbeta / m, ndim)
            factor = per_channel(factor, ndim)
            for x_part, dy_part, dx_part, block in parts:
                np.multiply(dy_part, factor, out=dx_part)
                np.subtract(x_part, centre, out=block)
                np.multiply(block, slope, out=block)
                np.subtract(dx_part, block, out=dx_part)
                np.subtract(dx_part, shift, out=dx_part)

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

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        x, gamma, _ = node.inputs
        _, mean, inv_std = node.outputs
        return graph.emit(batch_norm_dx, (x, gamma, mean, inv_std, str(dys[0])), node.attrs)

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        return {"block": ((image_blocks(ins[0])[0].stop, *ins[0][1:]), "")}

    def numpy(self, b: Binding) -> Run:
        x, gamma, beta = b.ins
        y, mean, inv_std = b.outs
        epsilon, momentum = float(b.attrs["epsilon"]), float(b.attrs["momentum"])
        m, ndim = math.prod(x.shape) // x.shape[1], x.ndim
        parts = [(x[cut], y[cut], b.work["block"][: cut.stop - cut.start]) for cut in image_blocks(x.shape)]

        def run() -> None:
            np.copyto(mean, sum(channel_sums(x_part) for x_part, _, _ in parts) / m)
            centre, variance = per_channel(mean, ndim), np.zeros(x.shape[1])
            for x_part, _, block in parts:  # the mean first, then squares around it: no cancellation
                np.subtract(x_part, centre, out=block)
                variance += channel_sums(block, block)
            variance = (variance / m).astype(x.dtype)
            np.copyto(inv_std, 1.0 / np.sqrt(variance + epsilon))
            scale, shift = per_channel(gamma * inv_std, ndim), per_channel(beta, ndim)
            for x_part, y_part, _ in parts:
                np.subtract(x_part, centre, out=y_part)
                np.multiply(y_part, scale, out=y_part)
                np.add(y_part, shift, out=y_part)
            for running, batch in zip(b.updates, (mean, variance), strict=True):
                if m == 1:
                    break  # one value a channel has no variance to learn from
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

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        """``dx = dy gamma / sqrt(running_var + epsilon)``: the same op without its shifts. At inference its parameters
        stand still: there is no rule for them."""
        if any(wanted[1:]):
            return super().gradient(graph, node, dys, wanted)
        _, gamma, beta, mean, variance = node.inputs
        beta, mean = (graph.one(scale, (shift,), {"factor": 0.0}) for shift in (beta, mean))
        return [graph.one(batch_norm_inference, (str(dys[0]), gamma, beta, mean, variance), node.attrs), *[None] * 4]

    def numpy(self, b: Binding) -> Run:
        x, gamma, beta, mean, variance = b.ins
        y, epsilon = b.outs[0], float(b.attrs["epsilon"])

        parts = [(x[cut], y[cut]) for cut in image_blocks(x.shape)]

        def run() -> None:
            factor = gamma / np.sqrt(variance + epsilon)
            scale, shift = per_channel(factor, x.ndim), per_channel(beta - mean * factor, x.ndim)
            for x_part, y_part in parts:
                np.multiply(x_part, scale, out=y_part)
                np.add(y_part, shift, out=y_part)

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
