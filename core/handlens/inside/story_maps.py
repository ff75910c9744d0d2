"""The article's figures on an image: the Hadamard product, a sliding kernel, several kernels, channels, pooling.

Images are (28, 28) float32, 0 paper to 1 ink: the visitor's drawing, or `example()` while there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..data import generator
from ..errors import DataError
from ..layers import Conv2D, Layer, MaxPool2D
from ..model import Sequential
from ..ops.conv import conv2d
from ..ops.pool import avg_pool2d, max_pool2d
from ..strokes import prepare
from . import receptive
from .story_counts import pooling_saves, sliding, whole
from .story_neurons import numbers
from .story_tools import Float, apply, costs, network, slope
from .wording import number, written

Image = NDArray[np.float32]

# The article's figure is lost; these are an example whose products add up as it says, +1 -1 +1 -1.
PATCH = ((1.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 0.0))
KERNEL = ((1.0, -1.0, 0.0), (1.0, 0.0, -1.0), (1.0, -1.0, 0.0))

# Patterns of a 3x3 patch; the kernel that looks for each is the pattern without its mean, scaled to length one.
PATTERNS = {
    "line": ((0, 0, 0), (1, 1, 1), (0, 0, 0)),
    "corner": ((1, 1, 1), (1, 0, 0), (1, 0, 0)),
    "spot": ((1, 1, 1), (1, 0, 1), (1, 1, 1)),
}
# Hand-made kernels for strokes of ink; their weights add up to 0, so that plain paper and plain ink both give 0.
DETECTIVES = {
    "top edge": ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    "left edge": ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    "rising line": ((-1, -1, 2), (-1, 2, -1), (2, -1, -1)),
    "spot": ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1)),
}


@cache
def example(label: int = 7) -> Image:
    """A digit by the project's own writer, prepared as a drawing is: what the figures show while nothing is drawn."""
    written = next(one for one in generator.digits(20, 3) if one.label == label)
    prepared = prepare(written.drawn(), 280.0)
    assert prepared is not None  # the writer leaves ink
    return np.asarray(prepared.image, np.float32)


def beginnings() -> dict[str, tuple[ArrayLike, ArrayLike]]:
    """Patches and kernels to begin with: the article's example, patterns, and brightness against match."""
    found = patterns()
    place = {name: k for k, name in enumerate(found["names"])}
    own = {name: (found["patterns"][k], found["kernels"][k].round(2)) for name, k in place.items()}
    diagonal = np.eye(3)
    return {
        "article": (PATCH, KERNEL),
        **own,
        "spot under corner": (own["spot"][0], own["corner"][1]),
        "faint": (0.2 * diagonal, diagonal),
        "bright": (np.ones((3, 3)), diagonal),
    }


def hadamard(
    patch: ArrayLike | None = None,
    kernel: ArrayLike | None = None,
    bias: float = 0.0,
    flip: bool = False,
    start: str = "article",
) -> dict[str, Any]:
    """One place of a kernel: ``product = patch * kernel`` cell by cell, a matrix; ``value = sum(product) + bias``.

    start: which of `beginnings` gives what is left out. flip: turn the kernel by half a turn first, which makes the
    cross-correlation a convolution in the strict sense.
    value: from the conv2d op. cosine: of patch and kernel, which does not grow with brightness; 0 where one is all 0.
    """
    known = beginnings()
    if start not in known:
        raise DataError(f"no example is called {start!r}; there are: {', '.join(known)}")
    image = numbers(known[start][0] if patch is None else patch, 3, 3)
    given, b = numbers(known[start][1] if kernel is None else kernel, 3, 3), numbers([bias], 1)
    used = given[::-1, ::-1] if flip else given
    product = image * used
    lengths = float(np.linalg.norm(image) * np.linalg.norm(used))
    return {
        "patch": image,
        "kernel": given,
        "used": np.ascontiguousarray(used),
        "product": product,
        "sum": float(product.sum()),
        "bias": float(b[0]),
        "value": float(apply(conv2d, image[None, None], used[None, None], b).item()),
        "flip": flip,
        "cosine": float(product.sum()) / lengths if lengths else 0.0,
    }


