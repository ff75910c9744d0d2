"""Pooling as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..graph import Graph, Op, Shape
from ..ops import pool
from ..ops.window import Padding, pair, plain_padding
from .base import Layer, Parameter, need_image


class _Pool2D(Layer):
    """What both windows share: (N, C, H, W) -> (N, C, P, Q)."""

    stem = "pool"
    op: ClassVar[Op]

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: Padding = "valid",
        name: str = "",
    ) -> None:
        super().__init__(name)
        self.pool_size = pair(pool_size, "pool_size")
        self.strides = pair(strides, "strides") if strides is not None else self.pool_size
        self.padding: Padding = plain_padding(padding)

    def parameters(self, input_shape: Shape) -> list[Parameter]:
        need_image(self, input_shape)
        return []

    def emit(self, graph: Graph, x: str, training: bool) -> str:
        attrs = {"pool_size": list(self.pool_size), "strides": list(self.strides), "padding": self.padding}
        return graph.one(self.op, (x,), attrs, name=self.name)

    def config(self) -> dict[str, Any]:
        return {
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "name": self.name,
        }


class MaxPool2D(_Pool2D):
    """The maximum of each window: ``y[n,c,p,q] = max over i,j of x[n,c,p*s+i,q*s+j]``.

    pool_size: pixels, one or (rows, columns). strides: default the pool size. padding as in Conv2D; padded pixels
    never win. Of equal maxima the first in row-major order gets the gradient. Odd rows and columns are dropped.
    Raises ShapeError where the window is larger than its input.
    """

    op = pool.max_pool2d


class AvgPool2D(_Pool2D):
    """The mean of each window: ``y[n,c,p,q] = mean over i,j of x[n,c,p*s+i,q*s+j]``; padded pixels do not count.

    Arguments and errors as in MaxPool2D.
    """

    op = pool.avg_pool2d


class GlobalAvgPool2D(Layer):
    """The mean of each map, so that any image size gives C numbers: (N, C, H, W) -> (N, C).

    Source: Lin, Chen, Yan, "Network in network", 2014.
    """

    stem = "gap"

    def parameters(self, input_shape: Shape) -> list[Parameter]:
        need_image(self, input_shape)
        return []

    def emit(self, graph: Graph, x: str, training: bool) -> str:
        return graph.one(pool.global_avg_pool2d, (x,), name=self.name)
