"""A plan as WebGPU runs it: buffers, shader texts and dispatches. Plain data, replayed by Python or by JavaScript."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from ...errors import PlanError
from ...graph import Shape
from ...memory import aligned
from ...ops import find
from ...plan import Place, Plan, Step
from .kernels import ELEMENTS, WRITES, Value, kernel

MOST_GROUPS = 65_535  # maxComputeWorkgroupsPerDimension that every adapter grants
SCRATCH = "scratch"
KEPT = "kept"  # what steps make of parameters alone: made by the prologue, and there until the parameters change
MOST_KEPT = 1 << 26  # bytes of it; what does not fit is made anew in each run
PREPARED = (
    "parameters",
    "state",
    "folded",
)  # buffers that hold still between one prologue and the next, unless written


@dataclass(frozen=True)
class Call:
    """One dispatch as an op's lowering asks for it: kernel, constants, the place of each slot, workgroups."""

    kernel: str
    constants: Mapping[str, Value]
    operands: Mapping[str, Place]
    groups: tuple[int, int, int]


@dataclass(frozen=True)
class Source:
    """One shader: what it is called, its WGSL, and for each binding whether it is bound ``read_write``."""

    name: str
    text: str
    written: tuple[bool, ...]


@dataclass(frozen=True)
class Dispatch:
    """One dispatch: which of the sources, on which (buffer, offset, bytes), how many workgroups."""

    source: int
    bindings: tuple[tuple[str, int, int], ...]
    groups: tuple[int, int, int]
    op: str
    layer: str


@dataclass(frozen=True)
class Row:
    """A control value or a record: its tensor's (buffer, offset, bytes), and its place in the row of one step."""

    name: str
    buffer: str
    offset: int
    bytes: int
    at: int


@dataclass(frozen=True)
class Lowered:
    """Everything a device needs; ``controls`` and ``records`` are rows of ``control_bytes`` and ``record_bytes``."""

    buffers: dict[str, int]
    sources: tuple[Source, ...]
    prologue: tuple[Dispatch, ...]
    steps: tuple[Dispatch, ...]
    controls: tuple[Row, ...]
    records: tuple[Row, ...]
    control_bytes: int
    record_bytes: int

    def to_json(self) -> str:
        """As JSON text, for the JavaScript that replays it."""
        return json.dumps(asdict(self))


