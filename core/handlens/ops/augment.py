"""Augmentation: the ops that vary a batch of images before the network sees it.

The random numbers are drawn on the host and come in as control values (see ``handlens.augment``); given them every op
here is a plain function, so that any backend can repeat it. None of them has a gradient: nothing is learnt before them.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ShapeError
from ..graph import Array, Attrs, Binding, Op, Run, Scratch, Shapes
from .blocks import image_blocks
from .table import register

AFFINE = 3  # basis functions of an affine displacement: 1, v, u
LARGEST = 1 << 24  # pixels: up to here a pixel's number is exact in float32
BORDER = 3  # splines along an axis beyond its number of cells


def spline_weights(size: int, cells: int) -> Array:
    """(cells + 3, size): the uniform cubic B-splines over an axis of ``size`` pixels cut into ``cells`` cells.

    Spline k stands at node k - 1, and its weight at distance t (in cells) is 2/3 - t^2 + |t|^3 / 2 for |t| <= 1,
    (2 - |t|)^3 / 6 for |t| <= 2, else 0; pixel i lies at cells (i + 1/2) / size.
    Source: de Boor, "A Practical Guide to Splines", 1978.
    """
    place = cells * (np.arange(size) + 0.5) / size
    t = np.abs(place[None, :] - (np.arange(cells + BORDER)[:, None] - 1))
    near, far = 2 / 3 - t * t + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6
    weights: Array = np.where(t <= 1, near, far)
    return weights


def warp_basis(height: int, width: int, cells: int) -> Array:
    """(K, H, W): what a displacement is made of, 1, v, u, then the products of a row's and a column's spline.

    v and u run from -1 to 1 over the rows and the columns, so that a coefficient is a number of pixels at the edge.
    """
    v, u = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in (height, width))
    plane = np.ones((height, width))
    affine = np.stack([plane, plane * v[:, None], plane * u[None, :]])
    if not cells:
        return affine
    rows, columns = spline_weights(height, cells), spline_weights(width, cells)
    bumps = rows[:, None, :, None] * columns[None, :, None, :]
    return np.concatenate([affine, bumps.reshape(-1, height, width)])


def terms(cells: int) -> int:
    """Number of basis functions of :func:`warp_basis`."""
    return AFFINE + ((cells + BORDER) ** 2 if cells else 0)


def check_images(shape: tuple[int, ...], name: str) -> None:
    """Refuse what is no batch of images."""
    if len(shape) != 4:
        raise ShapeError(f"{name} needs images (N, C, H, W); got {tuple(shape)}")


class Warp(Op):
    """Moves, turns, scales, shears and bends: each pixel is read where its displacement says, all in one sampling."""

    name = "warp"
    inputs = ("x", "field")
    equation = (
        "y[n, c, i, j] = x[n, c] sampled bilinearly (0 outside) at (i, j) + sum_k field[n, :, k] basis[k, i, j]; "
        "basis: 1, v, u, and the products of cubic B-splines over cells x cells"
    )

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        check_images(ins[0], self.name)
        if math.prod(n + 2 for n in ins[0][2:]) > LARGEST:
            raise ShapeError(f"warp takes images of up to {LARGEST:,} pixels; got {ins[0]}")
        wanted = (ins[0][0], 2, terms(int(attrs.get("cells", 0))))
        if tuple(ins[1]) != wanted:
            raise ShapeError(f"warp of {ins[0][0]} images needs a field of shape {wanted}; got {tuple(ins[1])}")
        return [ins[0]]

    def multiply_adds(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> int:
        n, channels, height, width = ins[0]
        return n * height * width * (2 * ins[1][2] + 4 * channels)

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        count, (channels, height, width) = image_blocks(ins[0])[0].stop, ins[0][1:]
        pixels = height * width
        return {
            "framed": ((count, channels, height + 2, width + 2), ""),
            "place": ((count, 2, pixels), ""),
            "corner": ((count, 2, pixels), ""),
            "index": ((count, pixels), "intp"),
            "values": ((4, count, pixels), ""),
        }

    def numpy(self, b: Binding) -> Run:
        (x, field), y = b.ins, b.outs[0]
        (channels, height, width), kind = x.shape[1:], x.dtype
        basis = warp_basis(height, width, int(b.attrs.get("cells", 0))).reshape(field.shape[2], -1).astype(kind)
        # Positions in an image framed by one row or column of zeros on every side: they start at 1, not 0.
        home = np.indices((height, width)).reshape(2, -1).astype(kind) + kind.type(1)
        last, plane = np.array([[height], [width]], kind), (height + 2) * (width + 2)

        def run() -> None:
            for cut in image_blocks(x.shape):
                count = cut.stop - cut.start
                framed, place, corner, index = (b.work[k][:count] for k in ("framed", "place", "corner", "index"))
                values = b.work["values"][:, :count]
                framed[...] = 0
                framed[:, :, 1:-1, 1:-1] = x[cut]
                np.matmul(field[cut].reshape(2 * count, -1), basis, out=place.reshape(2 * count, -1))
                np.add(place, home, out=place)
                np.maximum(place, 0, out=place)  # beyond the frame all is 0, as on it
                np.minimum(place, last + 1, out=place)
                np.floor(place, out=corner)
                np.minimum(corner, last, out=corner)
                np.subtract(place, corner, out=place)  # the shares of the far corners
                np.multiply(corner[:, 0], width + 2, out=corner[:, 0])
                np.add(corner[:, 0], corner[:, 1], out=corner[:, 0])
                np.copyto(index, corner[:, 0], casting="unsafe")
                np.add(index, np.arange(count)[:, None] * (channels * plane), out=index)
                for channel in range(channels):
                    sample(framed.reshape(-1), index, width + 2, values)
                    between(values, place[:, 0], place[:, 1], y[cut, channel].reshape(count, -1))
                    np.add(index, plane, out=index)

        return run


def sample(flat: Array, index: Array, stride: int, values: Array) -> None:
    """The four neighbours, at ``index``, to its right, below, and below to the right; ``index`` ends as it began."""
    for k, step in enumerate((1, stride - 1, 1, -stride - 1)):
        np.take(flat, index, out=values[k], mode="clip")
        np.add(index, step, out=index)


def between(values: Array, down: Array, right: Array, y: Array) -> None:
    """Bilinear interpolation as three mixtures ``a + t (b - a)``: exact where a share is 0. Destroys ``values``."""
    for a, b in ((values[0], values[1]), (values[2], values[3])):
        np.subtract(b, a, out=b)
        np.multiply(b, right, out=b)
        np.add(a, b, out=a)
    np.subtract(values[2], values[0], out=values[2])
    np.multiply(values[2], down, out=values[2])
    np.add(values[0], values[2], out=y)


warp = register(Warp)


class PerImage(Op):
    """An op on images with one amount an image."""

    inputs = ("x", "amount")

    def shapes(self, ins: Shapes, attrs: Attrs) -> Shapes:
        check_images(ins[0], self.name)
        if tuple(ins[1]) != (ins[0][0],):
            raise ShapeError(f"{self.name} of {ins[0][0]} images needs as many amounts; got {tuple(ins[1])}")
        return [ins[0]]

    def workspace(self, ins: Shapes, outs: Shapes, attrs: Attrs) -> Scratch:
        block = (image_blocks(ins[0])[0].stop, *ins[0][1:])
        return {"one": (block, ""), "two": (block, "")}


def dilate(x: Array, line: Array, y: Array) -> None:
    """``y`` = the maximum over each pixel's 3x3 neighbourhood within the image; ``line`` is scratch."""
    np.maximum(x[..., 1:, :], x[..., :-1, :], out=line[..., 1:, :])
    line[..., 0, :] = x[..., 0, :]
    np.maximum(line[..., :-1, :], x[..., 1:, :], out=line[..., :-1, :])
    np.maximum(line[..., 1:], line[..., :-1], out=y[..., 1:])
    y[..., 0] = line[..., 0]
    np.maximum(y[..., :-1], line[..., 1:], out=y[..., :-1])


