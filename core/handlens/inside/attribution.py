"""Why this answer: which pixels a class's score hangs on. Three questions, three maps over the drawing.

- saliency: where would a little more ink move the score most? The gradient of the score with respect to the input.
- Grad-CAM: where do the maps of a convolution speak for the class, each weighed by its average gradient?
- occlusion: how much does the class lose when a small square is wiped out?

The *score* is the class's logit, before the softmax: a probability near 1 has a gradient near 0 whatever the reason. A
gradient comes from the package's own autodiff over the inference graph (:func:`gradient_graph`), so that it holds for
every network whose ops have gradient rules, at its present weights, on its present backend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..autodiff import backward
from ..errors import DataError
from ..fuse import fold_batch_norms, prune
from ..graph import Array, Graph, Shape
from ..layers import BatchNorm, Conv2D, LeakyReLU, ReLU, Sigmoid, Tanh
from ..model import Sequential
from ..ops.activation import softmax_into
from ..ops.window import pair
from . import receptive
from .receptive import Sizes
from .slices import Loaded, Progress, drive, in_slices
from .steps import one_image

__all__ = [
    "Gradients",
    "Occlusion",
    "Sensitivity",
    "grad_cam",
    "gradient_graph",
    "last_convolution",
    "occlusion",
    "occlusion_async",
    "response_of",
    "saliency",
]

SEED = "d_logits"  # the tensor that says which class is asked about
PATCH, STRIDE = 4, 2  # pixels: about the width of a stroke of MNIST, and half of it
AFTER_CONV = (BatchNorm, ReLU, LeakyReLU, Sigmoid, Tanh)
Held = TypeVar("Held")
# What each map is, in one line, and where it comes from.
METHODS = {
    "saliency": (
        "s[h,w] = max over c of |d score / d x[c,h,w]|",
        "Simonyan, Vedaldi, Zisserman, Deep inside convolutional networks, 2014",
    ),
    "grad_cam": (
        "L[p,q] = max(0, sum over f of a[f] A[f,p,q]), a[f] = mean over p,q of d score / d A[f,p,q]",
        "Selvaraju et al., Grad-CAM, 2017",
    ),
    "occlusion": (
        "o[h,w] = mean over the squares that cover it of p(x) - p(x with the square wiped out)",
        "Zeiler & Fergus, Visualizing and understanding convolutional networks, 2014",
    ),
}
# Of saliency's gradient also the sign is shown; it is no method of its own.
SIGNED = ("g[h,w] = sum over c of d score / d x[c,h,w]", "the same gradient, its sign kept")


# --- gradients: saliency and Grad-CAM


@dataclass(frozen=True, eq=False)
class Gradients:
    """What the score of one class does when the input, or the maps of one layer, change a little.

    target: the class. logits, probabilities: (K,) of the image. slope: (C, H, W), d logit[target] / d input.
    layer: whose maps (F, P, Q) and map_slopes, d logit[target] / d maps, are given, with the receptive field of their
    cells; "" and None without maps.
    """

    target: int
    logits: Array
    probabilities: Array
    slope: Array
    layer: str = ""
    maps: Array | None = None
    map_slopes: Array | None = None
    field: Sizes | None = None

    @property
    def saliency(self) -> Array:
        """(H, W): ``max over c of |slope[c,h,w]|``; see :func:`saliency`."""
        return np.abs(self.slope).max(axis=0)

    @property
    def signed(self) -> Array:
        """(H, W): ``sum over c of slope[c,h,w]``: positive where more ink raises the score."""
        return self.slope.sum(axis=0, dtype=np.float32)

    @property
    def weights(self) -> Array:
        """(F,): Grad-CAM's weight of each map, ``mean over p,q of map_slopes[f,p,q]``."""
        return self._of_maps(self.map_slopes).mean(axis=(1, 2), dtype=np.float32)

    @property
    def coarse(self) -> Array:
        """(P, Q): ``max(0, sum over f of weights[f] maps[f,p,q])``, Grad-CAM before it is enlarged."""
        return np.maximum(np.tensordot(self.weights, self._of_maps(self.maps), 1), 0.0).astype(np.float32)

    @property
    def cam(self) -> Array:
        """(H, W): :attr:`coarse`, laid over the image; see :func:`grad_cam`."""
        height, width = self.slope.shape[1:]
        return laid_over(self.coarse, height, width, self._of_maps(self.field))

    def _of_maps(self, held: Held | None) -> Held:
        if held is None:
            raise DataError("these gradients were taken without a layer's maps; name a convolution")
        return held


