"""Which backend computes: one is used only if it was right and faster here, on the visitor's own work.

Right is what NumPy computes too: golden tensors (a small network with fixed seeds, forward and backward), then the work
itself. Faster is what takes less time than its rival, the backend that computes so far. Inference and training are
judged apart. What a backend is called, software adapter or not, decides nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from .backends import Backend, NumpyBackend, Program
from .errors import BackendError
from .graph import Array
from .layers import AvgPool2D, BatchNorm, Conv2D, Dense, Flatten, MaxPool2D
from .layers.regularization import SEED
from .model import Sequential
from .offload import CHECK_EVERY, PROBE, RATE, moved_otherwise
from .plan import Plan, make_plan
from .training import gradient_graph, step_plan

TITLES = {"webgpu": "WebGPU", "native": "Compiled SIMD", "numpy": "NumPy"}
BUDGET = 0.5  # s: all of one judgement
LIMIT = 1e-3  # of the largest value of an array
ROUNDS = 5
AT_START = 0.03  # s: for compiled kernels and NumPy, side by side, before the first answer
AFTERWARDS = 0.08  # s: the same, after it, half of it for each: no turn is longer than a stroke can wait
TICK = 5e-5  # s: half of what a browser's clock tells apart; nothing takes less
SAMPLE = PROBE  # images of a step that is compared, and of the larger of two that tell how NumPy's time grows

Result = TypeVar("Result")


@dataclass(frozen=True)
class Verdict:
    """What came of comparing a backend with NumPy and with its rival. ``ratio``: the rival's time over its own;
    ``error``: the largest; ``own``: seconds of its run; ``speed``: GFLOP/s on the work, where that was asked for;
    ``late``: the time ran out, while what it was compiling goes on: a later judgement begins there; ``left_out``: why
    kernels that it could have chosen from were not tried."""

    backend: str
    work: str  # "inference" or "training"
    used: bool
    reason: str = ""
    error: float = math.nan
    ratio: float = math.nan
    seconds: float = 0.0
    rival: str = "numpy"
    own: float = math.nan
    speed: float = math.nan
    late: bool = False
    left_out: str = ""

    @property
    def right(self) -> bool:
        """Whether it was compared and found right, fast or not."""
        return not math.isnan(self.ratio)

    def sentence(self) -> str:
        """One line for a page."""
        title = TITLES[self.backend]
        if not self.right:
            later = "; the next judgement goes on from there" if self.late else ""
            return f"{title} is not used: {self.reason}{later}"
        speed = "" if math.isnan(self.speed) else f"{figure(self.speed)} GFLOP/s, "
        compared = f"{self.work} {figure(self.ratio)}x {TITLES[self.rival]}"
        checked = f"{title}: verified, max error {self.error:.0e}, {speed}{compared}"
        left_out = f" (without kernels that fail: {self.left_out})" if self.left_out else ""
        return f"{checked}{left_out}" if self.used else f"{checked}{left_out}: not used"


class TooSlowError(BackendError):
    """The budget is spent."""


class Clock:
    """What is left of a judgement's budget."""

    def __init__(self, budget: float) -> None:
        self.began, self.budget = time.perf_counter(), budget

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.began

    async def within(self, work: Coroutine[Any, Any, Result], backend: Backend, what: str) -> Result:
        """The result of ``work``; TooSlowError once the budget is spent. On a backend that waits it then goes on
        unwatched, and a program that it loads is closed when it comes."""
        if not backend.suspends:
            result = await work
        else:
            task = asyncio.ensure_future(work)
            try:
                done, _ = await asyncio.wait({task}, timeout=max(0.0, self.budget - self.spent))
            except BaseException:  # cancelled: what still comes is nobody's
                task.add_done_callback(lambda late: discard(late, backend))
                raise
            if not done:
                task.add_done_callback(lambda late: discard(late, backend))
                raise TooSlowError(f"{what} took longer than the {self.budget:g} s that are given to it")
            result = task.result()
        if self.spent > self.budget:
            raise TooSlowError(f"{what} took longer than the {self.budget:g} s that are given to it")
        return result


def discard(task: asyncio.Future[Any], backend: Backend) -> None:
    """Close what came too late; an error that came too late is nobody's any more."""
    if not task.cancelled() and task.exception() is None and isinstance(task.result(), Program):
        backend.close(task.result())


# -- what is compared


@dataclass(frozen=True)
class Work:
    """A plan with everything it needs, and the outputs to compare."""

    plan: Plan
    uploads: dict[str, Array]
    control: dict[str, Array]
    outputs: tuple[str, ...]


