"""What a kernel answers to: the images that excite it most, where in them, and whether it answers to anything at all.

One pass over a set of images finds this for all kernels of a layer together. A kernel's *response* is what it passes
on: its map after the normalisation and the activation that follow it. A cell's pixels are its receptive field.
Source: Zeiler & Fergus, "Visualizing and understanding convolutional networks", 2014, figure 2 (the strongest patches).

A response is a dot product: it grows with the strength of the patch as well as with how well it matches. The *cosine*
of the angle between patch and kernel says the second alone; it can be asked for instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..fuse import fuse
from ..graph import Array, Graph
from ..model import Sequential
from ..ops.window import Window, places
from . import receptive
from .attribution import response_of
from .receptive import Box
from .slices import Loaded, Progress, drive, in_slices
from .steps import one_image, steps

__all__ = ["ALIKE", "Excitement", "Patch", "Twins", "excitement", "excitement_async", "matching", "matching_of"]

ALIKE = 0.98  # cosine of two kernels' maps from which on one of them is called redundant
SHOWN = 9
MEASURES = ("response", "cosine")
FAINT = 0.05  # of the image's strongest patch: what is fainter has a cosine of 0, for its direction is chance


@dataclass(frozen=True)
class Patch:
    """Where an image excites a kernel most: the response there, the image's number and label, the cell (row, column) of
    the map, and the box of pixels that the cell sees (exclusive ends, clipped to the image)."""

    value: float
    image: int
    label: int
    cell: tuple[int, int]
    box: Box


@dataclass(frozen=True)
class Twins:
    """Two kernels (first < second) whose maps point the same way, with the cosine between them."""

    first: int
    second: int
    cosine: float


@dataclass(frozen=True, eq=False)
class Excitement:
    """How all kernels of a layer responded to N images.

    layer: as asked; measure: "response", or "cosine" (then the maps hold :func:`matching`); response: the layer whose
    values were taken. labels: (N,). peaks: (N, F), the largest response of
    each image; cells: (N, F), its place p * Q + q, of equal ones the first. largest: (F,), the largest absolute
    response. products: (F, F) float64, ``sum over n,p,q of a[n,f,p,q] a[n,g,p,q]``.
    """

    model: Sequential
    layer: str
    measure: str
    response: str
    size: tuple[int, int]
    labels: Array
    peaks: Array
    cells: Array
    largest: Array
    products: Array

    def patches(self, kernel: int, count: int = SHOWN) -> list[Patch]:
        """The ``count`` images that excite a kernel most, the strongest first, one patch each; none for a kernel that
        nothing excites. DataError for a kernel that there is not."""
        if not 0 <= kernel < self.peaks.shape[1]:
            raise DataError(f"{self.layer} has {self.peaks.shape[1]} kernels, counted from 0; there is no {kernel}")
        peaks = self.peaks[:, kernel]
        order = np.argsort(-peaks, kind="stable")[:count]
        return [self._patch(int(n), kernel) for n in order if peaks[n] > 0]

    def _patch(self, image: int, kernel: int) -> Patch:
        row, column = (int(k) for k in divmod(int(self.cells[image, kernel]), self.size[1]))
        box = receptive.field(self.model, self.response, (kernel, row, column))
        return Patch(float(self.peaks[image, kernel]), image, int(self.labels[image]), (row, column), box)

    @property
    def dead(self) -> list[int]:
        """The kernels whose response was 0 in every cell of every image."""
        return [int(k) for k in np.flatnonzero(self.largest == 0)]

    def cosines(self) -> Array:
        """(F, F) float64: the cosine between two kernels' responses to all images, 0 for dead ones."""
        length = np.sqrt(np.diag(self.products))
        outer = np.outer(length, length)
        return np.divide(self.products, outer, out=np.zeros_like(outer), where=outer > 0)

    def redundant(self, above: float = ALIKE) -> list[Twins]:
        """Pairs of kernels whose responses' cosine is above ``above``, the most alike first."""
        cosines = self.cosines()
        pairs = np.argwhere(np.triu(cosines > above, 1))
        found = [Twins(int(a), int(b), float(cosines[a, b])) for a, b in pairs]
        return sorted(found, key=lambda twins: -twins.cosine)

    @property
    def sentences(self) -> list[str]:
        """What is to be said of dead and redundant kernels, which count from 1; one sentence where there are none."""
        count, on = self.peaks.shape[1], f"on these {len(self.labels):,} images"
        said = []
        if self.dead:
            dead = ", ".join(str(k + 1) for k in self.dead)
            said.append(f"Dead: {self.layer} kernel {dead}, 0 everywhere {on}.")
        for twins in self.redundant():
            pair = f"kernels {twins.first + 1} and {twins.second + 1}"
            said.append(f"Redundant: {self.layer} {pair} make nearly the same map {on} (cosine {twins.cosine:.3f}).")
        return said or [
            f"None of the {count} kernels of {self.layer} is dead, and no two make the same map {on} "
            f"(cosine above {ALIKE})."
        ]


def excitement(model: Sequential, layer: str, images: Array, labels: Array, measure: str = "response") -> Excitement:
    """What excites the kernels of a layer, of the images (N, H, W) or (N, C, H, W) with labels (N,) that are given.

    layer: a convolution, or for the response, any other layer that makes maps. measure: "response" or "cosine".
    Raises DataError for a layer that this cannot be asked of, no images, or labels that do not fit.
    """
    return drive(_excitement(model, layer, images, labels, measure, None, cooperative=False))


async def excitement_async(
    model: Sequential,
    layer: str,
    images: Array,
    labels: Array,
    measure: str = "response",
    progress: Progress | None = None,
) -> Excitement:
    """:func:`excitement` for an event loop: in slices; ``progress`` is told the share done; cancel its task to stop."""
    return await _excitement(model, layer, images, labels, measure, progress, cooperative=True)