class Sensitivity:
    """Gradients of one network's scores, for as many images and classes as are asked about; loaded once.

    layer: whose maps come along: a convolution (its maps after their normalisation and activation), any other layer
    that makes maps, or "" for none. Raises DataError for a layer without maps, or a network that does not classify.

        >>> why = Sensitivity(model, last_convolution(model))
        >>> found = await why.of(x, 7)
        >>> found.saliency, found.cam
    """

    def __init__(self, model: Sequential, layer: str = "") -> None:
        self.model, self.layer = model, response_of(model, layer) if layer else ""
        self._loaded: dict[Shape, Loaded] = {}
        self._fields: dict[Shape, Sizes] = {}

    async def of(self, x: Array, target: int, cooperative: bool = True) -> Gradients:
        """The gradients of class ``target`` for one image (H, W), (C, H, W) or (1, C, H, W)."""
        image = one_image(self.model, x)
        shape = image.shape[1:]
        loaded = self._loaded.get(shape)
        if loaded is None:
            loaded = self._loaded[shape] = Loaded(self.model, lambda: gradient_graph(self.model, self.layer, shape))
        seed = np.zeros((1, self.model.output_shape[0]), np.float32)
        seed[0, checked_target(self.model, target)] = 1.0
        names = ["logits", "slope", *(["maps", "map_slopes"] if self.layer else [])]
        found = await loaded.run({"input": image, SEED: seed}, names, cooperative)
        logits, slope, *maps = (found[name][0] for name in names)
        if not self.layer:
            return Gradients(int(target), logits, shares(logits), slope)
        if shape not in self._fields:
            self._fields[shape] = receptive.sizes(self.model, shape)[self.layer]
        held = maps[0], maps[1], self._fields[shape]
        return Gradients(int(target), logits, shares(logits), slope, self.layer, *held)

    def close(self) -> None:
        """Free what was loaded."""
        for loaded in self._loaded.values():
            loaded.close()


def gradient_graph(
    model: Sequential, layer: str = "", input_shape: Shape | None = None, dtype: str = "float32"
) -> Graph:
    """The inference graph of one image with the gradients of its scores.

    Inputs: "input" (1, C, H, W), and "d_logits" (1, K), the weight of each class's logit in what is differentiated:
    one 1 among zeros for one class. Outputs: "logits", "slope" (the input's gradient), and with ``layer``, "maps" (its
    values) and "map_slopes" (their gradient). Source: Griewank & Walther, "Evaluating Derivatives", 2nd ed., 2008.
    """
    if not model.loss.classifies:
        raise DataError(f"{model.name} gives numbers, no classes: there is no class's score to explain")
    graph = model.graph(1, input_shape, dtype)
    graph.outputs = {"logits": graph.outputs["logits"], **({"maps": graph.outputs[layer]} if layer else {})}
    if layer and len(graph.shape(graph.outputs["maps"])) != 4:
        raise DataError(f'"{layer}" makes a vector of {graph.shape(graph.outputs["maps"])[1]} numbers, no maps')
    fold_batch_norms(graph)
    logits, wrt = graph.outputs["logits"], ["input", *([graph.outputs["maps"]] if layer else [])]
    graph.layer = ""
    seed = graph.declare(SEED, graph.shape(logits), "input")
    slopes = backward(graph, logits, wrt, seed)
    graph.outputs |= dict(zip(("slope", "map_slopes"), (slopes[name] for name in wrt), strict=False))
    prune(graph)
    return graph


def saliency(model: Sequential, x: Array, target: int) -> Array:
    """(H, W) float32: how much a little ink at each pixel would move the score of class ``target``, up or down.

    ``max over c of |d logit[target] / d x[c,h,w]|``. Source: Simonyan, Vedaldi, Zisserman, "Deep inside convolutional
    networks: visualising image classification models and saliency maps", 2014, section 3.
    x: one image. Raises DataError for a class that there is not, ShapeError for an image that does not fit.
    """
    return drive(Sensitivity(model).of(x, target, cooperative=False)).saliency


