"""Encoded plans made malformed in stated ways, all to be refused; and flipped at random, which kernels must survive."""

from __future__ import annotations

import ctypes
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from handlens import architectures
from handlens.augment import Augment
from handlens.backends.native import Library
from handlens.backends.native.backend import room as plain_room
from handlens.backends.native.encode import HEADER, PLACE, encode
from handlens.backends.native.lower import Lowered, lower
from handlens.plan import Plan, make_plan
from handlens.training import training_plan
from op_cases import CASES, draw
from op_runner import case_graph

ERRORS = range(-13, 0)  # of enum hl_error
LOW, HIGH = -(2**31), 2**31 - 1
COUNTS = ("attrs", "buffers", "tensors", "words", "prologue", "steps", "controls", "records")
WHOLE = ("stride_h", "stride_w", "top", "left", "bottom", "right", "axis", "cells", "activation")
WHOLE += ("kernel_h", "kernel_w", "pool_kernel_h", "pool_kernel_w", "pool_stride_h", "pool_stride_w")
# Ops whose output may have another size along every axis, or along all but the first two: pixels that no window holds.
FREE, FREE_PIXELS = {"broadcast_to", "sum_to"}, {"max_pool2d_dx", "avg_pool2d_dx", "global_avg_pool2d_dx"}
FREE_PIXELS |= {"conv2d_dx", "conv2d_dw"}
MOST_BYTES, MOST_CELLS, MOST_ATTRIBUTE = 1 << 26, 1 << 18, 1 << 10  # of a flipped plan that is run
Room = Callable[[int], np.ndarray]
Seen = Counter[str]


@dataclass(frozen=True)
class Step:
    """Where a step lies in the encoded plan, and what it names."""

    op: str
    at: int
    operands: tuple[int, ...]
    ins: int
    first: int


class Encoded:
    """A good plan's bytes, and where its parts begin."""

    def __init__(self, name: str, data: bytes, library: Library) -> None:
        self.name, self.data = name, data
        head = HEADER.unpack_from(data)
        self.count = dict(zip(COUNTS, head[3:11], strict=True))
        self.attrs = HEADER.size
        self.buffers = self.attrs + 8 * self.count["attrs"]
        self.places = self.buffers + 8 * self.count["buffers"]
        self.words = self.places + PLACE.size * self.count["tensors"]
        self.rows = {number.number: (op, number) for op, number in library.ops.items()}
        self.steps = list(self._steps())
        self.used = sorted({t for step in self.steps for t in step.operands})

    def _steps(self) -> Iterator[Step]:
        at = self.words
        for _ in range(self.count["prologue"] + self.count["steps"]):
            op, ins, outs, updates, _, first = struct.unpack_from("<6i", self.data, at)
            operands = struct.unpack_from(f"<{ins + outs + updates}i", self.data, at + 24)
            yield Step(self.rows[op][0], at, operands, ins, first)
            at += 24 + 4 * len(operands)

    def place(self, tensor: int) -> tuple[int, ...]:
        """offset, buffer, dtype, rank, six dims, reserved."""
        return PLACE.unpack_from(self.data, self.places + PLACE.size * tensor)

    def end(self, tensor: int) -> int:
        """The last byte of a tensor in its buffer, plus 1."""
        offset, _, dtype, _, *dims, _ = self.place(tensor)
        return offset + int(np.prod(dims)) * (1 if dtype == 3 else 4)

    def but(self, *changes: tuple[int, str, float]) -> bytes:
        """The plan with numbers of these formats put in at these offsets."""
        data = bytearray(self.data)
        for at, form, value in changes:
            struct.pack_into("<" + form, data, at, value)
        return bytes(data)


def plans() -> dict[str, Plan]:
    """The plans that are spoilt: networks, their trainings, and every case of the op table."""
    convnet, digits = architectures.build("convnet"), architectures.build("digits")
    found = {
        "convnet": convnet.plan(2),
        "convnet training": training_plan(convnet, 4, "adam", images=6, dtype="uint8", augment=Augment()),
        "digits": digits.plan(1),
        "digits training": training_plan(digits, 2, "sgd"),
    }
    for case in CASES:
        graph, outputs = case_graph(case, *draw(case, 0, "float32"), "float32")
        graph.outputs = {name: name for name in outputs}
        plan = make_plan(graph)
        if plan.steps:
            found[case.id] = plan
    return found


def encoded(library: Library, lowering: Callable[[Plan], Lowered] = lower) -> list[Encoded]:
    """All of them, encoded for this library."""
    return [
        Encoded(name, encode(plan, lowering(plan), library.ops, library.ops_hash), library)
        for name, plan in plans().items()
    ]


# ---- plans that must be refused, by what is wrong with them


