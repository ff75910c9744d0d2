"""What each op of a network reaches on the compiled kernels, beside the most that one core can do.

A multiply-add counts as two operations, a convolution's as many as its definition has: Winograd's way to compute it, or
an adjoint that skips the zeros which pooling leaves, needs fewer, and may go above the peak. What multiplies nothing is
held to the bytes that it moves.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from . import architectures
from .backends.base import drive
from .backends.native.backend import NativeBackend, NativeProgram, opened
from .backends.native.library import Library
from .bench import step_program
from .errors import BackendError

TRIAL = 20_000  # rounds of hl_speed: half a millisecond or less where vectors are compiled at all
PEAK_SECONDS = 0.02  # of each of a few measurements: a browser's clock has ticks of 0.1 ms
PEAK_ROUNDS = 5


def peak(library: Library, seconds: float = PEAK_SECONDS, rounds: int = PEAK_ROUNDS) -> float:
    """GFLOP/s of independent multiply-adds in registers on one core: the best of a few measurements."""
    sink = np.zeros(32, np.float32)
    sink[:2] = 0.5, 1.0  # sums that converge: neither denormal nor infinite

    def speed(count: int) -> tuple[float, float]:
        began = time.perf_counter()
        done = float(library.c.hl_speed(count, sink.ctypes.data))
        return done, time.perf_counter() - began

    count = TRIAL
    while (spent := speed(count)[1]) < seconds / 4:
        count *= 4
    count = max(1, int(count * seconds / spent))
    return max(1e-9 * done / spent for done, spent in (speed(count) for _ in range(rounds)))


def inference(backend: NativeBackend, name: str, images: int) -> NativeProgram:
    """A loaded and filled plan of a named network's inference."""
    model = architectures.build(name)
    program = opened(drive(backend.load(model.plan(images))))
    backend.upload(program, "parameters", model.parameters)
    backend.upload(program, "input", np.random.default_rng(0).random((images, *model.input_shape), np.float32))
    backend.prepare(program)
    backend.run(program)
    return program


def training(backend: NativeBackend, name: str, batch: int) -> NativeProgram:
    """A loaded and filled plan of a named network's training step with Adam."""
    model = architectures.build(name)
    model.use(backend)
    loaded, control = step_program(model, batch, 1e-9)  # so slow a step may be repeated as often as we like
    backend.run(loaded, 1, control)
    return opened(loaded)


def steps(backend: NativeBackend, program: NativeProgram, repeats: int, least: float) -> list[dict[str, Any]]:
    """Every call of a loaded plan, timed alone: in each round those that take less than ``least`` seconds are repeated
    as often as fills them. No call writes over what it reads, so that each may be repeated."""

    def call(k: int) -> Callable[[], None]:
        def run() -> None:
            if error := backend.library.c.hl_run_part(program.address, k, k + 1):
                raise BackendError(f"the compiled kernels stopped (error {error})")

        return run

    calls = program.lowered.steps
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(repeats + 1):
        for k in range(len(calls)):
            run, began, count, spent = call(k), time.perf_counter(), 0, 0.0
            while not count or spent < least:
                run()
                count += 1
                spent = time.perf_counter() - began
            if turn:  # the first warms up: a browser begins with code that it compiled in haste
                times[k].append(spent / count)
    rows = []
    for made, taken in zip(calls, times, strict=True):
        seconds = statistics.median(taken)
        moved = sum(program.lowered.tensors[t].bytes for t in (*made.inputs, *made.outputs, *made.updates))
        rows.append(
            {
                **{"op": made.op, "layer": made.layer, "milliseconds": 1e3 * seconds},
                **{"gflops": 2e-9 * made.multiply_adds / seconds, "gigabytes": 1e-9 * moved / seconds},
            }
        )
    return rows


def measure(library: Library, name: str, batch: int, images: int, repeats: int, least: float = 0.005) -> dict[str, Any]:
    """Peak and ops of a named network's inference and training step on one build of the kernels."""
    backend = NativeBackend(library)
    jobs = {f"inference, batch {images}": (inference, images), f"training step, batch {batch}, Adam": (training, batch)}
    before = peak(library)
    rows = []
    for title, (load, count) in jobs.items():
        program = load(backend, name, count)
        rows += [{"job": title, **row} for row in steps(backend, program, repeats, least)]
        backend.close(program)
    # Measured again: the clock of a laden machine, or one that is hot, is not what it was.
    return {
        "name": name,
        "title": library.title,
        "lanes": library.lanes,
        "peak": max(before, peak(library)),
        "ops": rows,
    }