def golden() -> Work:
    """A small network with fixed weights, its loss and every gradient: both poolings and paddings, a batch norm."""
    layers = [
        *(Conv2D(5, 3, padding="same", use_bias=False), BatchNorm(), MaxPool2D(2)),
        *(Conv2D(6, 3, activation="relu"), AvgPool2D(2), Flatten(), Dense(7, activation="tanh"), Dense(10)),
    ]
    model = Sequential(layers, (1, 14, 14), seed=7)
    generator = np.random.Generator(np.random.PCG64(11))
    images = generator.random((6, 1, 14, 14), np.float32)
    return gradients(model, images, np.arange(6, dtype=np.int32))


def gradients(model: Sequential, x: Array, y: Array) -> Work:
    """Loss and gradients of a batch."""
    graph = gradient_graph(model, model.loss, len(x), (x.shape, x.dtype.name), (y.shape, y.dtype.name))
    plan = make_plan(graph, model.layout, model.state_layout)
    uploads = {"parameters": model.parameters, "data": x, "targets": y}
    control = {"rows": np.arange(len(x), dtype=np.int32)[None], SEED: np.array([[5]], np.uint32)}
    kept = {name: value for name, value in control.items() if name in plan.controls}
    return Work(plan, uploads, kept, ("loss", "gradients"))


def inference(model: Sequential, images: Array) -> Work:
    """The model's own outputs for some images."""
    plan = model.plan(len(images), images.shape[1:])
    uploads = {"parameters": model.parameters, "state": model.state, "input": images}
    name = "logits" if model.loss.classifies else "outputs"
    return Work(plan, {k: v for k, v in uploads.items() if k in plan.buffers}, {}, (name,))


# -- comparing and timing


async def loaded(work: Work, backend: Backend, clock: Clock) -> Program:
    """The work's plan on a backend, its inputs in place."""
    program = await clock.within(backend.load(work.plan), backend, "preparing its kernels")
    try:
        for name, array in work.uploads.items():
            backend.upload(program, name, array)
        backend.prepare(program)
    except BaseException:
        backend.close(program)
        raise
    return program


async def once(work: Work, backend: Backend, program: Program) -> dict[str, Array]:
    """One run, read back."""
    await backend.run_async(program, 1, work.control, math.inf)
    return await backend.fetch(program, *work.outputs)


def worst(found: dict[str, Array], expected: dict[str, Array]) -> float:
    """The largest difference in units of the array's largest value; infinite for what is not finite."""
    errors = []
    for name, values in expected.items():
        kind = np.float32 if values.dtype == np.uint8 else values.dtype  # whole buffers come as bytes
        mine, theirs = found[name].view(kind), values.view(kind)
        if not np.isfinite(mine).all():
            return math.inf
        errors.append(float(np.abs(mine - theirs).max(initial=0)) / max(float(np.abs(theirs).max(initial=0)), 1e-12))
    return max(errors)


async def compared(work: Work, backend: Backend, clock: Clock) -> float:
    """How far the backend is from NumPy."""
    sides: list[dict[str, Array]] = []
    for side in (NumpyBackend(), backend):
        program = await loaded(work, side, clock)
        try:
            sides.append(await clock.within(once(work, side, program), side, "computing golden tensors"))
        finally:
            side.close(program)
    return worst(sides[1], sides[0])


_proved: WeakKeyDictionary[Backend, float] = WeakKeyDictionary()  # backend -> its error on golden tensors


async def proved(backend: Backend, clock: Clock) -> float:
    """How far the backend is from NumPy on golden tensors: computed once, for a device does not change."""
    if backend not in _proved:
        _proved[backend] = await compared(golden(), backend, clock)
    return _proved[backend]


async def timed(work: Work, backend: Backend, clock: Clock, rounds: int = ROUNDS) -> tuple[float, dict[str, Array]]:
    """Median seconds of a run that is read back, after one that is not counted; and what it gave."""
    program = await loaded(work, backend, clock)
    try:
        found = await clock.within(once(work, backend, program), backend, "its first run")
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            await clock.within(once(work, backend, program), backend, "timing it")
            times.append(time.perf_counter() - began)
            if clock.spent + times[-1] > clock.budget:
                break  # the next one would be the one too many
        return max(float(np.median(times)), TICK), found
    finally:
        backend.close(program)