class Thickness(PerImage):
    """Thicker strokes for an amount above 0, thinner ones below, by a part of a pixel.

    Above 0 it is a mixture with the grey dilation. Below 0 it goes as far the other way, which takes a stroke's grey
    edges and keeps its ridge as bright as it was; a mixture with the grey erosion would dim thin strokes as a whole.
    """

    name = "thickness"
    equation = "y = clip(x + amount[n] (max over 3x3 of x - x), 0, 1)"

    def numpy(self, b: Binding) -> Run:
        (x, amount), y = b.ins, b.outs[0]

        def run() -> None:
            for cut in image_blocks(x.shape):
                one, two = (b.work[k][: cut.stop - cut.start] for k in ("one", "two"))
                part = x[cut]
                dilate(part, one, two)
                np.subtract(two, part, out=two)
                np.multiply(two, amount[cut].reshape(-1, 1, 1, 1), out=two)
                np.add(part, two, out=two)
                np.clip(two, 0, 1, out=y[cut])

        return run


thickness = register(Thickness)


class Smoothing(PerImage):
    """A pen's even line: blurred, so that ragged edges close, then sharpened by contrast."""

    name = "smoothing"
    equation = (
        "y = x + a (pen - x), pen = clip(1/2 + gain (blur - level), 0, 1), "
        "blur = x weighted 1 2 1 / 4 along both axes, 0 outside; a = amount[n]"
    )

    def numpy(self, b: Binding) -> Run:
        (x, amount), y = b.ins, b.outs[0]
        gain, level = float(b.attrs["gain"]), float(b.attrs["level"])

        def run() -> None:
            for cut in image_blocks(x.shape):
                one, two = (b.work[k][: cut.stop - cut.start] for k in ("one", "two"))
                part = x[cut]
                np.multiply(part, 0.25 * gain, out=one)
                for axis, source, made in ((-1, one, two), (-2, two, one)):
                    weigh(source, axis, made)
                np.multiply(one, 0.25, out=one)
                np.add(one, 0.5 - gain * level, out=one)
                np.clip(one, 0, 1, out=one)
                np.subtract(one, part, out=one)
                np.multiply(one, amount[cut].reshape(-1, 1, 1, 1), out=one)
                np.add(part, one, out=y[cut])

        return run


def weigh(x: Array, axis: int, y: Array) -> None:
    """``y`` = the sum of each pixel twice and its two neighbours along ``axis`` once."""
    x, y = np.swapaxes(x, axis, -1), np.swapaxes(y, axis, -1)
    np.add(x, x, out=y)
    np.add(y[..., 1:], x[..., :-1], out=y[..., 1:])
    np.add(y[..., :-1], x[..., 1:], out=y[..., :-1])


smoothing = register(Smoothing)
