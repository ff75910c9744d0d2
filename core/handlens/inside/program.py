"""Copy as NumPy: a short program that makes one number of a network again, from the pixels of its receptive field.

The program needs a bare CPython with NumPy. It holds the pixels and the weights that the number depends on and nothing
else, and goes layer by layer as the network does, in double precision where that rounds to single. The two agree within
``TOLERANCE`` times the sum of the absolute terms (:func:`scale`), which the program states.
"""

from __future__ import annotations

import base64
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..graph import Array, Shape
from ..ops.pool import average_divisor
from .explain import Lens, rule_of
from .receptive import reads
from .steps import IN_PLACE, Index, Step, find

if TYPE_CHECKING:
    from ..model import Sequential

TOLERANCE = 1e-5  # of the sum of the absolute terms
LONGEST = 2500  # characters of weights written out; longer lists are packed
LONGEST_IMAGE = 6000  # of pixels: most of a drawing is paper, 0
WIDTH = 128

Region = list[tuple[int, int]]  # first and end of each axis, without the batch

SINGLE = '''
def single(numbers, *shape):
    """Numbers in single precision, as the network keeps them."""
    return np.array(numbers, np.float32).reshape(shape).astype(float)'''
PACKED = '''
def packed(text, *shape):
    """Many numbers in single precision: their bytes in base64."""
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape).astype(float)'''


def numpy_program(model: Sequential, x: Array, layer: str, index: int | Sequence[int]) -> str:
    """The program for cell ``index`` of ``layer``, for one image; it prints the number and what the network computed.

    Raises DataError for a layer or cell that is not there.
    """
    return program(Lens.over(model, x), layer, index)


def program(lens: Lens, layer: str, index: int | Sequence[int]) -> str:
    """:func:`numpy_program` of what a lens is held over."""
    step = find(lens.steps, layer)
    cell = step.checked(index)
    plan = [(step, [(i, i + 1) for i in cell])]  # from the number back to the pixels
    while plan[-1][0].source:
        last, region = plan[-1]
        plan.append((lens.steps[last.source], needed(last, region)))
    plan.reverse()
    parts = [pixels(lens, plan[0][1])]
    for k in range(1, len(plan)):
        rest = [later for later, _ in plan[k + 1 :]]
        one = all(b - a == 1 for a, b in plan[k][1]) and all(s.kind in (*IN_PLACE, "flatten") for s in rest)
        parts.append(headed(plan[k][0], WRITERS[plan[k][0].kind](lens, *plan[k], plan[k - 1][1], one)))
    shown = clean(f"{layer}[{', '.join(map(str, cell))}]")
    value = number(lens.values(layer)[cell])
    body = "\n\n".join(part for part in parts if part)
    says = (
        f"{shown} of the network {clean(lens.model.name)[:60]}, made again from the pixels that it sees.\n\n"
        f"The network computes in single precision and found {value}; this program computes in double.\n"
        f"They agree within {TOLERANCE:g} times {scale(lens, layer, cell):.4g}, the sum of the absolute terms."
    )
    return f'"""{says}\n"""\n\n{preamble(body)}\n{body}\n\n{ending(shown, value)}'


def preamble(body: str) -> str:
    """The imports and helpers that a body needs."""
    imports = ["import base64\n"] if "packed(" in body else []
    imports += ["import numpy as np"]
    imports += ["from numpy.lib.stride_tricks import sliding_window_view"] if "sliding_window_view" in body else []
    helpers = [text for name, text in (("single(", SINGLE), ("packed(", PACKED)) if name in body]
    return "\n".join([*imports, *(f"\n{text}" for text in helpers), *(["", ""] * bool(helpers))])


def ending(shown: str, value: str) -> str:
    """The lines that print."""
    return f'print("{shown} =", x.item())\nprint("the network computed", {value})\n'


def scale(lens: Lens, layer: str, index: Index) -> float:
    """What the rounding of a number is measured against: the sum of the absolute terms and bias where it was last made
    by adding up. What follows hands that on: a batch norm multiplies it, a maximum takes the largest; 1 at least for
    functions onto 0..1 and -1..1.
    """
    known: dict[tuple[str, Index], float] = {}

    def of(key: str, cell: Index) -> float:
        if (key, cell) not in known:
            known[key, cell] = measured(key, cell)
        return known[key, cell]

    def measured(key: str, cell: Index) -> float:
        found = lens.explain(key, cell)
        if found.kind in ("input", "conv2d", "dense", "softmax"):
            return found.magnitude
        places = found.terms.indices[~found.terms.outside].tolist()
        before = [of(found.terms.source, tuple(place)) for place in places]
        if found.kind == "batch_norm":
            return abs(float(found.details["scale"])) * before[0] + found.magnitude
        if found.kind in ("avg_pool", "global_avg_pool"):
            return sum(before) / float(found.details["count"])
        return max([1.0 if found.kind in ("sigmoid", "tanh") else 0.0, *before])

    return of(layer, index)


