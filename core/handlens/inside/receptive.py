"""Receptive fields: which pixels a number depends on, exactly, and how the fields grow from layer to layer.

A number is traced back step by step as the set of rows and the set of columns that it reads; a window's are
``p*s + i - top`` for every kernel row ``i``, those in the padding left out. Every step keeps rows and columns apart, so
these two sets are the whole truth, also where strides leave gaps or padding cuts a window short.
Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016;
Araujo, Norris, Sim, "Computing receptive fields of convolutional neural networks", Distill, 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..graph import Shape
from ..ops.window import Window
from .steps import IN_PLACE, Step, find, steps

if TYPE_CHECKING:
    from ..model import Sequential

Places = list[int]  # along one axis, in order, none twice


class Box(NamedTuple):
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right`` of the image, the ends exclusive.

    Of a vector's one number k it is (0, k, 1, k + 1). A number that sees padding alone has an empty box.
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left


class Sizes(NamedTuple):
    """A layer's receptive field as it is away from the edges, in pixels of the image.

    height, width: of the field of one cell. strides: from one cell's field to the next one's, down and right; (0, 0)
    where every number has the same field. offset: first row and column of the field of cell (0, 0); negative where it
    begins in the padding.
    """

    height: int
    width: int
    strides: tuple[int, int]
    offset: tuple[int, int]


def reads(step: Step, wanted: Sequence[Places]) -> list[Places]:
    """What a step reads of its source to make the ``wanted`` places, axis by axis: maps, rows, columns (or numbers)."""
    if step.kind in IN_PLACE:
        return list(wanted)
    if step.kind in ("conv2d", "max_pool", "avg_pool"):
        window, maps = step.window, wanted[0] if step.kind != "conv2d" else every(step.reads[0])
        return [maps, *(met(window, axis, wanted[1 + axis], step.reads[1 + axis]) for axis in (0, 1))]
    if step.kind == "flatten" and len(wanted) == 1 and len(wanted[0]) == 1:
        place, found = wanted[0][0], list[Places]()
        for n in reversed(step.reads):  # row-major: the last axis runs fastest
            place, at = divmod(place, n)
            found.insert(0, [at])
        return found
    if step.kind == "softmax":
        return [*wanted[:-1], every(step.reads[-1])]
    if step.kind == "global_avg_pool":
        return [wanted[0], every(step.reads[1]), every(step.reads[2])]
    return [every(n) for n in step.reads]  # dense, and several numbers of a flattened image


def every(n: int) -> Places:
    """All places of an axis."""
    return list(range(n))


def met(window: Window, axis: int, places: Places, size: int) -> Places:
    """The places that the window meets along an axis (0 down, 1 right), the padding's left out."""
    begin, stride, kernel = window.pads[axis], window.strides[axis], window.kernel[axis]
    return sorted({i for p in places for i in range(p * stride - begin, p * stride - begin + kernel) if 0 <= i < size})


def seen(found: dict[str, Step], key: str, index: Sequence[int]) -> list[Places]:
    """The places of the input, axis by axis, that cell ``index`` of ``key`` depends on."""
    step, wanted = find(found, key), [[int(i)] for i in index]
    while step.source:
        wanted, step = reads(step, wanted), found[step.source]
    return wanted


def boxed(places: Sequence[Places]) -> Box:
    """The box around places of the input."""
    rows, columns = places[-2:] if len(places) > 1 else ([0], places[0])
    if not rows or not columns:
        return Box(0, 0, 0, 0)
    return Box(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)


def field(model: Sequential, layer: str, index: int | Sequence[int], input_shape: Shape | None = None) -> Box:
    """The receptive field of cell ``index`` of ``layer`` (a key of ``model.trace``), clipped to the image.

    Raises DataError for a layer or a cell that is not there.
    """
    found = steps(model, input_shape)
    return boxed(seen(found, layer, find(found, layer).checked(index)))


def sizes(model: Sequential, input_shape: Shape | None = None) -> dict[str, Sizes]:
    """Size, stride and offset of every layer's receptive field: ``r' = r + (k - 1) j``, ``j' = j s``,
    ``start' = start - pad j``, with j the stride so far. What reads every cell of its source has the box around all of
    them, clipped to the image.
    """
    found, result = steps(model, input_shape), dict[str, Sizes]()
    for key, step in found.items():
        if not step.source:
            result[key] = Sizes(1, 1, (1, 1), (0, 0))
        elif step.kind in ("conv2d", "max_pool", "avg_pool"):
            result[key] = widened(result[step.source], step.window)
        elif step.kind in IN_PLACE or step.kind == "flatten":
            result[key] = result[step.source]
        elif step.kind == "softmax" and len(step.shape) == 3:  # along each row of a map
            before, box = result[step.source], boxed(seen(found, key, (0, 0, 0)))
            result[key] = Sizes(before.height, box.width, (before.strides[0], 0), (before.offset[0], box.left))
        else:
            box = boxed(seen(found, key, (0,) * len(step.shape)))
            result[key] = Sizes(box.height, box.width, (0, 0), (box.top, box.left))
    return result


def widened(before: Sizes, window: Window) -> Sizes:
    """The field of a window over cells with the field ``before``."""
    (down, right), (kh, kw), (top, left) = before.strides, window.kernel, window.pads[:2]
    return Sizes(
        before.height + (kh - 1) * down,
        before.width + (kw - 1) * right,
        (down * window.strides[0], right * window.strides[1]),
        (before.offset[0] - top * down, before.offset[1] - left * right),
    )
