"""The compiled kernels behind the interface of every backend."""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from ...errors import BackendError, PlanError
from ...graph import Array, as_numpy_dtype
from ...plan import Place, Plan
from ..base import Backend, Control, Program
from ..numpy_backend import as_bytes, view
from .encode import encode
from .library import REASONS, Library, find
from .lower import Lowered, lower, unsupported

ALIGNMENT = 64  # of program memory and scratch: HL_ALIGNMENT of handlens.h
MOST_ROOM = 1 << 30  # bytes of program memory and scratch that a plan may ask for: shapes from a file can ask for any
WORDS = 4  # bytes that each control value and record is padded to
FIRST_GUESS = 2e10  # multiply-adds a second, until a part of a plan has been timed


@dataclass
class NativeProgram(Program):
    """A loaded plan: buffers, the views that are written and read, and the memory that the kernels replay it from."""

    plan: Plan
    lowered: Lowered
    buffers: dict[str, Array]
    tensors: dict[str, Array]
    memory: Array
    scratch: Array
    address: int
    control_bytes: int
    record_bytes: int
    records: Array = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    seconds: float = 0.0  # of one replay, as last timed
    since: float = field(default_factory=time.perf_counter)  # when the event loop last had its turn
    closed: bool = False

    async def turn(self, budget: float) -> None:
        """Give the event loop its turn where another replay might keep it waiting for longer than ``budget``."""
        if time.perf_counter() - self.since + self.seconds >= budget:
            await asyncio.sleep(0)
            opened(self)  # it may have been closed meanwhile, and its memory with it
            self.since = time.perf_counter()


