"""Layers that behave differently while training: dropout and batch normalisation."""

from __future__ import annotations

import zlib
from typing import Any

from ..errors import DataError
from ..graph import Graph, Shape
from ..ops import activation, normalization
from .base import Layer, Parameter

SEED = "dropout_seed"  # the control tensor that a training graph declares


class Dropout(Layer):
    """While training, zeroes each value with probability ``rate`` and scales the rest by ``1 / (1 - rate)``.

    Nothing happens at inference. Source: Srivastava et al., "Dropout", 2014.
    """

    stem = "dropout"

    def __init__(self, rate: float = 0.5, name: str = "") -> None:
        super().__init__(name)
        if not 0 <= rate < 1:
            raise DataError(f"Dropout: rate must be at least 0 and below 1; got {rate!r}")
        self.rate = float(rate)

    def emit(self, graph: Graph, x: str, training: bool) -> str:
        if not training or self.rate == 0:
            return x
        salt = zlib.crc32(self.name.encode())  # different masks for different layers under one seed
        return graph.one(activation.dropout, (x, SEED), {"rate": self.rate, "salt": salt}, name=self.name)

    def config(self) -> dict[str, Any]:
        return {"rate": self.rate, "name": self.name}


class BatchNorm(Layer):
    """Normalises each channel: ``gamma (x - mean) / sqrt(var + epsilon) + beta``.

    Training uses the batch's statistics and keeps ``running = momentum running + (1 - momentum) batch`` (Keras's
    momentum; PyTorch's is 1 minus it); inference uses the running ones, and
    is folded away where it directly follows a Conv2D or Dense without activation.
    Source: Ioffe & Szegedy, "Batch normalization", 2015.
    """

    stem = "bn"

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, name: str = "") -> None:
        super().__init__(name)
        if not 0 <= momentum < 1 or not epsilon > 0:
            raise DataError(f"BatchNorm: needs 0 <= momentum < 1 and epsilon > 0; got {momentum!r}, {epsilon!r}")
        self.momentum, self.epsilon = float(momentum), float(epsilon)

    def parameters(self, input_shape: Shape) -> list[Parameter]:
        channels = (input_shape[0],)
        return [
            Parameter("weight", channels, "ones"),
            Parameter("bias", channels, "zeros"),
            Parameter("running_mean", channels, "zeros", trainable=False),
            Parameter("running_var", channels, "ones", trainable=False),
        ]

    def emit(self, graph: Graph, x: str, training: bool) -> str:
        gamma, beta, mean, variance = (f"{self.name}.{p.name}" for p in self.parameters(graph.shape(x)[1:]))
        if not training:
            attrs: dict[str, Any] = {"epsilon": self.epsilon}
            return graph.one(
                normalization.batch_norm_inference, (x, gamma, beta, mean, variance), attrs, name=self.name
            )
        attrs = {"epsilon": self.epsilon, "momentum": self.momentum}
        made = graph.emit(
            normalization.batch_norm, (x, gamma, beta), attrs, name=f"{self.name}.train", updates=(mean, variance)
        )
        return made[0]

    def config(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "epsilon": self.epsilon, "name": self.name}
