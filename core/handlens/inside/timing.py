"""How long each layer takes for one image, on the backend that the model computes on.

What is timed is the plan that answers, op by op: there, a batch norm is folded into the convolution before it, and an
activation, with the compiled kernels also a max pooling, is done while its input is in the cache. Such a layer has no
time of its own, and ``inside`` says whose time holds it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..backends import Program, drive
from ..backends.numpy_backend import NumpyProgram
from ..errors import BackendError
from ..graph import Array
from ..model import Sequential
from .steps import Step, one_image

__all__ = ["Times", "layer_times", "layer_times_async", "row_times"]

BUDGET = 0.05  # seconds for all rounds
ROUNDS = 15
LEAST = 2e-4  # seconds that a timed turn of one op should take: a browser's clock has ticks of 0.1 ms, or coarser
MOST_TURNS = 64


@dataclass(frozen=True)
class Times:
    """Milliseconds of each layer for one image.

    layers: by name, in order; None where a layer has no time of its own: then ``inside`` names the layer whose time
    holds it, or "" where nothing is computed (flatten, dropout). rounds: of which the times are medians.
    total: of one run of the whole plan, None where it cannot be told. why: the reason, where nothing can be told."""

    backend: str
    layers: dict[str, float | None]
    inside: dict[str, str]
    total: float | None
    rounds: int
    why: str = ""


def layer_times(model: Sequential, x: Array, budget: float = BUDGET) -> Times:
    """Medians of a few runs within ``budget`` seconds, on one image (see :func:`layer_times_async`)."""
    return drive(_layer_times(model, x, budget, cooperative=False))


async def layer_times_async(model: Sequential, x: Array, budget: float = BUDGET) -> Times:
    """:func:`layer_times` for an event loop, which has its turn after every round.

    A backend that runs a plan as a whole (WebGPU) cannot tell one layer from another: every time is None then.
    Raises ShapeError for an image that does not fit.
    """
    return await _layer_times(model, x, budget, cooperative=True)


async def _layer_times(model: Sequential, x: Array, budget: float, cooperative: bool) -> Times:
    image, backend = one_image(model, x), model.backend
    names = [layer.name for layer in model.layers]
    if backend.suspends or backend.works_ahead:
        why = f"{backend.name} takes the whole network as one order: it does not tell how long a part of it took"
        return Times(backend.name, dict.fromkeys(names), {}, None, 0, why)
    program = await model.loaded(model.plan(1, image.shape[1:]))
    try:
        backend.upload(program, "input", image)
        backend.prepare(program)
        calls = calls_of(model, program)
        every = [*(run for _, run in calls), lambda: backend.run(program)]
        rounds = await timed(every, budget, cooperative)
    finally:
        backend.close(program)
    found: dict[str, float | None] = dict.fromkeys(names)
    for k, (layer, _) in enumerate(calls):
        if layer in found:
            found[layer] = (found[layer] or 0.0) + 1e3 * statistics.median(taken[k] for taken in rounds)
    total = 1e3 * statistics.median(taken[-1] for taken in rounds)
    return Times(backend.name, found, holders(model, found), total, len(rounds))


def calls_of(model: Sequential, program: Program) -> list[tuple[str, Callable[[], None]]]:
    """The ops of a loaded plan, each with its layer's name and a function that runs it alone."""
    if isinstance(program, NumpyProgram):
        return list(zip((step.layer for step in program.plan.steps), program.steps, strict=True))
    from ..backends.native.backend import NativeBackend, NativeProgram  # imported only where it is used

    backend = model.backend
    assert isinstance(program, NativeProgram) and isinstance(backend, NativeBackend)
    run_part, address = backend.library.c.hl_run_part, program.address

    def call(k: int) -> Callable[[], None]:
        def run() -> None:
            if error := run_part(address, k, k + 1):
                raise BackendError(f"the compiled kernels stopped (error {error})")

        return run

    return [(made.layer, call(k)) for k, made in enumerate(program.lowered.steps)]


async def timed(calls: list[Callable[[], None]], budget: float, cooperative: bool) -> list[list[float]]:
    """Seconds of each call, a list a round: at least one, more while there is time. The last is the whole plan.

    No op of an inference plan writes over what it reads, so that each may be repeated until the clock can tell.
    """
    calls[-1]()  # everything is in its place, and in the caches
    began, turns = time.perf_counter(), [1] * len(calls)
    rounds: list[list[float]] = []
    while not rounds or (len(rounds) < ROUNDS and time.perf_counter() - began < budget):
        taken = []
        for k, call in enumerate(calls):
            start = time.perf_counter()
            for _ in range(turns[k]):
                call()
            spent = time.perf_counter() - start
            taken.append(spent / turns[k])
            turns[k] = int(np.clip(LEAST / max(taken[k], 1e-9), 1, MOST_TURNS))
        rounds.append(taken)
        if cooperative:
            await asyncio.sleep(0)
    return rounds[1:] or rounds  # the first was one turn each: too short for a coarse clock


def holders(model: Sequential, found: dict[str, float | None]) -> dict[str, str]:
    """For every layer without a time: the layer before it in whose time it is, "" where it computes nothing."""
    graph, held, last = model.graph(1), dict[str, str](), ""
    computing = {node.layer for node in graph.nodes if not node.op.view}
    for name, taken in found.items():
        if taken is not None:
            last = name
        else:
            held[name] = last if name in computing else ""
    return held


def row_times(found: Times, rows: Mapping[str, Step]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Milliseconds of the rows that are shown, and for those without, the row whose time holds them, else "".

    A layer with an activation of its own is two rows and one time: it stands on the first, which does the work.
    """
    first, taken, inside = dict[str, str](), dict[str, float | None](), dict[str, str]()
    for key, step in rows.items():
        first.setdefault(step.layer, key)
        own = found.layers.get(step.layer) if first[step.layer] == key else None
        taken[key] = own
        if own is None:
            timed = found.layers.get(step.layer) is not None
            inside[key] = first[step.layer] if timed else first.get(found.inside.get(step.layer) or "?", "")
    return taken, inside
