"""The plan: which kernels run, in which order, on which buffers, with which constants. Plain data, no decisions left.

It can be printed, diffed, saved as JSON, drawn, and replayed by anything that has the kernels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from .errors import PlanError, ShapeError
from .graph import Graph, Node, Shape, as_numpy_dtype
from .memory import ALIGNMENT, Layout, aligned, lifetimes, pack, roots
from .ops import find

VERSION = 1
BUFFER_OF_ROLE = {"parameter": "parameters", "gradient": "gradients", "state": "state", "folded": "folded"}


@dataclass(frozen=True)
class Place:
    """A tensor's bytes: ``offset`` into ``buffer``, read as ``dtype`` of ``shape``."""

    buffer: str
    offset: int
    shape: Shape
    dtype: str

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * as_numpy_dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Step:
    """One kernel call. ``updates`` are read and written in place; everything else is read or written, never both."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    updates: tuple[str, ...]
    attrs: dict[str, Any]
    layer: str
    multiply_adds: int
    bytes_moved: int


@dataclass(frozen=True)
class Plan:
    """A program for any backend. ``prologue`` runs once after the parameters are loaded, ``steps`` every time.

    ``inputs`` are uploaded by name, ``controls`` change from step to step, ``outputs`` map public names to tensors,
    ``records`` are the outputs whose value is kept for every step of a run.
    """

    buffers: dict[str, int]
    tensors: dict[str, Place]
    prologue: tuple[Step, ...]
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    controls: tuple[str, ...]
    outputs: dict[str, str]
    records: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one run."""
        return sum(step.multiply_adds for step in self.steps)

    @property
    def bytes_moved(self) -> int:
        """Bytes read and written by one run, if every operand is moved once."""
        return sum(step.bytes_moved for step in self.steps)

    def to_json(self) -> str:
        """The plan as JSON text, the same text for the same plan."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read :meth:`to_json` back and validate it. Raises PlanError for anything that is not a plan."""
        try:
            raw = json.loads(text)
            if raw["version"] != VERSION:
                raise PlanError(f"plan version {raw['version']} is not {VERSION}; export it again with this version")
            steps = {
                key: tuple(
                    Step(**{**s, **{k: tuple(s[k]) for k in ("inputs", "outputs", "updates")}}) for s in raw[key]
                )
                for key in ("prologue", "steps")
            }
            places = {name: Place(**{**p, "shape": tuple(p["shape"])}) for name, p in raw["tensors"].items()}
            lists = {key: tuple(raw[key]) for key in ("inputs", "controls", "records")}
            plan = cls(**{**raw, **steps, **lists, "tensors": places})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, PlanError):
                raise
            raise PlanError(f"this is not a Handlens plan: {type(error).__name__}: {error}") from None
        return plan.validate()

    def validate(self) -> Plan:
        """Check every rule that a backend relies on; returns the plan. Raises PlanError naming step and tensor."""
        for name, place in self.tensors.items():
            end = place.offset + place.bytes
            if place.buffer not in self.buffers or place.offset < 0 or end > self.buffers[place.buffer]:
                raise PlanError(f"{name!r} ends at byte {end} of {place.buffer!r}, past its end or without a buffer")
            if place.offset % ALIGNMENT:
                raise PlanError(f"{name!r} starts at byte {place.offset}, not at a multiple of {ALIGNMENT}")
        made: set[tuple[str, int]] = set()  # places that hold a value by now
        for index, step in enumerate((*self.prologue, *self.steps)):
            self._validate_step(index, step)
            for name in step.inputs:
                place = self.tensors[name]
                if place.buffer in ("arena", "folded") and (place.buffer, place.offset) not in made:
                    raise PlanError(f"step {index} ({step.op}) reads {name!r}, which nothing has written before it")
            made.update((self.tensors[o].buffer, self.tensors[o].offset) for o in step.outputs)
        return self

    def _validate_step(self, index: int, step: Step) -> None:
        where = f"step {index} ({step.op}, layer {step.layer or '-'})"
        op = find(step.op)
        for name in (*step.inputs, *step.outputs, *step.updates):
            if name not in self.tensors:
                raise PlanError(f"{where}: no tensor is called {name!r}")
        required = sum(not i.endswith("?") for i in op.inputs)
        if not required <= len(step.inputs) <= len(op.inputs) or len(step.updates) != len(op.updates):
            raise PlanError(f"{where}: takes {op.inputs} and updates {op.updates}, got {step.inputs}, {step.updates}")
        bound_in, bound_out = ([self.tensors[t] for t in names] for names in (step.inputs, step.outputs))
        try:
            shapes = op.shapes([p.shape for p in bound_in], step.attrs)
            dtypes = op.dtypes([p.dtype for p in bound_in], step.attrs)[: len(shapes)]
        except (ShapeError, LookupError, TypeError, ValueError) as error:
            raise PlanError(f"{where}: its operands or attributes do not fit the op: {error}") from None
        expected = [(tuple(s), d) for s, d in zip(shapes, dtypes, strict=True)]
        if expected != [(p.shape, p.dtype) for p in bound_out]:
            raise PlanError(f"{where}: makes {expected}, but the outputs are {[(p.shape, p.dtype) for p in bound_out]}")
        written = [self.tensors[t] for t in (*step.outputs, *step.updates)]
        bound = [(t, self.tensors[t]) for t in (*step.inputs, *step.outputs, *step.updates)]
        # WebGPU tracks use per whole buffer: once a step writes into one, each of its bindings there is read_write,
        # and such ranges must not overlap. Checked here, so that a NumPy test catches it.
        for buffer in {p.buffer for p in written}:
            ranges = sorted((p.offset, p.offset + p.bytes, t) for t, p in bound if p.buffer == buffer)
            for (_, end, one), (start, _, other) in pairwise(ranges):
                if start < end:
                    raise PlanError(f"{where}: {one!r} and {other!r} overlap in {buffer!r}, which this step writes")

    def __str__(self) -> str:
        """The plan as a table, a line a step."""
        rows = [("", "op", "reads", "writes", "shape", "where", "multiply-adds")]
        for k, step in enumerate((*self.prologue, *self.steps)):
            number = "once" if k < len(self.prologue) else str(k - len(self.prologue))
            target = (*step.outputs, *step.updates)
            place = self.tensors[target[0]]
            kind = step.op + (f"+{step.attrs['activation']}" if "activation" in step.attrs else "")
            shape = "x".join(map(str, place.shape))
            where = f"{place.buffer}+{place.offset}"
            rows.append(
                (number, kind, ", ".join(step.inputs), ", ".join(target), shape, where, f"{step.multiply_adds:,}")
            )
        widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.append("buffers: " + ", ".join(f"{name} {size:,} B" for name, size in self.buffers.items()))
        return "\n".join(lines)


