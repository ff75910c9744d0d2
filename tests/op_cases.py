"""The one table of op cases: it feeds the gradient checks, the parity tests and the support matrix of every backend.

A case names an op, the shapes of its inputs, attributes, and how its inputs are drawn. Kinks and ties, where a
difference quotient means nothing, are kept away by ``apart`` and have tests of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """``draw`` per input: "normal", "far" (from 0, for its spread), "positive", "apart" (distinct values, none near 0),
    "labels:K", "rows:K", "bytes", "u32"."""

    op: str
    shapes: tuple[tuple[int, ...], ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    draw: tuple[str, ...] = ()
    updates: tuple[tuple[int, ...], ...] = ()
    note: str = ""
    dtypes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """A readable test id."""
        shapes = "_".join("x".join(map(str, s)) for s in self.shapes)
        attrs = ",".join(f"{k}={v}" for k, v in self.attrs.items()).replace(" ", "")
        return f"{self.op}-{shapes}-{attrs}{'-' + self.note if self.note else ''}"


def conv_case(x: tuple[int, ...], w: tuple[int, ...], bias: bool = True, **attrs: Any) -> Case:
    """A convolution of images ``x`` by kernels ``w``."""
    shapes = (x, w, (w[0],)) if bias else (x, w)
    return Case("conv2d", shapes, attrs)


CONV = [
    conv_case((1, 1, 3, 3), (1, 1, 3, 3)),
    conv_case((2, 1, 5, 5), (1, 1, 3, 3)),
    conv_case((2, 3, 7, 6), (4, 3, 3, 3)),
    conv_case((2, 3, 7, 6), (4, 3, 3, 3), bias=False),
    conv_case((1, 2, 6, 6), (3, 2, 1, 1)),
    conv_case((2, 2, 7, 9), (3, 2, 3, 3), strides=[2, 2]),
    conv_case((2, 2, 8, 8), (3, 2, 3, 3), strides=[3, 3]),
    conv_case((2, 2, 9, 7), (2, 2, 2, 3), strides=[2, 1]),
    conv_case((2, 2, 9, 7), (2, 2, 2, 3), strides=[1, 2]),
    conv_case((2, 2, 6, 6), (2, 2, 3, 3), padding="same"),
    conv_case((2, 2, 5, 5), (2, 2, 2, 2), padding="same"),
    conv_case((2, 2, 7, 5), (2, 2, 3, 3), padding="same", strides=[2, 2]),
    conv_case((2, 2, 5, 5), (2, 2, 3, 3), padding=[1, 0, 2, 1]),
    conv_case((1, 1, 4, 4), (2, 1, 5, 5), padding=2),
    conv_case((1, 1, 4, 4), (2, 1, 4, 4)),
    conv_case((1, 2, 7, 3), (2, 2, 7, 1)),
    conv_case((1, 2, 3, 7), (2, 2, 1, 5), padding=[0, 1, 0, 1], strides=[1, 2]),
    conv_case((5, 1, 5, 5), (2, 1, 3, 3), padding=3),
    # across the borders of the GPU kernels' tiles: 4 images or rows, 8 kernels or channels, 8 weights
    conv_case((3, 5, 9, 10), (9, 5, 3, 3), padding="same"),
    conv_case((9, 2, 4, 7), (17, 2, 2, 3)),
    conv_case((1, 9, 6, 7), (3, 9, 3, 2), padding="same", strides=[2, 3]),
    conv_case((1, 1, 11, 31), (1, 1, 3, 5), padding=1),
    # Winograd's way on the GPU: eight channels or more on both sides, tiles of four pixels that overhang
    conv_case((2, 8, 6, 9), (9, 8, 3, 3)),
    conv_case((3, 9, 5, 4), (8, 9, 3, 3), padding="same"),
    conv_case((1, 8, 4, 3), (8, 8, 3, 3), bias=False, padding=[2, 0, 1, 2]),
]
POOL = [
    Case(op, (shape,), attrs, ("apart",))
    for op in ("max_pool2d", "avg_pool2d")
    for shape, attrs in (
        ((2, 3, 4, 4), {"pool_size": [2, 2]}),
        ((1, 2, 5, 7), {"pool_size": [2, 2]}),
        ((2, 2, 6, 6), {"pool_size": [3, 3], "strides": [1, 1]}),
        ((2, 2, 7, 7), {"pool_size": [3, 3], "strides": [2, 2]}),
        ((1, 2, 5, 5), {"pool_size": [2, 3], "strides": [3, 2]}),
        ((1, 2, 5, 5), {"pool_size": [3, 3], "strides": [2, 2], "padding": 1}),
        ((1, 2, 5, 5), {"pool_size": [2, 2], "padding": "same"}),
        ((1, 1, 5, 5), {"pool_size": [2, 2], "ceil_mode": True}),
        ((1, 2, 6, 5), {"pool_size": [3, 3], "strides": [2, 2], "ceil_mode": True, "padding": [1, 0, 0, 1]}),
        ((1, 1, 4, 4), {"pool_size": [4, 4]}),
        ((1, 1, 3, 3), {"pool_size": [1, 1]}),
        ((2, 3, 9, 11), {"pool_size": [2, 2]}),  # more outputs than a workgroup of 64 makes
        ((1, 2, 7, 8), {"pool_size": [2, 2], "strides": [3, 3], "padding": 1}),  # pixels that no window holds
    )
] + [
    Case("avg_pool2d", ((1, 2, 5, 5),), {"pool_size": [3, 3], "strides": [2, 2], "padding": 1, "include_pad": True}),
    Case(
        "avg_pool2d",
        ((1, 2, 6, 6),),
        {"pool_size": [3, 3], "strides": [2, 2], "padding": [1, 1, 0, 0], "include_pad": True, "ceil_mode": True},
    ),
    Case("global_avg_pool2d", ((2, 3, 5, 4),)),
    Case("global_avg_pool2d", ((1, 1, 1, 1),)),
    Case("global_avg_pool2d", ((2, 1, 9, 8),)),
]
ACTIVATION = [
    Case("relu", ((3, 7),), draw=("apart",)),
    Case("relu", ((2, 3, 4, 5),), draw=("apart",)),
    Case("leaky_relu", ((3, 7),), {"alpha": 0.1}, ("apart",)),
    Case("leaky_relu", ((3, 7),), {"alpha": 0.0}, ("apart",)),
    Case("sigmoid", ((3, 7),)),
    Case("tanh", ((3, 7),)),
    Case("softmax", ((3, 7),)),
    Case("softmax", ((1, 1),)),
    Case("softmax", ((2, 3, 4),), {"axis": 1}),
    Case("softmax", ((2, 300),)),
    Case("dropout", ((4, 9), (1,)), {"rate": 0.3, "salt": 7}, ("normal", "u32"), dtypes=("", "uint32")),
    Case("dropout", ((2, 3, 4, 4), (1,)), {"rate": 0.0}, ("normal", "u32"), dtypes=("", "uint32")),
]
MATMUL = [
    Case("dense", ((4, 5), (3, 5), (3,))),
    Case("dense", ((1, 1), (1, 1))),
    Case("dense", ((2, 7), (1, 7), (1,))),
    Case("dense", ((33, 70), (37, 70), (37,)), note="tiles"),
    Case("matmul", ((3, 4), (4, 5))),
    Case("matmul", ((4, 3), (4, 5)), {"transpose_a": True}),
    Case("matmul", ((3, 4), (5, 4)), {"transpose_b": True}),
    Case("matmul", ((4, 3), (5, 4)), {"transpose_a": True, "transpose_b": True}),
    Case("matmul", ((2, 3, 4), (2, 4, 5))),
    Case("matmul", ((2, 3, 4), (4, 5)), note="broadcast"),
    Case("matmul", ((2, 1, 3, 4), (5, 4, 2)), note="broadcast"),
    Case("matmul", ((2, 3, 1, 9, 17), (3, 2, 17, 18)), note="tiles"),
    Case("add", ((3, 4), (3, 4))),
    Case("add", ((3, 4), (4,)), note="broadcast"),
    Case("add", ((2, 1, 4), (3, 1)), note="broadcast"),
    Case("add", ((2, 1, 3, 1), (1, 4, 1, 5)), note="broadcast"),
    Case("scale", ((3, 4),), {"factor": -2.5}),
    Case("reshape", ((2, 3, 4),), {"shape": [2, 12]}),
    Case("sum_to", ((2, 3, 4),), {"shape": [3, 1]}),
    Case("sum_to", ((9, 3, 10),), {"shape": [3, 1]}),  # more terms than a workgroup of 64 has invocations
    Case("sum_to", ((4, 5),), {"shape": [1]}),
    Case("broadcast_to", ((3, 1),), {"shape": [2, 3, 4]}),
]
NORMALIZATION = [
    Case("batch_norm", ((4, 3), (3,), (3,)), {"epsilon": 1e-3, "momentum": 0.9}, updates=((3,), (3,))),
    Case("batch_norm", ((3, 2, 4, 5), (2,), (2,)), {"epsilon": 1e-5, "momentum": 0.9}, updates=((2,), (2,))),
    # More values a channel than a workgroup of 256 has invocations.
    Case("batch_norm", ((5, 3, 9, 7), (3,), (3,)), {"epsilon": 1e-5, "momentum": 0.9}, updates=((3,), (3,))),
]
LOSS = [
    Case("softmax_cross_entropy", ((4, 5), (4,)), {}, ("normal", "labels:5"), dtypes=("", "int32")),
    Case("softmax_cross_entropy", ((4, 5), (4,)), {"smoothing": 0.1}, ("normal", "labels:5"), dtypes=("", "int32")),
    Case("softmax_cross_entropy", ((1, 2), (1,)), {}, ("normal", "labels:2"), dtypes=("", "int32")),
    Case("softmax_cross_entropy", ((2, 40), (2,)), {}, ("normal", "labels:40"), dtypes=("", "int32")),
    Case("mean_squared_error", ((4, 3), (4, 3))),
]
DIFFERENTIABLE = [*CONV, *POOL, *ACTIVATION, *MATMUL, *NORMALIZATION, *LOSS]

# Ops that are not differentiated themselves: forward cases only. The adjoints are run by the gradient checks too.
FORWARD_ONLY = [
    *(Case("conv2d", ((2, 2, 5, 5), (3, 2, 3, 3), (3,)), {"activation": a}) for a in ("relu", "sigmoid", "tanh")),
    Case("conv2d", ((2, 2, 5, 5), (3, 2, 3, 3)), {"activation": "leaky_relu", "alpha": 0.2}),
    *(Case("dense", ((3, 5), (6, 5), (6,)), {"activation": a}) for a in ("relu", "sigmoid", "tanh")),
    *(Case("dense", ((9, 5), (6, 5), (6,)), {"activation": a}) for a in ("relu", "sigmoid", "tanh")),
    Case("dense", ((9, 5), (6, 5)), {"activation": "leaky_relu", "alpha": 0.2}),
    Case("dense", ((3, 70), (5, 70), (5,)), note="few"),
    Case("dense", ((3, 5), (6, 5)), {"activation": "leaky_relu", "alpha": 0.2}),
    Case("dense_dw", ((1100, 3), (1100, 2)), {"bias": True}, note="parts"),
    Case("conv2d_dw", ((70, 1, 4, 4), (70, 2, 2, 2)), {"kernel_size": [3, 3], "bias": False}, note="parts"),
    Case(
        "batch_norm_inference",
        ((2, 3, 4, 4), (3,), (3,), (3,), (3,)),
        {"epsilon": 1e-5},
        ("normal", "normal", "normal", "normal", "positive"),
    ),
    Case(
        "batch_norm_fold",
        ((4, 2, 3, 3), (4,), (4,), (4,), (4,), (4,)),
        {"epsilon": 1e-5},
        ("normal", "normal", "normal", "normal", "positive", "normal"),
    ),
    Case(
        "batch_norm",
        ((5, 3, 9, 7), (3,), (3,)),
        {"epsilon": 1e-5, "momentum": 0.9},
        ("far", "normal", "normal"),
        ((3,), (3,)),
        "far",
    ),
    Case("batch_norm", ((1, 3), (3,), (3,)), {"epsilon": 1e-3, "momentum": 0.9}, updates=((3,), (3,))),
    Case("softmax_cross_entropy", ((300, 3), (300,)), {}, ("normal", "labels:3"), dtypes=("", "int32")),
    Case("mean_squared_error", ((9, 1000), (9, 1000))),
    Case("gather", ((6, 2, 3), (4,)), {"scale": 0.5}, ("normal", "rows:6"), dtypes=("", "int32")),
    Case("gather", ((9,), (70,)), {}, ("labels:5", "rows:9"), dtypes=("int32", "int32")),
    Case(
        "gather",  # rows of 21 bytes begin anywhere in a word of four
        ((7, 1, 3, 7), (5,)),
        {"dtype": "float32", "scale": 1.0 / 255.0},
        ("bytes", "rows:7"),
        dtypes=("uint8", "int32"),
    ),
    Case("warp", ((3, 1, 5, 5), (3, 2, 3)), {"cells": 0}),
    Case("warp", ((3, 2, 6, 5), (3, 2, 28)), {"cells": 2}),
    Case("warp", ((1, 1, 1, 7), (1, 2, 19)), {"cells": 1}),
    Case("warp", ((2, 1, 28, 28), (2, 2, 52)), {"cells": 4}),
    Case("thickness", ((4, 2, 5, 6), (4,))),
    Case("thickness", ((1, 1, 1, 1), (1,))),
    Case("smoothing", ((4, 2, 5, 6), (4,)), {"gain": 2.0, "level": 0.35}),
    Case("smoothing", ((1, 1, 1, 1), (1,)), {"gain": 3.0, "level": 0.5}),
    Case("sgd", ((64,), (1,), (1,)), {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, updates=((64,),) * 2),
    Case("sgd", ((64,), (1,), (1,)), {}, updates=((64,),) * 2),
    Case(
        "adam",
        ((64,), (1,), (1,)),
        {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01, "decoupled": True},
        ("normal", "positive", "positive"),
        ((64,),) * 3,
    ),
    Case(
        "adam",
        ((64,), (1,), (1,)),
        {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.1},
        ("normal", "positive", "positive"),
        ((64,),) * 3,
    ),
]
CASES = [*DIFFERENTIABLE, *FORWARD_ONLY]


def draw(case: Case, seed: int = 0, dtype: str = "float64") -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Inputs and updated operands of a case."""
    generator = np.random.Generator(np.random.PCG64(seed))
    kinds = case.draw or ("normal",) * len(case.shapes)
    inputs = []
    for shape, kind, fixed in zip(case.shapes, kinds, case.dtypes or ("",) * len(case.shapes), strict=True):
        inputs.append(_values(kind, shape, generator).astype(fixed or dtype))
    updates = [np.abs(generator.standard_normal(shape)).astype(dtype) for shape in case.updates]
    return inputs, updates


def _values(kind: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    if kind == "normal":
        return generator.standard_normal(shape)
    if kind == "far":
        return 100 + generator.standard_normal(shape)
    if kind == "bytes":
        return generator.integers(0, 256, shape)
    if kind == "positive":
        return generator.uniform(0.5, 2.0, shape)
    if kind == "apart":  # distinct multiples of 0.05, none of them 0: no tie, no kink within a difference step
        count = int(np.prod(shape))
        values = 0.05 * np.concatenate([np.arange(1, count // 2 + 2), -np.arange(1, count // 2 + 2)])
        return generator.permutation(values)[:count].reshape(shape)
    if kind == "u32":
        return generator.integers(0, 2**32, shape)
    name, limit = kind.split(":")
    assert name in ("labels", "rows")
    return generator.integers(0, int(limit), shape)
