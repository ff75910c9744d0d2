"""Runs inside the worker of the tests' own page, on the wheel's BrowserGpu; the test asks for its functions by name.

This module is also imported by the tests themselves.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import handlens
import handlens.offload
import numpy as np
from handlens.backends.webgpu import WebgpuBackend
from handlens.backends.webgpu.browser_gpu import BrowserGpu
from handlens.backends.webgpu.lowered import Dispatch, Lowered, Row, Source
from handlens.errors import BackendError
from handlens.plan import Plan
from worker_arrays import answered, packed, run_plan

held: dict[str, Any] = {}  # "gpu": the device of the last `opened`


async def answer(call: str, given: str) -> str:
    """One of the functions below."""
    return await answered(globals(), call, given)


async def opened(patience: float = 30.0) -> dict[str, Any]:
    """Open a device, and keep it."""
    gpu = held["gpu"] = await BrowserGpu.open(patience)
    adapter = gpu.adapter
    return {
        "name": adapter.name,
        "software": adapter.software,
        "limits": [adapter.largest_binding, adapter.largest_buffer],
    }


async def state() -> dict[str, Any]:
    """What there is to know of the device without asking it, and what nobody caught."""
    import js

    gpu = held.get("gpu")
    counts = js.faults.counts.to_py() if hasattr(js, "faults") else {}
    found = {"counts": counts, "uncaught": list(js.uncaught.to_py())}
    if gpu is not None:
        found |= {"lost": gpu.lost, "memory": gpu.memory(), "crossings": gpu.crossings}
    return found


async def planned(
    plan: str, values: dict[str, Any], names: list[str], variants: dict[str, str] | None = None
) -> dict[str, Any]:
    """Load a plan, upload, run once, fetch, close. ``variants``: op -> kernel, where it is not the usual one."""
    return await run_plan(WebgpuBackend(held["gpu"], variants), plan, values, names)


async def compiled(plans: list[tuple[str, dict[str, str]]]) -> dict[str, Any]:
    """Load plans, each with its variants, and close them: the names of the kernels that were compiled for them."""
    import js

    for text, variants in plans:
        backend = WebgpuBackend(held["gpu"], variants)
        backend.close(await backend.load(Plan.from_json(text)))
    return {"compiled": list(js.faults.compiled.to_py())}


# A program without ops: a step adds a control value to a state that shrinks, in two dispatches, and records some of it.
ADD = """
@group(0) @binding(0) var<storage, read_write> state: array<f32>;
@group(0) @binding(1) var<storage, read> push: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  state[id.x] = state[id.x] * 0.75 + push[0] * sin(f32(id.x) + push[0]);
}
"""
SHRINK = """
@group(0) @binding(0) var<storage, read_write> state: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { state[id.x] = state[id.x] / 1.25; }
"""
CELLS = 256


def recurrence(cells: int = CELLS) -> Lowered:
    """The program."""
    size = 4 * cells
    sources = (Source("add", ADD, (True, False)), Source("shrink", SHRINK, (True,)))
    groups = (cells // 64, 1, 1)
    state, push = ("state", 0, size), ("push", 0, 256)
    steps = (Dispatch(0, (state, push), groups, "add", ""), Dispatch(1, (state,), groups, "shrink", ""))
    controls, records = (Row("push", "push", 0, 4, 0),), (Row("state", "state", 0, 16, 0),)
    return Lowered({"state": size, "push": 256}, sources, (), steps, controls, records, 4, 16)


async def made_again(times: int) -> dict[str, Any]:
    """Load the program as often, and close it: what was created of the device for each."""
    import js

    gpu, created = held["gpu"], list[dict[str, int]]()
    for _ in range(times):
        before = js.faults.created.to_py()
        gpu.close(await gpu.load(recurrence(), {}))
        created.append({name: now - before[name] for name, now in js.faults.created.to_py().items()})
    return {"created": created}


async def made(cells: int = CELLS) -> dict[str, Any]:
    """Load the program; how the compilation went on."""
    told: list[list[int]] = []
    gpu = held["gpu"]
    held["program"] = await gpu.load(recurrence(cells), {}, lambda n, m: told.append([n, m]))
    return {"told": told}


async def predicted(nudges: list[float]) -> list[dict[str, Any]]:
    """A network's logits by NumPy and on the device, after each nudge to its parameters, in place; and the submits."""
    import js

    layers = [handlens.Conv2D(8, 3), handlens.Conv2D(8, 3, activation="relu"), handlens.Flatten(), handlens.Dense(10)]
    sides = [handlens.Sequential(layers, (1, 12, 12), seed=2) for _ in range(2)]
    sides[1].use(WebgpuBackend(held["gpu"]))
    images = np.random.default_rng(1).random((2, 1, 12, 12), np.float32)
    found = []
    for nudge in nudges:
        for model in sides:
            model.parameters += np.float32(nudge)
        before = js.faults.counts.submits
        logits = [packed(await model.predict_async(images, logits=True)) for model in sides]
        found.append({"logits": logits, "submits": js.faults.counts.submits - before, "left": sides[1].handed_over})
    sides[1].forget_programs()
    return found


