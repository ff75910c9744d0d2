"""A plan as the compiled kernels run it: ops fused where the plan allows, and the arena packed anew.

Fused are a convolution with the max pooling that follows it (its maps are pooled while they are in the cache, and never
stored where nothing else reads them), and a max pooling's adjoint with the ReLU's that follows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...memory import Lifetime, aligned, pack
from ...plan import Place, Plan, Step
from ..readers import key, readers
from .attributes import Numbers, attributes

ARENA = "arena"


@dataclass(frozen=True)
class Call:
    """One call of a kernel: operands by name, attributes as numbers by name."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    updates: tuple[str, ...]
    attrs: Numbers
    step: int  # of the plan, the last it stands for
    multiply_adds: int = 0
    layer: str = ""


@dataclass(frozen=True)
class Lowered:
    """What is encoded and loaded. ``tensors`` that nothing holds any more are left out."""

    prologue: tuple[Call, ...]
    steps: tuple[Call, ...]
    tensors: dict[str, Place]
    buffers: dict[str, int]


def lower(plan: Plan, fused: bool = True) -> Lowered:
    """The plan's calls, fused, in an arena of their own layout."""
    prologue = tuple(call_of(plan, k, step) for k, step in enumerate(plan.prologue))
    steps = [call_of(plan, k, step) for k, step in enumerate(plan.steps)]
    if fused:
        steps = fuse_pool_adjoints(plan, fuse_pools(plan, steps))
    tensors, buffers = repacked(plan, steps)
    return Lowered(prologue, tuple(steps), tensors, buffers)


def call_of(plan: Plan, number: int, step: Step) -> Call:
    """One step, unfused."""
    attrs = attributes(plan, step)
    return Call(step.op, step.inputs, step.outputs, step.updates, attrs, number, step.multiply_adds, step.layer)


def fuse_pools(plan: Plan, calls: list[Call]) -> list[Call]:
    """conv2d and the max pooling after it as one call, which keeps the maps only where they are read again."""
    result, k = [], 0
    while k < len(calls):
        conv, pool = calls[k], calls[k + 1] if k + 1 < len(calls) else None
        k += 1
        if pool is None or conv.op != "conv2d" or pool.op != "max_pool2d" or not poolable(plan, conv, pool):
            result.append(conv)
            continue
        kept = readers(plan, calls, k - 1) != [k]
        outputs = (*conv.outputs, *pool.outputs) if kept else pool.outputs
        window = {f"pool_{name}": pool.attrs[name] for name in ("kernel_h", "kernel_w", "stride_h", "stride_w")}
        attrs = {**conv.attrs, **window}
        result.append(replace(conv, op="conv2d_max_pool2d", outputs=outputs, attrs=attrs, step=pool.step))
        k += 1
    return result


def poolable(plan: Plan, conv: Call, pool: Call) -> bool:
    """Whether the pooling reads the convolution's maps, unpadded, no window beyond their edge."""
    if key(plan, pool.inputs[0]) != key(plan, conv.outputs[0]):
        return False
    shape = plan.tensors[pool.inputs[0]].shape
    out = plan.tensors[pool.outputs[0]].shape[2:]
    if any(pool.attrs[side] for side in ("top", "left", "bottom", "right")):
        return False
    return all(
        (p - 1) * pool.attrs[f"stride_{axis}"] + pool.attrs[f"kernel_{axis}"] <= n
        for p, axis, n in zip(out, "hw", shape[2:], strict=True)
    )


def fuse_pool_adjoints(plan: Plan, calls: list[Call]) -> list[Call]:
    """max_pool2d_dx and the relu_dx after it as one call."""
    result, k = [], 0
    while k < len(calls):
        pool, relu = calls[k], calls[k + 1] if k + 1 < len(calls) else None
        k += 1
        fits = (
            relu is not None
            and pool.op == "max_pool2d_dx"
            and relu.op == "relu_dx"
            and key(plan, relu.inputs[0]) == key(plan, pool.inputs[0])  # the pooling's input is the ReLU's output
            and key(plan, relu.inputs[1]) == key(plan, pool.outputs[0])
            and readers(plan, calls, k - 1) == [k]
        )
        if relu is None or not fits:
            result.append(pool)
            continue
        result.append(replace(pool, outputs=relu.outputs, attrs={**pool.attrs, "relu": 1.0}, step=relu.step))
        k += 1
    return result


def repacked(plan: Plan, calls: list[Call]) -> tuple[dict[str, Place], dict[str, int]]:
    """Tensors and buffers with the arena's values placed by the lifetimes that they have in ``calls``.

    A value is what a call writes; the plan's views of it (another shape at the same place) go where it goes.
    """
    end = len(calls)
    current: dict[int, str] = {}  # offset in the plan's arena -> the value that lies there now
    value_of: dict[str, str] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for k, call in enumerate(calls):
        # What is read comes first: a fused call may write where the plan had its input, once that was out of use.
        for name in (*call.inputs, *call.updates):
            place = plan.tensors[name]
            if place.buffer == ARENA:
                value_of[name] = current[place.offset]
                last[value_of[name]] = k
        for name in call.outputs:
            if plan.tensors[name].buffer == ARENA:
                current[plan.tensors[name].offset] = value_of[name] = name
                first[name] = last[name] = k
    for name in plan.outputs.values():
        place = plan.tensors[name]
        if place.buffer == ARENA:
            value_of[name] = current[place.offset]
            last[value_of[name]] = end
    spans = [Lifetime(v, aligned(plan.tensors[v].bytes), begin, last[v]) for v, begin in first.items()]
    offsets, size = pack(spans)
    tensors = {}
    for name, place in plan.tensors.items():
        if place.buffer != ARENA:
            tensors[name] = place
        elif name in value_of:
            tensors[name] = replace(place, offset=offsets[value_of[name]])
    buffers = {name: bytes_ for name, bytes_ in plan.buffers.items() if name != ARENA}
    if size:
        buffers[ARENA] = size
    return tensors, buffers


def unsupported(plan: Plan, ops: Iterable[str]) -> list[str]:
    """Reasons why a library with these ops cannot run the plan."""
    known = set(ops)
    lacking = sorted({step.op for step in (*plan.prologue, *plan.steps)} - known)
    kinds = sorted({place.dtype for place in plan.tensors.values()} - {"float32", "int32", "uint32", "uint8"})
    deep = sorted(name for name, place in plan.tensors.items() if len(place.shape) > 6)
    return [
        *(f"there is no compiled kernel for {op}" for op in lacking),
        *(f"compiled kernels know no {kind}" for kind in kinds),
        *(f"{name!r} has more than six axes" for name in deep),
    ]
