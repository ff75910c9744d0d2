"""Convolution and its adjoints. All sizes, and so all dispatches, follow from shapes."""

from __future__ import annotations

from ....graph import Shape
from ....ops.conv import Sizes, sizes_of
from ....ops.pool import window_of
from ..kernels import Value
from ..lowered import MOST_GROUPS, Work, lowers, lowers_together

ACTIVATIONS = {None: 0, "relu": 1, "leaky_relu": 2, "sigmoid": 3, "tanh": 4}
SIDE = 64  # invocations of a workgroup
TILE = 64  # rows and columns of a product that a workgroup makes, where it goes through workgroup memory
LANES = 64  # that share the pixels of one weight gradient, at most
PARTS = 8  # that share its images, at most
LEAST_WINOGRAD = 8  # channels in and out: with fewer, the transforms cost more than they save
MOST_WINOGRAD = 1 << 26  # bytes of scratch memory that they may take
LEAST_PART = 128  # tiles of a part of a weight gradient's sum
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


def winograd(s: Sizes) -> bool:
    """Whether Winograd's way is open, forward and for the images' gradient: three by three, dense, and worth it."""
    (top, left, *_), (h, w) = s.window.pads, s.padded
    tiles = s.n * cut(h, 4) * cut(w, 4)
    return (
        (s.window.kernel, s.window.strides) == ((3, 3), (1, 1))
        and max(top, left) <= 2
        and min(s.c, s.f) >= LEAST_WINOGRAD
        and 4 * 36 * tiles * (s.c + s.f + 8) <= MOST_WINOGRAD
    )


def transformed(work: Work, c: int, f: int, pads: tuple[int, int], x: str, y: str, flip: bool) -> None:
    """Convolution of ``x``, of ``c`` channels, to ``y``, of ``f``, in Winograd's domain; ``flip``: of the adjoint."""
    n, _, height, width = work.shape(x)
    _, _, p, q = work.shape(y)
    down, across = cut(p, 4), cut(q, 4)
    count, eights = n * down * across, cut(f, 8)
    fours, whole = cut(count, 4), eights * 8
    tiles = {"DOWN": down, "ACROSS": across, "TILES": fours * 4}
    u, v = work.kept("w", 36, c, whole), work.scratch(36, c, fours * 4)
    m = work.scratch(36, whole, fours * 4)
    weights: dict[str, Value] = {"C": c, "F": f, "WHOLE_F": whole, "FLIP": flip}
    work.linear("conv2d_winograd_w", c * whole, weights, u=u)
    image: dict[str, Value] = {"N": n, "C": c, "H": height, "W": width, "TOP": pads[0], "LEFT": pads[1]}
    image |= {**tiles, "STEP_C": fours * 4, "STEP_T": 1}
    work.linear("conv2d_winograd_x", c * fours * 4, image, x=work.places[x], v=v)
    work.linear("conv2d_winograd", 36 * eights * fours, {"C": c, "WHOLE_F": whole, "FOURS": fours}, u=u, v=v, m=m)
    rows, columns = work.shape("max_pool2d_y")[2:] if work.then else (p, q)
    ends: dict[str, Value] = {"F": f, "WHOLE_F": whole, "P": rows, "Q": columns, "COUNT": count}
    ends |= {"BIAS": work.has("b"), "POOL": work.then is not None}
    place = work.places["max_pool2d_y" if work.then else y]
    work.linear("conv2d_winograd_y", f * count, {**ends, **tiles, **activation(work)}, m=m, y=place)