class NativeBackend(Backend):
    """Replays plans in C, in place on NumPy's memory. ``crossings`` counts the calls into the library.

    library: an opened build of the kernels; the best for this machine by default. fused: whether ops are joined where
    the plan allows. Raises BackendError with the reason where no build can be opened.
    """

    name = "native"

    def __init__(self, library: Library | None = None, fused: bool = True) -> None:
        self.library = library or find()
        self.fused = fused
        self.crossings = 0

    def supports(self, plan: Plan) -> list[str]:
        return unsupported(plan, self.library.ops)

    async def load(self, plan: Plan, shared: Mapping[str, Array] | None = None) -> NativeProgram:
        why = self.supports(plan)
        if why:
            raise BackendError(f"the compiled kernels cannot run this plan: {'; '.join(why)}")
        given = {name: as_bytes(array, name) for name, array in (shared or {}).items() if name in plan.buffers}
        lowered = lower(plan, self.fused)
        lowered = replace(lowered, buffers=lowered.buffers | {name: a.size for name, a in given.items()})
        data = np.frombuffer(encode(plan, lowered, self.library.ops, self.library.ops_hash), np.uint8)
        encoded = room(data.size)
        encoded[...] = data
        sizes = (ctypes.c_size_t * 5)()
        error = self.library.c.hl_measure(encoded.ctypes.data, data.size, ctypes.addressof(sizes))
        self._accepted(error, lowered, int(sizes[4]))
        if sizes[0] + sizes[1] > MOST_ROOM:
            asked = f"{sizes[0] + sizes[1]:,} bytes of memory besides its buffers; at most {MOST_ROOM:,} are given"
            raise BackendError(f"the compiled kernels refuse the plan: it asks for {asked}")
        buffers = {name: given[name] if name in given else room(size) for name, size in lowered.buffers.items()}
        memory, scratch = room(int(sizes[0])), room(int(sizes[1]))
        self._load(encoded, buffers, lowered, memory, scratch)
        tensors = {name: view(buffers[place.buffer], place) for name, place in lowered.tensors.items()}
        address = int(memory.ctypes.data)
        return NativeProgram(plan, lowered, buffers, tensors, memory, scratch, address, int(sizes[2]), int(sizes[3]))

    def _load(self, encoded: Array, buffers: dict[str, Array], lowered: Lowered, memory: Array, scratch: Array) -> None:
        arrays = list(buffers.values())
        addresses = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
        lengths = (ctypes.c_size_t * len(arrays))(*(a.nbytes for a in arrays))
        error = self.library.c.hl_load_plan(
            *(encoded.ctypes.data, encoded.size, ctypes.addressof(addresses), ctypes.addressof(lengths), len(arrays)),
            *(memory.ctypes.data, memory.size, scratch.ctypes.data, scratch.size),
        )
        self._accepted(error, lowered, len(lowered.prologue) + len(lowered.steps))

    def _accepted(self, error: int, lowered: Lowered, step: int) -> None:
        """Raise what the kernels have against a plan, met at its ``step``."""
        if not error:
            return
        calls = (*lowered.prologue, *lowered.steps)
        where = f" at {calls[step].op} ({calls[step].layer or 'no layer'})" if step < len(calls) else ""
        raise BackendError(f"the compiled kernels refuse the plan{where}: {REASONS.get(error, f'error {error}')}")

    def upload(self, program: Program, name: str, data: Array) -> None:
        loaded = opened(program)
        target = loaded.tensors.get(name)
        if target is None:
            if name not in loaded.buffers:
                raise PlanError(f"nothing is called {name!r} here")
            target = loaded.buffers[name].view(np.asarray(data).dtype)[: np.asarray(data).size]
        if target.shape != np.shape(data):
            raise PlanError(f"{name!r} has shape {target.shape}; got {np.shape(data)}")
        np.copyto(target, data, casting="same_kind")

    def prepare(self, program: Program) -> None:
        loaded = opened(program)
        if loaded.plan.prologue:
            self._called(self.library.c.hl_prepare(loaded.address))

    def run(self, program: Program, steps: int = 1, control: Control | None = None) -> None:
        loaded = opened(program)
        self._replay(loaded, steps, control, record_rows(loaded, steps))

    def _called(self, error: int) -> None:
        self.crossings += 1
        if error:
            raise BackendError(f"the compiled kernels stopped: {REASONS.get(error, f'error {error}')}")

    async def run_async(
        self, program: Program, steps: int = 1, control: Control | None = None, budget: float = 0.05
    ) -> None:
        """Whole replays in one call while they fit into the budget; a longer one is cut between its ops."""
        loaded = opened(program)
        records = record_rows(loaded, steps)
        at = 0
        while at < steps:
            each = loaded.seconds or max(loaded.plan.multiply_adds / FIRST_GUESS, 1e-6)
            count = int(min(steps - at, budget / each)) or 1
            part = {name: rows[at : at + count] for name, rows in control.items()} if control else None
            if each <= budget:
                began = time.perf_counter()
                self._replay(loaded, count, part, records[at : at + count])
                spent = time.perf_counter() - began
                await loaded.turn(budget)
            else:
                spent = await self._in_parts(loaded, part, records[at], budget / each)
            loaded.seconds = spent / count
            at += count

    def _replay(self, loaded: NativeProgram, count: int, control: Control | None, records: Array) -> None:
        rows = packed(loaded, count, control) if control else None
        given = (rows.ctypes.data, rows.size) if rows is not None else (None, 0)
        kept = (records.ctypes.data, records.size) if records.size else (None, 0)
        self._called(self.library.c.hl_run(loaded.address, count, *given, *kept))

    async def _in_parts(self, loaded: NativeProgram, control: Control | None, record: Array, share: float) -> float:
        """One replay, the event loop getting its turn after each ``share`` of its work; the seconds it took."""
        spent = 0.0
        if control:
            scatter(loaded, packed(loaded, 1, control))
        calls = loaded.lowered.steps
        weights = np.cumsum([work(loaded, k) for k in range(len(calls))])
        first = 0
        while first < len(calls):
            done = float(weights[first - 1]) if first else 0.0
            last = int(np.searchsorted(weights, done + share * float(weights[-1]), side="right"))
            last = min(max(last, first + 1), len(calls))
            began = time.perf_counter()
            self._called(self.library.c.hl_run_part(loaded.address, first, last))
            spent += time.perf_counter() - began
            first = last
            if first < len(calls):
                await asyncio.sleep(0)
                opened(loaded)
                loaded.since = time.perf_counter()
        gather(loaded, record)
        return spent

    async def fetch(self, program: Program, *names: str) -> dict[str, Array]:
        loaded = opened(program)
        found: dict[str, Array] = {}
        for name in names:
            if name in loaded.plan.records:
                found[name] = recorded(loaded, name)
                continue
            tensor = loaded.plan.outputs.get(name, name)
            source = loaded.tensors.get(tensor, loaded.buffers.get(tensor))
            if source is None:
                raise PlanError(f"nothing is called {name!r} here; there are: {', '.join(loaded.plan.outputs)}")
            found[name] = source.copy()
        return found

    def close(self, program: Program) -> None:
        loaded = cast(NativeProgram, program)
        loaded.closed = True
        for kept in (loaded.buffers, loaded.tensors):
            kept.clear()


