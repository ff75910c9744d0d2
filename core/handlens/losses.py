"""Losses as objects: what they emit into a training graph, and what they need of the targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import DataError
from .graph import Array, Graph
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

    def targets(self, y: Array, outputs: int) -> Array:
        """Checked class numbers as int32."""
        labels = np.asarray(y)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise DataError(f"labels must be whole numbers, one a row; got {labels.dtype} of shape {labels.shape}")
        if labels.size and not (labels.min() >= 0 and labels.max() < outputs):
            raise DataError(f"labels run from {labels.min()} to {labels.max()}, but the network has {outputs} outputs")
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

    def targets(self, y: Array, outputs: int) -> Array:
        """Targets as float32 (N, outputs)."""
        values = np.asarray(y)
        if values.ndim == 1 and outputs == 1:
            values = values[:, None]
        if values.ndim == 1 and values.dtype.kind in "iu":
            values = np.eye(outputs, dtype=np.float32)[CrossEntropy().targets(values, outputs)]
        if values.ndim != 2 or values.shape[1] != outputs:
            raise DataError(f"targets must have shape (N, {outputs}); got {values.shape}")
        return values.astype(np.float32)

    def emit(self, graph: Graph, scores: str, targets: str) -> dict[str, str]:
        """Emit the loss; returns the public outputs."""
        return {"loss": graph.one(ops.mean_squared_error, (scores, targets), name="loss")}

    def measure(self, scores: Array, y: Array) -> dict[str, float]:
        """The loss of given outputs."""
        return {"loss": mean_squared_error(scores, self.targets(y, scores.shape[1]))}


Loss = CrossEntropy | MeanSquaredError


def get(loss: str | Loss, label_smoothing: float = 0.0) -> Loss:
    """A loss by name ("cross_entropy", "mean_squared_error" or "mse"), or itself."""
    if not isinstance(loss, str):
        return loss
    if loss == "cross_entropy":
        return CrossEntropy(label_smoothing)
    if loss in ("mean_squared_error", "mse"):
        return MeanSquaredError()
    raise DataError(f"no loss is called {loss!r}; there are: cross_entropy, mean_squared_error")