async def quickest(
    work: Work, backend: Backend, clock: Clock, rounds: int = ROUNDS
) -> tuple[float, dict[str, Array], str]:
    """:func:`timed` with each of the backend's sets of kernels; it keeps the quickest. A set that the budget does not
    reach is not tried; of one that fails the reason comes last, "" where none did."""
    best: tuple[float, dict[str, Array]] | None = None
    chosen: Mapping[str, str] = {}
    left_out = ""
    for variants in backend.variants_of(work.plan):
        backend.prefer(work.plan, variants)
        try:
            found = await timed(work, backend, clock, rounds)
        except BackendError as error:  # no time is left for it, or it does not compile: the one before is still good
            backend.prefer(work.plan, chosen)
            if best is None:
                raise
            left_out = "" if isinstance(error, TooSlowError) else str(error)
            break
        if best is None or found[0] < best[0]:
            best, chosen = found, variants
    backend.prefer(work.plan, chosen)
    assert best is not None  # the first set was timed, or has raised
    return *best, left_out


Judged = tuple[float, float, float, str]  # error, own seconds, the rival's, why kernels were left out


async def verdict(backend: Backend, work: str, clock: Clock, judged: Awaitable[Judged], rival: Backend) -> Verdict:
    """What was judged as a verdict; what was raised on the way as a reason."""
    try:
        error, own, theirs, left_out = await judged
    except BackendError as failure:
        late = isinstance(failure, TooSlowError)
        return Verdict(backend.name, work, False, str(failure), seconds=clock.spent, late=late)
    if not error <= LIMIT:
        reason = f"its results differ from NumPy's by {error:.0e} of the largest value"
        return Verdict(backend.name, work, False, reason, error, seconds=clock.spent)
    ratio = theirs / own
    slower = "" if ratio > 1 else f"{work} takes {figure(1 / ratio)} times as long as with {TITLES[rival.name]}"
    found = Verdict(backend.name, work, not slower, slower, error, ratio, clock.spent, rival.name, own)
    return replace(found, left_out=left_out)


async def judge_inference(
    model: Sequential, images: Array, backend: Backend, budget: float = BUDGET, rival: Backend | None = None
) -> Verdict:
    """Whether ``backend`` should answer for ``model``: right on golden tensors and on ``images``, and faster there.

    images: what the visitor's own request holds, (N, C, H, W) float32. budget: seconds for all of it. rival: what
    answers so far, by default NumPy.
    """
    clock, before = Clock(budget), rival or NumpyBackend()

    async def judged() -> Judged:
        error = await proved(backend, clock)
        work = inference(model, images)
        theirs, expected = await timed(work, before, clock)
        mine, found, left_out = await quickest(work, backend, clock)
        return max(error, worst(found, expected)), mine, theirs, left_out

    return await verdict(backend, "inference", clock, judged(), before)


async def judge_at_start(
    model: Sequential, image: Array, backend: Backend, seconds: float = AT_START, rival: Backend | None = None
) -> Verdict:
    """Whether compiled kernels should answer from now on, told before the first answer: right on ``image``, and faster.

    Golden tensors take longer, and follow after that answer (:func:`held_to_golden`). image: (1, C, H, W) float32.
    seconds: for running both sides, preparing them left out. rival: by default NumPy.
    """
    clock, before, work = Clock(math.inf), rival or NumpyBackend(), inference(model, image)

    async def judged() -> Judged:
        (own, found), (theirs, expected) = await raced(work, (backend, before), seconds)
        return worst(found, expected), own, theirs, ""

    found = await verdict(backend, "inference", clock, judged(), before)
    return replace(found, speed=2e-9 * work.plan.multiply_adds / found.own)


async def held_to_golden(verdict: Verdict, backend: Backend) -> Verdict:
    """The verdict of :func:`judge_at_start` once the backend was held to golden tensors too, forward and backward."""
    try:
        error = await proved(backend, Clock(math.inf))
    except BackendError as failure:
        return replace(verdict, used=False, reason=str(failure), ratio=math.nan)
    if not error <= LIMIT:
        reason = f"its results differ from NumPy's by {error:.0e} of the largest value"
        return replace(verdict, used=False, reason=reason, error=error, ratio=math.nan)
    return replace(verdict, error=max(verdict.error, error))


async def measured(verdict: Verdict, model: Sequential, images: Array, backend: Backend) -> Verdict:
    """The verdict of compiled kernels with their speed on ``images`` by now, in GFLOP/s, and with NumPy's time over
    theirs, which decides whether they are used."""
    work = inference(model, images)
    (own, _), (theirs, _) = await raced(work, (backend, NumpyBackend()), AFTERWARDS)
    ratio = theirs / own
    return replace(verdict, used=ratio > 1, ratio=ratio, own=own, speed=2e-9 * work.plan.multiply_adds / own)