def room(size: int) -> Array:
    """Zeroed bytes at an aligned address; at least one, since an empty array's address means nothing."""
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + max(size, 1)]


def opened(program: Program) -> NativeProgram:
    """The program, if it is one of ours and still open."""
    if not isinstance(program, NativeProgram) or program.closed:
        raise BackendError("this program is closed, or belongs to another backend; load the plan again")
    return program


def record_rows(loaded: NativeProgram, steps: int) -> Array:
    """Room for the records of a run; that of the last run where it has the same length."""
    if len(loaded.records) != steps:
        loaded.records = np.zeros((steps, loaded.record_bytes), np.uint8)
    return loaded.records


def padded(place: Place) -> int:
    """Bytes of a control value or record in its row."""
    return -(-place.bytes // WORDS) * WORDS


def work(loaded: NativeProgram, call: int) -> float:
    """A call's share of a replay's time, in units of no meaning: multiply-adds, and bytes for those that have none."""
    made = loaded.lowered.steps[call]
    moved = sum(loaded.lowered.tensors[t].bytes for t in (*made.inputs, *made.outputs, *made.updates))
    return max(made.multiply_adds, moved)


def packed(loaded: NativeProgram, steps: int, control: Control) -> Array:
    """The control values of a run: one row a replay, its values in the plan's order."""
    rows = np.zeros((steps, loaded.control_bytes), np.uint8)
    at = 0
    for name in loaded.plan.controls:
        place = loaded.plan.tensors[name]
        if name not in control:
            raise PlanError(f"this plan needs the control value {name!r} too")
        values = np.ascontiguousarray(np.asarray(control[name])[:steps], as_numpy_dtype(place.dtype))
        if values.nbytes != steps * place.bytes:
            raise PlanError(f"control {name!r} needs {steps} rows of {place.shape}; got {np.shape(control[name])}")
        rows[:, at : at + place.bytes] = values.reshape(steps, -1).view(np.uint8)
        at += padded(place)
    return rows


def scatter(loaded: NativeProgram, row: Array) -> None:
    """One row of control values into their places."""
    at = 0
    for name in loaded.plan.controls:
        place = loaded.plan.tensors[name]
        loaded.tensors[name][...] = row.reshape(-1)[at : at + place.bytes].view(place.dtype).reshape(place.shape)
        at += padded(place)


def gather(loaded: NativeProgram, row: Array) -> None:
    """Recorded outputs into their row."""
    at = 0
    for name in loaded.plan.records:
        value = loaded.tensors[loaded.plan.outputs[name]]
        row[at : at + value.nbytes] = value.reshape(-1).view(np.uint8)
        at += padded(loaded.plan.tensors[loaded.plan.outputs[name]])


def recorded(loaded: NativeProgram, name: str) -> Array:
    """A recorded output, a row a replay of the last run."""
    at = 0
    for other in loaded.plan.records:
        place = loaded.plan.tensors[loaded.plan.outputs[other]]
        if other == name:
            cut = loaded.records[:, at : at + place.bytes].copy()
            return cast(Array, cut.view(place.dtype).reshape(len(cut), *place.shape))
        at += padded(place)
    raise PlanError(f"{name!r} is not recorded")