async def _excitement(
    model: Sequential,
    layer: str,
    images: Array,
    labels: Array,
    measure: str,
    progress: Progress | None,
    cooperative: bool,
) -> Excitement:
    if len(images) != len(labels) or not len(images):
        raise DataError(f"{len(images)} images met {len(labels)} labels" if len(images) else "there are no images")
    if measure not in MEASURES:
        raise DataError(f"a kernel is measured by {' or '.join(MEASURES)}; got {measure!r}")
    maps_of = Cosines(model, layer) if measure == "cosine" else Responses(model, layer)
    shape = maps_of.step.shape
    if len(shape) != 3:
        raise DataError(f'"{layer}" makes a vector of {shape[0]} numbers, no maps: it has no patches')
    count, size = shape[0], (shape[1], shape[2])
    peaks, cells = np.zeros((len(images), count), np.float32), np.zeros((len(images), count), np.int32)
    largest, products = np.zeros(count, np.float32), np.zeros((count, count))

    async def work(part: slice) -> None:
        made = await maps_of.maps(model.checked_images(images[part]), cooperative)
        maps = made.reshape(len(made), count, -1)
        cells[part] = maps.argmax(axis=2)
        peaks[part] = maps.max(axis=2)
        np.maximum(largest, np.abs(maps).max(axis=(0, 2)), out=largest)
        flat = maps.transpose(1, 0, 2).reshape(count, -1)
        products[...] += flat @ flat.T

    try:
        await in_slices(len(images), work, progress, cooperative)
    finally:
        maps_of.close()
    key = maps_of.step.key
    return Excitement(model, layer, measure, key, size, np.asarray(labels), peaks, cells, largest, products)


class Responses:
    """The maps of a layer for batches of images: what its kernels pass on. DataError for an unknown layer."""

    def __init__(self, model: Sequential, layer: str) -> None:
        self.model, self.step = model, steps(model)[response_of(model, layer)]
        self._loaded: dict[int, Loaded] = {}

    async def maps(self, images: Array, cooperative: bool) -> Array:
        """(N, F, P, Q) float32."""
        return (await self.values(images, {"maps": self.step.key}, cooperative))["maps"]

    async def values(self, images: Array, wanted: Mapping[str, str], cooperative: bool) -> dict[str, Array]:
        """Some keys of the trace, under other names."""
        n = len(images)
        if n not in self._loaded:
            self._loaded[n] = Loaded(self.model, lambda: part_graph(self.model, n, wanted))
        return await self._loaded[n].run({"input": images}, list(wanted), cooperative)

    def close(self) -> None:
        """Free what was loaded."""
        for each in self._loaded.values():
            each.close()


class Cosines(Responses):
    """For batches of images, the cosines between a convolution's kernels and the patches that they meet.

    ``cos[f,p,q] = (y[f,p,q] - b[f]) / (|w[f]| |patch[p,q]|)``, y before normalisation and activation; 0 for a patch
    fainter than FAINT of the image's strongest, and for a kernel of zeros. DataError for another layer.
    """

    def __init__(self, model: Sequential, layer: str) -> None:
        super().__init__(model, layer)
        found = [step for step in steps(model).values() if step.layer == layer and step.kind == "conv2d"]
        if not found:
            raise DataError(f'"{layer}" is no convolution: it has no kernels that a patch could match')
        self.step = found[0]

    async def maps(self, images: Array, cooperative: bool) -> Array:
        """(N, F, P, Q) float32, -1 to 1."""
        step = self.step
        found = await self.values(images, {"maps": step.key, "source": step.source}, cooperative)
        weight, *bias = (self.model._array(name).astype(np.float64) for name in step.parameters)
        patch = np.sqrt(patch_squares(found["source"], step.window))[:, None]
        dots = found["maps"] - (bias[0][:, None, None] if bias else 0.0)
        lengths = np.linalg.norm(weight.reshape(len(weight), -1), axis=1)[:, None, None] * patch
        clear = (patch > FAINT * patch.max(axis=(2, 3), keepdims=True)) & (lengths > 0)
        cosines = np.divide(dots, lengths, out=np.zeros_like(lengths), where=clear)
        return np.clip(cosines, -1.0, 1.0).astype(np.float32)


def matching(model: Sequential, x: Array, layer: str) -> Array:
    """(F, P, Q) float32: how well each place of one image matches each kernel of a convolution, whatever its strength:
    the cosine of the angle between patch and kernel (see :class:`Cosines`)."""
    return drive(matching_of(model, x, layer, cooperative=False))


async def matching_of(model: Sequential, x: Array, layer: str, cooperative: bool = True) -> Array:
    """:func:`matching` for an event loop."""
    found = Cosines(model, layer)
    try:
        return (await found.maps(one_image(model, x), cooperative))[0]
    finally:
        found.close()


def patch_squares(source: Array, window: Window) -> Array:
    """(N, P, Q) float64: the sum of squares of every patch of maps (N, C, H, W) that a window meets."""
    squares = np.square(source, dtype=np.float64).sum(axis=1)
    top, left, bottom, right = window.pads
    return np.add.reduce(places(np.pad(squares, ((0, 0), (top, bottom), (left, right))), window))


def part_graph(model: Sequential, batch: int, wanted: Mapping[str, str]) -> Graph:
    """The inference graph as far as it is wanted, fused: public name -> key of the trace."""
    graph = model.graph(batch)
    graph.outputs = {name: graph.outputs.get(key, key) for name, key in wanted.items()}
    return fuse(graph)