def grad_cam(model: Sequential, x: Array, target: int, layer: str = "") -> Array:
    """(H, W) float32, at least 0: where the maps of a convolution speak for class ``target``.

    ``a[f] = mean over p,q of d logit[target] / d A[f,p,q]``, ``L[p,q] = max(0, sum over f of a[f] A[f,p,q])``, laid
    over the image. The paper stretches L over the whole image; without padding a map sees from a margin on, so here
    each cell stands at the middle of its receptive field (:func:`laid_over`). A are the maps of ``layer``, the last
    convolution by default, after their normalisation and activation. Source: Selvaraju et al., "Grad-CAM: visual
    explanations from deep networks via gradient-based localization", 2017, equations 1 and 2.
    Raises DataError for a network without convolutions, a layer without maps, or a class that there is not.
    """
    return drive(Sensitivity(model, layer or last_convolution(model)).of(x, target, cooperative=False)).cam


def last_convolution(model: Sequential) -> str:
    """The name of the last Conv2D; DataError where there is none."""
    names = [layer.name for layer in model.layers if isinstance(layer, Conv2D)]
    if not names:
        raise DataError(f'Grad-CAM weighs the maps of a convolution, and "{model.name}" has none; see its saliency')
    return names[-1]


def response_of(model: Sequential, layer: str) -> str:
    """The layer whose values are what ``layer`` passes on: for a convolution, the last of the normalisations and
    activations that follow it directly; every other layer itself. DataError for an unknown name."""
    names = [other.name for other in model.layers]
    if layer not in names:
        raise DataError(f"no layer is called {layer!r}; there are: {', '.join(names)}")
    at = names.index(layer)
    if isinstance(model.layers[at], Conv2D):
        while at + 1 < len(names) and isinstance(model.layers[at + 1], AFTER_CONV):
            at += 1
    return names[at]


def laid_over(coarse: Array, height: int, width: int, field: Sizes) -> Array:
    """(P, Q) to (height, width) float32: each cell stands at the middle of its receptive field on the image, what lies
    between is bilinear, and beyond the outermost cells it fades out as far as the next one would be."""
    rows, columns = (
        tent((np.arange(size) - start - (extent - 1) / 2) / stride, n) if stride else np.ones((size, n))
        for n, size, extent, stride, start in zip(
            coarse.shape, (height, width), field[:2], field.strides, field.offset, strict=True
        )
    )
    return (rows @ coarse @ columns.T).astype(np.float32)


def tent(places: Array, n: int) -> Array:
    """(len(places), n): how much of each of n cells a place between them takes, linear in the distance."""
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(n)))


def checked_target(model: Sequential, target: int) -> int:
    """A class of the network; DataError otherwise."""
    classes = model.output_shape[0]
    if isinstance(target, bool) or not isinstance(target, int | np.integer) or not 0 <= target < classes:
        raise DataError(f"the network has the classes 0 to {classes - 1}; got {target!r}")
    return int(target)


def shares(logits: Array) -> Array:
    """Softmax over the last axis, float64."""
    wide = np.asarray(logits, np.float64)
    made = np.empty_like(wide)
    softmax_into(wide, made, -1)
    return made