@dataclass
class Work:
    """One step of a plan on its way to dispatches: its operands by the names of the op table, and scratch memory."""

    step: Step
    places: dict[str, Place]
    variants: Mapping[str, str] = field(default_factory=dict)
    still: frozenset[str] = frozenset()  # buffers that no run changes
    scratch_bytes: int = 0
    kept_bytes: int = 0  # of all steps up to this one
    calls: list[Call] = field(default_factory=list)

    @classmethod
    def of(
        cls, plan: Plan, step: Step, variants: Mapping[str, str], still: frozenset[str] = frozenset(), kept: int = 0
    ) -> Work:
        """The work of one step, where those before it have taken ``kept`` bytes of kept memory."""
        op, places = find(step.op), {}
        for names, tensors in ((op.inputs, step.inputs), (op.outputs, step.outputs), (op.updates, step.updates)):
            for name, tensor in zip(names, tensors, strict=False):  # an optional operand may be missing at the end
                places[name.rstrip("?")] = plan.tensors[tensor]
        return cls(step, places, variants, still, kept_bytes=kept)

    @property
    def attrs(self) -> dict[str, Any]:
        """The step's attributes."""
        return self.step.attrs

    def has(self, name: str) -> bool:
        """Whether an optional operand is there."""
        return name in self.places

    def shape(self, name: str) -> Shape:
        """The shape of an operand."""
        return self.places[name].shape

    def size(self, name: str) -> int:
        """The number of elements of an operand."""
        return math.prod(self.places[name].shape)

    def fours(self, name: str) -> int:
        """The number of vec4f that hold an operand."""
        return -(-self.size(name) // 4)

    def variant(self, usual: str) -> str:
        """Which of an op's kernels to take: the one chosen by measurement, else the usual one."""
        return self.variants.get(self.step.op, usual)

    def scratch(self, *shape: int) -> Place:
        """Memory that the passes of this step share; it is gone after the step."""
        place = Place(SCRATCH, self.scratch_bytes, tuple(shape), "float32")
        self.scratch_bytes += aligned(place.bytes)
        return place

    def kept(self, name: str, *shape: int) -> Place:
        """Memory for what is made of one operand: it outlives the run, and a call that writes there goes to the
        prologue, where no run changes the operand; else it is :meth:`scratch`."""
        place = Place(KEPT, self.kept_bytes, tuple(shape), "float32")
        after = self.kept_bytes + aligned(place.bytes)
        if self.places[name].buffer not in self.still or after > MOST_KEPT:
            return self.scratch(*shape)
        self.kept_bytes = after
        return place

    def call(
        self,
        name: str,
        groups: tuple[int, int, int],
        constants: Mapping[str, Value] | None = None,
        **operands: Place,
    ) -> None:
        """Add a dispatch. Operands not given are the step's own of that name; one that the step lacks (a bias) is
        bound to scratch memory of its own, and the kernel's constants must say that it is not there."""
        own = kernel(name)
        bound = {}
        for slot in own.slots:
            found = operands.get(slot.name) or self.places.get(slot.operand)
            if found is None and slot.role == "in":
                found = self.scratch(1)  # the binding has to hold something, and nothing that is bound already
            if found is None:
                raise PlanError(f"{name}.wgsl needs {slot.role} {slot.name!r}, which step {self.step.op!r} lacks")
            bound[slot.name] = found
        self.calls.append(Call(name, dict(constants or {}), bound, groups))

    def linear(self, name: str, threads: int, constants: Mapping[str, Value] | None = None, **operands: Place) -> None:
        """:meth:`call` with one invocation for each of ``threads``, in rows where there are more than a dimension
        takes: the kernel finds its own at ``id.x + id.y * WIDE`` and returns where that is not below ``SIZE``."""
        side = kernel(name).workgroup[0]
        groups = max(1, -(-threads // side))
        rows = -(-groups // MOST_GROUPS)
        wide = -(-groups // rows)
        size = {"SIZE": threads, "WIDE": wide * side}
        self.call(name, (wide, rows, 1), {**size, **(constants or {})}, **operands)


Lowering = Callable[[Work], None]
LOWERINGS: dict[str, Lowering] = {}


def lowers(*ops: str) -> Callable[[Lowering], Lowering]:
    """Register a function as the lowering of these ops."""

    def register(function: Lowering) -> Lowering:
        for op in ops:
            if op in LOWERINGS:
                raise PlanError(f"op {op!r} is lowered twice")
            LOWERINGS[op] = function
        return function

    return register


class Builder:
    """Collects dispatches; the same text is compiled once."""

    def __init__(self, plan: Plan, variants: Mapping[str, str]) -> None:
        written = {plan.tensors[t].buffer for step in plan.steps for t in (*step.outputs, *step.updates)}
        self.plan, self.variants, self.still = plan, variants, frozenset(PREPARED) - written
        self.sources: dict[Source, int] = {}
        self.once: list[Dispatch] = []  # of the steps, for the prologue
        self.scratch_bytes = self.kept_bytes = 0

    def dispatches(self, step: Step) -> list[Dispatch]:
        """The dispatches of one step."""
        work = Work.of(self.plan, step, self.variants, self.still, self.kept_bytes)
        LOWERINGS[step.op](work)
        self.scratch_bytes, self.kept_bytes = max(self.scratch_bytes, work.scratch_bytes), work.kept_bytes
        found = list[Dispatch]()
        for call in work.calls:
            once = KEPT in written_by(call)
            (self.once if once else found).append(self.dispatch(step, call))
        return found

    def dispatch(self, step: Step, call: Call) -> Dispatch:
        """One call, specialised."""
        own = kernel(call.kernel)
        if any(not 0 < n <= MOST_GROUPS for n in call.groups):
            raise PlanError(f"{call.kernel} of step {step.op!r} asks for {call.groups} workgroups")
        buffers = written_by(call)
        written = tuple(call.operands[s.name].buffer in buffers for s in own.slots)
        bindings = tuple(binding(call.operands[s.name], ELEMENTS[s.element]) for s in own.slots)
        text = own.specialise(call.constants, written, [size for _, _, size in bindings])
        source = Source(own.name, text, written)
        number = self.sources.setdefault(source, len(self.sources))
        bound = zip(bindings, written, strict=True)
        ranges = sorted((name, offset, offset + size) for (name, offset, size), changes in bound if changes)
        for (one, _, end), (other, start, _) in pairwise(ranges):
            if one == other and start < end:  # only a browser reports it, when the dispatch is encoded
                raise PlanError(f"{call.kernel} of step {step.op!r} is bound twice to byte {start} of {one!r}")
        return Dispatch(number, bindings, call.groups, step.op, step.layer)


def written_by(call: Call) -> set[str]:
    """The buffers that a call writes."""
    return {call.operands[s.name].buffer for s in kernel(call.kernel).slots if s.role in WRITES}


def binding(place: Place, element: int) -> tuple[str, int, int]:
    """(buffer, offset, bytes), the size rounded up to whole elements."""
    return place.buffer, place.offset, max(element, -(-place.bytes // element) * element)


def lower(plan: Plan, variants: Mapping[str, str] | None = None) -> Lowered:
    """The plan for a device; ``variants``: op -> kernel, where measurement has chosen one."""
    builder = Builder(plan, variants or {})
    prologue, steps = ([d for step in part for d in builder.dispatches(step)] for part in (plan.prologue, plan.steps))
    buffers = {name: aligned(size) for name, size in plan.buffers.items()}
    own = {SCRATCH: builder.scratch_bytes, KEPT: builder.kept_bytes}
    buffers |= {name: size for name, size in own.items() if size}
    controls, control_bytes = rows(plan, {name: name for name in plan.controls if name in plan.tensors})
    records, record_bytes = rows(plan, {name: plan.outputs[name] for name in plan.records})
    dispatches = (*prologue, *builder.once), tuple(steps)
    return Lowered(buffers, tuple(builder.sources), *dispatches, controls, records, control_bytes, record_bytes)


def rows(plan: Plan, names: Mapping[str, str]) -> tuple[tuple[Row, ...], int]:
    """The rows of some tensors, one after another, and their length."""
    found, at = [], 0
    for name, tensor in names.items():
        place = plan.tensors[tensor]
        found.append(Row(name, place.buffer, place.offset, place.bytes, at))
        at += place.bytes
    return tuple(found), at


def reasons(plan: Plan, largest: int) -> list[str]:
    """Why a plan cannot be lowered: ops without a kernel, element types, buffers above the adapter's ``largest``."""
    used = (*plan.prologue, *plan.steps)
    lacking = sorted({step.op for step in used} - set(LOWERINGS))
    found = [f"no WebGPU kernel for {', '.join(lacking)}"] if lacking else []
    kinds = sorted({p.dtype for p in plan.tensors.values()} - {"float32", "int32", "uint32", "uint8"})
    if kinds:
        found.append(f"WebGPU computes in float32; this plan holds {', '.join(kinds)}")
    found += [
        f"buffer {name!r} of {size:,} bytes is larger than this adapter's limit of {largest:,}"
        for name, size in plan.buffers.items()
        if size > largest
    ]
    return found