def transformed_dw(work: Work, s: Sizes) -> None:
    """The gradient of kernels and bias in Winograd's domain, summed over tiles in parts."""
    (p, q), (top, left, *_) = s.window.out, s.window.pads
    down, across = cut(p, 4), cut(q, 4)
    count, whole_c, whole_f = s.n * down * across, cut(s.c, 4) * 4, cut(s.f, 8) * 8
    each = cut(count, min(PARTS, cut(count, LEAST_PART)))
    parts = cut(count, each)
    v, d = work.scratch(36, count, whole_c), work.scratch(36, count, whole_f)
    part, part_b = work.scratch(parts, 36, whole_c, whole_f), work.scratch(parts, whole_f)
    where: dict[str, Value] = {"DOWN": down, "ACROSS": across}
    image = {**where, "N": s.n, "C": s.c, "H": s.height, "W": s.width, "TOP": top, "LEFT": left, "TILES": count}
    work.linear("conv2d_winograd_x", whole_c * count, {**image, "STEP_C": 1, "STEP_T": whole_c}, v=v)
    made = {**where, "F": s.f, "WHOLE_F": whole_f, "P": p, "Q": q}
    work.linear("conv2d_dw_winograd_dy", count * whole_f, made, d=d)
    whole: dict[str, Value] = {"WHOLE_C": whole_c, "WHOLE_F": whole_f, "BIAS": work.has("db")}
    threads = parts * 36 * (whole_c // 4) * (whole_f // 8)
    sums = {"part": part, "part_b": part_b}
    work.linear("conv2d_dw_winograd", threads, {**whole, "TILES": count, "EACH": each}, v=v, d=d, **sums)
    db = {} if work.has("db") else {"db": work.scratch(s.f)}
    ends = {**whole, "C": s.c, "F": s.f, "PARTS": parts}
    work.linear("conv2d_dw_winograd_sum", s.c * s.f, ends, **sums, **db)


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
    if winograd(s) and not work.attrs.get("direct"):
        (top, left, *_) = s.window.pads
        transformed(work, s.c, s.f, (top, left), "x", "y", flip=False)
        return
    row, images, rows, threads = over_four(s.n, p, q)
    across, deep = wide(cut(threads, SIDE))
    here = {"PADDED": padded(s), "ROW": row, "STEP_N": images, "STEP_P": rows}
    here |= {"SIZE": threads, "WIDE": across * SIDE}
    work.call("conv2d", (across, cut(s.f, 8), deep), {**constants, **here})


def pairs(work: Work) -> bool:
    """Whether the max pooling after a convolution takes windows of 2 x 2, side by side, none beyond the edge."""
    image, pooled = work.shape("y"), work.shape("max_pool2d_y")
    window = window_of(image, work.then.attrs if work.then else {})
    return (
        (window.kernel, window.strides, any(window.pads)) == ((2, 2), (2, 2), False)
        and 2 * pooled[2] <= image[2]
        and 2 * pooled[3] <= image[3]
    )


@lowers_together("conv2d", "max_pool2d", makes_both=False)
def conv2d_max_pool2d(work: Work) -> None:
    """Three by three, and the largest of each 2 x 2: the maps themselves are never stored."""
    s = sizes_of(work.shape("x"), work.shape("w"), work.attrs)
    if work.variant("register") == "tiled" or not pairs(work):
        return
    if winograd(s) and not work.attrs.get("direct"):
        transformed(work, s.c, s.f, s.window.pads[:2], "x", "y", flip=False)
    elif (s.window.kernel, s.window.strides) == ((3, 3), (1, 1)) and not padded(s):
        rows, columns = work.shape("max_pool2d_y")[2:]
        windows = s.n * cut(rows, 2) * columns
        image: dict[str, Value] = {"C": s.c, "H": s.height, "W": s.width, "F": s.f, "P": rows, "Q": columns}
        here = {**image, **activation(work), "BIAS": work.has("b"), "WINDOWS": windows}
        work.linear("conv2d_max_pool2d", windows * cut(s.f, 8), here)


@lowers("conv2d_dx")
def conv2d_dx(work: Work) -> None:
    """The gradient of the images, gathered."""
    s = sizes_of(work.shape("dx"), work.shape("w"), work.attrs)
    if winograd(s):
        (top, left, *_) = s.window.pads
        transformed(work, s.f, s.c, (2 - top, 2 - left), "dy", "dx", flip=True)
        return
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
    if winograd(s):
        transformed_dw(work, s)
        return
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