def make_plan(
    graph: Graph,
    parameters: Layout | None = None,
    state: Layout | None = None,
    *,
    keep: str = "outputs",
    records: Sequence[str] = (),
) -> Plan:
    """Freeze a graph: place every tensor, cost every node, validate.

    ``parameters`` and ``state`` say where the model keeps its arrays; ``keep="all"`` gives every value bytes of its
    own, so that all of them can be read afterwards.
    """
    layouts = {"parameter": parameters, "gradient": parameters, "state": state}
    arena, arena_size = pack(lifetimes(graph, keep == "all"))
    root = roots(graph)
    buffers: dict[str, int] = {}
    places: dict[str, Place] = {}
    for name, tensor in graph.tensors.items():
        base = graph[root[name]]
        itemsize = as_numpy_dtype(tensor.dtype).itemsize
        buffer, offset = base.name, 0
        layout = layouts.get(base.role)
        if base.role == "value":
            if base.name not in arena:
                continue  # made by nothing and read by nothing
            buffer, offset = "arena", arena[base.name]
        elif layout is not None:
            buffer = BUFFER_OF_ROLE[base.role]
            key = base.name.removeprefix("d_") if base.role == "gradient" else base.name
            offset = 0 if key == buffer else layout.offsets[key] * itemsize
            buffers[buffer] = aligned(layout.size * itemsize)
        if base.role != "value" and layout is None:
            buffers[buffer] = aligned(base.size * as_numpy_dtype(base.dtype).itemsize)
        places[name] = Place(buffer, offset, tensor.shape, tensor.dtype)
    if arena_size:
        buffers["arena"] = arena_size
    steps = [(node.prologue, make_step(graph, node)) for node in graph.nodes if not node.op.view]
    return Plan(
        buffers=buffers,
        tensors=places,
        prologue=tuple(step for once, step in steps if once),
        steps=tuple(step for once, step in steps if not once),
        inputs=tuple(t.name for t in graph.tensors.values() if t.role == "input"),
        controls=tuple(t.name for t in graph.tensors.values() if t.role == "control"),
        outputs=dict(graph.outputs),
        records=tuple(records),
    ).validate()


def make_step(graph: Graph, node: Node) -> Step:
    """A node with its cost."""
    ins, outs = ([graph.shape(t) for t in names] for names in (node.inputs, node.outputs))
    moved = [graph[t] for t in (*node.inputs, *node.outputs, *node.updates, *node.updates)]
    return Step(
        op=node.op.name,
        inputs=node.inputs,
        outputs=node.outputs,
        updates=node.updates,
        attrs=dict(node.attrs),
        layer=node.layer,
        multiply_adds=node.op.multiply_adds(ins, outs, node.attrs),
        bytes_moved=sum(t.size * as_numpy_dtype(t.dtype).itemsize for t in moved),
    )
