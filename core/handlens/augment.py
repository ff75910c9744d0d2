"""Augmentation: every image is seen moved, turned, bent and inked a little differently each time.

The settings say how much. What each image gets follows from the seed and the step alone, so that a training repeats,
and a resumed one goes on, to the same bits. The changes themselves are ops of the training plan (``ops.augment``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from . import backends
from .errors import DataError, ShapeError
from .graph import Array, Graph, Shape
from .ops import augment as ops
from .plan import make_plan
from .seeds import checked_seed

FIELD, THICKNESS, SMOOTHING = "augment_field", "augment_thickness", "augment_smoothing"  # the control tensors
STREAM = 3  # tells these random numbers from those of batches (1) and dropout (2) under the same seed
CELLS = 4  # the elastic field bends over a quarter of the image
# Coefficients of standard deviation 1 make a displacement of this one: the mean over the image of the summed squares
# of the cubic B-splines is 151/315 along each of the two axes.
SPLINE_DEVIATION = 151 / 315
PEN = {"gain": 2.5, "level": 0.45}  # of an MNIST image it makes 7 % more ink, with fewer greys


@dataclass(frozen=True)
class Augment:
    """How much each image may be changed; 0 leaves a kind out. The defaults suit 28x28 handwritten digits.

    shift: pixels, at most, along each axis. rotation: degrees, at most, either way. scale: share, at most, by which
    each axis on its own grows or shrinks. shear: tangent of the largest slant, either way.
    elastic: standard deviation of a smooth random displacement, in pixels.
    thickness: share, at most, of a pixel by which strokes grow on every side; for thinner ones, as much of their grey
    edges is taken twice, which is about as much ink. smoothing: largest share of the pen-like line, blurred and
    sharpened. Both suit images in the range 0 to 1.
    share: of the images that are changed at all. All amounts are drawn evenly up to their largest.
    Raises DataError for an amount out of range.
    Source of the elastic part: Simard, Steinkraus & Platt, "Best practices for convolutional neural networks", 2003;
    here the displacements stand on a coarse grid of cubic B-splines in place of blurred noise.
    """

    shift: float = 2.0
    rotation: float = 12.0
    scale: float = 0.10
    shear: float = 0.15
    elastic: float = 0.8
    thickness: float = 0.35
    smoothing: float = 0.7
    share: float = 1.0

    def __post_init__(self) -> None:
        limits = {"rotation": 180.0, "scale": 0.9, "thickness": 1.0, "smoothing": 1.0, "share": 1.0}
        for entry in fields(self):
            value, most = getattr(self, entry.name), limits.get(entry.name, np.inf)
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= most:
                raise DataError(f"Augment: {entry.name} must be a number from 0 to {most:g}; got {value!r}")
            if not np.isfinite(value):
                raise DataError(f"Augment: {entry.name} must be finite; got {value!r}")
            object.__setattr__(self, entry.name, float(value))

    @property
    def warps(self) -> bool:
        """Whether anything moves."""
        return any((self.shift, self.rotation, self.scale, self.shear, self.elastic))

    def recipe(self) -> dict[str, float]:
        """The settings as JSON values."""
        return asdict(self)

    def emit(self, graph: Graph, x: str) -> str:
        """Declare the control values and emit the ops on images ``x`` (N, C, H, W); returns the changed images.

        Strokes change before the geometry, whose one sampling then softens them; the pen's line comes last.
        """
        if len(graph.shape(x)) != 4:
            raise ShapeError(f"augmentation needs images (N, C, H, W); got {graph.shape(x)}")
        count, cells = graph.shape(x)[0], CELLS if self.elastic else 0
        if self.thickness:
            graph.declare(THICKNESS, (count,), "control")
            x = graph.one(ops.thickness, (x, THICKNESS))
        if self.warps:
            graph.declare(FIELD, (count, 2, ops.terms(cells)), "control")
            x = graph.one(ops.warp, (x, FIELD), {"cells": cells})
        if self.smoothing:
            graph.declare(SMOOTHING, (count,), "control")
            x = graph.one(ops.smoothing, (x, SMOOTHING), PEN)
        return x

    def controls(self, shape: Shape, seed: int, step: int) -> dict[str, Array]:
        """The control values of one step on images of ``shape`` (N, C, H, W): one row, as a backend takes them.

        All kinds are drawn, whether used or not: leaving one out does not change the others.
        """
        generator = np.random.Generator(np.random.PCG64([seed, STREAM, step]))
        count, height, width = shape[0], shape[-2], shape[-1]
        drawn = generator.uniform(-1, 1, (8, count)) * (generator.random(count) < self.share)
        bends = generator.standard_normal((count, 2, (CELLS + ops.BORDER) ** 2), np.float32)
        field = np.zeros((count, 2, ops.terms(CELLS if self.elastic else 0)), np.float32)
        field[:, :, : ops.AFFINE] = self.affine(drawn[:6], height, width)
        if self.elastic:
            # An image that is not changed has only zeros above.
            amount = (drawn[6] != 0) * (self.elastic / SPLINE_DEVIATION)
            np.multiply(bends, amount.astype(np.float32)[:, None, None], out=field[:, :, ops.AFFINE :])
        thick = drawn[6] * np.where(drawn[6] > 0, self.thickness, min(2 * self.thickness, 1))
        found = {FIELD: field, THICKNESS: thick, SMOOTHING: np.abs(drawn[7]) * self.smoothing}
        used = {FIELD: self.warps, THICKNESS: self.thickness, SMOOTHING: self.smoothing}
        return {name: values.astype(np.float32)[None] for name, values in found.items() if used[name]}

    def affine(self, drawn: Array, height: int, width: int) -> Array:
        """(N, 2, 3): displacements over 1, v, u, from six numbers an image between -1 and 1.

        An image point q = (row, column) from the centre goes to p = R S H q + d (rotation, scale, shear, shift), so
        that pixel p is read at q = (R S H)^-1 (p - d), a displacement of ((R S H)^-1 - 1) p - (R S H)^-1 d.
        """
        down, right, turn, tall, wide, slant = drawn
        angle = np.deg2rad(self.rotation) * turn
        cos, sin = np.cos(angle), np.sin(angle)
        across, along = 1 / (1 + self.scale * tall), 1 / (1 + self.scale * wide)
        # (S^-1 R^-1), then the inverse shear: a column moves by shear times its row.
        back = np.array([[cos * across, -sin * across], [sin * along, cos * along]])
        back[1] -= self.shear * slant * back[0]
        moved = np.array([down, right]) * self.shift
        offset = -np.einsum("rcn,cn->rn", back, moved)
        half = np.array([height - 1, width - 1])[None, :, None] / 2
        linear = (back - np.eye(2)[:, :, None]) * half
        return np.concatenate([offset[:, None], linear], axis=1).transpose(2, 0, 1)


def checked(augment: object) -> Augment | None:
    """The settings given to a training: an Augment or None. Raises DataError for anything else."""
    if augment is None or isinstance(augment, Augment):
        return augment
    raise DataError(f"augment must be an Augment, such as Augment(shift=2, rotation=12), or None; got {augment!r}")


def preview(images: Array, settings: Augment | None = None, seed: int = 0, step: int = 0) -> Array:
    """What a training with this seed makes of a batch in this step, for looking at.

    images: (N, H, W) or (N, C, H, W), uint8 or 0 to 1. Returns float32 of the same shape, 0 to 1.
    Raises ShapeError and DataError for what does not fit.
    """
    given = np.asarray(images)
    if given.ndim not in (3, 4) or not given.size:
        raise ShapeError(f"preview needs images (N, H, W) or (N, C, H, W); got {given.shape}")
    x = given.astype(np.float32)
    if given.dtype == np.uint8:
        x *= np.float32(1 / 255)  # as the training's gather does, to the bit
    chosen = checked(settings) or Augment()
    batch = x[:, None] if x.ndim == 3 else x
    graph = Graph()
    graph.declare("images", batch.shape, "input")
    made = chosen.emit(graph, "images")
    if made == "images":
        return x
    graph.outputs = {"made": made}
    backend = backends.get("numpy")
    program = backends.drive(backend.load(make_plan(graph)))
    backend.upload(program, "images", batch)
    backend.run(program, 1, chosen.controls(batch.shape, checked_seed(seed), step))
    found: dict[str, Any] = backends.drive(backend.fetch(program, "made"))
    backend.close(program)
    result: Array = found["made"].reshape(given.shape)
    return result