def patterns() -> dict[str, Any]:
    """Line, corner and spot against the kernel made for each: answers[pattern, kernel], largest on the diagonal."""
    images = np.array(list(PATTERNS.values()), np.float64)
    kernels = images - images.mean(axis=(1, 2), keepdims=True)
    kernels /= np.sqrt((kernels**2).sum(axis=(1, 2), keepdims=True))
    answers = apply(conv2d, images[:, None], kernels[:, None])[:, :, 0, 0]
    return {"names": list(PATTERNS), "patterns": images, "kernels": kernels, "answers": answers}


def edge(kernel: int) -> Float:
    """A kernel of any size that finds left edges: columns from -1 to 1, scaled so that its largest answer is 1."""
    columns = np.linspace(-1, 1, kernel) if kernel > 1 else np.ones(1)
    grid = np.tile(columns, (kernel, 1))
    return np.asarray(grid / grid[grid > 0].sum(), np.float64)


def slide(
    image: Image | None = None,
    kernel: int = 3,
    stride: int = 1,
    padding: int = 0,
    step: int = -1,
    story: bool = False,
) -> dict[str, Any]:
    """A kernel on its way over the image: `story_counts.sliding`, and what it reads and writes at this step.

    step: counted row by row; -1 for the one with the largest sum. image: with its padding. patch (k, k): what lies
    under the kernel, 0 in the padding. map (out, out): all that it writes. spoken: the step in words. told: with
    ``story``, the same step as the article tells it, of a detective with a magnifying glass; otherwise "".
    """
    drawn = example() if image is None else image
    weight = edge(whole(kernel, 1, 7, "kernel"))
    sliding(drawn.shape[0], kernel, stride, padding)  # refuses what does not fit, in its own words
    made = apply(conv2d, drawn[None, None], weight[None, None], strides=stride, padding=padding)[0, 0]
    place = sliding(drawn.shape[0], kernel, stride, padding, int(made.argmax()) if step == -1 else step)
    padded = np.pad(drawn, padding)
    top, left = place["top"] + padding, place["left"] + padding
    patch = padded[top : top + kernel, left : left + kernel].astype(np.float64)
    value = float(made[place["row"], place["column"]])
    return {
        **place,
        "told": tale(place, value, float(made.max())) if story else "",
        "image": padded,
        "patch": patch,
        "weights": weight,
        "product": patch * weight,
        "map": made,
        "value": value,
        "spoken": spoken(place, patch, value),
    }


def spoken(place: Mapping[str, Any], patch: Float, value: float) -> str:
    """A step as a screen reader hears it: the patch row by row, the sum, and where it is written."""
    rows = "; ".join(f"patch row {k + 1}: {', '.join(map(written, row))}" for k, row in enumerate(patch))
    return f"{rows}; sum {number(value)}, written to row {place['row'] + 1}, column {place['column'] + 1}"


def tale(place: Mapping[str, Any], value: float, largest: float) -> str:
    """One step of the kernel for left edges in the article's picture, a pixel an inch; ``largest``: of all its sums."""
    kernel, stride, size = place["kernel"], place["stride"], place["size"]
    top, left = place["top"], place["left"]
    inside = min(top, left) >= 0 and max(top, left) + kernel <= size
    where = f"{inches(left)} from its left edge and {inches(top)} from its top" if inside else "partly beside it"
    if largest > 0 and value > largest / 2:
        seen = "There is a clear left edge"
    elif largest > 0 and value > largest / 20:
        seen = "There is a hint of a left edge"
    elif value < 0 and -value > largest / 20:
        seen = "Ink ends here where it should begin, the opposite of a left edge"
    else:
        seen = "There is none"
    onward = f"moves the glass on by {inches(stride)}"
    if place["column"] + 1 == place["out"]:
        onward = f"begins again at the left, {inches(stride)} lower"
    if place["step"] + 1 == place["steps"]:
        onward = "has seen the whole photograph: the notebook is the map"
    return (
        f"The detective looks for left edges. The glass, {kernel} by {inches(kernel)}, lies on the photograph, "
        f"{where}. {seen}: {number(value)}. The detective writes that into row {place['row'] + 1}, column "
        f"{place['column'] + 1} of a notebook, and {onward}."
    )