def needed(step: Step, region: Region) -> Region:
    """The block of the source that a step needs for a block of its cells."""
    found = [
        (places[0], places[-1] + 1) if places else (0, 0) for places in reads(step, [[*range(*r)] for r in region])
    ]
    if step.kind in ("conv2d", "max_pool", "avg_pool"):  # whole spans, also where strides leave gaps
        for axis in (0, 1):
            (low, high), n = span(step, region, axis), step.reads[1 + axis]
            found[1 + axis] = min(max(low, 0), n), min(max(high, 0), n)
    return found


def span(step: Step, region: Region, axis: int) -> tuple[int, int]:
    """First and end of the rows (axis 0) or columns (1) under the windows of a region, padding included."""
    (first, end), window = region[1 + axis], step.window
    stride, begin = window.strides[axis], window.pads[axis]
    return first * stride - begin, (end - 1) * stride - begin + window.kernel[axis]


# -- how arrays are written --------------------------------------------------------------------------------------------


def clean(name: str) -> str:
    """A name that cannot end a comment or a text: names come from files that anyone may have written."""
    return re.sub(r"[^\w .,\[\]-]", "_", name, flags=re.ASCII)


def number(value: float) -> str:
    """The shortest decimal that is this number in single precision."""
    return str(np.float32(value)).removesuffix(".0")


def literal(array: Array, row: int, shape: Shape | None = None, longest: int = LONGEST) -> str:
    """An array as an expression, ``row`` numbers to a line; packed where it would take more characters."""
    size = ", ".join(map(str, array.shape if shape is None else shape))
    flat = np.asarray(array, "<f4").reshape(-1)
    few = 3 * len(flat) <= longest  # "0, " is the shortest
    lines = [", ".join(number(v) for v in flat[k : k + row]) for k in range(0, len(flat) * few, max(row, 1))]
    if not few or sum(map(len, lines)) > longest:
        text = base64.b64encode(flat.tobytes()).decode()
        rows = "\n".join(text[k : k + WIDTH] for k in range(0, len(text), WIDTH))
        return f'packed("""\n{rows}\n""", {size})'
    if len(lines) <= 1 and len("".join(lines)) < WIDTH - 30:
        return f"single([{''.join(lines)}], {size})"
    wrapped = [f"    {part}" for line in lines for part in textwrap.wrap(f"{line},", WIDTH)]
    return "\n".join(["single([", *wrapped, f"], {size})"])


def headed(step: Step, code: Sequence[str]) -> str:
    """The lines of a step under its name and its rule."""
    return "\n".join([f"# {clean(step.key)} ({step.kind}): {rule_of(step)}", *code])


# -- the steps ---------------------------------------------------------------------------------------------------------
# Each writes the lines that turn ``x``, the block ``source`` of what it reads, into the block ``region`` of its cells.
# ``one`` says that a single number is wanted from here on: then sums are written out as a product and its sum.


def pixels(lens: Lens, region: Region) -> str:
    """The pixels of the receptive field."""
    image = lens.values("input")[tuple(slice(*r) for r in region)]
    names = ("channel", "row", "column") if len(region) == 3 else ("number",)
    size = "x".join(map(str, lens.values("input").shape[-2:]))
    where = ", ".join(
        f"{n}s {a} to {b - 1}" if b - a > 1 else f"{n} {a}" for n, (a, b) in zip(names, region, strict=True)
    )
    if not image.size:
        where = "no pixel, padding alone"
    return f"# input: {where} of the {size} image\nx = {literal(image, max(image.shape[-1], 1), longest=LONGEST_IMAGE)}"


def padded(step: Step, region: Region, source: Region, fill: str = "") -> list[str]:
    """The line that adds the padding under the windows of a region, where they reach it."""
    widths = []
    for axis in (0, 1):
        (low, high), (first, end) = span(step, region, axis), source[1 + axis]
        before = min(max(-low, 0), high - low)
        widths.append((before, high - low - before - (end - first)))
    if not any(map(any, widths)):
        return []
    return [f"x = np.pad(x, ((0, 0), {widths[0]}, {widths[1]}){fill})  # the padding, as far as it is reached"]


def windows(step: Step, region: Region) -> str:
    """The expression of all windows (maps, rows, columns, KH, KW) over ``x``."""
    strides = [s if b - a > 1 else 1 for s, (a, b) in zip(step.window.strides, region[1:], strict=True)]
    cut = ", ".join(f"::{s}" if s > 1 else ":" for s in strides)
    return f"sliding_window_view(x, {step.window.kernel}, (1, 2))" + (f"[:, {cut}]" if max(strides) > 1 else "")


