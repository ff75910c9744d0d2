"""What each kernel is worth: every one is silenced in turn, and the answers counted again.

A kernel that can go without a digit lost is not proven useless: others may do the same work. Source: LeCun,
Denker, Solla, "Optimal brain damage", 1990, where the loss of a deleted weight is estimated; here it is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import DataError
from ..graph import Array
from ..model import Sequential
from .slices import Progress, drive
from .table import Table

__all__ = ["Silenced", "ablation", "ablation_async"]


@dataclass(frozen=True)
class Silenced:
    """One kernel (or neuron) silenced: the share of right answers then, and how many images were gained and lost."""

    kernel: int
    accuracy: float
    original: float
    gained: int
    lost: int


def ablation(model: Sequential, layer: str, images: Array, labels: Array) -> list[Silenced]:
    """Silence each kernel of a convolution, or each neuron of a dense layer, in turn, and measure (see
    :meth:`Table.zero_kernel`); the model itself is left as it is. DataError for a layer without weights."""
    return drive(_ablation(model, layer, images, labels, None, None, cooperative=False))


async def ablation_async(
    model: Sequential,
    layer: str,
    images: Array,
    labels: Array,
    progress: Progress | None = None,
    each: Callable[[Silenced], None] | None = None,
) -> list[Silenced]:
    """:func:`ablation` for an event loop: in slices; ``each`` is told every kernel as it is known; cancel to stop."""
    return await _ablation(model, layer, images, labels, progress, each, cooperative=True)


async def _ablation(
    model: Sequential,
    layer: str,
    images: Array,
    labels: Array,
    progress: Progress | None,
    each: Callable[[Silenced], None] | None,
    cooperative: bool,
) -> list[Silenced]:
    table = Table(model)
    name = f"{layer}.weight"
    if name not in model.layout.shapes or len(model.layout.shapes[name]) < 2:
        raise DataError(f"{layer!r} has no kernels or neurons to silence; convolutions and dense layers have")
    count, found = model.layout.shapes[name][0], list[Silenced]()
    try:
        for kernel in range(count):

            def tell(share: float, done: int = kernel) -> None:
                if progress is not None:
                    progress((done + share) / count)

            table.zero_kernel(layer, kernel)
            measured = await table._measure(images, labels, tell, cooperative)
            assert measured is not None  # nobody else edits this table
            found.append(Silenced(kernel, measured.accuracy, measured.original, measured.gained, measured.lost))
            table.reset()
            if each is not None:
                each(found[-1])
    finally:
        table.original.forget_programs()
        table.model.forget_programs()
    return found
