"""Convolution and its two adjoints.

As everywhere in the field, "convolution" is cross-correlation: the kernel is not flipped
(Goodfellow, Bengio, Courville, "Deep Learning", 2016, section 9.1).
Letters: N batch, C channels in, H W in, F kernels out, P Q out, KH KW kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..errors import ShapeError
from ..graph import Array, Attrs, Binding, Gradients, Graph, Node, Op, Run, Scratch, Shape, Shapes
from .activation import in_place
from .table import register
from .window import Window, places, resolve, sliding

# Images are unfolded in blocks whose matrices stay inside a core's cache: faster than the whole batch at once, and the
# scratch memory of a batch of 256 stays at megabytes instead of hundreds.
BLOCK_ELEMENTS = 1 << 17


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
        """Rows and columns of the padded image."""
        top, left, bottom, right = self.window.pads
        return self.height + top + bottom, self.width + left + right

    @property
    def k(self) -> int:
        """Length of one unfolded patch: C * KH * KW."""
        return self.c * math.prod(self.window.kernel)

    @property
    def dense(self) -> bool:
        """Stride 1: the patches of an image are then shifted copies of its rows, end to end."""
        return self.window.strides == (1, 1)

    @property
    def row(self) -> int:
        """Columns of one row of unfolded patches. With stride 1 a row is as wide as the padded image: the last
        KW - 1 columns belong to no output and are dropped, and every copy becomes one long run instead of P short ones.
        """
        return self.padded[1] if self.dense else self.window.out[1]

    @property
    def run(self) -> int:
        """With stride 1, length of the run of one kernel cell: it ends KW - 1 short of P full rows."""
        return self.window.out[0] * self.row - (self.window.kernel[1] - 1)


def sizes_of(x: Shape, w: Shape, attrs: Attrs) -> Sizes:
    """Check x (N, C, H, W) against w (F, C, KH, KW) and resolve the window."""
    if len(x) != 4 or len(w) != 4:
        raise ShapeError(f"conv2d needs images (N, C, H, W) and kernels (F, C, KH, KW); got {x} and {w}")
    if x[1] != w[1]:
        raise ShapeError(f"kernels for {w[1]} channels met an input of {x[1]} channels (shape {x})")
    if attrs.get("ceil_mode"):  # a window that overhangs the image would read memory that is not the image's
        raise ShapeError("conv2d has no ceil_mode; pad the image at the end instead")
    window = resolve(x[2], x[3], w[2:], attrs)
    image = (w[1] * math.prod(window.kernel) + w[0]) * math.prod(window.out)
    return Sizes(x[0], x[1], x[2], x[3], w[0], window, max(1, min(x[0], BLOCK_ELEMENTS // max(image, 1))))


def scratch(s: Sizes, lead: tuple[int, int], always_padded: bool = False) -> dict[str, tuple[Shape, str]]:
    """Scratch arrays for one block: unfolded patches, kernel-major images, and the padded block where padding asks."""
    p = s.window.out[0]
    arrays: dict[str, tuple[Shape, str]] = {
        "columns": ((s.c, *s.window.kernel, s.block, p, s.row), ""),
        "maps": ((s.f, s.block, p, s.row), ""),
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


def patches_of(s: Sizes, padded: Array, columns: Array) -> tuple[Array, Array]:
    """(target, source): views of ``columns`` (C, KH, KW, n, P, row) and of the images (n, C, H', W') such that copying
    source to target is im2col: columns[c, i, j, n, p, q] = padded[n, c, p*s + i, q*s + j]."""
    if not s.dense:
        return columns, sliding(padded, s.window).transpose(1, 2, 3, 0, 4, 5)
    sn, sc, sh, sw = padded.strides
    source = as_strided(padded, (s.c, *s.window.kernel, len(padded), s.run), (sc, sh, sw, sn, sw))
    return columns.reshape(*columns.shape[:4], -1)[..., : s.run], source


def unfold(s: Sizes, x: Array, work: Array | None, first: int, count: int, columns: Array) -> Run:
    """im2col of one block of images."""
    images = x[first : first + count]
    tail = columns.reshape(*columns.shape[:4], -1)[..., s.run :] if s.dense else columns[..., :0]
    padded = images if work is None else work[:count]
    top, left = s.window.pads[:2]
    inside = padded[:, :, top : top + s.height, left : left + s.width]
    target, source = patches_of(s, padded, columns)

    def run() -> None:
        if work is not None:
            padded.fill(0.0)
            np.copyto(inside, images)
        np.copyto(target, source)
        tail.fill(0.0)

    return run


def spread(s: Sizes, dy: Array, maps: Array) -> Run:
    """Copy a block of ``dy`` (n, F, P, Q) into kernel-major ``maps`` (F, n, P, row), zeros where no output is."""
    q = s.window.out[1]
    target, rest, source = maps[..., :q], maps[..., q:], dy.transpose(1, 0, 2, 3)

    def run() -> None:
        rest.fill(0.0)
        np.copyto(target, source)

    return run


def fold_pairs(s: Sizes, padded: Array, columns: Array) -> list[tuple[Array, Array]]:
    """For each kernel cell (place in ``padded`` (C, n, H', W'), its part of ``columns``): adding them is col2im."""
    pieces = columns.reshape(s.c, -1, *columns.shape[3:])
    if not s.dense:
        return [(place, pieces[:, k]) for k, place in enumerate(places(padded, s.window))]
    flat = padded.reshape(*padded.shape[:2], -1)
    starts = [i * s.padded[1] + j for i in range(s.window.kernel[0]) for j in range(s.window.kernel[1])]
    runs = pieces.reshape(*pieces.shape[:3], -1)[..., : s.run]
    return [(flat[..., start : start + s.run], runs[:, k]) for k, start in enumerate(starts)]


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
        p = s.window.out[0]
        top, left = s.window.pads[:2]
        kernels = w.reshape(s.f, s.k).T

        def block(first: int, count: int) -> Run:
            maps = cut(b.work["maps"], (s.f, count, p, s.row))
            columns = cut(b.work["columns"], (s.c, *s.window.kernel, count, p, s.row))
            padded = cut(b.work["padded"], (s.c, count, *s.padded))
            inside = padded[:, :, top : top + s.height, left : left + s.width].transpose(1, 0, 2, 3)
            gather = spread(s, dy[first : first + count], maps)
            target, flat, product = dx[first : first + count], maps.reshape(s.f, -1), columns.reshape(s.k, -1)
            pairs = fold_pairs(s, padded, columns)

            def run() -> None:
                gather()
                np.matmul(kernels, flat, out=product)
                padded.fill(0.0)
                for place, piece in pairs:  # a loop over the kernel's cells, never over pixels
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
        "dw[f,c,i,j] = sum over n,p,q of dy[n,f,p,q] * x[n,c,p*s+i-top,q*s+j-left];  "
        "db[f] = sum over n,p,q of dy[n,f,p,q]"
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
        p = s.window.out[0]
        part, total = b.work["part"], dw.reshape(s.f, s.k)

        def block(first: int, count: int) -> Run:
            maps = cut(b.work["maps"], (s.f, count, p, s.row))
            columns = cut(b.work["columns"], (s.c, *s.window.kernel, count, p, s.row))
            gather_x = unfold(s, x, b.work.get("padded"), first, count, columns)
            gather_dy = spread(s, dy[first : first + count], maps)
            flat, patches = maps.reshape(s.f, -1), columns.reshape(s.k, -1).T

            def run() -> None:
                gather_x()
                gather_dy()
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
    """The attribute ``direct`` asks a backend to add the very terms of the equation up, where a faster way (Winograd's
    over tiles of 4x4) rounds more coarsely than single precision does."""

    name = "conv2d"
    inputs = ("x", "w", "b?")
    equation = "y[n,f,p,q] = activation(b[f] + sum over c,i,j of w[f,c,i,j] * x[n,c,p*s+i-top,q*s+j-left])"

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        s = sizes_of(ins[0], ins[1], attrs)
        if any(tuple(bias) != (s.f,) for bias in ins[2:]):
            raise ShapeError(f"{s.f} kernels need a bias of shape {(s.f,)}; got {ins[2]}")
        return [(s.n, s.f, *s.window.out)]

    def gradient(self, graph: Graph, node: Node, dys: Gradients, wanted: Sequence[bool]) -> Gradients:
        x, w = node.inputs[:2]
        dy, bias = str(dys[0]), len(node.inputs) > 2
        geometry: dict[str, Any] = {key: node.attrs[key] for key in ("strides", "padding") if key in node.attrs}
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
            maps = cut(b.work["maps"], (s.f, count, p, s.row))
            columns = cut(b.work["columns"], (s.c, *s.window.kernel, count, p, s.row))
            gather = unfold(s, x, b.work.get("padded"), first, count, columns)
            flat, patches = maps.reshape(s.f, -1), columns.reshape(s.k, -1)
            target, valid = y[first : first + count].transpose(1, 0, 2, 3), maps[..., :q]

            def run() -> None:
                gather()
                np.matmul(kernels, patches, out=flat)
                if bias is not None:
                    np.add(flat, bias, out=flat)
                if activate is not None:
                    activate(flat)
                np.copyto(target, valid)

            return run

        return together([block(*each) for each in blocks(s)])


conv2d = register(Conv2d)
