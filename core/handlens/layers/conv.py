"""Convolution as a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph import Graph, Shape
from ..ops import conv
from ..ops.window import Padding, pair, plain_padding
from .base import Layer, Parameter, checked_activation, count, need_image, with_activation


class Conv2D(Layer):
    """Slides ``filters`` kernels over the image: (N, C, H, W) -> (N, filters, P, Q).

    ``y[n,f,p,q] = activation(b[f] + sum over c,i,j of w[f,c,i,j] x[n,c,p*s+i-top,q*s+j-left])``: cross-correlation,
    as everywhere in the field. Weight (F, C, KH, KW), bias (F,), as in PyTorch and ONNX (Keras keeps HWIO).

    filters: number of kernels. kernel_size: pixels, one integer or (KH, KW). strides: pixels.
    padding: "valid" (none), "same" (output ceil(n / stride)), or pixels: one, (vertical, horizontal) or
    (top, left, bottom, right). activation: relu, leaky_relu, sigmoid, tanh, softmax or None.
    Raises ShapeError where the kernel is larger than its input.
    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998.
    """

    stem = "conv"

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Padding = "valid",
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: str = "",
        name: str = "",
    ) -> None:
        super().__init__(name)
        self.filters = count(filters, "Conv2D: filters")
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.strides = pair(strides, "strides")
        self.padding: Padding = plain_padding(padding)
        self.activation = checked_activation(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = kernel_initializer or "he_normal"

    def parameters(self, input_shape: Shape) -> list[Parameter]:
        need_image(self, input_shape)
        weight = Parameter("weight", (self.filters, input_shape[0], *self.kernel_size), self.kernel_initializer)
        return [weight, *([Parameter("bias", (self.filters,), "zeros")] if self.use_bias else [])]

    def emit(self, graph: Graph, x: str, training: bool) -> str:
        operands = [x, f"{self.name}.weight", *([f"{self.name}.bias"] if self.use_bias else [])]
        attrs = {"strides": list(self.strides), "padding": self.padding}
        made = graph.one(conv.conv2d, operands, attrs, name=f"{self.name}.linear" if self.activation else self.name)
        return with_activation(graph, self, made, self.activation)

    def config(self) -> dict[str, Any]:
        return {
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer,
            "name": self.name,
        }
