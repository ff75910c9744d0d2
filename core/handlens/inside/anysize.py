"""A network for images of any size, made of one for 28x28: its convolutions, then the average of each map.

Flatten ties a network to one size: the dense layer behind it has a weight for each of its numbers. The average over a
whole map is one number whatever the map's size (Lin, Chen, Yan, "Network in network", 2014). The head is fitted anew in
closed form, so that this takes no training: ridge regression of the classes, one 1 among zeros, on the averages of some
images: as they are, half of them on a larger sheet, the other half enlarged to it. An average sinks where more paper
comes in, and rises with wider strokes; from these the head learns what stays. Its strength is chosen by leaving each
row out once, which ridge regression tells without fitting again (Golub, Heath, Wahba, "Generalized cross-validation as
a method for choosing a good ridge parameter", 1979), and the scores' scale, which makes probabilities of them, by the
cross-entropy of the same left-out answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from ..errors import DataError
from ..graph import Array
from ..layers import Dense, GlobalAvgPool2D, Layer, Softmax
from ..model import Sequential
from .attribution import shares, tent
from .slices import Progress, drive, in_slices

__all__ = [
    "WAYS",
    "accuracy_async",
    "enlarged",
    "fit_head",
    "framed",
    "with_global_average",
    "with_global_average_async",
]

LARGER = 40  # pixels a side: of the sheets that the head is fitted on besides the images as they are
STRENGTHS = np.logspace(-6, 2, 9)  # of the ridge, in units of the mean variance of the averages
SCALES = np.logspace(0, 2.5, 21)  # of the scores
Show = Callable[[Array, int], Array]  # images (N, C, H, W) and a side in pixels


def with_global_average(model: Sequential, images: Array, labels: Array, larger: int = LARGER) -> Sequential:
    """A copy of the network that takes images of any size: its layers before Flatten, GlobalAvgPool2D, Dense, Softmax.

    images (N, H, W) or (N, C, H, W) and labels (N,): what the head is fitted on, a few hundred. larger: pixels a
    side of the larger sheet. The convolutions keep their weights. What it reaches is to be measured on other images, by
    ``evaluate``, and it falls off for sizes far from the two that it was fitted on.
    Raises DataError for a network without convolutions before Flatten, or images and labels that do not fit.
    """
    return drive(_with_global_average(model, images, labels, larger, None, cooperative=False))


async def with_global_average_async(
    model: Sequential, images: Array, labels: Array, larger: int = LARGER, progress: Progress | None = None
) -> Sequential:
    """:func:`with_global_average` for an event loop: in slices; ``progress`` is told the share done."""
    return await _with_global_average(model, images, labels, larger, progress, cooperative=True)


async def _with_global_average(
    model: Sequential, images: Array, labels: Array, larger: int, progress: Progress | None, cooperative: bool
) -> Sequential:
    if len(images) != len(labels) or not len(images):
        raise DataError(f"{len(images)} images met {len(labels)} labels" if len(images) else "there are no images")
    body = before_flatten(model)
    own = {layer.name for layer in body}
    weights = {name: value for name, value in model.state_dict().items() if name.split(".")[0] in own}
    shape, averaging = model.input_shape, [*body, GlobalAvgPool2D()]
    trunk = Sequential(averaging, shape, model.seed, "trunk", "mean_squared_error", weights=weights)
    trunk.backend = model.backend
    plain, truth = trunk.checked_images(images), np.asarray(labels)
    parts = [(as_it_is, plain, truth)]
    if larger > max(shape[1:]):
        parts += [(framed, plain[::2], truth[::2]), (enlarged, plain[1::2], truth[1::2])]
    features = np.zeros((sum(len(some) for _, some, _ in parts), *trunk.output_shape), np.float32)
    order, done = np.concatenate([own for _, _, own in parts]), 0
    try:
        for show, some, _ in parts:
            into = features[done : done + len(some)]
            done += len(some)
            await answers_into(
                into, trunk, some, show, larger, part_of(progress, done, len(into), len(features)), cooperative
            )
    finally:
        trunk.forget_programs()
    weight, bias = await _fit_head(features, order, cooperative)
    head = Dense(len(bias), name="dense1")
    weights |= {"dense1.weight": weight, "dense1.bias": bias}
    made = Sequential([*averaging, head, Softmax()], shape, model.seed, f"{model.name}, any size", weights=weights)
    made.backend = model.backend
    return made


async def answers_into(
    into: Array,
    model: Sequential,
    images: Array,
    show: Show,
    side: int,
    progress: Progress | None = None,
    cooperative: bool = True,
) -> None:
    """Write what a network gives for images (N, C, H, W), each shown in some way at ``side``, into (N, outputs)."""

    async def work(part: slice) -> None:
        some = show(images[part], side)
        into[part] = await model._predict(some, False, len(some), cooperative)

    await in_slices(len(images), work, progress, cooperative)


async def accuracy_async(
    model: Sequential,
    images: Array,
    labels: Array,
    show: str = "as it is",
    side: int = LARGER,
    progress: Progress | None = None,
) -> float:
    """The share of images, shown in one of the ways of WAYS, whose most probable class is right; in slices."""
    plain = model.checked_images(images)
    answers = np.zeros((len(plain), *model.output_shape), np.float32)
    await answers_into(answers, model, plain, WAYS[show], side, progress)
    return float((answers.argmax(axis=1) == np.asarray(labels)).mean())


def part_of(progress: Progress | None, end: int, count: int, total: int) -> Progress | None:
    """Progress for ``count`` of ``total``, which end at ``end``."""
    return None if progress is None else lambda share: progress((end - count + share * count) / total)


def as_it_is(images: Array, side: int) -> Array:
    """Images as they are."""
    return images


def framed(images: Array, side: int) -> Array:
    """Images (N, C, H, W) in the middle of sheets of ``side`` x ``side`` pixels, at their own size."""
    n, c, height, width = images.shape
    sheets = np.zeros((n, c, side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    sheets[:, :, top : top + height, left : left + width] = images
    return sheets


def enlarged(images: Array, side: int) -> Array:
    """Images (N, C, H, W), bilinear, at ``side`` x ``side`` pixels."""
    down, across = (
        tent(np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1), n).astype(np.float32)
        for n in images.shape[2:]
    )
    return np.ascontiguousarray(down @ images @ across.T)


# The ways to show an image of 28x28 to a network that takes any size.
WAYS: dict[str, Show] = {"as it is": as_it_is, "framed": framed, "enlarged": enlarged}


def before_flatten(model: Sequential) -> list[Layer]:
    """Copies of the layers before Flatten, where those make maps; DataError otherwise."""
    names = [type(layer).__name__ for layer in model.layers]
    at = names.index("Flatten") if "Flatten" in names else 0
    if "Conv2D" not in names[:at]:
        raise DataError(f'"{model.name}" has no convolutions before a Flatten: there are no maps to average')
    return again(model.layers[:at])


def again(layers: list[Layer]) -> list[Layer]:
    """The same layers, for another network, under the same names."""
    return [type(layer)(**layer.config()) for layer in layers]


def fit_head(features: Array, labels: Array) -> tuple[Array, Array]:
    """Weight (K, inputs) and bias (K,), float32, of a dense layer whose scores are ``scale`` times the ridge regression
    of the classes on features (N, inputs): ``W = Y^T X (X^T X + r I)^-1`` on centred features and classes."""
    return drive(_fit_head(features, labels, cooperative=False))


async def _fit_head(features: Array, labels: Array, cooperative: bool) -> tuple[Array, Array]:
    """:func:`fit_head`, giving an event loop its turn between steps."""
    x, y = features.astype(np.float64), np.eye(int(labels.max()) + 1)[labels]
    middle, share = x.mean(axis=0), y.mean(axis=0)
    # The singular vectors by way of the small matrix of products: N may be a thousand, the inputs are a few dozen.
    squares, v = np.linalg.eigh((x - middle).T @ (x - middle))
    kept = squares > 1e-10 * squares[-1]
    s, vt = np.sqrt(squares[kept]), v[:, kept].T
    u = (x - middle) @ vt.T / s
    best, least, chosen = y, np.inf, 0.0
    for strength in STRENGTHS * (s**2).mean():
        answers = left_out(u, s, y - share, strength)
        error = float(((answers - (y - share)) ** 2).sum())
        if error < least:
            best, least, chosen = answers + share, error, float(strength)
        if cooperative:
            await asyncio.sleep(0)
    weight = ((s / (s**2 + chosen))[:, None] * (u.T @ (y - share))).T @ vt
    rows, losses = np.arange(len(y)), list[float]()
    for scale in SCALES:
        losses.append(-np.log(shares(scale * best)[rows, labels] + 1e-12).mean())
        if cooperative:
            await asyncio.sleep(0)
    scale = SCALES[int(np.argmin(losses))]
    return (scale * weight).astype(np.float32), (scale * (share - weight @ middle)).astype(np.float32)


def left_out(u: Array, s: Array, y: Array, r: float) -> Array:
    """What ridge regression answers for each row when it is fitted on all others: ``(yhat - h y) / (1 - h)``, with h
    the diagonal of the hat matrix (the mean counts as one more direction)."""
    shrunk = s**2 / (s**2 + r)
    hat = (u**2 @ shrunk) + 1 / len(y)
    return (u @ (shrunk[:, None] * (u.T @ y)) - hat[:, None] * y) / np.maximum(1 - hat, 1e-9)[:, None]
