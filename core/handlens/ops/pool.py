"""Pooling: max, average, and the average over the whole map.

Ties in max pooling: the first maximum of the window in row-major order is the winner and gets the whole gradient.
An odd row or column that no window reaches is dropped (``ceil_mode`` keeps it in a smaller window).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ..errors import ShapeError
from ..graph import Array, Attrs, Binding, Gradients, Graph, Node, Op, Run, Scratch, Shape, Shapes
from .blocks import image_blocks
from .table import register
from .window import Window, pair, places, reach, resolve


def window_of(x: Shape, attrs: Attrs) -> Window:
    """The pooling window over x (N, C, H, W); strides default to the pool size."""
    if len(x) != 4:
        raise ShapeError(f"pooling needs images (N, C, H, W); got {x}")
    kernel = pair(attrs["pool_size"], "pool_size")
    try:
        window = resolve(x[2], x[3], kernel, {"strides": kernel, **attrs})
    except ShapeError as error:
        raise ShapeError(str(error).replace("kernel_size", "pool_size").replace("kernel", "pool")) from None
    if any(p >= k for p, k in zip(window.pads, kernel * 2, strict=True)):
        raise ShapeError(f"padding {window.pads} must stay smaller than the pool {kernel}, or a window holds no pixel")
    return window


def padded_size(x: Shape, window: Window) -> tuple[int, int]:
    """Rows and columns that hold the image, its padding, and what ``ceil_mode`` reaches beyond."""
    rows, columns = reach(window)
    top, left, bottom, right = window.pads
    return max(x[2] + top + bottom, rows), max(x[3] + left + right, columns)


def inside(padded: Array, x: Shape, window: Window) -> Array:
    """The part of a padded array where the image itself lies."""
    top, left = window.pads[:2]
    return padded[:, :, top : top + x[2], left : left + x[3]]


def average_divisor(x: Shape, window: Window, include_pad: bool) -> np.ndarray:
    """(P, Q) number of pixels each average divides by: the window's, or those inside the image (and its padding,
    with ``include_pad``; what ``ceil_mode`` reaches beyond the padding never counts)."""
    top, left, bottom, right = window.pads
    counts = []
    for n, begin, end, k, s, out in zip(
        x[2:], (top, left), (bottom, right), window.kernel, window.strides, window.out, strict=True
    ):
        start = np.arange(out) * s - begin
        low, high = (-begin, n + end) if include_pad else (0, n)
        counts.append(np.minimum(start + k, high) - np.maximum(start, low))
    divisor: np.ndarray = np.multiply.outer(counts[0], counts[1])
    return divisor


class Pool(Op):
    """What both forward poolings share."""

    inputs: ClassVar[tuple[str, ...]] = ("x",)

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [(*ins[0][:2], *window_of(ins[0], attrs).out)]

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        window = window_of(ins[0], attrs)
        size = padded_size(ins[0], window)
        return {"padded": ((*ins[0][:2], *size), "")} if size != tuple(ins[0][2:]) else {}

    def combined(self, b: Binding, fill: float, combine: np.ufunc, divisor: Array | None = None) -> Run:
        """The forward kernel: the windows' pixels combined cell by cell, then divided; padding counts as ``fill``."""
        x, y = b.ins[0], b.outs[0]
        window = window_of(x.shape, b.attrs)
        pad, source = self.source(b, x, window, fill)
        parts = [(y[cut], places(source[cut], window)) for cut in image_blocks(y.shape)]

        def run() -> None:
            pad()
            for y_part, (first, *rest) in parts:
                np.copyto(y_part, first)
                for pixel in rest:
                    combine(y_part, pixel, out=y_part)
                if divisor is not None:
                    np.divide(y_part, divisor, out=y_part)

        return run

    def source(self, b: Binding, x: Array, window: Window, fill: float) -> tuple[Run, Array]:
        """A function that pads x (nothing, where no padding is asked for) and the array the windows read."""
        padded = b.work.get("padded")
        if padded is None:
            return (lambda: None), x
        target = inside(padded, x.shape, window)

        def run() -> None:
            padded.fill(fill)
            np.copyto(target, x)

        return run, padded


