"""Activation functions as layers of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from ..errors import DataError
from ..graph import Graph, Op
from ..ops import activation
from .base import Layer


class _Activation(Layer):
    """Applies one function to every value; the shape stays."""

    op: ClassVar[Op]

    def emit(self, graph: Graph, x: str, training: bool) -> str:
        return graph.one(self.op, (x,), name=self.name)


class ReLU(_Activation):
    """``max(x, 0)``; its derivative at 0 is taken as 0."""

    stem = "relu"
    op = activation.relu


class Sigmoid(_Activation):
    """``1 / (1 + exp(-x))``, without overflow at any input."""

    stem = "sigmoid"
    op = activation.sigmoid


class Tanh(_Activation):
    """The hyperbolic tangent."""

    stem = "tanh"
    op = activation.tanh


class Softmax(_Activation):
    """``exp(x_i) / sum_j exp(x_j)`` over the last axis: scores (logits) to probabilities."""

    stem = "softmax"
    op = activation.softmax


class LeakyReLU(Layer):
    """``x`` where positive, else ``negative_slope * x`` (Maas, Hannun, Ng, 2013)."""

    stem = "leaky_relu"

    def __init__(self, negative_slope: float = 0.01, name: str = "") -> None:
        super().__init__(name)
        if not negative_slope >= 0:
            raise DataError(f"LeakyReLU: negative_slope must be at least 0; got {negative_slope!r}")
        self.negative_slope = float(negative_slope)

    def emit(self, graph: Graph, x: str, training: bool) -> str:
        return graph.one(activation.leaky_relu, (x,), {"alpha": self.negative_slope}, name=self.name)

    def config(self) -> dict[str, Any]:
        return {"negative_slope": self.negative_slope, "name": self.name}