def wrong_head(plan: Encoded, chance: random.Random) -> bytes:
    """Another magic number, or the hash of another table of ops."""
    at = chance.choice((0, 8))
    (old,) = struct.unpack_from("<I", plan.data, at)
    return plan.but((at, "I", chance.choice((0, old ^ 1 << chance.randrange(32), old ^ 0xFFFFFFFF))))


def wrong_length(plan: Encoded, chance: random.Random) -> bytes:
    """Cut off in any part of it or at its edge, or with more at its end; the length in the header right or not."""
    edges = [0, HEADER.size, plan.buffers, plan.places, plan.words, len(plan.data) - 4]
    cut = chance.choice((chance.choice(edges) + chance.choice((-1, 0, 1)), chance.randrange(len(plan.data))))
    data = plan.data[: max(cut, 0)] if chance.random() < 0.8 else plan.data + bytes(chance.choice((1, 4, 8, 4096)))
    if chance.random() < 0.5 and len(data) >= 8 and len(data) != len(plan.data):
        return data[:4] + struct.pack("<i", len(data)) + data[8:]
    return data if len(data) != len(plan.data) else data[:-1]


def wrong_size(plan: Encoded, chance: random.Random) -> bytes:
    """Whole, but it says that it has another length."""
    return plan.but((4, "i", chance.choice((-1, 0, HIGH, LOW, len(plan.data) - 1, len(plan.data) + 8))))


def wrong_count(plan: Encoded, chance: random.Random) -> bytes:
    """More or fewer attributes, buffers, tensors, words, steps, controls or records than there are."""
    k = chance.randrange(len(COUNTS))
    old = plan.count[COUNTS[k]]
    return plan.but((12 + 4 * k, "i", chance.choice([n for n in (-1, LOW, HIGH, old + 1, old - 1) if n != old])))


def small_buffer(plan: Encoded, chance: random.Random) -> bytes:
    """A buffer that ends before one of its tensors."""
    tensor = chance.choice(plan.used)
    size = chance.choice((-1, -(2**63), 0, plan.end(tensor) - 1, plan.place(tensor)[0]))
    return plan.but((plan.buffers + 8 * plan.place(tensor)[1], "q", size))