class MaxPool2dDx(Pool):
    name = "max_pool2d_dx"
    inputs = ("x", "y", "dy")
    outputs = ("dx",)
    equation = "dx[n,c,h,w] = sum of dy[n,c,p,q] over the windows whose first maximum, in row-major order, is (h, w)"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [ins[0]]

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        arrays = dict(super().workspace(ins, outs, attrs))
        if arrays:
            arrays["padded_dx"] = arrays["padded"]
        block = (image_blocks(ins[1])[0].stop, *ins[1][1:])
        return arrays | {"pixel": (block, ""), "share": (block, ""), "open": (block, "bool"), "winner": (block, "bool")}

    def numpy(self, b: Binding) -> Run:
        (x, y, dy), dx = b.ins, b.outs[0]
        window = window_of(x.shape, b.attrs)
        pad, source = self.source(b, x, window, -np.inf)
        total = b.work.get("padded_dx", dx)
        apart = all(s >= k for s, k in zip(window.strides, window.kernel, strict=True))  # windows do not overlap
        parts = []
        for cut in image_blocks(y.shape):
            work = [b.work[name][: cut.stop - cut.start] for name in ("pixel", "share", "open", "winner")]
            pairs = list(zip(places(source[cut], window), places(total[cut], window), strict=True))
            parts.append((pairs, y[cut], dy[cut], *work))

        def run() -> None:
            pad()
            total.fill(0.0)
            for pairs, y_part, dy_part, pixel, share, still_open, winner in parts:
                still_open.fill(True)
                for place, target in pairs:  # a loop over the window's cells
                    np.copyto(pixel, place)
                    np.equal(pixel, y_part, out=winner)
                    np.logical_and(winner, still_open, out=winner)
                    np.logical_xor(still_open, winner, out=still_open)
                    np.multiply(dy_part, winner, out=share)
                    if apart:
                        np.copyto(target, share)
                    else:
                        np.add(target, share, out=target)
            if total is not dx:
                np.copyto(dx, inside(total, x.shape, window))

        return run


max_pool2d_dx = register(MaxPool2dDx)


class MaxPool2d(Pool):
    name = "max_pool2d"
    equation = "y[n,c,p,q] = max over i,j of x[n,c,p*s+i-top,q*s+j-left], pixels of the padding left out"

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        return [graph.one(max_pool2d_dx, (node.inputs[0], node.outputs[0], str(dys[0])), node.attrs)]

    def numpy(self, b: Binding) -> Run:
        return self.combined(b, -np.inf, np.maximum)


max_pool2d = register(MaxPool2d)


class AvgPool2dDx(Op):
    name = "avg_pool2d_dx"
    inputs = ("dy",)
    outputs = ("dx",)
    equation = "dx[n,c,h,w] = sum over the windows (p,q) that hold (h,w) of dy[n,c,p,q] / count[p,q]"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [(*ins[0][:2], *attrs["input_size"])]

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        window = window_of(outs[0], attrs)
        return {"padded": ((*outs[0][:2], *padded_size(outs[0], window)), ""), "share": (ins[0], "")}

    def numpy(self, b: Binding) -> Run:
        dy, dx = b.ins[0], b.outs[0]
        window = window_of(dx.shape, b.attrs)
        divisor = average_divisor(dx.shape, window, bool(b.attrs.get("include_pad", False))).astype(dy.dtype)
        padded, share = b.work["padded"], b.work["share"]
        targets, image = places(padded, window), inside(padded, dx.shape, window)

        def run() -> None:
            padded.fill(0.0)
            np.divide(dy, divisor, out=share)
            for target in targets:
                np.add(target, share, out=target)
            np.copyto(dx, image)

        return run


avg_pool2d_dx = register(AvgPool2dDx)


class AvgPool2d(Pool):
    name = "avg_pool2d"
    equation = "y[n,c,p,q] = sum over i,j of x[n,c,p*s+i-top,q*s+j-left] / count[p,q]"

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        attrs = {**node.attrs, "input_size": list(graph.shape(node.inputs[0])[2:])}
        return [graph.one(avg_pool2d_dx, (str(dys[0]),), attrs)]

    def numpy(self, b: Binding) -> Run:
        x, y = b.ins[0], b.outs[0]
        include_pad = bool(b.attrs.get("include_pad", False))
        divisor = average_divisor(x.shape, window_of(x.shape, b.attrs), include_pad).astype(y.dtype)
        return self.combined(b, 0.0, np.add, divisor)


avg_pool2d = register(AvgPool2d)


class GlobalAvgPool2dDx(Op):
    name = "global_avg_pool2d_dx"
    inputs = ("dy",)
    outputs = ("dx",)
    equation = "dx[n,c,h,w] = dy[n,c] / (H * W)"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        return [(*ins[0], *attrs["input_size"])]

    def numpy(self, b: Binding) -> Run:
        dy, dx = b.ins[0][:, :, None, None], b.outs[0]
        return lambda: np.copyto(dx, dy / math.prod(dx.shape[2:]))


global_avg_pool2d_dx = register(GlobalAvgPool2dDx)


class GlobalAvgPool2d(Op):
    name = "global_avg_pool2d"
    inputs = ("x",)
    equation = "y[n,c] = sum over h,w of x[n,c,h,w] / (H * W)"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        if len(ins[0]) != 4:
            raise ShapeError(f"global average pooling needs images (N, C, H, W); got {ins[0]}")
        return [ins[0][:2]]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        attrs = {"input_size": list(graph.shape(node.inputs[0])[2:])}
        return [graph.one(global_avg_pool2d_dx, (str(dys[0]),), attrs)]

    def numpy(self, b: Binding) -> Run:
        x, y = b.ins[0], b.outs[0]
        return lambda: np.copyto(y, x.mean(axis=(2, 3)))


global_avg_pool2d = register(GlobalAvgPool2d)