# A whole training, small enough for a software adapter: 4 images a step, and 2 in the last one of an epoch.
IMAGES, BATCH = 102, 4


def tiny() -> handlens.Sequential:
    """A network with what training has: a convolution, a norm with running averages, dropout, a loss."""
    head = [handlens.Flatten(), handlens.Dropout(0.1), handlens.Dense(3)]
    return handlens.Sequential([handlens.Conv2D(2, 3), handlens.BatchNorm(), *head], (1, 5, 5), seed=4)


async def fitted(model: handlens.Sequential, epochs: int, *callbacks: Any) -> Any:
    """Train it on images of three kinds; its history."""
    generator = np.random.default_rng(6)
    labels = np.arange(IMAGES) % 3
    images = generator.random((IMAGES, 1, 5, 5), np.float32) + labels[:, None, None, None].astype(np.float32) / 3
    settings = {"batch_size": BATCH, "optimizer": handlens.optimizers.Adam(3e-3), "progress": False}
    return await model.fit_async(images, labels, epochs=epochs, callbacks=callbacks, **settings)


async def lasting(epochs: int) -> dict[str, Any]:
    """Train so long: what had been made of the device, and what was held on it, at the end of each epoch."""
    import js

    model, marks, checks = tiny(), list[dict[str, Any]](), [0]
    model.use(WebgpuBackend(held["gpu"]))
    plain = handlens.offload.Probe.step

    async def step(self: Any, *given: Any) -> Any:
        checks[0] += 1
        return await plain(self, *given)

    def mark(event: Any, run: Any) -> None:
        if event.kind == "epoch":
            now = {"created": js.faults.created.to_py(), "counts": js.faults.counts.to_py(), "checks": checks[0]}
            marks.append({**now, "memory": held["gpu"].memory(), "steps": run.step})

    handlens.offload.Probe.step = step
    try:
        history = await fitted(model, epochs, mark)
    finally:
        handlens.offload.Probe.step = plain
    model.forget_programs()
    return {"marks": marks, "left": history.handed_over, "memory": held["gpu"].memory()}


async def taught(epochs: int, patience: float = 30.0) -> dict[str, Any]:
    """Open a device, whatever is wrong with it, and train on it: who computes in the end, why, and the losses of the
    epochs beside NumPy's."""
    if "plain" not in held:
        held["plain"] = [row["loss"] for row in (await fitted(tiny(), epochs)).epochs]
    model = tiny()
    gpu = held["gpu"] = await BrowserGpu.open(patience)
    model.use(WebgpuBackend(gpu))
    history = await fitted(model, epochs)
    losses = [row["loss"] for row in history.epochs]
    found = {"backend": model.backend.name, "left": history.handed_over, "losses": losses, "expected": held["plain"]}
    model.forget_programs()
    return {**found, "memory": gpu.memory()}


async def shared(size: int) -> dict[str, Any]:
    """Load the program on a shared buffer of ``size`` bytes, and close both."""
    gpu = held["gpu"]
    handle = gpu.buffer(size)
    try:
        number = await gpu.load(recurrence(), {"state": handle})
        gpu.close(number)
    finally:
        gpu.free(handle)
    return {}


async def stepped(pushes: list[float], runs: int, wait: bool = True, read: bool = True) -> dict[str, Any]:
    """From zeros, as many steps as there are ``pushes``, in ``runs`` runs; records and state at the end.

    Crossings are those of the runs alone. ``wait``: as a training does, at most two runs under way.
    """
    gpu, program = held["gpu"], held["program"]
    gpu.write(program, "state", 0, np.zeros(CELLS, np.float32))
    rows, crossed, asked = [], 0, 0
    for part in np.array_split(np.asarray(pushes, np.float32), runs):
        if wait:
            await gpu.settled(1)
        before = gpu.crossings
        gpu.run(program, len(part), part.tobytes())
        crossed += gpu.crossings - before
        asked += 1
        if asked == 3:  # late reading: the records of a run are asked for when two more are under way
            rows.append(await gpu.records(program))
            asked -= 1
    for _ in range(asked):
        rows.append(await gpu.records(program))
    (state,) = await gpu.read(program, [("state", 0, 4 * CELLS)]) if read else (b"",)
    records = np.frombuffer(b"".join(rows), np.float32)
    return {"records": packed(records), "state": packed(np.frombuffer(state, np.float32)), "crossings": crossed}