# --- occlusion


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What wiping out a square of the image does to one class.

    rows, columns: the top rows (R,) and left columns (S,) of the squares, each ``patch`` = (height, width) pixels.
    logit, probability: of the class for the image as it is. logit_drop, probability_drop: (R, S), those minus what is
    left with the square wiped out: positive where the square speaks for the class. size: (H, W) of the image.
    """

    target: int
    patch: tuple[int, int]
    rows: Array
    columns: Array
    logit: float
    probability: float
    logit_drop: Array
    probability_drop: Array
    size: tuple[int, int]

    @property
    def map(self) -> Array:
        """(H, W): the mean drop of the probability over the squares that cover each pixel."""
        return self.over_pixels(self.probability_drop)

    @property
    def logit_map(self) -> Array:
        """(H, W): the mean drop of the logit over the squares that cover each pixel."""
        return self.over_pixels(self.logit_drop)

    def over_pixels(self, drop: Array) -> Array:
        """(H, W) float32: the mean over the squares that cover each pixel."""
        (height, width), (ph, pw) = self.size, self.patch
        covers = [
            (np.arange(n)[:, None] >= starts) & (np.arange(n)[:, None] < starts + side)
            for n, starts, side in ((height, self.rows, ph), (width, self.columns, pw))
        ]
        down, across = (c.astype(np.float64) for c in covers)
        counts = np.outer(down.sum(axis=1), across.sum(axis=1))
        return (down @ drop @ across.T / counts).astype(np.float32)


def occlusion(
    model: Sequential,
    x: Array,
    target: int,
    patch: int | tuple[int, int] = PATCH,
    stride: int | tuple[int, int] = STRIDE,
    fill: float = 0.0,
) -> Occlusion:
    """Wipe out one square after another and see what class ``target`` loses; ``.map`` is the (H, W) picture of it.

    ``drop[r,s] = p(x) - p(x with x[:, rows[r]:+ph, columns[s]:+pw] = fill)``, the same for the logit. The squares begin
    every ``stride`` pixels; a last one touches the edge, so that every pixel is covered. fill 0 is paper.
    Source: Zeiler & Fergus, "Visualizing and understanding convolutional networks", 2014, section 4.2.
    Raises DataError for a class or a square that there cannot be.
    """
    return drive(_occlusion(model, x, target, patch, stride, fill, None, cooperative=False))


async def occlusion_async(
    model: Sequential,
    x: Array,
    target: int,
    patch: int | tuple[int, int] = PATCH,
    stride: int | tuple[int, int] = STRIDE,
    fill: float = 0.0,
    progress: Progress | None = None,
) -> Occlusion:
    """:func:`occlusion` for an event loop: in slices; ``progress`` is told the share done; cancel its task to stop."""
    return await _occlusion(model, x, target, patch, stride, fill, progress, cooperative=True)


async def _occlusion(
    model: Sequential,
    x: Array,
    target: int,
    patch: int | tuple[int, int],
    stride: int | tuple[int, int],
    fill: float,
    progress: Progress | None,
    cooperative: bool,
) -> Occlusion:
    image, chosen = one_image(model, x), checked_target(model, target)
    if image.ndim != 4 or not model.loss.classifies:
        raise DataError("occlusion needs an image and a network that gives classes")
    height, width = image.shape[2:]
    sides, steps = pair(patch, "patch"), pair(stride, "stride")
    if sides[0] > height or sides[1] > width:
        raise DataError(f"a patch of {sides[0]}x{sides[1]} pixels is larger than the image of {height}x{width}")
    if steps[0] > sides[0] or steps[1] > sides[1]:
        raise DataError(f"a stride of {max(steps)} pixels leaves pixels between patches of {sides[0]}x{sides[1]}")
    rows, columns = (starts(n, side, step) for n, side, step in zip((height, width), sides, steps, strict=True))
    # A square that changes no pixel changes no score: it is not run.
    places = [(r, s) for r, s in squares(rows, columns) if (cut(image[0], rows[r], columns[s], sides) != fill).any()]
    scores = np.zeros((len(places) + 1, model.output_shape[0]), np.float32)

    async def work(part: slice) -> None:
        batch = np.repeat(image, part.stop - part.start, axis=0)
        for one, k in zip(batch, range(part.start, part.stop), strict=True):
            if k:  # the first is the image as it is
                r, s = places[k - 1]
                cut(one, rows[r], columns[s], sides)[...] = fill
        scores[part] = await model._predict(batch, True, len(batch), cooperative)

    await in_slices(len(scores), work, progress, cooperative)
    probability, logit = shares(scores)[:, chosen], scores[:, chosen].astype(np.float64)
    drops = np.zeros((2, len(rows), len(columns)))
    for k, (r, s) in enumerate(places, 1):
        drops[:, r, s] = logit[0] - logit[k], probability[0] - probability[k]
    return Occlusion(
        *(chosen, sides, rows, columns, float(logit[0]), float(probability[0])), drops[0], drops[1], (height, width)
    )


def starts(n: int, side: int, step: int) -> Array:
    """Where squares begin along n pixels: every ``step``, and one that ends at the edge."""
    return np.unique([*range(0, n - side + 1, step), n - side])


def squares(rows: Array, columns: Array) -> Iterator[tuple[int, int]]:
    """The numbers of all squares, row by row."""
    return ((r, s) for r in range(len(rows)) for s in range(len(columns)))


def cut(image: Array, row: int, column: int, sides: tuple[int, int]) -> Array:
    """A square of an image (C, H, W)."""
    return image[:, row : row + sides[0], column : column + sides[1]]
