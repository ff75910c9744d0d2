"""Convolution and its two adjoints.

As everywhere in the field, "convolution" is cross-correlation: the kernel is not flipped
(Goodfellow, Bengio, Courville, "Deep Learning", 2016, section 9.1).
Letters: N batch, C channels in, H W in, F kernels out, P Q out, KH KW kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..graph import Array, Attrs, Binding, Graph, Node, Op, Run, Scratch, Shape, Shapes
from .activation import in_place
from .table import register
from .window import Window, places, reach, resolve, sliding

# Images are unfolded in blocks whose matrix stays inside a core's cache: measured 10-40 % faster than the whole
# batch at once, and it keeps the scratch memory of a batch of 256 at megabytes instead of hundreds.
BLOCK_ELEMENTS = 1 << 20


class Sizes(NamedTuple):
    """The numbers that all three kernels share."""

    n: int
    c: int
    height: int
    width: int
    f: int
    window: Window
    block: int  # images unfolded at a time

    @property
    def padded(self) -> tuple[int, int]:
        rows, columns = reach(self.window)
        top, left, bottom, right = self.window.pads
        return max(self.height + top + bottom, rows), max(self.width + left + right, columns)

    @property
    def k(self) -> int:
        """Length of one unfolded patch: C * KH * KW."""
        return self.c * math.prod(self.window.kernel)


def sizes_of(x: Shape, w: Shape, attrs: Attrs) -> Sizes:
    """Check x (N, C, H, W) against w (F, C, KH, KW) and resolve the window."""
    if len(x) != 4 or len(w) != 4:
        raise ShapeError(f"conv2d needs images (N, C, H, W) and kernels (F, C, KH, KW); got {x} and {w}")
    if x[1] != w[1]:
        raise ShapeError(f"kernels for {w[1]} channels met an input of {x[1]} channels (shape {x})")
    window = resolve(x[2], x[3], w[2:], attrs)
    unfolded = w[1] * math.prod(window.kernel) * math.prod(window.out)
    return Sizes(x[0], x[1], x[2], x[3], w[0], window, max(1, min(x[0], BLOCK_ELEMENTS // max(unfolded, 1))))


def scratch(s: Sizes, lead: tuple[int, int], always_padded: bool = False) -> dict[str, tuple[Shape, str]]:
    """Scratch arrays for one block: unfolded patches, kernel-major images, and the padded block where padding asks."""
    p, q = s.window.out
    arrays: dict[str, tuple[Shape, str]] = {
        "columns": ((s.c, *s.window.kernel, s.block, p, q), ""),
        "maps": ((s.f, s.block, p, q), ""),
    }
    if always_padded or s.padded != (s.height, s.width):
        arrays["padded"] = ((*lead, *s.padded), "")
    return arrays


def blocks(s: Sizes) -> list[tuple[int, int]]:
    """(first image, number of images) of each block."""
    return [(n, min(s.block, s.n - n)) for n in range(0, s.n, s.block)]


def cut(array: Array, shape: Shape) -> Array:
    """The first elements of a contiguous scratch array under a (smaller) shape."""
    return array.reshape(-1)[: math.prod(shape)].reshape(shape)


def unfold(s: Sizes, x: Array, work: Array | None, first: int, count: int, columns: Array) -> Run:
    """im2col of one block by a strided view: columns[c, i, j, n, p, q] = x[n, c, p*s + i - top, q*s + j - left]."""
    images = x[first : first + count]
    if work is None:
        view = sliding(images, s.window).transpose(1, 2, 3, 0, 4, 5)
        return lambda: np.copyto(columns, view)
    padded = work[:count]
    top, left = s.window.pads[:2]
    inside = padded[:, :, top : top + s.height, left : left + s.width]
    view = sliding(padded, s.window).transpose(1, 2, 3, 0, 4, 5)

    def run() -> None:
        padded.fill(0.0)
        np.copyto(inside, images)
        np.copyto(columns, view)

    return run


def together(runs: Sequence[Run]) -> Run:
    """One function that runs the blocks in order."""
    if len(runs) == 1:
        return runs[0]

    def run() -> None:
        for block in runs:
            block()

    return run


class Conv2dDx(Op):
    name = "conv2d_dx"
    inputs = ("w", "dy")
    outputs = ("dx",)
    equation = "dx[n,c,h,w] = sum over f,i,j with h = p*s + i - top, w = q*s + j - left of w[f,c,i,j] * dy[n,f,p,q]"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        height, width = attrs["input_size"]
        return [(ins[1][0], ins[0][1], height, width)]

    def sizes(self, ins: Shapes, attrs: Attrs) -> Sizes:
        return sizes_of(tuple(self.shapes(ins, attrs)[0]), ins[0], attrs)

    def multiply_adds(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> int:
        return math.prod(ins[1]) * math.prod(ins[0][1:])

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        s = self.sizes(ins, attrs)
        return scratch(s, (s.c, s.block), always_padded=True)

    def numpy(self, b: Binding) -> Run:
        (w, dy), dx = b.ins, b.outs[0]
        s = self.sizes([w.shape, dy.shape], b.attrs)
        p, q = s.window.out
        top, left = s.window.pads[:2]
        kernels = w.reshape(s.f, s.k).T

        def block(first: int, count: int) -> Run:
            maps = cut(b.work["maps"], (s.f, count, p, q))
            columns = cut(b.work["columns"], (s.k, count * p * q))
            padded = cut(b.work["padded"], (s.c, count, *s.padded))
            inside = padded[:, :, top : top + s.height, left : left + s.width].transpose(1, 0, 2, 3)
            source = dy[first : first + count].transpose(1, 0, 2, 3)
            target, flat = dx[first : first + count], maps.reshape(s.f, -1)
            pieces = columns.reshape(s.c, -1, count, p, q)
            pairs = [(place, pieces[:, k]) for k, place in enumerate(places(padded, s.window))]

            def run() -> None:
                np.copyto(maps, source)
                np.matmul(kernels, flat, out=columns)
                padded.fill(0.0)
                for place, piece in pairs:  # col2im: a loop over the kernel's cells, never over pixels
                    np.add(place, piece, out=place)
                np.copyto(target, inside)

            return run

        return together([block(*each) for each in blocks(s)])


conv2d_dx = register(Conv2dDx)


class Conv2dDw(Op):
    name = "conv2d_dw"
    inputs = ("x", "dy")
    outputs = ("dw", "db")
    equation = (
        "dw[f,c,i,j] = sum over n,p,q of dy[n,f,p,q] * x[n,c,p*s+i-top,q*s+j-left];  db[f] = sum over n,p,q of dy[n,f,p,q]"
    )

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        kh, kw = attrs["kernel_size"]
        f = ins[1][1]
        return [(f, ins[0][1], kh, kw), (f,)][: 2 if attrs.get("bias", True) else 1]

    def sizes(self, ins: Shapes, attrs: Attrs) -> Sizes:
        return sizes_of(ins[0], tuple(self.shapes(ins, attrs)[0]), attrs)

    def multiply_adds(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> int:
        return math.prod(ins[1]) * math.prod(outs[0][1:])

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        s = self.sizes(ins, attrs)
        return {**scratch(s, (s.block, s.c)), "part": ((s.f, s.k), "")}

    def numpy(self, b: Binding) -> Run:
        (x, dy), dw = b.ins, b.outs[0]
        db = b.outs[1] if len(b.outs) > 1 else None
        s = self.sizes([x.shape, dy.shape], b.attrs)
        p, q = s.window.out
        part, total = b.work["part"], dw.reshape(s.f, s.k)

        def block(first: int, count: int) -> Run:
            maps = cut(b.work["maps"], (s.f, count, p, q))
            columns = cut(b.work["columns"], (s.c, *s.window.kernel, count, p, q))
            gather = unfold(s, x, b.work.get("padded"), first, count, columns)
            source = dy[first : first + count].transpose(1, 0, 2, 3)
            flat, patches = maps.reshape(s.f, -1), columns.reshape(s.k, -1).T

            def run() -> None:
                gather()
                np.copyto(maps, source)
                np.matmul(flat, patches, out=part)
                np.add(total, part, out=total)
                if db is not None:
                    np.add(db, flat.sum(axis=1), out=db)

            return run

        work = together([block(*each) for each in blocks(s)])

        def run() -> None:
            dw.fill(0.0)
            if db is not None:
                db.fill(0.0)
            work()

        return run


conv2d_dw = register(Conv2dDw)


class Conv2d(Op):
    name = "conv2d"
    inputs = ("x", "w", "b?")
    equation = "y[n,f,p,q] = activation(b[f] + sum over c,i,j of w[f,c,i,j] * x[n,c,p*s+i-top,q*s+j-left])"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        s = sizes_of(ins[0], ins[1], attrs)
        return [(s.n, s.f, *s.window.out)]

    def gradient(
        self, graph: Graph, node: Node, dys: Sequence[str | None], wanted: Sequence[bool]
    ) -> Sequence[str | None]:
        x, w = node.inputs[:2]
        dy, bias = str(dys[0]), len(node.inputs) > 2
        geometry = {key: node.attrs[key] for key in ("strides", "padding") if key in node.attrs}
        grads: list[str | None] = [None] * len(node.inputs)
        if any(wanted[1:]):
            attrs = {**geometry, "kernel_size": list(graph.shape(w)[2:]), "bias": bias}
            grads[1:] = graph.emit(conv2d_dw, (x, dy), attrs)
        if wanted[0]:
            grads[0] = graph.one(conv2d_dx, (w, dy), {**geometry, "input_size": list(graph.shape(x)[2:])})
        return grads

    def multiply_adds(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> int:
        return math.prod(outs[0]) * math.prod(ins[1][1:])

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        s = sizes_of(ins[0], ins[1], attrs)
        return scratch(s, (s.block, s.c))

    def numpy(self, b: Binding) -> Run:
        x, w = b.ins[:2]
        y = b.outs[0]
        s = sizes_of(x.shape, w.shape, b.attrs)
        p, q = s.window.out
        kernels = w.reshape(s.f, s.k)
        bias = b.ins[2].reshape(s.f, 1) if len(b.ins) > 2 else None
        activate = in_place(b.attrs.get("activation"), float(b.attrs.get("alpha", 0.01)))

        def block(first: int, count: int) -> Run:
            # One image's maps lie in memory as the product makes them, so it is written in place.
            single = y[first] if count == 1 else None
            maps = cut(b.work["maps"], (s.f, count, p, q)) if single is None else single
            columns = cut(b.work["columns"], (s.c, *s.window.kernel, count, p, q))
            gather = unfold(s, x, b.work.get("padded"), first, count, columns)
            flat, patches = maps.reshape(s.f, -1), columns.reshape(s.k, -1)
            target = y[first : first + count].transpose(1, 0, 2, 3)

            def run() -> None:
                gather()
                np.matmul(kernels, patches, out=flat)
                if bias is not None:
                    np.add(flat, bias, out=flat)
                if activate is not None:
                    activate(flat)
                if single is None:
                    np.copyto(target, maps)

            return run

        return together([block(*each) for each in blocks(s)])


conv2d = register(Conv2d)