async def unread(runs: int) -> dict[str, Any]:
    """Runs whose records nobody reads, without waiting; what then is left to be read."""
    gpu, program = held["gpu"], held["program"]
    gpu.write(program, "state", 0, np.zeros(CELLS, np.float32))
    for k in range(runs):
        gpu.run(program, 1, np.float32(k).tobytes())
    left = 0
    try:
        while True:
            await gpu.records(program)
            left += 1
    except BackendError as error:
        return {"left": left, "reason": str(error)}


async def overtaken(runs: int) -> dict[str, Any]:
    """Records asked for while more runs are submitted, without waiting: each comes, and is of its own run."""
    gpu, program = held["gpu"], held["program"]
    gpu.write(program, "state", 0, np.zeros(CELLS, np.float32))
    reading = []
    for _ in range(runs):
        gpu.run(program, 1, np.float32(1).tobytes())
        reading.append(asyncio.ensure_future(gpu.records(program)))
        await asyncio.sleep(0)
    rows = await asyncio.gather(*reading)
    return {"records": packed(np.frombuffer(b"".join(rows), np.float32))}


async def at_once() -> dict[str, Any]:
    """Several reads and records of one program at the same time, with the program closed while two more wait."""
    gpu, program = held["gpu"], held["program"]
    gpu.write(program, "state", 0, np.arange(CELLS, dtype=np.float32))
    places = [[("state", 0, 16)], [("state", 1008, 16), ("state", 4, 4)], [("state", 512, 64)]]
    reads = await asyncio.gather(*(gpu.read(program, some) for some in places))
    gpu.run(program, 1, np.float32(0).tobytes())
    late = [asyncio.ensure_future(gpu.records(program)), asyncio.ensure_future(gpu.read(program, places[0]))]
    await asyncio.sleep(0)
    gpu.close(program)
    gpu.close(program)
    ends = await asyncio.gather(*late, return_exceptions=True)
    values = [[packed(np.frombuffer(part, np.float32)) for part in some] for some in reads]
    return {"reads": values, "ends": [str(end) if isinstance(end, Exception) else "" for end in ends]}


async def busy(seconds: float) -> dict[str, Any]:
    """Compute in this thread, the event loop blocked, while a read is under way."""
    gpu, program = held["gpu"], held["program"]
    reading = asyncio.ensure_future(gpu.read(program, [("state", 0, 16)]))
    await asyncio.sleep(0)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    (data,) = await reading
    return {"lost": gpu.lost, "bytes": len(data)}


async def cancelled() -> dict[str, Any]:
    """A loading that is cancelled leaves nothing behind."""
    gpu = held["gpu"]
    loading = asyncio.ensure_future(gpu.load(recurrence(), {}, lambda n, m: None))
    await asyncio.sleep(0)
    loading.cancel()
    try:
        await loading
    except asyncio.CancelledError:
        await asyncio.sleep(0.5)
        return {"memory": gpu.memory()}
    return {"memory": "it was not cancelled"}


async def everything_after_a_loss() -> dict[str, Any]:
    """Nothing but reading and loading raises on a lost device."""
    gpu, program = held["gpu"], held["program"]
    gpu.write(program, "state", 0, np.zeros(CELLS, np.float32))
    gpu.prepare(program)
    gpu.run(program, 1, np.float32(0).tobytes())
    await gpu.settled()
    handle = gpu.buffer(256)
    gpu.write_shared(handle, np.zeros(4, np.float32))
    gpu.free(handle)
    reasons = []
    for wait in (gpu.records(program), gpu.read(program, [("state", 0, 16)]), gpu.load(recurrence(), {})):
        try:
            await wait
            reasons.append("")
        except BackendError as error:
            reasons.append(str(error))
    gpu.close(program)
    gpu.close(program)
    kept = gpu._replay.pipelines.size + gpu._replay.layouts.size
    return {"reasons": reasons, "lost": gpu.lost, "memory": gpu.memory(), "kept": kept}
