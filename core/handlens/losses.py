"""Losses as objects: what they emit into a training graph, and what they need of the targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import DataError
from .graph import Array, Graph, Shape
from .metrics import accuracy, cross_entropy, mean_squared_error
from .ops import loss as ops


@dataclass(frozen=True)
class CrossEntropy:
    """Softmax cross-entropy on logits: ``-sum t log softmax(z)``, t = one-hot smoothed by ``label_smoothing``.

    Targets are class numbers (N,). Source: Goodfellow et al., "Deep Learning", 2016, section 6.2.2;
    smoothing: Szegedy et al., "Rethinking the Inception architecture", 2016.
    """

    label_smoothing: float = 0.0
    name = "cross_entropy"
    classifies = True

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise DataError(f"label_smoothing must be at least 0 and below 1; got {self.label_smoothing!r}")

    def targets(self, y: Array, shape: Shape) -> Array:
        """Checked class numbers as int32; ``shape`` is that of one output."""
        labels = np.asarray(y)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            turn = "; use y.argmax(axis=1) for one-hot rows, y[:, 0] for a column" if labels.ndim == 2 else ""
            raise DataError(
                f"labels must be whole numbers, one a row; got {labels.dtype} of shape {labels.shape}{turn}"
            )
        if labels.size and not (labels.min() >= 0 and labels.max() < shape[0]):
            raise DataError(f"labels run from {labels.min()} to {labels.max()}, but the network has {shape[0]} outputs")
        return labels.astype(np.int32)

    def emit(self, graph: Graph, scores: str, targets: str) -> dict[str, str]:
        """Emit the loss; returns the public outputs."""
        made = graph.emit(
            ops.softmax_cross_entropy, (scores, targets), {"smoothing": self.label_smoothing}, name="loss"
        )
        return {"loss": made[0], "correct": made[1]}

    def measure(self, scores: Array, y: Array) -> dict[str, float]:
        """Loss (without smoothing) and accuracy of given logits."""
        return {"loss": cross_entropy(scores, y), "accuracy": accuracy(scores, y)}


@dataclass(frozen=True)
class MeanSquaredError:
    """``mean (y - t)^2`` over all outputs. Targets: numbers of the outputs' shape, or class numbers (made one-hot)."""

    name = "mean_squared_error"
    classifies = False

    def targets(self, y: Array, shape: Shape) -> Array:
        """Targets as float32 (N, *shape); ``shape`` is that of one output."""
        values = np.asarray(y)
        if values.ndim == 1 and shape == (1,):
            values = values[:, None]
        if values.ndim == 1 and values.dtype.kind in "iu" and len(shape) == 1:
            values = np.eye(shape[0], dtype=np.float32)[CrossEntropy().targets(values, shape)]
        if values.shape[1:] != shape:
            raise DataError(f"targets must have shape (N, {', '.join(map(str, shape))}); got {values.shape}")
        return values.astype(np.float32)

    def emit(self, graph: Graph, scores: str, targets: str) -> dict[str, str]:
        """Emit the loss; returns the public outputs."""
        return {"loss": graph.one(ops.mean_squared_error, (scores, targets), name="loss")}

    def measure(self, scores: Array, y: Array) -> dict[str, float]:
        """The loss of given outputs."""
        return {"loss": mean_squared_error(scores, self.targets(y, scores.shape[1:]))}


Loss = CrossEntropy | MeanSquaredError


def get(loss: str | Loss, label_smoothing: float | None = None) -> Loss:
    """A loss by name ("cross_entropy", "mean_squared_error" or "mse"), or itself; with another smoothing if given."""
    table: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "mean_squared_error": MeanSquaredError()}
    table["mse"] = table["mean_squared_error"]
    if isinstance(loss, str) and loss not in table:
        raise DataError(f"no loss is called {loss!r}; there are: cross_entropy, mean_squared_error")
    chosen = table[loss] if isinstance(loss, str) else loss
    if label_smoothing is None:
        return chosen
    if not isinstance(chosen, CrossEntropy):
        raise DataError(f"label_smoothing is for cross_entropy; {chosen.name} has none")
    return CrossEntropy(label_smoothing)