def convolve(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    kernels = slice(*region[0])
    weight = lens.model.parameter(step.parameters[0])[kernels]
    bias = [lens.model.parameter(name)[kernels] for name in step.parameters[1:]]
    cells = math.prod(weight.shape[2:]) if math.prod(weight.shape[2:]) <= 9 else weight.shape[3]
    lines = padded(step, region, source)
    if one:
        shape = "x".join(map(str, weight.shape[2:]))
        each = f"one {shape} matrix" if weight.shape[1] == 1 else f"a {shape} matrix for each of {weight.shape[1]} maps"
        lines += [f"w = {literal(weight[0], cells)}", f"products = w * x  # the Hadamard product, {each}"]
        return [*lines, summed(bias)]
    lines += [f"w = {literal(weight, cells)}", *(f"b = {literal(b, 8, (len(b), 1, 1))}" for b in bias)]
    return [*lines, f'x = np.einsum("fcij,cpqij->fpq", w, {windows(step, region)})' + " + b" * len(bias)]


def summed(bias: list[Array]) -> str:
    """The line that adds the products up, and the bias where there is one."""
    value = float(bias[0][0]) if bias else 0.0
    return "x = products.sum()" + (f" {'-' if value < 0 else '+'} {number(abs(value))}" if bias else "")


def connect(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    units = slice(*region[0])
    weight = lens.model.parameter(step.parameters[0])[units]
    bias = [lens.model.parameter(name)[units] for name in step.parameters[1:]]
    if one:
        lines = [f"w = {literal(weight[0], 8)}", "products = w * x"]
        return [*lines, summed(bias)]
    lines = [f"w = {literal(weight, 8)}", *(f"b = {literal(b, 8)}" for b in bias)]
    return [*lines, "x = w @ x" + " + b" * len(bias)]


def normalise(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    named = ["gamma", "beta", "mean", "variance"]
    values = [lens.model.parameter(name)[slice(*region[0])] for name in step.parameters]
    if len(values[0]) == 1:
        given = [f"{', '.join(named)} = {', '.join(number(v[0]) for v in values)}"]
    else:
        shape = (4, len(values[0]), *(1 for _ in region[1:]))
        given = [f"{', '.join(named)} = {literal(np.stack(values), 8, shape)}"]
    return [*given, f"x = gamma * (x - mean) / np.sqrt(variance + {float(step.attrs['epsilon'])!r}) + beta"]


def pool_largest(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    lines = padded(step, region, source, ", constant_values=-np.inf")
    return [*lines, "x = x.max()" if one else f"x = {windows(step, region)}.max(axis=(3, 4))"]


def pool_average(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    counts = average_divisor((1, *step.reads), step.window, bool(step.attrs.get("include_pad", False)))
    counts = counts[slice(*region[1]), slice(*region[2])]
    same = counts.min() == counts.max()
    divisor = str(int(counts.flat[0])) if same else literal(counts, counts.shape[1])
    total = "x.sum()" if one else f"{windows(step, region)}.sum(axis=(3, 4))"
    return [*padded(step, region, source), f"x = {total} / {divisor}"]


def pool_whole(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    return ["x = x.mean()" if one else "x = x.mean(axis=(1, 2))"]


def flatten(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    return [] if one else ["x = x.reshape(-1)"]


def keep(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    return []


def bend(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    alpha = float(step.attrs.get("alpha", 0.01))
    formulas = {
        "relu": "np.maximum(x, 0)",
        "leaky_relu": f"np.where(x > 0, x, {alpha!r} * x)",
        "sigmoid": "(1 + np.tanh(x / 2)) / 2",  # without overflow
        "tanh": "np.tanh(x)",
    }
    return [f"x = {formulas[step.kind]}"]


def share(lens: Lens, step: Step, region: Region, source: Region, one: bool) -> list[str]:
    first, end = region[-1]
    if one and len(region) == 1:
        return ["exponentials = np.exp(x - x.max())", f"x = exponentials[{first}] / exponentials.sum()"]
    return [
        "exponentials = np.exp(x - x.max(axis=-1, keepdims=True))",
        f"x = (exponentials / exponentials.sum(axis=-1, keepdims=True))[..., {first}:{end}]",
    ]


WRITERS: dict[str, Callable[[Lens, Step, Region, Region, bool], list[str]]] = {
    "conv2d": convolve,
    "dense": connect,
    "batch_norm": normalise,
    "max_pool": pool_largest,
    "avg_pool": pool_average,
    "global_avg_pool": pool_whole,
    "flatten": flatten,
    "dropout": keep,
    "identity": keep,
    "relu": bend,
    "leaky_relu": bend,
    "sigmoid": bend,
    "tanh": bend,
    "softmax": share,
}
