"""Long work over many images in slices short for an event loop, and plans of one's own over a model's weights."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ..backends import Backend, Program, drive
from ..graph import Array, Graph
from ..model import Sequential
from ..plan import make_plan

__all__ = ["Loaded", "Progress", "drive", "in_slices"]

SLICE_SECONDS = 0.025  # aimed at: half of what an event loop may be kept waiting
MOST = 64  # images of a slice
FIRST = 2

Progress = Callable[[float], None]  # told the share that is done, 0 to 1


async def in_slices(
    count: int, work: Callable[[slice], Awaitable[None]], progress: Progress | None = None, cooperative: bool = True
) -> None:
    """Do ``work`` on 0 to ``count``, a slice at a time, each as long as the last ones let hope fits SLICE_SECONDS.

    Sizes are powers of two, so that a backend loads few programs. cooperative: the event loop has its turn after every
    slice; cancelling the task ends the work there.
    """
    size, at = FIRST, 0
    while at < count:
        while size > count - at:
            size //= 2
        began = time.perf_counter()
        await work(slice(at, at + size))
        spent = time.perf_counter() - began
        at += size
        if progress is not None:
            progress(at / count)
        if cooperative:
            await asyncio.sleep(0)
        if 2 * spent <= SLICE_SECONDS:
            size = min(2 * size, MOST)
        elif spent > SLICE_SECONDS:
            size = max(1, size // 2)


class Loaded:
    """A graph of one's own over a model's parameters, loaded on whatever backend the model computes on at the time.

    make: the graph; its public outputs are what :meth:`run` can give. It works on the model's own parameter memory:
    a weight that is changed there counts from the next run on. Where a backend fails, the model goes on to the next.
    """

    def __init__(self, model: Sequential, make: Callable[[], Graph]) -> None:
        self.model, self.make = model, make
        self._spare: tuple[Backend, Program] | None = None

    async def run(
        self, inputs: Mapping[str, Array], names: Sequence[str], cooperative: bool = True
    ) -> dict[str, Array]:
        """Upload the inputs, run once, and return the outputs of those names. Calls may overlap in an event loop."""
        found = await self.model._sound(lambda: self._values(inputs, names, cooperative))
        return dict(zip(names, found, strict=True))

    async def _values(self, inputs: Mapping[str, Array], names: Sequence[str], cooperative: bool) -> list[Array]:
        backend = self.model.backend
        program = await self._taken(backend)
        try:
            backend.prepare(program)
            for name, values in inputs.items():
                backend.upload(program, name, values)
            if cooperative:
                await backend.run_async(program)
            else:
                backend.run(program)
            found = await backend.fetch(program, *names)
        finally:
            self.close()
            self._spare = backend, program
        return [found[name] for name in names]

    async def _taken(self, backend: Backend) -> Program:
        """The kept program, if it is for this backend, else a new one; nobody else has it meanwhile."""
        spare, self._spare = self._spare, None
        if spare is not None and spare[0] is backend:
            return spare[1]
        if spare is not None:
            spare[0].close(spare[1])
        model = self.model
        return await model.loaded(make_plan(self.make(), model.layout, model.state_layout))

    def close(self) -> None:
        """Free the kept program; the next run loads another."""
        spare, self._spare = self._spare, None
        if spare is not None:
            spare[0].close(spare[1])
