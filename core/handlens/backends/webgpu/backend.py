"""The WebGPU backend: lowers plans to WGSL dispatches and has a device replay them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from ...errors import BackendError, PlanError
from ...graph import Array, as_numpy_dtype
from ...memory import aligned
from ...plan import Place, Plan
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
    writes: tuple[str, ...]  # of the mirrors
    prepared: tuple[int, ...] | None = None  # versions of its shared buffers that the prologue has seen; None: none
    pending: int = 0  # runs whose records have not been read
    recorded: dict[str, Array] = field(default_factory=dict)
    closed: bool = False


@dataclass
class Shared:
    """A device buffer that several programs work on, made from one host array.

    ``kept``: a copy of the bytes that the device holds, None where they are not known. The host's array may be changed
    by anyone and in place, so that nothing but its bytes tells whether they have to be written again.
    """

    handle: int
    array: Array  # held, so that its id stays its own
    users: int = 0
    kept: Array | None = None
    version: int = 0  # counts the changes on the device

    def touched(self) -> None:
        """Something other than the host's array was written."""
        self.kept, self.version = None, self.version + 1


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
        found = self._lowered(plan)
        return found if isinstance(found, list) else []

    def _lowered(self, plan: Plan) -> Lowered | list[str]:
        """The plan for the device, or the reasons why it cannot run it."""
        adapter = self.device.adapter
        found = [self.device.lost] if self.device.lost else []
        found += reasons(plan, min(adapter.largest_binding, adapter.largest_buffer))
        if found:
            return found
        try:
            return lower(plan, self.variants[work_of(plan)])
        except PlanError as error:  # a size that a kernel does not serve, or an operand bound twice
            return [str(error)]

    async def load(self, plan: Plan, shared: Mapping[str, Array] | None = None) -> GpuProgram:
        lowered = self._lowered(plan)
        if isinstance(lowered, list):
            raise BackendError(f"webgpu cannot run this plan: {'; '.join(lowered)}")
        mirrors = dict(shared or {})
        trains = "data" in mirrors
        self._check_room(lowered)
        handles: dict[str, int] = {}
        try:
            for name, array in mirrors.items():
                handles[name] = self._share(array, plan.buffers[name], trains)
            handle = await self.device.load(lowered, handles, self.progress)
        except BaseException:  # a cancelled loading, too, gives back what it has taken
            self._unshare({name: mirrors[name] for name in handles}, trains)
            raise
        return GpuProgram(plan, lowered, handle, mirrors, trains, written(plan, mirrors))

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
        buffer, offset, values = self._write(loaded, name, data)
        self.device.write(loaded.handle, buffer, offset, values)
        if name not in loaded.plan.inputs:
            loaded.prepared = None  # the prologue may read it
        self._touched(loaded, [buffer] if buffer in loaded.mirrors else [])

    def _write(self, loaded: GpuProgram, name: str, data: Array) -> tuple[str, int, Any]:
        """(buffer, offset, bytes) of an upload."""
        place = loaded.plan.tensors.get(name)
        if place is None:
            buffer, offset, kind, shape = name, 0, np.asarray(data).dtype, np.shape(data)
            if name not in loaded.plan.buffers or np.asarray(data).nbytes > loaded.plan.buffers[name]:
                raise PlanError(f"nothing that holds {np.asarray(data).nbytes} bytes is called {name!r} here")
        else:
            buffer, offset, kind, shape = place.buffer, place.offset, as_numpy_dtype(place.dtype), place.shape
        if tuple(shape) != np.shape(data):
            raise PlanError(f"{name!r} has shape {shape}; got {np.shape(data)}")
        return buffer, offset, padded(np.asarray(data).astype(kind, casting="same_kind"))

    def prepare(self, program: Program) -> None:
        loaded = opened(program)
        if loaded.trains:  # its parameters are the device's own
            self._prologue(loaded, ())
            return
        versions = tuple(self._refreshed(self._shared[id(array), False]) for array in loaded.mirrors.values())
        if versions != loaded.prepared:
            self._prologue(loaded, versions)

    def _refreshed(self, shared: Shared) -> int:
        """The version of a shared buffer, after what the host has changed was written."""
        now = padded(shared.array)
        if shared.kept is None or not same(now, shared.kept):
            self.device.write_shared(shared.handle, now)
            shared.kept, shared.version = now.copy(), shared.version + 1
        return shared.version

    def _prologue(self, loaded: GpuProgram, versions: tuple[int, ...]) -> None:
        if loaded.lowered.prologue:
            self.device.prepare(loaded.handle)
        loaded.prepared = versions

    def _touched(self, loaded: GpuProgram, names: Iterable[str]) -> None:
        """Of these shared buffers the device no longer holds what the host does."""
        for name in names:
            self._shared[id(loaded.mirrors[name]), loaded.trains].touched()

    def push(self, program: Program) -> None:
        loaded = opened(program)
        for name in loaded.writes:
            shared = self._shared[id(loaded.mirrors[name]), loaded.trains]
            self.device.write_shared(shared.handle, padded(shared.array))
        self._touched(loaded, loaded.writes)

    async def pull(self, program: Program) -> None:
        loaded = opened(program)
        places = [(name, 0, aligned(loaded.mirrors[name].nbytes)) for name in loaded.writes]
        for name, data in zip(loaded.writes, await self.device.read(loaded.handle, places), strict=True):
            array = loaded.mirrors[name]
            np.copyto(array, np.frombuffer(data, array.dtype, array.size).reshape(array.shape))

    def run(self, program: Program, steps: int = 1, control: Control | None = None) -> None:
        loaded = opened(program)
        if steps > MOST_STEPS:
            raise BackendError(f"{steps} steps in one run; this backend takes {MOST_STEPS}")
        self._before(loaded)
        self.device.run(loaded.handle, steps, packed(loaded, steps, control or {}))
        loaded.pending = min(loaded.pending + bool(loaded.lowered.records), RECORDS_KEPT)

    def _before(self, loaded: GpuProgram) -> None:
        """Before a run: what its prologue makes is there, and what it writes is no longer the host's."""
        if loaded.prepared is None:
            self._prologue(loaded, ())
        self._touched(loaded, loaded.writes)

    async def answer(
        self, program: Program, name: str, data: Array, *outputs: str, cooperative: bool = True
    ) -> dict[str, Array]:
        loaded = opened(program)
        if loaded.lowered.records or name not in loaded.plan.inputs:
            return await super().answer(program, name, data, *outputs, cooperative=cooperative)
        self._before(loaded)
        places = placed(loaded.plan, outputs)
        read = await self.device.answer(loaded.handle, self._write(loaded, name, data), spans(places))
        return {name: values(place, found) for name, place, found in zip(outputs, places, read, strict=True)}

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
        found = {name: loaded.recorded[name].copy() for name in names if name in loaded.recorded}
        asked = [name for name in names if name not in found]
        places = placed(loaded.plan, asked)
        read = await self.device.read(loaded.handle, spans(places)) if places else []
        return found | {name: values(place, data) for name, place, data in zip(asked, places, read, strict=True)}

    def close(self, program: Program) -> None:
        loaded = cast(GpuProgram, program)
        if not loaded.closed:
            loaded.closed = True
            self.device.close(loaded.handle)
            self._unshare(loaded.mirrors, loaded.trains)


