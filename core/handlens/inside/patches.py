"""What a kernel answers to: the images that excite it most, where in them, and whether it answers to anything at all.

One pass over a set of images finds this for all kernels of a layer together. A kernel's *response* is what it passes
on: its map after the normalisation and the activation that follow it. A cell's pixels are its receptive field.
Source: Zeiler & Fergus, "Visualizing and understanding convolutional networks", 2014, figure 2 (the strongest patches).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..fuse import fuse
from ..graph import Array, Graph
from ..model import Sequential
from . import receptive
from .attribution import response_of
from .receptive import Box
from .slices import Loaded, Progress, drive, in_slices

__all__ = ["ALIKE", "Excitement", "Patch", "Twins", "excitement", "excitement_async"]

ALIKE = 0.98  # cosine of two kernels' maps from which on one of them is called redundant
SHOWN = 9


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

    layer: as asked; response: the layer whose values were taken. labels: (N,). peaks: (N, F), the largest response of
    each image; cells: (N, F), its place p * Q + q, of equal ones the first. largest: (F,), the largest absolute
    response. products: (F, F) float64, ``sum over n,p,q of a[n,f,p,q] a[n,g,p,q]``.
    """

    model: Sequential
    layer: str
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


def excitement(model: Sequential, layer: str, images: Array, labels: Array) -> Excitement:
    """What excites the kernels of a layer, of the images (N, H, W) or (N, C, H, W) with labels (N,) that are given.

    layer: a convolution, or any other layer that makes maps. Raises DataError for a layer without maps, no images, or
    labels that do not fit.
    """
    return drive(_excitement(model, layer, images, labels, None, cooperative=False))


async def excitement_async(
    model: Sequential, layer: str, images: Array, labels: Array, progress: Progress | None = None
) -> Excitement:
    """:func:`excitement` for an event loop: in slices; ``progress`` is told the share done; cancel its task to stop."""
    return await _excitement(model, layer, images, labels, progress, cooperative=True)


async def _excitement(
    model: Sequential, layer: str, images: Array, labels: Array, progress: Progress | None, cooperative: bool
) -> Excitement:
    if len(images) != len(labels) or not len(images):
        raise DataError(f"{len(images)} images met {len(labels)} labels" if len(images) else "there are no images")
    response = response_of(model, layer)
    shape = model.graph(1).shape(model.graph(1).outputs[response])
    if len(shape) != 4:
        raise DataError(f'"{layer}" makes a vector of {shape[1]} numbers, no maps: it has no patches')
    count, size = shape[1], (shape[2], shape[3])
    peaks, cells = np.zeros((len(images), count), np.float32), np.zeros((len(images), count), np.int32)
    largest, products = np.zeros(count, np.float32), np.zeros((count, count))
    loaded: dict[int, Loaded] = {}

    async def work(part: slice) -> None:
        batch = model.checked_images(images[part])
        n = len(batch)
        if n not in loaded:
            loaded[n] = Loaded(model, lambda: response_graph(model, response, n))
        maps = (await loaded[n].run({"input": batch}, ["maps"], cooperative))["maps"].reshape(n, count, -1)
        cells[part] = maps.argmax(axis=2)
        peaks[part] = maps.max(axis=2)
        np.maximum(largest, np.abs(maps).max(axis=(0, 2)), out=largest)
        flat = maps.transpose(1, 0, 2).reshape(count, -1)
        products[...] += flat @ flat.T

    try:
        await in_slices(len(images), work, progress, cooperative)
    finally:
        for each in loaded.values():
            each.close()
    return Excitement(model, layer, response, size, np.asarray(labels), peaks, cells, largest, products)


def response_graph(model: Sequential, layer: str, batch: int) -> Graph:
    """The inference graph up to a layer, fused; its output "maps" is what the layer gives."""
    graph = model.graph(batch)
    graph.outputs = {"maps": graph.outputs[layer]}
    return fuse(graph)