def inches(count: int) -> str:
    """ "1 inch", "3 inches"."""
    return f"{count} inch" if count == 1 else f"{count} inches"


def several(image: Image | None = None, changed: int = -1) -> dict[str, Any]:
    """Four hand-made kernels over one image: four maps, before the ReLU and after, and the share that it sets to 0.

    changed: the number of a kernel to replace by its negative; differs[i]: whether map i is another one then.
    """
    drawn = example() if image is None else image
    weight = np.array(list(DETECTIVES.values()), np.float64)
    weight /= np.maximum(weight, 0).sum(axis=(1, 2), keepdims=True)
    before = weight.copy()
    if 0 <= changed < len(weight):
        weight[changed] *= -1
    maps, known = (apply(conv2d, drawn[None, None], w[:, None])[0] for w in (weight, before))
    after = np.maximum(maps, 0)
    return {
        "names": list(DETECTIVES),
        "kernels": weight,
        "maps": maps,
        "after": after,
        "zero": [float(share) for share in (after == 0).mean(axis=(1, 2))],
        "changed": changed,
        "differs": [bool(np.abs(maps[i] - known[i]).max() > 0) for i in range(len(weight))],
        "image": drawn,
    }


def channels(
    model: Sequential, image: Image | None = None, kernel: int = 0, cell: Sequence[int] = (4, 4)
) -> dict[str, Any]:
    """Three maps into five kernels, with a shipped network's own maps and weights: the article's example, alive.

    The first three maps of the first pooling, and the first five kernels of the second convolution without their
    other channels. intermediate (3, P, Q): one map a channel; total: their sum and the bias; shares: of one cell.
    """
    drawn = example() if image is None else image
    maps = np.asarray(model.trace(drawn[None, None])["pool1"][0, :3], np.float64)
    state = model.state_dict()
    weight, bias = (np.asarray(state[f"conv2.{name}"][:5], np.float64) for name in ("weight", "bias"))
    weight = weight[:, :3]
    k = whole(kernel, 0, len(weight) - 1, "kernel")
    single = np.stack([apply(conv2d, maps[None, c : c + 1], weight[k : k + 1, c : c + 1])[0, 0] for c in range(3)])
    total = apply(conv2d, maps[None], weight[k : k + 1], bias[k : k + 1])[0, 0]
    row, column = (min(max(0, int(at)), n - 1) for at, n in zip(cell, total.shape, strict=True))
    (cost,) = costs([Conv2D(len(weight), weight.shape[2:])], maps.shape)
    return {
        "maps": maps,
        "kernels": weight,
        "kernel": k,
        "intermediate": single,
        "bias": float(bias[k]),
        "total": total,
        "after": np.maximum(total, 0),
        "cell": [row, column],
        "shares": [float(share) for share in single[:, row, column]],
        "value": float(total[row, column]),
        "matrices": int(np.prod(weight.shape[:2])),
        "weights": cost.weights,
        "biases": cost.biases,
        "parameters": cost.parameters,
    }


def stroke() -> Float:
    """A 6x6 picture for pooling: a slanted stroke."""
    picture = np.zeros((6, 6))
    for row, column in enumerate((3, 3, 2, 2, 1, 1)):
        picture[row, column] = 1.0
        picture[row, column - 1] = 0.4
    return picture


