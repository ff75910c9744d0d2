"""The WebGPU backend: lowers plans to WGSL dispatches and has a device replay them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from ...errors import BackendError, PlanError
from ...graph import Array, as_numpy_dtype
from ...memory import aligned
from ...plan import Plan
from ..base import IN_FLIGHT, MOST_STEPS, Backend, Control, Program
from . import lower as _fills_the_table  # noqa: F401
from .device import RECORDS_KEPT, Device, Progress
from .lowered import Lowered, lower, reasons

TWO_VARIANTS = ("conv2d", "dense", "matmul")  # register-tiled, as usual, or tiled through workgroup memory


@dataclass
class GpuProgram(Program):
    """A loaded plan. ``mirrors``: buffer name -> the host array it began as; ``trains``: on a resident data set."""

    plan: Plan
    lowered: Lowered
    handle: int
    mirrors: dict[str, Array]
    trains: bool
    steps: int = 0  # of the last run
    pending: int = 0  # runs whose records have not been read
    recorded: dict[str, Array] = field(default_factory=dict)
    closed: bool = False


@dataclass
class Shared:
    """A device buffer that several programs work on, made from one host array."""

    handle: int
    array: Array  # held, so that its id stays its own
    users: int = 0


class WebgpuBackend(Backend):
    """Replays plans on a GPU, float32. ``progress`` is told of kernels compiled, so that a page can say so."""

    name = "webgpu"
    works_ahead = True

    def __init__(self, device: Device, variants: Mapping[str, str] | None = None) -> None:
        self.device = device
        self.suspends = device.waits
        self.variants = {work: dict(variants or {}) for work in ("inference", "training")}
        self.progress: Progress | None = None
        self._shared: dict[tuple[int, bool], Shared] = {}

    def variants_of(self, plan: Plan) -> Sequence[Mapping[str, str]]:
        both = {op: "tiled" for op in TWO_VARIANTS if any(step.op == op for step in plan.steps)}
        return ({}, both) if both else ({},)

    def prefer(self, plan: Plan, variants: Mapping[str, str]) -> None:
        self.variants[work_of(plan)] = dict(variants)

    def supports(self, plan: Plan) -> list[str]:
        adapter = self.device.adapter
        found = [self.device.lost] if self.device.lost else []
        found += reasons(plan, min(adapter.largest_binding, adapter.largest_buffer))
        if not found:
            try:
                lower(plan, self.variants[work_of(plan)])
            except PlanError as error:  # a size that a kernel does not serve, or an operand bound twice
                found.append(str(error))
        return found

    async def load(self, plan: Plan, shared: Mapping[str, Array] | None = None) -> GpuProgram:
        against = self.supports(plan)
        if against:
            raise BackendError(f"webgpu cannot run this plan: {'; '.join(against)}")
        mirrors = dict(shared or {})
        trains = "data" in mirrors
        lowered = lower(plan, self.variants[work_of(plan)])
        self._check_room(lowered)
        handles: dict[str, int] = {}
        try:
            for name, array in mirrors.items():
                handles[name] = self._share(array, plan.buffers[name], trains)
            handle = await self.device.load(lowered, handles, self.progress)
        except BaseException:  # a cancelled loading, too, gives back what it has taken
            self._unshare({name: mirrors[name] for name in handles}, trains)
            raise
        return GpuProgram(plan, lowered, handle, mirrors, trains)

    def _check_room(self, lowered: Lowered) -> None:
        """Refuse what the adapter does not grant: the plan's buffers, scratch, control rows and records."""
        adapter = self.device.adapter
        largest = min(adapter.largest_binding, adapter.largest_buffer)
        rows = {"control rows": lowered.control_bytes * MOST_STEPS, "records": lowered.record_bytes * MOST_STEPS}
        for name, size in (lowered.buffers | rows).items():
            if size > largest:
                raise BackendError(f"{name!r} of {size:,} bytes is larger than this adapter's limit of {largest:,}")

    def _share(self, array: Array, size: int, trains: bool) -> int:
        """A device buffer for a host array. Programs that train share theirs, apart from those that only infer: a
        drawing can be read, with the weights as they stood, while a training moves its own."""
        key = (id(array), trains)
        if key not in self._shared:
            if array.nbytes > aligned(size):
                raise BackendError(f"a shared array of {array.nbytes} bytes met a buffer of {size}")
            self._shared[key] = Shared(self.device.buffer(aligned(size)), array)
            self.device.write_shared(self._shared[key].handle, padded(array))
        self._shared[key].users += 1
        return self._shared[key].handle

    def _unshare(self, mirrors: Mapping[str, Array], trains: bool) -> None:
        for array in mirrors.values():
            shared = self._shared.get((id(array), trains))
            if shared is not None:
                shared.users -= 1
                if not shared.users:
                    self.device.free(shared.handle)
                    del self._shared[id(array), trains]

    def upload(self, program: Program, name: str, data: Array) -> None:
        loaded = opened(program)
        place = loaded.plan.tensors.get(name)
        if place is None:
            buffer, offset, kind, shape = name, 0, np.asarray(data).dtype, np.shape(data)
            if name not in loaded.plan.buffers or np.asarray(data).nbytes > loaded.plan.buffers[name]:
                raise PlanError(f"nothing that holds {np.asarray(data).nbytes} bytes is called {name!r} here")
        else:
            buffer, offset, kind, shape = place.buffer, place.offset, as_numpy_dtype(place.dtype), place.shape
        if tuple(shape) != np.shape(data):
            raise PlanError(f"{name!r} has shape {shape}; got {np.shape(data)}")
        self.device.write(loaded.handle, buffer, offset, padded(np.asarray(data).astype(kind, casting="same_kind")))

    def prepare(self, program: Program) -> None:
        loaded = opened(program)
        if not loaded.trains:  # the host's parameters may have changed; a training's own are on the device
            for array in loaded.mirrors.values():
                self.device.write_shared(self._shared[id(array), False].handle, padded(array))
        self.device.prepare(loaded.handle)

    def push(self, program: Program) -> None:
        loaded = opened(program)
        for name in written(loaded):
            array = loaded.mirrors[name]
            self.device.write_shared(self._shared[id(array), loaded.trains].handle, padded(array))

    async def pull(self, program: Program) -> None:
        loaded = opened(program)
        names = written(loaded)
        places = [(name, 0, aligned(loaded.mirrors[name].nbytes)) for name in names]
        for name, data in zip(names, await self.device.read(loaded.handle, places), strict=True):
            array = loaded.mirrors[name]
            np.copyto(array, np.frombuffer(data, array.dtype, array.size).reshape(array.shape))

    def run(self, program: Program, steps: int = 1, control: Control | None = None) -> None:
        loaded = opened(program)
        if steps > MOST_STEPS:
            raise BackendError(f"{steps} steps in one run; this backend takes {MOST_STEPS}")
        self.device.run(loaded.handle, steps, packed(loaded, steps, control or {}))
        loaded.steps = steps
        loaded.pending = min(loaded.pending + bool(loaded.lowered.records), RECORDS_KEPT)

    async def run_async(
        self, program: Program, steps: int = 1, control: Control | None = None, budget: float = 0.05
    ) -> None:
        await self.device.settled(IN_FLIGHT - 1)
        self.run(program, steps, control)

    async def recorded(self, program: Program) -> dict[str, Array]:
        """What the oldest run not yet asked for has recorded, a row a step; {} where there is none."""
        loaded = opened(program)
        if not loaded.pending:
            return {}
        loaded.pending -= 1
        data = await self.device.records(loaded.handle)
        count = len(data) // loaded.lowered.record_bytes
        rows = np.frombuffer(data, np.uint8).reshape(count, -1)
        found = {}
        for row in loaded.lowered.records:
            place = loaded.plan.tensors[loaded.plan.outputs[row.name]]
            cut = np.ascontiguousarray(rows[:, row.at : row.at + row.bytes])
            found[row.name] = cut.view(place.dtype).reshape(count, *place.shape)
        loaded.recorded = found
        return found

    async def fetch(self, program: Program, *names: str) -> dict[str, Array]:
        loaded = opened(program)
        while loaded.pending:  # the records of the last run are what is asked for
            await self.recorded(program)
        found, places, shapes = {}, [], []
        for name in names:
            if name in loaded.recorded:
                found[name] = loaded.recorded[name].copy()
                continue
            tensor = loaded.plan.outputs.get(name, name)
            if tensor in loaded.plan.tensors:
                place = loaded.plan.tensors[tensor]
                places.append((place.buffer, place.offset, -(-place.bytes // 4) * 4))
                shapes.append((name, place.shape, place.dtype))
            elif tensor in loaded.plan.buffers:
                places.append((tensor, 0, loaded.plan.buffers[tensor]))
                shapes.append((name, (loaded.plan.buffers[tensor],), "uint8"))
            else:
                raise PlanError(f"nothing is called {name!r} here; there are: {', '.join(loaded.plan.outputs)}")
        read = await self.device.read(loaded.handle, places) if places else []
        for (name, shape, kind), data in zip(shapes, read, strict=True):
            found[name] = np.frombuffer(data, kind, int(np.prod(shape))).reshape(shape).copy()
        return found

    def close(self, program: Program) -> None:
        loaded = cast(GpuProgram, program)
        if not loaded.closed:
            loaded.closed = True
            self.device.close(loaded.handle)
            self._unshare(loaded.mirrors, loaded.trains)


def written(program: GpuProgram) -> list[str]:
    """The shared buffers that a program's steps write."""
    plan = program.plan
    names = {plan.tensors[t].buffer for step in plan.steps for t in (*step.outputs, *step.updates)}
    return [name for name in program.mirrors if name in names]


def work_of(plan: Plan) -> str:
    """ "training" for a plan on a resident data set, else "inference": each has the kernels that suit it."""
    return "training" if "data" in plan.buffers else "inference"


def opened(program: Program) -> GpuProgram:
    """The program, if it is one of ours and still open."""
    if not isinstance(program, GpuProgram) or program.closed:
        raise BackendError("this program is closed, or belongs to another backend; load the plan again")
    return program


def padded(array: Array) -> Any:
    """The array's bytes, padded to whole words: what WebGPU writes."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    short = -flat.size % 4
    return np.concatenate([flat, np.zeros(short, np.uint8)]) if short else flat


def packed(program: GpuProgram, steps: int, control: Control) -> bytes:
    """The control values of a run as the device takes them: one row a step, its values in the plan's order."""
    lowered = program.lowered
    given = [row for row in lowered.controls if row.name in control]
    if not given:
        return b""
    if len(given) != len(lowered.controls):
        lacking = [row.name for row in lowered.controls if row.name not in control]
        raise PlanError(f"this plan needs the control value {lacking[0]!r} too")
    rows = np.zeros((steps, lowered.control_bytes), np.uint8)
    for row in lowered.controls:
        place = program.plan.tensors[row.name]
        values = np.ascontiguousarray(np.asarray(control[row.name])[:steps], as_numpy_dtype(place.dtype))
        rows[:, row.at : row.at + row.bytes] = values.reshape(steps, -1).view(np.uint8)
    return rows.tobytes()
