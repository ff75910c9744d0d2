"""The WGSL files: their headers read and held against the op table, and their text specialised for one call.

A file begins with its header, a fact a line after ``//:``

    //: op conv2d             the op it serves; the file is called after it, or after it and what sets it apart
    //: then max_pool2d       the op after it whose work it does too, where it does; operands: ``max_pool2d_y``
    //: in x f32              bindings in order: ``in``, ``out`` and ``update`` as in the op table (an optional input
    //: out y f32             without its question mark), ``scratch_out`` and ``scratch_in`` for what one pass of an
    //: const N u32           op hands to the next; elements are f32, i32, u32, or vec4f: four f32 at once, the last
    //: workgroup 64 1 1      ones in the gap that follows a tensor. Constants, which a call must give, are u32, i32,
                              f32 or bool

Declarations and constants are prepended when a call is specialised; the rest is plain WGSL with one entry, ``main``.
Bindings come without their access: WebGPU tracks use per whole buffer, so that what is only read must still be bound
``read_write`` where the same dispatch writes elsewhere in that buffer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ...errors import PlanError
from ...ops import TABLE

ELEMENTS = {"f32": 4, "i32": 4, "u32": 4, "vec4f": 16}
ROLES = ("in", "out", "update", "scratch_in", "scratch_out")
WRITES = ("out", "update", "scratch_out")
LARGEST_F32 = 3.4028234663852886e38
MOST_BINDINGS = 8  # maxStorageBuffersPerShaderStage that every adapter grants

Value = bool | int | float


@dataclass(frozen=True)
class Slot:
    """One binding: its name in the source, whose operand it is, and what it holds."""

    name: str
    role: str
    element: str

    @property
    def operand(self) -> str:
        """The operand's name in the op table; one that WGSL reserves (``target``) has an underscore in the source."""
        return self.name.rstrip("_")


@dataclass(frozen=True)
class Kernel:
    """One WGSL file."""

    name: str
    op: str
    slots: tuple[Slot, ...]
    constants: tuple[tuple[str, str], ...]
    workgroup: tuple[int, int, int]
    body: str
    then: str = ""  # the op after it whose work it does too

    def check(self) -> Kernel:
        """Hold the header against the op table. Raises PlanError naming the kernel."""
        op = TABLE.get(self.op)
        if op is None or not (self.name == self.op or self.name.startswith(f"{self.op}_")):
            raise PlanError(f"{self.name}.wgsl serves {self.op!r}: no such op, or the file is not called after it")
        known = {"in": [i.rstrip("?") for i in op.inputs], "out": list(op.outputs), "update": list(op.updates)}
        if self.then:
            if self.then not in TABLE:
                raise PlanError(f"{self.name}.wgsl does the work of {self.then!r}, too: no such op")
            known["out"] += [f"{self.then}_{name}" for name in TABLE[self.then].outputs]
        for slot in self.slots:
            if not slot.role.startswith("scratch") and slot.operand not in known.get(slot.role, ()):
                raise PlanError(f"{self.name}.wgsl binds {slot.role} {slot.name!r}, which {self.op!r} does not have")
            if slot.element not in ELEMENTS:
                raise PlanError(f"{self.name}.wgsl: {slot.name!r} holds {slot.element!r}; use f32, i32, u32 or vec4f")
        if not 0 < len(self.slots) <= MOST_BINDINGS:
            raise PlanError(f"{self.name}.wgsl binds {len(self.slots)} buffers; 1 to {MOST_BINDINGS} are granted")
        if "fn main(" not in self.body or math.prod(self.workgroup) > 256:
            raise PlanError(f"{self.name}.wgsl needs an entry called main and at most 256 invocations a workgroup")
        return self

    def specialise(self, constants: Mapping[str, Value], written: Sequence[bool], bound: Sequence[int] = ()) -> str:
        """The WGSL of one call; ``written`` says of each slot whether its buffer is written by this dispatch, and
        ``bound`` how many bytes are bound to it: an array of stated length is cheaper to check bounds of."""
        stated = dict(self.constants)
        if set(constants) != set(stated):
            raise PlanError(f"{self.name}.wgsl takes the constants {sorted(stated)}; got {sorted(constants)}")
        lines = [f"const {name}: {kind} = {literal(constants[name], kind)};" for name, kind in self.constants]
        x, y, z = self.workgroup
        lines += [f"const WORKGROUP_X = {x}u;", f"const WORKGROUP_Y = {y}u;", f"const WORKGROUP_Z = {z}u;"]
        for place, (slot, changes) in enumerate(zip(self.slots, written, strict=True)):
            access = "read_write" if changes else "read"
            count = f", {bound[place] // ELEMENTS[slot.element]}" if bound else ""
            lines.append(
                f"@group(0) @binding({place}) var<storage, {access}> {slot.name}: array<{slot.element}{count}>;"
            )
        return "\n".join([f"// {self.name}", *lines, self.body])


def literal(value: Value, kind: str) -> str:
    """A constant as WGSL writes it."""
    if kind == "bool":
        return "true" if value else "false"
    if kind in ("u32", "i32"):
        if value != int(value) or not (0 if kind == "u32" else -(2**31)) <= value < (2**32 if kind == "u32" else 2**31):
            raise PlanError(f"{value!r} is no {kind}")
        return f"{kind}({int(value)})" if value >= 0 else f"i32({int(value)})"
    if kind != "f32" or not math.isfinite(value) or abs(value) > LARGEST_F32:
        raise PlanError(f"{value!r} cannot be a constant of type {kind}")
    return f"f32({float(value)!r})"


def parse(name: str, text: str) -> Kernel:
    """A kernel from the text of its file. Raises PlanError for a header that does not fit."""
    op, then, workgroup, slots, constants = "", "", (0, 0, 0), list[Slot](), list[tuple[str, str]]()
    for line in text.splitlines():
        if not line.startswith("//:"):
            continue
        match line[3:].split():
            case ["op", word]:
                op = word
            case ["then", word]:
                then = word
            case ["workgroup", x, y, z]:
                workgroup = (int(x), int(y), int(z))
            case ["const", word, kind] if kind in ("u32", "i32", "f32", "bool"):
                constants.append((word, kind))
            case [role, word, element] if role in ROLES:
                slots.append(Slot(word, role, element))
            case _:
                raise PlanError(f"{name}.wgsl: {line!r} is no line of a header")
    return Kernel(name, op, tuple(slots), tuple(constants), workgroup, text, then).check()


@cache
def all_kernels() -> dict[str, Kernel]:
    """Every kernel of the package by the name of its file."""
    found = {}
    for file in sorted(files(__package__).joinpath("wgsl").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".wgsl"):
            name = file.name.removesuffix(".wgsl")
            found[name] = parse(name, file.read_text("utf-8"))
    return found


def kernel(name: str) -> Kernel:
    """One kernel by name."""
    try:
        return all_kernels()[name]
    except KeyError:
        raise PlanError(f"there is no kernel {name}.wgsl; there are: {', '.join(all_kernels())}") from None
