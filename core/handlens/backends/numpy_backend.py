"""The reference backend: one NumPy kernel an op. Readable above all; every other backend is held to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from ..errors import BackendError, PlanError
from ..graph import Array, Binding, Run
from ..memory import aligned
from ..ops import find
from ..plan import Place, Plan, Step
from .base import Backend, Control, Program, Turn


@dataclass
class NumpyProgram(Program):
    """Buffers as byte arrays, tensors as views of them, and the kernels, bound."""

    plan: Plan
    buffers: dict[str, Array]
    tensors: dict[str, Array]
    prologue: list[Run] = field(default_factory=list)
    steps: list[Run] = field(default_factory=list)
    records: dict[str, Array] = field(default_factory=dict)
    turn: Turn = field(default_factory=lambda: Turn(0.05))  # lives from run to run: many short ones are one long job
    closed: bool = False


def view(buffer: Array, place: Place) -> Array:
    """A tensor's window on its buffer's bytes."""
    return buffer[place.offset : place.offset + place.bytes].view(place.dtype).reshape(place.shape)


def as_bytes(array: Array, name: str) -> Array:
    """A shared host array as the bytes of a buffer; its memory is used, not copied."""
    if not array.flags.c_contiguous:
        raise BackendError(f"shared buffer {name!r} must be contiguous; pass numpy.ascontiguousarray(...)")
    return array.reshape(-1).view(np.uint8)


class NumpyBackend(Backend):
    """Runs a plan with NumPy, in float32 or float64."""

    name = "numpy"

    def supports(self, plan: Plan) -> list[str]:
        return []

    async def load(self, plan: Plan, shared: Mapping[str, Array] | None = None) -> NumpyProgram:
        shared = shared or {}
        buffers = {
            name: as_bytes(shared[name], name) if name in shared else np.zeros(size, np.uint8)
            for name, size in plan.buffers.items()
        }
        for name, buffer in buffers.items():
            short = [t for t, p in plan.tensors.items() if p.buffer == name and p.offset + p.bytes > buffer.size]
            if short:
                raise BackendError(f"shared buffer {name!r} of {buffer.size} bytes is too small for {short[0]!r}")
        tensors = {name: view(buffers[place.buffer], place) for name, place in plan.tensors.items()}
        program = NumpyProgram(plan, buffers, tensors)
        scratch = np.zeros(max((scratch_bytes(plan, s) for s in (*plan.prologue, *plan.steps)), default=0), np.uint8)
        program.prologue = [bind(plan, step, tensors, scratch) for step in plan.prologue]
        program.steps = [bind(plan, step, tensors, scratch) for step in plan.steps]
        return program

    def upload(self, program: Program, name: str, data: Array) -> None:
        target = opened(program).tensors.get(name)
        if target is None:
            target = opened(program).buffers[name].view(np.asarray(data).dtype)[: np.asarray(data).size]
        if target.shape != np.shape(data):
            raise PlanError(f"{name!r} has shape {target.shape}; got {np.shape(data)}")
        np.copyto(target, data, casting="same_kind")

    def prepare(self, program: Program) -> None:
        for kernel in opened(program).prologue:
            kernel()

    def run(self, program: Program, steps: int = 1, control: Control | None = None) -> None:
        loaded = opened(program)
        start_records(loaded, steps)
        for k in range(steps):
            set_controls(loaded, control, k)
            for kernel in loaded.steps:
                kernel()
            record(loaded, k)

    async def run_async(
        self, program: Program, steps: int = 1, control: Control | None = None, budget: float = 0.05
    ) -> None:
        loaded = opened(program)
        turn = loaded.turn
        turn.budget = budget
        start_records(loaded, steps)
        for k in range(steps):
            set_controls(loaded, control, k)
            for kernel in loaded.steps:
                kernel()
                await turn.take()
            record(loaded, k)

    async def fetch(self, program: Program, *names: str) -> dict[str, Array]:
        loaded = opened(program)
        found: dict[str, Array] = {}
        for name in names:
            if name in loaded.records:
                found[name] = loaded.records[name].copy()
                continue
            tensor = loaded.plan.outputs.get(name, name)
            if tensor not in loaded.tensors and tensor not in loaded.buffers:
                raise PlanError(f"nothing is called {name!r} here; there are: {', '.join(loaded.plan.outputs)}")
            source = loaded.tensors[tensor] if tensor in loaded.tensors else loaded.buffers[tensor]
            found[name] = source.copy()
        return found

    def close(self, program: Program) -> None:
        loaded = cast(NumpyProgram, program)
        loaded.closed = True
        for held in (loaded.buffers, loaded.tensors, loaded.prologue, loaded.steps):
            held.clear()


def opened(program: Program) -> NumpyProgram:
    """The program, if it is one of ours and still open."""
    if not isinstance(program, NumpyProgram) or program.closed:
        raise BackendError("this program is closed, or belongs to another backend; load the plan again")
    return program


def operands(plan: Plan, names: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Shapes of named tensors."""
    return [plan.tensors[n].shape for n in names]


def scratch_sizes(plan: Plan, step: Step) -> dict[str, tuple[int, tuple[int, ...], str]]:
    """name -> (bytes, shape, dtype) of the scratch arrays of a step."""
    wanted = find(step.op).workspace(operands(plan, step.inputs), operands(plan, step.outputs), step.attrs)
    default = plan.tensors[step.inputs[0]].dtype
    sizes = {}
    for name, (shape, dtype) in wanted.items():
        kind = dtype or default
        sizes[name] = (aligned(math.prod(shape) * np.dtype(kind).itemsize), tuple(shape), kind)
    return sizes


def scratch_bytes(plan: Plan, step: Step) -> int:
    """Scratch memory of a step; all steps share one buffer."""
    return sum(size for size, _, _ in scratch_sizes(plan, step).values())


def bind(plan: Plan, step: Step, tensors: Mapping[str, Array], scratch: Array) -> Run:
    """The step's kernel on its arrays."""
    work, offset = {}, 0
    for name, (size, shape, dtype) in scratch_sizes(plan, step).items():
        work[name] = view(scratch, Place("", offset, shape, dtype))
        offset += size
    ins, outs, updates = ([tensors[t] for t in names] for names in (step.inputs, step.outputs, step.updates))
    return find(step.op).numpy(Binding(ins, outs, updates, step.attrs, work))


def set_controls(program: NumpyProgram, control: Control | None, step: int) -> None:
    """Write this step's row of every control value."""
    for name, rows in (control or {}).items():
        if name in program.tensors:
            program.tensors[name][...] = rows[step]


def start_records(program: NumpyProgram, steps: int) -> None:
    """Room for one value a step of each recorded output."""
    for name in program.plan.records:
        kept = program.tensors[program.plan.outputs[name]]
        if name not in program.records or len(program.records[name]) != steps:
            program.records[name] = np.zeros((steps, *kept.shape), kept.dtype)


def record(program: NumpyProgram, step: int) -> None:
    """Keep this step's recorded outputs."""
    for name, rows in program.records.items():
        rows[step] = program.tensors[program.plan.outputs[name]]
