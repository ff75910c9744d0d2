"""Dense layers and the reshape before them."""

from __future__ import annotations

import math
from typing import Any

from ..errors import ShapeError
from ..graph import Graph, Shape
from ..ops import matmul
from .base import Layer, Parameter, checked_activation, count, with_activation


class Flatten(Layer):
    """Lines all values of an image up in one vector: (N, C, H, W) -> (N, C*H*W), row by row, map by map.

    A reshape: it has no neurons and no weights. The order is (C, H, W), as in PyTorch; Keras flattens (H, W, C).
    """

    stem = "flatten"

    def emit(self, graph: Graph, x: str, training: bool) -> str:
        n, *rest = graph.shape(x)
        return graph.one(matmul.reshape, (x,), {"shape": [n, math.prod(rest)]}, name=self.name)


class Dense(Layer):
    """Every output sees every input: (N, inputs) -> (N, units), ``y = activation(x W^T + b)``.

    Weight (units, inputs), bias (units,), as in PyTorch and ONNX Gemm (Keras keeps (inputs, units)).
    units: number of neurons. activation: relu, leaky_relu, sigmoid, tanh, softmax or None.
    Raises ShapeError where the input is not a vector of the length the layer was built for.
    """

    stem = "dense"

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: str = "",
        name: str = "",
    ) -> None:
        super().__init__(name)
        self.units = count(units, "Dense: units")
        self.activation = checked_activation(activation)
        self.use_bias = bool(use_bias)
        rectified = self.activation in ("relu", "leaky_relu")
        self.kernel_initializer = kernel_initializer or ("he_normal" if rectified else "glorot_uniform")

    def parameters(self, input_shape: Shape) -> list[Parameter]:
        if len(input_shape) != 1:
            raise ShapeError(f"{self.label}: needs a vector, got images {input_shape}; put Flatten() before it")
        weight = Parameter("weight", (self.units, input_shape[0]), self.kernel_initializer)
        return [weight, *([Parameter("bias", (self.units,), "zeros")] if self.use_bias else [])]

    def emit(self, graph: Graph, x: str, training: bool) -> str:
        operands = [x, f"{self.name}.weight", *([f"{self.name}.bias"] if self.use_bias else [])]
        made = graph.one(matmul.dense, operands, name=f"{self.name}.linear" if self.activation else self.name)
        return with_activation(graph, self, made, self.activation)

    def config(self) -> dict[str, Any]:
        return {
            "units": self.units,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer,
            "name": self.name,
        }