def pooling(right: int = 0, down: int = 0, picture: ArrayLike | None = None, timed: bool = False) -> dict[str, Any]:
    """Max and average pooling, 2x2 with stride 2, of a 6x6 picture moved by a few pixels.

    winners: 1 where a pixel is its window's maximum (of equal ones the first). ties: windows in which the largest
    stands more than once, and is not 0. max_changed, average_changed: how many of the nine outputs differ from those
    of the picture that was not moved. saves: what a pooling saves the layer after it (`pooling_saves`), timed: in
    milliseconds here, too.
    """
    start = stroke() if picture is None else numbers(picture, 6, 6)
    dx, dy = whole(right, -6, 6, "right"), whole(down, -6, 6, "down")
    moved = np.zeros_like(start)
    rows, columns = np.nonzero(start)
    for row, column in zip(rows + dy, columns + dx, strict=True):
        if 0 <= row < 6 and 0 <= column < 6:
            moved[row, column] = start[row - dy, column - dx]
    pooled = {
        name: [apply(op, x[None, None], pool_size=2)[0, 0] for x in (moved, start)]
        for name, op in (("max", max_pool2d), ("average", avg_pool2d))
    }
    windows = moved.reshape(3, 2, 3, 2).transpose(0, 2, 1, 3).reshape(9, 4)
    largest = windows.max(axis=1)
    return {
        "picture": moved,
        "ties": int((((windows == largest[:, None]).sum(axis=1) > 1) & (largest > 0)).sum()),
        "timed": bool(timed),
        "saves": pooling_saves(timed=bool(timed)),
        "right": dx,
        "down": dy,
        "winners": slope(max_pool2d, moved[None, None], pool_size=2)[0, 0],
        "spread": slope(avg_pool2d, moved[None, None], pool_size=2)[0, 0],
        "max": pooled["max"][0],
        "average": pooled["average"][0],
        "max_changed": int((pooled["max"][0] != pooled["max"][1]).sum()),
        "average_changed": int((np.abs(pooled["average"][0] - pooled["average"][1]) > 1e-12).sum()),
        "outputs": pooled["max"][0].size,
    }


def context() -> dict[str, Any]:
    """The same bright pixel alone and within a line, under a kernel for lines: two answers to one value."""
    line = np.array(PATTERNS["line"], np.float64)
    alone = np.zeros((3, 3))
    alone[1, 1] = 1
    both = apply(conv2d, np.stack([alone, line])[:, None], line[None, None]).ravel()
    return {"pixel": float(alone[1, 1]), "alone": float(both[0]), "in_line": float(both[1])}


def fields(image: Image | None = None, pooled: bool = True, row: int = 14, column: int = 12) -> dict[str, Any]:
    """The receptive fields of the cells that see one pixel, layer by layer, as boxes on the drawing.

    For each layer the cell whose field lies most evenly around the pixel; box: top, left, bottom, right, the ends
    exclusive.
    """
    drawn = example() if image is None else image
    at = [whole(place, 0, 27, "pixel") for place in (row, column)]
    layers: list[Layer] = [Conv2D(1, 3), MaxPool2D(2), Conv2D(1, 3), MaxPool2D(2)]
    model = network(layers if pooled else layers[::2], (1, 28, 28))
    shapes = {one.layer: one.shape for one in model.summary().rows}
    rows = []
    for layer, size in receptive.sizes(model).items():
        if layer not in shapes:
            continue
        reach, jump = size.height, size.strides[0]
        cell = [min(max(0, round((p - (reach - 1) / 2) / jump)), shapes[layer][1] - 1) for p in at]
        box = receptive.field(model, layer, (0, *cell))
        rows.append(
            {"layer": layer, "size": reach, "jump": jump, "cells": shapes[layer][1], "cell": cell, "box": list(box)}
        )
    return {"image": drawn, "pooled": pooled, "pixel": at, "rows": rows}
