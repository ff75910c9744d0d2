"""The operating table: a copy of a network on which one thing at a time is changed, taken back, and measured.

    table = Table(model)
    table.set_weight("conv1", (2, 0, 0, 1), -0.5)     # "conv1 kernel 3, row 1, column 2: 0.12 to -0.50"
    table.set_pooling("pool1", "average")
    found = await table.measure_async(images, labels) # accuracy beside the original's, and the digits that flipped
    table.undo()

Weights are changed in place, in the copy's own memory: programs that are loaded compute with them from the next run on,
and nothing is built anew. A changed layer keeps its name and every weight; where the layers after it would not fit, one
ShapeError names the sizes and nothing has changed. The model that was given never changes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..backends.base import drive
from ..errors import DataError, ShapeError
from ..graph import Array, Graph, Shape
from ..layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..model import Sequential
from ..ops.window import pair
from .slices import Progress, in_slices
from .wording import MINUS

__all__ = ["ACTIVATIONS", "PADDINGS", "POOLINGS", "Change", "Flip", "HeadError", "Measured", "Table"]

POOLINGS: dict[str, type[MaxPool2D] | type[AvgPool2D]] = {"max": MaxPool2D, "average": AvgPool2D}
PADDINGS = ("valid", "same")
ACTIVATIONS = ("none", "relu", "leaky_relu", "sigmoid", "tanh")
ACTIVATION_LAYERS: dict[str, type[Layer]] = {"relu": ReLU, "leaky_relu": LeakyReLU, "sigmoid": Sigmoid, "tanh": Tanh}
LEAK = 0.01  # of a leaky ReLU that is chosen here: Conv2D's and LeakyReLU's own default
IDENTITY = 1.0  # a leaky ReLU of this slope passes everything on as it is: "none", under the layer's own name


@dataclass(frozen=True, eq=False)
class Change:
    """One edit: in words, the values it set (parameter, index, old, new), and the layers before and after."""

    words: str
    values: tuple[tuple[str, tuple[int, ...], Array, Array], ...] = ()
    layers: tuple[list[Layer], list[Layer]] | None = None


@dataclass(frozen=True)
class Flip:
    """An image whose answer changed: its number, its label, the class before (the original's) and after."""

    index: int
    label: int
    before: int
    after: int


@dataclass(frozen=True)
class Measured:
    """How the changed network does on ``count`` images beside the original: shares of right answers, and the flips."""

    count: int
    accuracy: float
    original: float
    flipped: tuple[Flip, ...]

    @property
    def gained(self) -> int:
        """How many images are right now and were wrong."""
        return sum(flip.after == flip.label for flip in self.flipped)

    @property
    def lost(self) -> int:
        """How many images are wrong now and were right."""
        return sum(flip.before == flip.label for flip in self.flipped)


class HeadError(ShapeError):
    """The maps would fit one another, but not the dense weights behind them: a network that takes the average of each
    map (:mod:`handlens.inside.anysize`) could be changed so."""


class Superseded(Exception):
    """An edit came in while the network before it was being measured."""


class Table:
    """A network under the knife. ``model`` is the copy as it is now, ``original`` a copy as it was at the beginning.

    After a change of a layer ``model`` is another object (on the same weights); after a change of weights the same.
    ``version`` counts the changes, those of undo, redo and reset too: what was computed under another is out of date.
    """

    def __init__(self, model: Sequential) -> None:
        self.original, self.model = copy.deepcopy(model), copy.deepcopy(model)
        self.version = 0
        self._done: list[Change] = []
        self._undone: list[Change] = []
        self._images: Array | None = None  # what the original was last measured on, and its classes so far
        self._before = np.zeros(0, np.intp)
        self._known = 0

    # --- what was done

    @property
    def changes(self) -> list[str]:
        """What has been changed, in words, oldest first."""
        return [change.words for change in self._done]

    @property
    def history(self) -> list[Change]:
        """The same changes as objects, each itself and no other."""
        return list(self._done)

    @property
    def undoable(self) -> str:
        """What :meth:`undo` would take back, "" for nothing."""
        return self._done[-1].words if self._done else ""

    @property
    def redoable(self) -> str:
        """What :meth:`redo` would do again, "" for nothing."""
        return self._undone[-1].words if self._undone else ""

    def undo(self) -> str:
        """Take the last change back, exactly; returns it in words, "" where there is none."""
        return self._moved(self._done, self._undone, forward=False)

    def redo(self) -> str:
        """Do again what was last taken back; returns it in words, "" where there is none."""
        return self._moved(self._undone, self._done, forward=True)

    def reset(self) -> None:
        """Back to the original, bit by bit. ``redo`` leads on from there, step by step."""
        while self._done:
            self.undo()

    def _moved(self, source: list[Change], target: list[Change], forward: bool) -> str:
        if not source:
            return ""
        change = source.pop()
        self._apply(change, forward)
        target.append(change)
        return change.words

    def _edit(self, change: Change) -> str:
        self._apply(change, forward=True)
        self._done.append(change)
        self._undone.clear()
        return change.words

    def _apply(self, change: Change, forward: bool) -> None:
        for name, index, old, new in change.values:
            self.model._array(name)[index] = new if forward else old
        if change.layers is not None:
            self.model = on_same_weights(self.model, change.layers[1 if forward else 0])
        self.version += 1

    # --- edits of weights

    def set_weight(
        self, layer: str, index: Sequence[int], value: float, parameter: str = "weight", joined: bool = False
    ) -> str:
        """Set one weight: ``index`` is (kernel, channel, row, column) of a convolution, (neuron, input) of a dense
        layer, (kernel,) with ``parameter="bias"``; counted from 0, as in the arrays. Returns the change in words,
        which count from 1; "" where the weight has that value already. joined: where the last change was of this very
        weight, it becomes one change with this one, so that a weight drawn along a scale is undone in one step.
        DataError where there is no such weight, or for a value that is not finite."""
        name = f"{layer}.{parameter}"
        array, at = self._parameter(name), tuple(int(k) for k in index)
        if len(at) != array.ndim or any(not 0 <= k < n for k, n in zip(at, array.shape, strict=True)):
            raise DataError(f"{name} has the shape {array.shape}; there is no {tuple(index)!r} in it")
        with np.errstate(over="ignore"):
            new = np.float32(value)
        if not np.isfinite(new):
            raise DataError(f"a weight must be a finite number; got {value!r}")
        old = np.float32(array[at])
        if new == old:
            return ""
        where = self._place_words(layer, parameter, at)
        if joined and self._done and not self._undone and [v[:2] for v in self._done[-1].values] == [(name, at)]:
            old = np.float32(self._done.pop().values[0][2])
            if new == old:  # back where it was: no change at all
                array[at] = new
                self.version += 1
                return ""
        return self._edit(Change(f"{where}: {number(float(old))} to {number(float(new))}", ((name, at, old, new),)))

    def set_kernel(self, layer: str, kernel: int, values: Array, channel: int | None = None, called: str = "") -> str:
        """Put a matrix (KH, KW) into one kernel, on one channel or the same on all, under the words ``called``; its
        bias stays. DataError for what there is not, or does not fit."""
        name = f"{layer}.weight"
        array, matrix = self._parameter(name), np.asarray(values, np.float32)
        at = (self._row(name, kernel), *([] if channel is None else [int(channel)]))
        if (
            array.ndim != 4
            or matrix.shape != array.shape[2:]
            or (channel is not None and not 0 <= channel < array.shape[1])
        ):
            raise DataError(f"{name} has the shape {array.shape}; a {matrix.shape} does not go into it at {at}")
        if not np.isfinite(matrix).all():
            raise DataError("a kernel must hold finite numbers")
        old, new = array[at].copy(), np.broadcast_to(matrix, array[at].shape).copy()
        which = f"{layer} kernel {kernel + 1}" + ("" if channel is None else f", channel {channel + 1}")
        return self._edit(Change(f"{which}: {called or 'other weights'}", ((name, at, old, new),)))

    def zero_kernel(self, layer: str, kernel: int) -> str:
        """Silence one kernel of a convolution, or one neuron of a dense layer: its weights and its bias, and where a
        batch norm follows directly, the norm's scale and shift, so that its map is 0 before the activation."""
        names = [f"{layer}.weight", f"{layer}.bias"]
        self._row(names[0], kernel)
        following = self._after(layer)
        if isinstance(following, BatchNorm):
            names += [f"{following.name}.weight", f"{following.name}.bias"]
        there = [name for name in names if name in self.model.layout.shapes]
        values = tuple(
            (name, (int(kernel),), self._parameter(name)[kernel].copy(), np.zeros_like(self._parameter(name)[kernel]))
            for name in there
        )
        if not any(np.any(old) for _, _, old, _ in values):
            return ""
        unit = "kernel" if self._parameter(names[0]).ndim == 4 else "neuron"
        return self._edit(Change(f"{layer} {unit} {kernel + 1}: silenced, everything it weighs is 0", values))

    def _parameter(self, name: str) -> Array:
        if name not in self.model.layout.shapes:
            raise DataError(f"there are no weights called {name!r}; there are: {', '.join(self.model.layout.shapes)}")
        return self.model._array(name)

    def _row(self, name: str, kernel: int) -> int:
        count = len(self._parameter(name))
        if not 0 <= int(kernel) < count:
            raise DataError(f"{name} has {count} rows, counted from 0; there is no {kernel}")
        return int(kernel)

    def _place_words(self, layer: str, parameter: str, at: tuple[int, ...]) -> str:
        """Which weight, for a person, counted from 1; the channel is named where there are several."""
        if len(at) == 4:
            channel = f", channel {at[1] + 1}" if self._parameter(f"{layer}.{parameter}").shape[1] > 1 else ""
            return f"{layer} kernel {at[0] + 1}{channel}, row {at[2] + 1}, column {at[3] + 1}"
        if len(at) == 2:
            return f"{layer} neuron {at[0] + 1}, input {at[1] + 1}"
        kind = self._layer(layer)
        unit = "kernel" if isinstance(kind, Conv2D) else "neuron" if isinstance(kind, Dense) else "map"
        return f"{layer} {unit} {at[0] + 1}, {parameter}"

    # --- edits of layers

    def set_pooling(self, layer: str, kind: str) -> str:
        """Swap max and average pooling; the window and its stride stay. DataError for another layer or kind."""
        old = self._layer(layer)
        if not isinstance(old, MaxPool2D | AvgPool2D) or kind not in POOLINGS:
            raise DataError(f'{old.label} and "{kind}": only pooling layers can pool by {" or ".join(POOLINGS)}')
        if type(old) is POOLINGS[kind]:
            return ""
        was = next(name for name, cls in POOLINGS.items() if cls is type(old))
        return self._replace(old, POOLINGS[kind](**old.config()), f"{layer}: {was} to {kind} pooling")

    def set_stride(self, layer: str, stride: int | Sequence[int]) -> str:
        """Another stride for a convolution or a pooling. ShapeError with one sentence where the rest would not fit."""
        old = self._layer(layer)
        if not isinstance(old, Conv2D | MaxPool2D | AvgPool2D):
            raise DataError(f"{old.label} has no stride; convolutions and poolings have")
        new = pair(stride, "stride")
        if new == old.strides:
            return ""
        words = f"{layer}: stride {by(old.strides)} to {by(new)}"
        return self._replace(old, type(old)(**{**old.config(), "strides": list(new)}), words)

    def set_padding(self, layer: str, padding: str) -> str:
        """Zeros around a convolution's input, one of PADDINGS: none, or as many as keep its size (divided by the
        stride). ShapeError with one sentence where the rest would not fit, DataError for another layer or padding."""
        old = self._layer(layer)
        if not isinstance(old, Conv2D) or padding not in PADDINGS:
            raise DataError(f'{old.label} and "{padding}": only convolutions can be padded, {" or ".join(PADDINGS)}')
        if old.padding == padding:
            return ""
        words = f"{layer}: padding {padding_of(old)} to {padding}"
        return self._replace(old, Conv2D(**{**old.config(), "padding": padding}), words)

    def set_activation(self, layer: str, kind: str) -> str:
        """Another activation, one of ACTIVATIONS: of a convolution or dense layer (its own, or that of the activation
        layer behind it and its norm), or of an activation layer. DataError where there is none to change."""
        if kind not in ACTIVATIONS:
            raise DataError(f"no activation is called {kind!r} here; there are: {', '.join(ACTIVATIONS)}")
        old = self._activated(self._layer(layer))
        was = activation_of(old)
        if was == kind:
            return ""
        words = f"{old.name}: activation {spoken(was)} to {spoken(kind)}"
        if isinstance(old, Conv2D | Dense):
            return self._replace(
                old, type(old)(**{**old.config(), "activation": kind if kind != "none" else None}), words
            )
        slope = {"none": IDENTITY, "leaky_relu": LEAK}.get(kind)
        new = ACTIVATION_LAYERS[kind](name=old.name) if slope is None else LeakyReLU(slope, name=old.name)
        return self._replace(old, new, words)

    def activation(self, layer: str) -> str:
        """The activation that :meth:`set_activation` would change, one of ACTIVATIONS."""
        return activation_of(self._activated(self._layer(layer)))

    def _activated(self, layer: Layer) -> Layer:
        """The layer that applies the activation of ``layer``."""
        kinds = tuple(ACTIVATION_LAYERS.values())
        if isinstance(layer, kinds):
            return layer
        if not isinstance(layer, Conv2D | Dense) or getattr(layer, "activation", None) == "softmax":
            raise DataError(f"{layer.label} has no activation to change")
        at = self.model.layers.index(layer) + 1
        rest = self.model.layers[at:]
        if layer.activation is None:
            behind = next((other for other in rest if not isinstance(other, BatchNorm)), None)
            if behind is not None and isinstance(behind, kinds):
                return behind
        if all(isinstance(other, Softmax) for other in rest):
            raise DataError(f"{layer.label} makes the scores of the classes: the softmax comes next, and no activation")
        return layer

    def _layer(self, name: str) -> Layer:
        for layer in self.model.layers:
            if layer.name == name:
                return layer
        raise DataError(f"no layer is called {name!r}; there are: {', '.join(x.name for x in self.model.layers)}")

    def _after(self, name: str) -> Layer | None:
        at = self.model.layers.index(self._layer(name)) + 1
        return self.model.layers[at] if at < len(self.model.layers) else None

    def _replace(self, old: Layer, new: Layer, words: str) -> str:
        before = self.model.layers
        new.name = old.name
        after = [new if layer is old else layer for layer in before]
        check_fit(self.model, after, words)
        return self._edit(Change(words, layers=(before, after)))

    # --- measuring

    async def measure_async(self, images: Array, labels: Array, progress: Progress | None = None) -> Measured | None:
        """How the network as it is now does on some images, in slices short enough for an event loop.

        images: as ``predict`` takes them; labels: (N,). progress: told the share that is done. The original is measured
        on the same array once. None where an edit came in meanwhile: the next measuring is about the network after it.
        """
        return await self._measure(images, labels, progress, cooperative=True)

    def measure(self, images: Array, labels: Array) -> Measured:
        """:meth:`measure_async` for scripts."""
        found = drive(self._measure(images, labels, None, cooperative=False))
        assert found is not None  # nobody else can have come in
        return found

    async def _measure(
        self, images: Array, labels: Array, progress: Progress | None, cooperative: bool
    ) -> Measured | None:
        count = len(images)
        if count != len(labels) or not count:
            raise DataError(f"{count} images met {len(labels)} labels" if count else "nothing to measure: no images")
        if self._images is not images:
            self._images, self._before, self._known = images, np.zeros(count, np.intp), 0
        version, before, first = self.version, self._before, self._known
        after = np.zeros(count, np.intp)

        async def work(part: slice) -> None:
            """The original first, from where it was left, then the changed network."""
            here = min(part.stop, count - first)
            if part.start < here:
                some = slice(first + part.start, first + here)
                before[some] = await classes(self.original, images[some], cooperative)
                if self._before is before and self._known == some.start:
                    self._known = some.stop
            if self.version == version and here < part.stop:
                some = slice(max(part.start, here) - (count - first), part.stop - (count - first))
                after[some] = await classes(self.model, images[some], cooperative)
            if self.version != version:
                raise Superseded

        try:
            await in_slices(2 * count - first, work, progress, cooperative)
        except Superseded:
            return None
        truth = np.asarray(labels)
        flips = tuple(
            Flip(*(int(n) for n in (k, truth[k], before[k], after[k]))) for k in np.flatnonzero(before != after)
        )
        return Measured(count, float((after == truth).mean()), float((before == truth).mean()), flips)


async def classes(model: Sequential, images: Array, cooperative: bool) -> Array:
    """The most probable class of each image."""
    scores = await model._predict(images, True, len(images), cooperative)
    return scores.argmax(axis=1)


def on_same_weights(model: Sequential, layers: Sequence[Layer]) -> Sequential:
    """The network with other layers on the very memory of its weights; the old one's programs stay with the old one."""
    other = copy.copy(model)
    other.layers = list(layers)
    return other


def check_fit(model: Sequential, layers: Sequence[Layer], words: str) -> None:
    """ShapeError with one sentence unless the weights fit the network with these layers."""
    graph, trial = Graph(), on_same_weights(model, layers)
    x = graph.declare("input", (1, *model.input_shape), "input")
    try:
        made, scores = trial.emit(graph, x, training=False)
    except ShapeError as error:
        failed = next((layer for layer in layers if layer.name == graph.layer), None)
        if not isinstance(failed, Dense):
            raise ShapeError(f"{words} does not fit: {error}; nothing was changed") from None
        expected = model.layout.shapes[f"{failed.name}.weight"][1]
        now, held = last_maps(graph), last_maps(model.graph(1))
        raise HeadError(
            f"{words} does not fit: it would leave {maps_words(now)}, {math.prod(now):,} numbers, but {failed.name} "
            f"has weights for the {expected:,} of {maps_words(held)}; nothing was changed"
        ) from None
    if graph.shape(scores)[1:] != model.output_shape:
        raise ShapeError(f"{words} does not fit: the network would end in {graph.shape(made[layers[-1].name])[1:]}")


def last_maps(graph: Graph) -> Shape:
    """(maps, rows, columns) of the last maps that a graph makes; () where there are none."""
    shapes = [t.shape[1:] for t in graph.tensors.values() if t.role in ("value", "input") and len(t.shape) == 4]
    return shapes[-1] if shapes else ()


def maps_words(shape: Shape) -> str:
    """(16, 5, 5) as "16 maps of 5x5"."""
    return f"{shape[0]} maps of {shape[1]}x{shape[2]}" if shape else "a vector"


def activation_of(layer: Layer) -> str:
    """The activation that a layer applies, one of ACTIVATIONS."""
    if isinstance(layer, LeakyReLU):
        return "none" if layer.negative_slope == IDENTITY else "leaky_relu"
    for name, cls in ACTIVATION_LAYERS.items():
        if isinstance(layer, cls):
            return name
    return getattr(layer, "activation", None) or "none"


def spoken(activation: str) -> str:
    """An activation's name as a person writes it."""
    return {"relu": "ReLU", "leaky_relu": "leaky ReLU"}.get(activation, activation)


def padding_of(layer: Conv2D) -> str:
    """The padding of a convolution in a word, or its pixels: "valid", "same", "1", "1, 0, 0, 2"."""
    given = layer.padding
    if isinstance(given, str | int):
        return str(given)
    return ", ".join(str(int(pixels)) for pixels in np.ravel(given))


def by(strides: tuple[int, int]) -> str:
    """``2``, or ``2x1`` where the two differ."""
    return str(strides[0]) if strides[0] == strides[1] else f"{strides[0]}x{strides[1]}"


def number(value: float) -> str:
    """Two decimals, or two digits of what would not show in them."""
    text = f"{value:.2f}" if value == 0 or abs(value) >= 0.095 else f"{value:.2g}"
    return text.replace("-", MINUS)
