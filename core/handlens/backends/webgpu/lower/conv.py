"""Convolution and its adjoints. All sizes, and so all dispatches, follow from shapes."""

from __future__ import annotations

from ....graph import Shape
from ....ops.conv import Sizes, sizes_of
from ..kernels import Value
from ..lowered import MOST_GROUPS, Work, lowers

ACTIVATIONS = {None: 0, "relu": 1, "leaky_relu": 2, "sigmoid": 3, "tanh": 4}
SIDE = 64  # invocations of a workgroup
TILE = 64  # rows and columns of a product that a workgroup makes, where it goes through workgroup memory
LANES = 64  # that share the pixels of one weight gradient, at most
PARTS = 8  # that share its images, at most
MOST_SHARED = 1 << 22  # partial sums in scratch memory, unless four lanes alone are more


def cut(n: int, size: int) -> int:
    """How many pieces of ``size`` hold ``n``."""
    return -(-n // size)


def activation(work: Work) -> dict[str, Value]:
    """The fused activation as constants."""
    return {"ACTIVATION": ACTIVATIONS[work.attrs.get("activation")], "ALPHA": float(work.attrs.get("alpha", 0.01))}


def geometry(s: Sizes) -> dict[str, Value]:
    """The letters that all convolution kernels share."""
    (kh, kw), (sv, sh), (top, left, *_), (p, q) = s.window
    return {
        **{"N": s.n, "C": s.c, "H": s.height, "W": s.width, "F": s.f, "P": p, "Q": q},
        **{"KH": kh, "KW": kw, "SV": sv, "SH": sh, "TOP": top, "LEFT": left},
    }


def padded(s: Sizes) -> bool:
    """Whether any place of a window lies outside the image."""
    return any(s.window.pads)


def row_of(width: int) -> int:
    """Invocations for a row of pixels: a multiple of four where that costs little, so that four neighbours (the least
    that run in step anywhere) read neighbouring pixels."""
    return cut(width, 4) * 4 if width % 4 == 3 or width >= 24 else width


def over_four(n: int, rows: int, width: int) -> tuple[int, int, int, int]:
    """How four pixels an invocation are dealt out: (row, images between, rows between, invocations). Over images, or
    over the rows of one where that leaves fewer without work."""
    row = row_of(width)
    images = cut(n, 4)
    part = cut(rows, 4)
    if images * rows <= n * part:
        return row, images, rows, images * rows * row
    return row, 0, part, n * part * row


def wide(groups: int) -> tuple[int, int]:
    """Workgroups as (in a row, rows)."""
    rows = cut(groups, MOST_GROUPS)
    return cut(groups, rows), rows


@lowers("conv2d")
def conv2d(work: Work) -> None:
    """Forward, in registers or through workgroup memory."""
    s = sizes_of(work.shape("x"), work.shape("w"), work.attrs)
    p, q = s.window.out
    constants = {**geometry(s), **activation(work), "BIAS": work.has("b")}
    if work.variant("register") == "tiled":
        across, deep = wide(cut(s.n * p * q, TILE))
        work.call("conv2d_tiled", (across, cut(s.f, TILE), deep), {**constants, "WIDE": across})
        return
    row, images, rows, threads = over_four(s.n, p, q)
    across, deep = wide(cut(threads, SIDE))
    here = {"PADDED": padded(s), "ROW": row, "STEP_N": images, "STEP_P": rows}
    here |= {"SIZE": threads, "WIDE": across * SIDE}
    work.call("conv2d", (across, cut(s.f, 8), deep), {**constants, **here})


@lowers("conv2d_dx")
def conv2d_dx(work: Work) -> None:
    """The gradient of the images, gathered."""
    s = sizes_of(work.shape("dx"), work.shape("w"), work.attrs)
    row, images, rows, threads = over_four(s.n, s.height, s.width)
    across, deep = wide(cut(threads, SIDE))
    here = {"ROW": row, "STEP_N": images, "STEP_H": rows, "SIZE": threads, "WIDE": across * SIDE}
    work.call("conv2d_dx", (across, cut(s.c, 8), deep), {**geometry(s), **here})


def shares(s: Sizes) -> tuple[int, int, int]:
    """How a weight gradient's sum is dealt out: (row, lanes a part, images a part)."""
    weights = s.f * s.k
    row = row_of(s.window.out[1])
    pixels = s.window.out[0] * row
    most = max(4, min(LANES, MOST_SHARED // weights) // 4 * 4)
    lanes = cut(cut(pixels, cut(pixels, most)), 4) * 4  # as many rounds as needed, the same work in each
    parts = max(1, min(PARTS, LANES // lanes, MOST_SHARED // (weights * lanes), s.n))
    return row, lanes, cut(s.n, parts)


@lowers("conv2d_dw")
def conv2d_dw(work: Work) -> None:
    """The gradient of kernels and bias: partial sums, and their sum."""
    dw: Shape = work.shape("dw")
    s = sizes_of(work.shape("x"), dw, work.attrs)
    bias = work.has("db")
    row, lanes, images = shares(s)
    parts = cut(s.n, images)
    total = lanes * parts
    part, part_b = work.scratch(s.f, s.k, total), work.scratch(s.f, total)
    here = {"PADDED": padded(s), "BIAS": bias, "ROW": row, "LANES": lanes, "PARTS": parts, "IMAGES": images}
    work.linear(
        "conv2d_dw",
        total * cut(s.f, 8) * cut(s.k, 8),
        {**geometry(s), **here},
        part=part,
        part_b=part_b,
    )
    weights = s.f * s.k
    db = {} if bias else {"db": work.scratch(s.f)}
    constants = {"WEIGHTS": weights, "SHARES": total}
    work.linear("conv2d_dw_sum", weights + bias * s.f, constants, part=part, part_b=part_b, **db)
