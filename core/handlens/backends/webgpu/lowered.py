"""A plan as WebGPU runs it: buffers, shader texts and dispatches. Plain data, replayed by Python or by JavaScript."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from ...errors import PlanError
from ...graph import Shape
from ...memory import aligned
from ...ops import find
from ...plan import Place, Plan, Step
from ..readers import key, readers
from .kernels import ELEMENTS, WRITES, Value, kernel

MOST_GROUPS = 65_535  # maxComputeWorkgroupsPerDimension that every adapter grants
SCRATCH = "scratch"
KEPT = "kept"  # what steps make of parameters alone: made by the prologue, and there until the parameters change
MOST_KEPT = 1 << 26  # bytes of it; what does not fit is made anew in each run
PREPARED = ("parameters", "state")  # with what the prologue makes they hold still until the next one, unless written


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
    """One step of a plan on its way to dispatches: its operands by the names of the op table, and scratch memory; with
    the step ``then`` after it, where both are lowered together: its results are called as its op and they are."""

    step: Step
    places: dict[str, Place]
    variants: Mapping[str, str] = field(default_factory=dict)
    still: frozenset[str] = frozenset()  # buffers that no run changes
    scratch_bytes: int = 0
    kept_bytes: int = 0  # of all steps up to this one
    then: Step | None = None
    calls: list[Call] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        plan: Plan,
        step: Step,
        variants: Mapping[str, str],
        still: frozenset[str] = frozenset(),
        kept: int = 0,
        then: Step | None = None,
    ) -> Work:
        """The work of one step, or of it and the one after it, where those before it have taken ``kept`` bytes of kept
        memory."""
        op, places = find(step.op), {}
        for names, tensors in ((op.inputs, step.inputs), (op.outputs, step.outputs), (op.updates, step.updates)):
            for name, tensor in zip(names, tensors, strict=False):  # an optional operand may be missing at the end
                places[name.rstrip("?")] = plan.tensors[tensor]
        if then is not None:
            results = zip(find(then.op).outputs, then.outputs, strict=True)
            places |= {f"{then.op}_{name}": plan.tensors[tensor] for name, tensor in results}
        return cls(step, places, variants, still, kept_bytes=kept, then=then)

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
TOGETHER: dict[tuple[str, str], tuple[Lowering, bool]] = {}  # of two steps; and whether the first one's result is made


def lowers(*ops: str) -> Callable[[Lowering], Lowering]:
    """Register a function as the lowering of these ops."""

    def register(function: Lowering) -> Lowering:
        for op in ops:
            if op in LOWERINGS:
                raise PlanError(f"op {op!r} is lowered twice")
            LOWERINGS[op] = function
        return function

    return register


def lowers_together(op: str, then: str, makes_both: bool) -> Callable[[Lowering], Lowering]:
    """Register a function as the lowering of a step and of the one that reads its result. It adds no call where it has
    no kernel for the two; ``makes_both``: it makes the first one's result too, which others may want."""

    def register(function: Lowering) -> Lowering:
        TOGETHER[op, then] = function, makes_both
        return function

    return register


class Builder:
    """Collects dispatches; the same text is compiled once."""

    def __init__(self, plan: Plan, variants: Mapping[str, str]) -> None:
        written = {plan.tensors[t].buffer for step in plan.steps for t in (*step.outputs, *step.updates)}
        folded = {plan.tensors[t].buffer for step in plan.prologue for t in (*step.outputs, *step.updates)}
        self.plan, self.variants, self.still = plan, variants, frozenset({*PREPARED, *folded} - written)
        self.sources: dict[Source, int] = {}
        self.once: list[Dispatch] = []  # of the steps, for the prologue
        self.scratch_bytes = self.kept_bytes = 0

    def all_dispatches(self, steps: Sequence[Step]) -> list[Dispatch]:
        """The dispatches of steps in their order, two together where there are kernels that do the work of both."""
        found, k = list[Dispatch](), 0
        while k < len(steps):
            work = self.together(steps, k)
            k += 2 if work else 1
            found += self.dispatches(work or self.alone(steps[k - 1]))
        return found

    def alone(self, step: Step) -> Work:
        """One step, lowered."""
        work = Work.of(self.plan, step, self.variants, self.still, self.kept_bytes)
        LOWERINGS[step.op](work)
        return work

    def together(self, steps: Sequence[Step], k: int) -> Work | None:
        """Step ``k`` and the next one, lowered together; None where that cannot be: the next one reads something else,
        another step needs what only the first one makes, or a dispatch would write over what it reads."""
        step, then = steps[k], steps[k + 1] if k + 1 < len(steps) else None
        function, makes_both = TOGETHER.get((step.op, then.op), (None, False)) if then else (None, False)
        if then is None or function is None or key(self.plan, then.inputs[0]) != key(self.plan, step.outputs[0]):
            return None
        if not makes_both and readers(self.plan, steps, k) != [k + 1]:
            return None
        work = Work.of(self.plan, step, self.variants, self.still, self.kept_bytes, then)
        function(work)
        return work if work.calls and not any(map(twice_bound, work.calls)) else None

    def dispatches(self, work: Work) -> list[Dispatch]:
        """The dispatches of what was lowered, without those for the prologue."""
        self.scratch_bytes, self.kept_bytes = max(self.scratch_bytes, work.scratch_bytes), work.kept_bytes
        found = list[Dispatch]()
        for call in work.calls:
            once = KEPT in written_by(call)
            (self.once if once else found).append(self.dispatch(work.step, call))
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
        if twice := twice_bound(call):  # only a browser reports it, when the dispatch is encoded
            raise PlanError(f"{call.kernel} of step {step.op!r} is bound twice to {twice}")
        return Dispatch(number, bindings, call.groups, step.op, step.layer)


def written_by(call: Call) -> set[str]:
    """The buffers that a call writes."""
    return {call.operands[s.name].buffer for s in kernel(call.kernel).slots if s.role in WRITES}


def twice_bound(call: Call) -> str:
    """The first byte that a call binds twice in a buffer that it writes; "" where there is none."""
    own, buffers = kernel(call.kernel), written_by(call)
    bound = (binding(call.operands[s.name], ELEMENTS[s.element]) for s in own.slots)
    ranges = sorted((name, offset, offset + size) for name, offset, size in bound if name in buffers)
    for (one, _, end), (other, start, _) in pairwise(ranges):
        if one == other and start < end:
            return f"byte {start} of {one!r}"
    return ""


def binding(place: Place, element: int) -> tuple[str, int, int]:
    """(buffer, offset, bytes), the size rounded up to whole elements."""
    return place.buffer, place.offset, max(element, -(-place.bytes // element) * element)


def lower(plan: Plan, variants: Mapping[str, str] | None = None) -> Lowered:
    """The plan for a device; ``variants``: op -> kernel, where measurement has chosen one."""
    builder = Builder(plan, variants or {})
    prologue, steps = (builder.all_dispatches(part) for part in (plan.prologue, plan.steps))
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
