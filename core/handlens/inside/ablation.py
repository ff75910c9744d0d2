"""What each kernel is worth: every one is silenced in turn, and the answers counted again.

A kernel that can go without a digit lost is not proven useless: others may do the same work. Source: LeCun,
Denker, Solla, "Optimal brain damage", 1990, where the loss of a deleted weight is estimated; here it is measured.

The same for one image says what each kernel is worth for one answer (:class:`Worths`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import DataError
from ..graph import Array
from ..layers import Conv2D, Dense
from ..model import Sequential
from .attribution import shares
from .slices import Progress, drive, in_slices
from .steps import one_image
from .table import Table

__all__ = ["Silenced", "Worth", "Worths", "ablation", "ablation_async", "silenceable"]


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


@dataclass(frozen=True)
class Worth:
    """One kernel (or neuron) silenced, for one image: the score and the probability of a class then, by how much the
    score has fallen, and the class with the largest score."""

    kernel: int
    score: float
    drop: float
    probability: float
    answer: int


def silenceable(model: Sequential) -> list[str]:
    """The layers whose kernels or neurons can be silenced: all convolutions, and all dense layers but the one that
    makes the scores (one of its neurons is a class itself)."""
    names = [layer.name for layer in model.layers if isinstance(layer, Conv2D | Dense)]
    last = next((layer.name for layer in reversed(model.layers) if isinstance(layer, Conv2D | Dense)), "")
    return [name for name in names if name != last]


class Worths:
    """What each kernel of a layer is worth for an answer: ``drop = score - score without it``.

    It keeps a copy of the network with its programs, for one image after the other. A drop below 0 says that the
    kernel spoke against the class. Drops do not add up: what two kernels do together, each alone may do as well.
    """

    def __init__(self, model: Sequential) -> None:
        self.model, self.table = model, Table(model)

    async def of(
        self, x: Array, layer: str, target: int, progress: Progress | None = None, cooperative: bool = True
    ) -> tuple[float, list[Worth]]:
        """The class's score with all of them, and every kernel in turn. DataError for a layer that is not
        :func:`silenceable`, or no such class."""
        if layer not in silenceable(self.model):
            there = ", ".join(silenceable(self.model)) or "none here"
            raise DataError(f"{layer!r} has no kernels or neurons before the scores; layers that have: {there}")
        image, table = one_image(self.model, x), self.table
        if table.model.backend is not self.model.backend:
            table.model.use(self.model.backend)
        whole = (await table.model._predict(image, True, 1, cooperative))[0]
        if not 0 <= target < len(whole):
            raise DataError(f"there are {len(whole)} classes, counted from 0; there is no {target}")
        found = list[Worth]()

        async def work(part: slice) -> None:
            for kernel in range(part.start, part.stop):
                try:
                    table.zero_kernel(layer, kernel)
                    scores = (await table.model._predict(image, True, 1, cooperative))[0]
                finally:
                    table.reset()
                score, best = float(scores[target]), int(scores.argmax())
                found.append(
                    Worth(kernel, score, float(whole[target]) - score, float(shares(scores[None])[0, target]), best)
                )

        await in_slices(self.model.layout.shapes[f"{layer}.weight"][0], work, progress, cooperative)
        return float(whole[target]), found

    def close(self) -> None:
        """Free the programs."""
        self.table.model.forget_programs()
