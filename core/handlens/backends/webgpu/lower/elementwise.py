"""Ops of one invocation four elements, or a line: activations, softmax, dropout, adjoints; sums that broadcast."""

from __future__ import annotations

import math

from ....errors import PlanError
from ....graph import Shape
from ..lowered import Work, lowers

AXES = 4  # that the kernels which broadcast have, once axes that behave alike are one


@lowers("relu", "sigmoid", "tanh", "relu_dx", "sigmoid_dx", "tanh_dx")
def plain(work: Work) -> None:
    """Nothing but the size."""
    work.linear(work.step.op, work.fours("y"))


@lowers("leaky_relu", "leaky_relu_dx")
def leaky(work: Work) -> None:
    """The slope below zero as a constant."""
    work.linear(work.step.op, work.fours("x"), {"ALPHA": float(work.attrs.get("alpha", 0.01))})


@lowers("scale")
def scale(work: Work) -> None:
    """The factor as a constant."""
    work.linear("scale", work.fours("x"), {"FACTOR": float(work.attrs["factor"])})


@lowers("dropout")
def dropout(work: Work) -> None:
    """The rate as the threshold of a 32-bit hash."""
    rate = float(work.attrs["rate"])
    threshold = min(round(rate * 2**32), 2**32 - 1)
    constants = {"SALT": int(work.attrs.get("salt", 0)), "THRESHOLD": threshold, "FACTOR": 1.0 / (1.0 - rate)}
    work.linear("dropout", work.fours("x"), constants)


@lowers("softmax", "softmax_dx")
def softmax(work: Work) -> None:
    """One invocation a line along the axis."""
    shape = work.shape("y")
    axis = int(work.attrs.get("axis", -1)) % len(shape)
    constants = {"LENGTH": shape[axis], "INNER": math.prod(shape[axis + 1 :])}
    work.linear(work.step.op, work.size("y") // shape[axis], constants)


def strides(shape: Shape, rank: int) -> list[int]:
    """Elements from one to the next along each axis, in ``rank`` axes; 0 where an array is repeated."""
    wide = (1,) * (rank - len(shape)) + tuple(shape)
    return [0 if n == 1 else math.prod(wide[k + 1 :]) for k, n in enumerate(wide)]


def merged(op: str, sizes: Shape, *all_strides: list[int]) -> list[tuple[int, ...]]:
    """The axes as (size, stride, ..), last first, in AXES of them: neighbours that are walked as one are one."""
    found: list[tuple[int, ...]] = []
    for size, *steps in zip(sizes, *all_strides, strict=True):
        if size == 1:
            continue
        if found and all(outer == step * size for outer, step in zip(found[-1][1:], steps, strict=True)):
            found[-1] = (found[-1][0] * size, *steps)
        else:
            found.append((size, *steps))
    if len(found) > AXES:
        raise PlanError(f"{op!r} on the GPU takes {AXES} axes that broadcast in turn; shape {sizes} has {len(found)}")
    return found[::-1] + [(1,) + (0,) * len(all_strides)] * (AXES - len(found))


def named(axes: list[tuple[int, ...]], *names: str) -> dict[str, int]:
    """Constants: SIZE_0 and so on."""
    return {f"{name}_{k}": axis[place] for place, name in enumerate(names) for k, axis in enumerate(axes)}


@lowers("add")
def add(work: Work) -> None:
    """Both operands by their strides."""
    shape = work.shape("y")
    axes = merged("add", shape, *(strides(work.shape(name), len(shape)) for name in ("a", "b")))
    work.linear("add", work.size("y"), named(axes, "SIZE", "A", "B"))


@lowers("broadcast_to")
def broadcast_to(work: Work) -> None:
    """The operand by its strides."""
    shape = work.shape("y")
    axes = merged("broadcast_to", shape, strides(work.shape("x"), len(shape)))
    work.linear("broadcast_to", work.size("y"), named(axes, "SIZE", "X"))


@lowers("sum_to")
def sum_to(work: Work) -> None:
    """The axes that stay and those that are summed, each by its strides in x; a workgroup an output."""
    shape = work.shape("x")
    all_strides = strides(shape, len(shape))
    stays = [bool(step) for step in strides(work.shape("y"), len(shape))]
    parts = []
    for chosen in (True, False):
        sizes = tuple(n for n, stay in zip(shape, stays, strict=True) if stay == chosen)
        steps = [n for n, stay in zip(all_strides, stays, strict=True) if stay == chosen]
        parts.append(merged("sum_to", sizes, steps))
    constants = named(parts[0], "SIZE", "X") | named(parts[1], "SUM", "STRIDE")
    work.linear("sum_to", work.size("y") * 64, constants)