async def raced(work: Work, sides: tuple[Backend, ...], seconds: float) -> list[tuple[float, dict[str, Array]]]:
    """For each side, which computes when it is told to: the least seconds of a run without reading back, and what it
    gave. ``seconds`` are for all runs, in equal shares; one run of each there is in any case."""
    results = []
    for side in sides:
        program = await loaded(work, side, Clock(math.inf))
        try:
            clock = Clock(seconds / len(sides))
            found = await once(work, side, program)
            best, count = max(clock.spent, TICK), 1  # a browser's clock may not have moved
            while clock.spent + count * best < clock.budget:
                began = time.perf_counter()
                for _ in range(count):
                    side.run(program)
                spent = max(time.perf_counter() - began, TICK)
                best = min(best, spent / count)
                count = max(count, int(20 * TICK / best))  # so many that a browser's clock can tell their time
            results.append((max(best, TICK / count), found))
        finally:
            side.close(program)
    return results


def figure(value: float) -> str:
    """Two digits that count, without an exponent: 0.043, 7.1, 120."""
    return f"{float(f'{value:.2g}'):,.10g}"


async def judge_training(
    model: Sequential,
    x: Array,
    y: Array,
    optimizer: Any,
    backend: Backend,
    batch: int,
    budget: float = BUDGET,
    rival: Backend | None = None,
) -> Verdict:
    """Whether ``backend`` should train ``model`` on images ``x`` with targets ``y`` in batches of ``batch``.

    A step is compared in loss, gradients and how far it moves the parameters, with the kernels that were the quickest.
    The backend's time has in it what its checks cost while it trains: this comparison, every CHECK_EVERY steps.
    """
    clock, before = Clock(budget), rival or NumpyBackend()
    count = min(batch, len(x))

    async def judged() -> Judged:
        error = await proved(backend, clock)
        mine, _, left_out = await quickest(stepping(model, x[:count], y[:count], optimizer), backend, clock, 2)
        few = stepping(model, x[:SAMPLE], y[:SAMPLE], optimizer, ("loss", "gradients", "parameters"))
        sides: list[dict[str, Array]] = []
        for side in (NumpyBackend(), backend):
            program = await loaded(few, side, clock)
            try:
                began = time.perf_counter()
                sides.append(await clock.within(once(few, side, program), side, "a training step"))
                mine += (time.perf_counter() - began) / CHECK_EVERY if backend.works_ahead else 0.0
            finally:
                side.close(program)
        wrong = moved_otherwise(model.parameters, sides[1], sides[0])
        if wrong:
            raise BackendError(wrong)
        for found in sides:
            del found["parameters"]
        theirs = await rivals_step(model, x, y, optimizer, count, clock, before)
        return max(error, worst(sides[1], sides[0])), mine, theirs, left_out

    return await verdict(backend, "training", clock, judged(), before)


async def rivals_step(
    model: Sequential, x: Array, y: Array, optimizer: Any, count: int, clock: Clock, rival: Backend
) -> float:
    """Seconds of the rival's step on ``count`` images; by the line through two smaller steps where it would take
    long."""
    small, large = min(2, count), min(SAMPLE, count)
    times = {}
    for size in {small, large}:
        times[size], _ = await timed(stepping(model, x[:size], y[:size], optimizer), rival, clock, 3)
    each = (times[large] - times[small]) / max(large - small, 1)
    expected = times[large] + max(each, 0.0) * (count - large)
    if 3 * expected > clock.budget - clock.spent:
        return expected
    return (await timed(stepping(model, x[:count], y[:count], optimizer), rival, clock, 1))[0]


def stepping(model: Sequential, x: Array, y: Array, optimizer: Any, outputs: tuple[str, ...] = ("loss",)) -> Work:
    """One training step on a batch, on copies of the model's parameters."""
    plan = step_plan(model, optimizer, model.loss, len(x), (x.shape, x.dtype.name), (y.shape, y.dtype.name))
    one = np.array([[1.0]], np.float32)
    control = {"rows": np.arange(len(x), dtype=np.int32)[None], "learning_rate": RATE * one, "step": one}
    control[SEED] = np.array([[5]], np.uint32)
    kept = {name: value for name, value in control.items() if name in plan.controls}
    uploads = {"parameters": model.parameters, "data": x, "targets": y}
    return Work(plan, uploads, kept, outputs)
