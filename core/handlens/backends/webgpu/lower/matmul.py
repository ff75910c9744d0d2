"""Matrix products and the dense layer with its adjoints. All sizes, and so all dispatches, follow from shapes."""

from __future__ import annotations

import math

from ....errors import PlanError
from ....graph import Shape
from ..lowered import Work, lowers, lowers_together
from .conv import TILE, activation, cut, wide

VECTORS = 512  # that one invocation adds up for a dense layer's weight gradient, at most
MOST_PARTS = 64
FEW = 4  # vectors of which each neuron gets a workgroup of its own
CLASSES = 32  # of which one invocation makes the softmax, at most
SHARES = 16  # of a neuron's sum, where there are few vectors


def columns_of(n: int) -> int:
    """Neighbouring invocations for ``n`` columns at four each; four of them, where there are as many, never straddle
    two rows of the tile."""
    return cut(n, 16) * 4 if n > 4 else cut(n, 4)


def steps(shape: Shape, leading: Shape) -> list[int]:
    """Elements between matrices along each of the leading axes that ``shape`` (..., rows, columns) broadcasts to."""
    own = (1,) * (len(leading) + 2 - len(shape)) + tuple(shape)
    return [0 if own[k] == 1 else math.prod(own[k + 1 :]) for k in range(len(leading))]


def merged(leading: Shape, a: list[int], b: list[int]) -> list[tuple[int, int, int]]:
    """The leading axes as (size, step of a, step of b), neighbours merged where both operands allow it."""
    axes: list[tuple[int, int, int]] = []
    for size, left, right in zip(leading, a, b, strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == size * left and axes[-1][2] == size * right:
            axes[-1] = (axes[-1][0] * size, left, right)
        else:
            axes.append((size, left, right))
    return axes


@lowers("matmul")
def matmul(work: Work) -> None:
    """Matrices, transposed or not, over broadcast leading axes."""
    a, b, y = work.shape("a"), work.shape("b"), work.shape("y")
    axes = merged(y[:-2], steps(a, y[:-2]), steps(b, y[:-2]))
    if len(axes) > 3:
        raise PlanError(f"matmul of {a} by {b}: more than three leading axes that cannot be merged; reshape first")
    (_, a0, b0), (d1, a1, b1), (d2, a2, b2) = [(1, 0, 0)] * (3 - len(axes)) + axes
    m, n = y[-2:]
    turned_a, turned_b = work.attrs.get("transpose_a", False), work.attrs.get("transpose_b", False)
    constants = {
        **{"M": m, "N": n, "K": a[-2] if turned_a else a[-1]},
        **{"A_ROW": 1 if turned_a else a[-1], "A_STEP": a[-1] if turned_a else 1},
        **{"B_STEP": 1 if turned_b else b[-1], "B_COLUMN": b[-1] if turned_b else 1},
        **{"D1": d1, "D2": d2, "A0": a0, "A1": a1, "A2": a2, "B0": b0, "B1": b1, "B2": b2},
    }
    if work.variant("register") == "tiled":
        tiles = cut(m, TILE) * cut(n, TILE) * math.prod(y[:-2])
        across, rows = wide(tiles)
        size = {"TILES_M": cut(m, TILE), "TILES_N": cut(n, TILE), "SIZE": tiles, "WIDE": across}
        work.call("matmul_tiled", (across, rows, 1), {**constants, **size})
        return
    columns = columns_of(n)
    work.linear("matmul", columns * cut(m, 8) * math.prod(y[:-2]), {**constants, "COLUMNS": columns})


@lowers("dense")
def dense(work: Work) -> None:
    """Forward."""
    (n, i), o = work.shape("x"), work.shape("y")[1]
    constants = {"N": n, "I": i, "O": o, "BIAS": work.has("b"), **activation(work)}
    if work.variant("register") == "tiled":
        across, deep = wide(cut(n, TILE))
        work.call("dense_tiled", (across, cut(o, TILE), deep), {**constants, "WIDE": across})
        return
    if n <= FEW:
        across, rows = wide(n * o)
        work.call("dense_few", (across, rows, 1), {**constants, "SIZE": n * o, "WIDE": across})
        return
    columns = columns_of(o)
    work.linear("dense", columns * cut(n, 8), {**constants, "COLUMNS": columns})


@lowers_together("dense", "softmax", makes_both=True)
def dense_softmax(work: Work) -> None:
    """A network's last layer, of few vectors and few classes: shares of the sums, then logits and probabilities."""
    (n, i), o = work.shape("x"), work.shape("y")[1]
    last = int((work.then.attrs if work.then else {}).get("axis", -1)) in (1, -1)
    plain = last and "activation" not in work.attrs and work.variant("register") != "tiled"
    if not plain or n > FEW or o > CLASSES or i < SHARES:
        return
    part = work.scratch(n, cut(o, 4), SHARES, 4)
    work.linear("dense_shares", n * cut(o, 4) * SHARES, {"I": i, "O": o, "SHARES": SHARES}, part=part)
    work.linear("dense_softmax", n, {"O": o, "SHARES": SHARES, "BIAS": work.has("b")}, part=part)


@lowers("dense_dx")
def dense_dx(work: Work) -> None:
    """The gradient of the inputs."""
    (n, i), o = work.shape("dx"), work.shape("dy")[1]
    columns = columns_of(i)
    work.linear("dense_dx", columns * cut(n, 8), {"N": n, "I": i, "O": o, "COLUMNS": columns})


@lowers("dense_dw")
def dense_dw(work: Work) -> None:
    """The gradient of weights and bias, in parts where the batch is large."""
    (n, i), o = work.shape("x"), work.shape("dy")[1]
    bias = work.has("db")
    vectors = max(cut(n, MOST_PARTS), min(n, VECTORS))
    parts, columns = cut(n, vectors), columns_of(i)
    constants = {"N": n, "I": i, "O": o, "BIAS": bias, "VECTORS": vectors, "COLUMNS": columns}
    db = work.places["db"] if bias else work.scratch(o)
    part, part_b = (work.places["dw"], db) if parts == 1 else (work.scratch(parts, o, i), work.scratch(parts, o))
    work.linear("dense_dw", columns * cut(o, 8) * parts, constants, part=part, part_b=part_b)
    if parts > 1:
        size = {"WEIGHTS": o * i, "O": o, "PARTS": parts}
        work.linear("dense_dw_sum", o * i + bias * o, size, part=part, part_b=part_b, db=db)