def wrong_offset(plan: Encoded, chance: random.Random) -> bytes:
    """A tensor before its buffer, behind it, across its end, or between two words."""
    tensor = chance.choice(plan.used)
    size = struct.unpack_from("<q", plan.data, plan.buffers + 8 * plan.place(tensor)[1])[0]
    length = plan.end(tensor) - plan.place(tensor)[0]
    bad = (-4, -(2**63), 2**63 - 4, size, size + 4, (size - length) // 4 * 4 + 4, plan.place(tensor)[0] + 1)
    return plan.but((plan.places + PLACE.size * tensor, "q", chance.choice(bad)))


def wrong_place(plan: Encoded, chance: random.Random) -> bytes:
    """A buffer, type, rank or dimension that there cannot be."""
    tensor = chance.choice(plan.used)
    _, _, _, rank, *dims, _ = plan.place(tensor)
    at = plan.places + PLACE.size * tensor
    deep = max((k + 1 for k, n in enumerate(dims) if n > 1), default=0)
    cases = [
        (8, chance.choice((-1, plan.count["buffers"], HIGH, LOW))),
        (12, chance.choice((-1, 4, 255, HIGH, LOW))),
        (16, chance.choice((-1, 7, HIGH, LOW, *range(deep)))),
        (20 + 4 * chance.randrange(6), chance.choice((0, -1, -3, LOW, HIGH))),
        *([(20 + 4 * chance.randrange(rank, 6), 2)] if rank < 6 else []),
    ]
    where, value = chance.choice(cases)
    if value == HIGH and int(np.prod(dims)) == 1 and where >= 20:
        value = 0  # HIGH elements would only be too many for the buffer, which is another kind
    return plan.but((at + where, "i", value))


def wrong_op(plan: Encoded, chance: random.Random) -> bytes:
    """No such op."""
    return plan.but((chance.choice(plan.steps).at, "i", chance.choice((-1, len(plan.rows), HIGH, LOW))))


def wrong_operand(plan: Encoded, chance: random.Random) -> bytes:
    """An operand that is no tensor."""
    step = chance.choice(plan.steps)
    at = step.at + 24 + 4 * chance.randrange(len(step.operands))
    return plan.but((at, "i", chance.choice((-1, plan.count["tensors"], HIGH, LOW))))


def wrong_arity(plan: Encoded, chance: random.Random) -> bytes:
    """More operands or attributes than the op takes, fewer, or attributes that are not in the plan."""
    step, k = chance.choice(plan.steps), chance.randrange(1, 6)
    bad = [-1, LOW, HIGH, 7, *([] if k == 5 else [100])]
    if k == 5:  # where its attributes begin; one that has none may begin at the end
        bad = [-1, LOW, HIGH, plan.count["attrs"] + 1]
    return plan.but((step.at + 4 * k, "i", chance.choice(bad)))


def wrong_attribute(plan: Encoded, chance: random.Random) -> bytes | None:
    """A whole-numbered attribute that is NaN, infinite, huge, negative or between two numbers."""
    step = chance.choice(plan.steps)
    names = plan.rows[struct.unpack_from("<i", plan.data, step.at)[0]][1].attributes
    chosen = [k for k, name in enumerate(names) if name in WHOLE]
    if not chosen:
        return None
    bad = (float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 2.0**32, 2.0**31, -7.0, 1.5, 1e-300)
    return plan.but((plan.attrs + 8 * (step.first + chance.choice(chosen)), "d", chance.choice(bad)))


def overlapping(plan: Encoded, chance: random.Random) -> bytes | None:
    """An output that lies where another operand of its step lies."""
    step = chance.choice(plan.steps)
    if len(step.operands) < 2:
        return None
    written = chance.randrange(step.ins, len(step.operands))
    other = chance.choice([k for k in range(len(step.operands)) if k != written])
    return plan.but((step.at + 24 + 4 * written, "i", step.operands[other]))


def wrong_shape(plan: Encoded, chance: random.Random) -> bytes | None:
    """An output of another size than the op makes, in a buffer that is large enough."""
    step = chance.choice(plan.steps)
    tensor = step.operands[chance.randrange(step.ins, len(step.operands))]
    _, buffer, _, rank, *dims, _ = plan.place(tensor)
    axes = range(min(rank, 2) if step.op in FREE_PIXELS else rank)
    if step.op in FREE or not axes:
        return None
    at, axis = plan.places + PLACE.size * tensor + 20, chance.choice(axes)
    more = 7 * dims[axis]  # beyond the one more that a pooling's last window may be
    return plan.but((plan.buffers + 8 * buffer, "q", 2**40), (at + 4 * axis, "i", more + dims[axis]))


KINDS: tuple[Callable[[Encoded, random.Random], bytes | None], ...] = (
    *(wrong_head, wrong_length, wrong_size, wrong_count, small_buffer, wrong_offset, wrong_place, wrong_op),
    *(wrong_operand, wrong_arity, wrong_attribute, overlapping, wrong_shape),
)


def measured(library: Library, data: bytes, room: Room) -> tuple[int, list[int], np.ndarray]:
    """hl_measure's answer, the sizes, and the plan in a block of its own."""
    block = room(len(data))
    block[: len(data)] = np.frombuffer(data, np.uint8)
    sizes = (ctypes.c_size_t * 5)()
    return library.c.hl_measure(block.ctypes.data, len(data), ctypes.addressof(sizes)), list(sizes), block


def all_refused(library: Library, seed: int, count: int, room: Room = plain_room) -> str:
    """Fails at a malformed plan that is not refused; how many there were of each kind."""
    chance, seen, errors = random.Random(seed), Counter[str](), Counter[int]()
    good = encoded(library)
    for plan in good:
        error, _, _ = measured(library, plan.data, room)
        assert error == 0, f"the plan of {plan.name} is refused before it is spoilt: {error}"
    # Small plans are as telling as large ones, and there are more of them.
    while sum(seen.values()) < count:
        kind, plan = chance.choice(KINDS), chance.choice(good)
        data = kind(plan, chance)
        if data is None:
            continue
        error, _, block = measured(library, data, room)
        assert error in ERRORS, (
            f"seed {seed}, number {sum(seen.values())}: {plan.name} passes, {kind.__name__}: {error}"
        )
        assert block[: len(data)].tobytes() == data, f"{kind.__name__}: the plan was written to"
        seen[kind.__name__] += 1
        errors[error] += 1
    told = ", ".join(f"{kind} {n}" for kind, n in sorted(seen.items()))
    return (
        f"refused {sum(seen.values())} plans, seed {seed}: {told}; errors {dict(sorted(errors.items(), reverse=True))}"
    )


# ---- plans flipped at random: refused or run


def apart(plan: Plan) -> Lowered:
    """A buffer of its own for every value, so that no neighbour hides a step too far."""
    from sanitized_inside import apart

    return apart(plan)


def flip(plan: Encoded, chance: random.Random) -> bytes:
    """Bytes, words or numbers of it replaced, anywhere behind the header's first words."""
    data = bytearray(plan.data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        how = chance.randrange(4)
        if how == 0:
            data[chance.randrange(12, len(data))] ^= 1 << chance.randrange(8)
        elif how == 1:
            at = chance.randrange(3, len(data) // 4) * 4
            (old,) = struct.unpack_from("<i", data, at)
            value = chance.choice((0, 1, 2, 3, 5, 8, 9, 17, old + 1, old - 1, old * 2, old // 2))
            struct.pack_into("<i", data, at, max(LOW, min(HIGH, value)))
        elif how == 2 and plan.count["attrs"]:
            at = plan.attrs + 8 * chance.randrange(plan.count["attrs"])
            struct.pack_into("<d", data, at, chance.choice((0, 1, 2, 3, 4, 5, 7, -1, 0.5, 1e9, float("nan"), 1e300)))
        else:  # a dimension, where most that passes the first checks is to be had
            at = plan.places + PLACE.size * chance.randrange(plan.count["tensors"]) + 20 + 4 * chance.randrange(4)
            struct.pack_into("<i", data, at, chance.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33)))
    return bytes(data)


def ample(plan: Encoded, data: bytes) -> bytes:
    """The plan with every buffer as large as its tensors need, so that fewer stop at the first check."""
    spoilt = bytearray(data)
    count = plan.count
    if HEADER.unpack_from(data)[3:11] != tuple(count.values()):
        return data
    need = Counter[int]()
    for k in range(count["tensors"]):
        offset, buffer, dtype, _, *dims, _ = PLACE.unpack_from(data, plan.places + PLACE.size * k)
        size = max(0, offset) + int(np.prod([float(n) for n in dims])) * (1 if dtype == 3 else 4)
        need[buffer] = max(need[buffer], min(size, 2**40))
    for k in range(count["buffers"]):
        struct.pack_into("<q", spoilt, plan.buffers + 8 * k, max(need[k], 0))
    return bytes(spoilt)


def too_big(plan: Encoded, data: bytes, sizes: list[int], lengths: list[int]) -> bool:
    """Whether running it would take too long, or more memory than a test should."""
    cells = [
        np.prod([float(n) for n in PLACE.unpack_from(data, plan.places + PLACE.size * k)[4:10]])
        for k in range(plan.count["tensors"])
    ]
    attrs = np.frombuffer(data, np.float64, plan.count["attrs"], plan.attrs)
    whole = attrs[np.isfinite(attrs)]
    large = max([*cells, 0]) > MOST_CELLS or np.abs(whole).max(initial=0) > MOST_ATTRIBUTE
    return large or sizes[1] > MOST_BYTES or sum(lengths) > MOST_BYTES


def loaded_and_run(
    library: Library, plan: Encoded, data: bytes, sizes: list[int], block: np.ndarray, room: Room
) -> str:
    """What became of a plan that was accepted."""
    if HEADER.unpack_from(data)[3:9] != tuple(plan.count.values())[:6]:
        return "other parts"
    lengths = list(struct.unpack_from(f"<{plan.count['buffers']}q", data, plan.buffers))
    if min([*lengths, 0]) < 0 or too_big(plan, data, sizes, lengths):
        return "too big"
    buffers = [room(n) for n in lengths]
    for k, buffer in enumerate(buffers):  # from numbers that are no numbers to plain ones
        buffer[...] = (0, 0xFF, 0x3D)[k % 3]
    memory, scratch = room(sizes[0]), room(sizes[1])
    addresses = (ctypes.c_void_p * len(buffers))(*(b.ctypes.data for b in buffers))
    sized = (ctypes.c_size_t * len(buffers))(*lengths)
    error = library.c.hl_load_plan(
        *(block.ctypes.data, len(data), ctypes.addressof(addresses), ctypes.addressof(sized), len(buffers)),
        *(memory.ctypes.data, memory.size, scratch.ctypes.data, scratch.size),
    )
    if error:
        assert error in ERRORS
        return "refused when loaded"
    controls, records = np.zeros(max(sizes[2], 1), np.uint8), np.zeros(max(sizes[3], 1), np.uint8)
    assert library.c.hl_prepare(memory.ctypes.data) == 0
    ran = library.c.hl_run(
        *(memory.ctypes.data, 1, controls.ctypes.data if sizes[2] else None, sizes[2]),
        *(records.ctypes.data if sizes[3] else None, sizes[3]),
    )
    assert ran == 0, ran
    return "run"


def flipped(library: Library, seed: int, count: int, room: Room) -> str:
    """Measure plans flipped at random, and run those that are accepted."""
    chance, seen = random.Random(seed), Counter[str]()
    good = encoded(library, apart)
    for number in range(count):
        plan = chance.choice(good)
        data = flip(plan, chance)
        if chance.random() < 0.7:
            data = ample(plan, data)
        error, sizes, block = measured(library, data, room)
        if error:
            assert error in ERRORS, error
            seen["refused"] += 1
            continue
        print(f"seed {seed}, number {number}: {plan.name}", flush=True)
        seen[loaded_and_run(library, plan, data, sizes, block, room)] += 1
    return f"flipped {count} plans, seed {seed}: {dict(seen)}"
