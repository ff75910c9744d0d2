"""Kernels made by hand, beside the learned ones: edges, blur, corner, lines, spot, and how alike two kernels are.

Each is defined as a 3x3 matrix. A larger one is the same kernel on a smoothed image: the 3x3 matrix convolved with
binomial weights of the size that is missing, ``K_n = K_3 * (b_(n-2) b_(n-2)^T)`` with ``b_3 = (1, 2, 1) / 4``. For
Sobel this gives the well-known 5x5 one, (1, 4, 6, 4, 1)^T (-1, -2, 0, 2, 1), over 16.
Kernels are not flipped: "convolution" is cross-correlation here, as everywhere in Handlens. On MNIST ink is 1 and paper
0, so "bright" is ink.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import DataError
from ..graph import Array
from ..model import Sequential
from ..ops.window import pair

__all__ = ["HANDMADE", "Handmade", "applied", "kernel", "most_alike", "nearest", "resemblance", "resemblances"]


@dataclass(frozen=True)
class Handmade:
    """A kernel made by hand: its name, what it answers to, its 3x3 matrix, and where it comes from."""

    name: str
    answers: str
    matrix: tuple[tuple[float, float, float], ...]
    source: str = ""


SOBEL = "Sobel & Feldman, 1968, as in Duda & Hart, Pattern classification and scene analysis, 1973"
HANDMADE: dict[str, Handmade] = {
    made.name: made
    for made in (
        Handmade(
            "Sobel x", "edges that run up and down, bright on the right", ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)), SOBEL
        ),
        Handmade("Sobel y", "edges that run across, bright below", ((-1, -2, -1), (0, 0, 0), (1, 2, 1)), SOBEL),
        Handmade("Laplacian", "a dark spot among bright, and edges of both kinds", ((0, 1, 0), (1, -4, 1), (0, 1, 0))),
        Handmade(
            "blur",
            "brightness, averaged",
            ((1 / 16, 2 / 16, 1 / 16), (2 / 16, 4 / 16, 2 / 16), (1 / 16, 2 / 16, 1 / 16)),
        ),
        Handmade("corner", "the upper left corner of something bright", ((-4, -4, -4), (-4, 5, 5), (-4, 5, 5))),
        Handmade("line across", "a bright line across", ((-1, -1, -1), (2, 2, 2), (-1, -1, -1))),
        Handmade("line down", "a bright line up and down", ((-1, 2, -1), (-1, 2, -1), (-1, 2, -1))),
        Handmade("spot", "a bright spot", ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1))),
    )
}


def kernel(name: str, size: int | Sequence[int] = 3) -> Array:
    """(KH, KW) float32: a hand-made kernel of at least 3x3; DataError for an unknown name or a smaller size."""
    if name not in HANDMADE:
        raise DataError(f"no kernel made by hand is called {name!r}; there are: {', '.join(HANDMADE)}")
    sides = pair(size, "size")
    if min(sides) < 3:
        raise DataError(f"kernels made by hand are 3x3 or larger; there is none of {sides[0]}x{sides[1]}")
    down, across = (binomial(side - 2) for side in sides)
    # A full convolution: every weight of the 3x3 spread out by the binomial weights, shifted to its place.
    made = np.zeros(sides)
    for i, row in enumerate(HANDMADE[name].matrix):
        for j, weight in enumerate(row):
            made[i : i + len(down), j : j + len(across)] += weight * np.outer(down, across)
    return made.astype(np.float32)


def binomial(n: int) -> Array:
    """The n binomial coefficients of degree n - 1, as shares: (1, 2, 1) / 4 for 3."""
    return np.array([math.comb(n - 1, k) for k in range(n)]) / 2.0 ** (n - 1)


def applied(matrix: Array, image: Array) -> Array:
    """(P, Q) float32: a kernel (KH, KW) slid over an image (H, W) at stride 1 without padding, not flipped.

    ``y[p,q] = sum over i,j of w[i,j] x[p+i,q+j]``. Raises DataError where the kernel is larger than the image.
    """
    weights, pixels = np.asarray(matrix, np.float64), np.asarray(image, np.float64)
    if weights.ndim != 2 or pixels.ndim != 2 or any(k > n for k, n in zip(weights.shape, pixels.shape, strict=True)):
        raise DataError(f"a kernel of shape {weights.shape} does not slide over an image of shape {pixels.shape}")
    return np.einsum("pqij,ij->pq", sliding_window_view(pixels, weights.shape), weights).astype(np.float32)


def resemblance(matrix: Array) -> dict[str, float]:
    """How alike a kernel's matrix (KH, KW) is to each hand-made kernel of its size: the cosine of the angle between the
    two, as vectors, ``sum a b / (|a| |b|)``: 1 the same up to its strength, -1 its negative, 0 nothing in common (and
    for a kernel of zeros). Empty for a kernel smaller than 3x3, which has no hand-made one beside it."""
    weights = np.asarray(matrix, np.float64)
    if weights.ndim != 2:
        raise DataError(f"one matrix (KH, KW) is compared at a time; got shape {weights.shape}")
    if min(weights.shape) < 3:
        return {}
    return {name: float(cosine) for name, cosine in zip(HANDMADE, cosines(weights[None])[0], strict=True)}


def nearest(matrix: Array) -> tuple[str, float]:
    """The hand-made kernel that a matrix (KH, KW) resembles most, whatever its sign, with the cosine, sign kept; the
    name is "" for a kernel of zeros or one smaller than 3x3."""
    found = resemblance(matrix)
    name = max(found, key=lambda key: abs(found[key]), default="")
    return (name, found[name]) if name and found[name] else ("", 0.0)


def resemblances(model: Sequential, layer: str) -> Array:
    """(F, C, len(HANDMADE)) float64: the cosines of all matrices of a convolution, in HANDMADE's order; the last axis
    is empty for kernels smaller than 3x3. DataError for a layer without kernels."""
    name = f"{layer}.weight"
    if name not in model.layout.shapes or len(model.layout.shapes[name]) != 4:
        raise DataError(f"{layer!r} has no kernels to compare; convolutions have")
    weights = model._array(name).astype(np.float64)
    f, c, *size = weights.shape
    if min(size) < 3:
        return np.zeros((f, c, 0))
    return cosines(weights.reshape(f * c, *size)).reshape(f, c, -1)


def most_alike(found: Array, made: int, count: int = 3) -> list[tuple[int, int, float]]:
    """Of what :func:`resemblances` found, the matrices most alike to hand-made kernel number ``made``, whatever the
    sign: kernel, channel and cosine, sign kept; none that has nothing in common with it."""
    rows = found[:, :, made]
    best = np.argsort(-np.abs(rows), axis=None, kind="stable")[:count]
    places = [(int(f), int(c)) for f, c in zip(*np.unravel_index(best, rows.shape), strict=True)]
    return [(f, c, float(rows[f, c])) for f, c in places if rows[f, c]]


def cosines(matrices: Array) -> Array:
    """(M, len(HANDMADE)) from matrices (M, KH, KW)."""
    ours = np.stack([kernel(name, matrices.shape[1:]).astype(np.float64).ravel() for name in HANDMADE])
    theirs = matrices.reshape(len(matrices), -1)
    lengths = np.linalg.norm(theirs, axis=1)[:, None] * np.linalg.norm(ours, axis=1)
    return np.clip(np.divide(theirs @ ours.T, lengths, out=np.zeros_like(lengths), where=lengths > 0), -1.0, 1.0)