def written(plan: Plan, mirrors: Mapping[str, Array]) -> tuple[str, ...]:
    """The shared buffers that a plan's steps write."""
    names = {plan.tensors[t].buffer for step in plan.steps for t in (*step.outputs, *step.updates)}
    return tuple(name for name in mirrors if name in names)


def placed(plan: Plan, names: Iterable[str]) -> list[Place]:
    """Where public outputs, tensors or whole buffers lie."""
    found = []
    for name in names:
        tensor = plan.outputs.get(name, name)
        if tensor not in plan.tensors and tensor not in plan.buffers:
            raise PlanError(f"nothing is called {name!r} here; there are: {', '.join(plan.outputs)}")
        whole = Place(tensor, 0, (plan.buffers.get(tensor, 0),), "uint8")
        found.append(plan.tensors.get(tensor, whole))
    return found


def spans(places: Iterable[Place]) -> list[tuple[str, int, int]]:
    """(buffer, offset, bytes) to read, in whole words."""
    return [(place.buffer, place.offset, -(-place.bytes // 4) * 4) for place in places]


def values(place: Place, data: bytes) -> Array:
    """What was read, as the place's own kind."""
    return np.frombuffer(data, place.dtype, math.prod(place.shape)).reshape(place.shape).copy()


def work_of(plan: Plan) -> str:
    """ "training" for a plan on a resident data set, else "inference": each has the kernels that suit it."""
    return "training" if "data" in plan.buffers else "inference"


def opened(program: Program) -> GpuProgram:
    """The program, if it is one of ours and still open."""
    if not isinstance(program, GpuProgram) or program.closed:
        raise BackendError("this program is closed, or belongs to another backend; load the plan again")
    return program


def same(one: Array, other: Array) -> bool:
    """Whether two arrays of as many bytes hold the same ones: bits, for which a NaN is like itself."""
    kind = np.uint64 if one.size % 8 == 0 else np.uint8  # eight at a time are six times as fast
    return bool(np.array_equal(one.view(kind), other.view(kind)))


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
