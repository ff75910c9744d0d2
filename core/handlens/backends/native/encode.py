"""The binary form of a plan that ``core/kernels/plan.c`` reads; the format stands in ``core/kernels/plan.h``."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from ...errors import PlanError
from ...plan import Place, Plan
from .library import Row
from .lower import Call, Lowered

MAGIC = 0x31504C48  # "HLP1"
DTYPES = ("float32", "int32", "uint32", "uint8")
RANK = 6
HEADER, PLACE = struct.Struct("<iiIiiiiiiii5i"), struct.Struct("<qiii6ii")


def encode(plan: Plan, lowered: Lowered, ops: Mapping[str, Row], ops_hash: int) -> bytes:
    """The plan for the library with these ops. Raises PlanError for an op or an attribute that it lacks."""
    buffers = list(lowered.buffers)
    numbers = {name: k for k, name in enumerate(lowered.tensors)}
    attrs: list[float] = []
    words: list[int] = []
    for call in (*lowered.prologue, *lowered.steps):
        words += step_words(call, ops, numbers, attrs)
    places = [place_bytes(place, buffers) for place in lowered.tensors.values()]
    controls = [numbers[name] for name in plan.controls]
    records = [numbers[plan.outputs[name]] for name in plan.records]
    body = b"".join(
        [
            struct.pack(f"<{len(attrs)}d", *attrs),
            struct.pack(f"<{len(buffers)}q", *lowered.buffers.values()),
            *places,
            struct.pack(f"<{len(words) + len(controls) + len(records)}i", *words, *controls, *records),
        ]
    )
    counts = [len(attrs), len(buffers), len(places), len(words), len(lowered.prologue), len(lowered.steps)]
    head = [MAGIC, HEADER.size + len(body), ops_hash, *counts, len(controls), len(records)]
    return HEADER.pack(*head, 0, 0, 0, 0, 0) + body


def step_words(call: Call, ops: Mapping[str, Row], numbers: Mapping[str, int], attrs: list[float]) -> list[int]:
    """One step; its attributes are added to ``attrs``."""
    row = ops.get(call.op)
    if row is None:
        raise PlanError(f"there is no compiled kernel for {call.op}")
    lacking = [name for name in row.attributes if name not in call.attrs]
    if lacking:
        raise PlanError(f"the compiled {call.op} asks for {lacking[0]!r}, which the plan does not say")
    first = len(attrs)
    attrs += [call.attrs[name] for name in row.attributes]
    operands: Sequence[str] = (*call.inputs, *call.outputs, *call.updates)
    counts = (len(call.inputs), len(call.outputs), len(call.updates), len(row.attributes), first)
    return [row.number, *counts, *(numbers[name] for name in operands)]


def place_bytes(place: Place, buffers: Sequence[str]) -> bytes:
    """One tensor."""
    dims = (*place.shape, *([1] * (RANK - len(place.shape))))
    kind = DTYPES.index(place.dtype)
    return PLACE.pack(place.offset, buffers.index(place.buffer), kind, len(place.shape), *dims, 0)
