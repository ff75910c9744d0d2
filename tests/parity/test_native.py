"""The compiled kernels on this host, at each level of its processor, against NumPy: the case table, both directions."""

from __future__ import annotations

import numpy as np
import pytest
from handlens.backends.native import NativeBackend
from handlens.graph import Graph
from handlens.ops import find
from op_cases import CASES, DIFFERENTIABLE, Case
from op_runner import run
from parity_check import check_forward, check_gradients, compare

FORWARD, BACKWARD = 1e-5, 1e-4


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_forward(case: Case, native: NativeBackend) -> None:
    check_forward(case, native, FORWARD)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda c: c.id)
def test_gradients(case: Case, native: NativeBackend) -> None:
    check_gradients(case, native, BACKWARD)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.24, 0.5])
@pytest.mark.parametrize(
    ("w", "size", "pads"),
    [
        ((5, 16, 3, 3), (9, 11), [0, 0, 0, 0]),
        ((3, 33, 3, 3), (7, 8), [1, 2, 0, 3]),
        ((4, 40, 2, 5), (6, 9), [2, 0, 1, 0]),
        ((2, 64, 1, 1), (5, 3), [0, 0, 0, 0]),
    ],
)
def test_convolution_adjoint_skips_zeros(
    w: tuple[int, ...], size: tuple[int, int], pads: list[int], share: float, native: NativeBackend
) -> None:
    random = np.random.default_rng(7)
    top, left, bottom, right = pads
    maps = (3, w[0], size[0] + top + bottom - w[2] + 1, size[1] + left + right - w[3] + 1)
    weights, dy = random.standard_normal(w), random.standard_normal(maps) * (random.random(maps) < share)
    results = []
    for dtype, backend, sign in (("float64", None, 0), ("float32", native, 0), ("float64", None, 1)):
        values = {"w": weights.astype(dtype), "dy": dy.astype(dtype)}
        graph = Graph(dtype)
        for name, value in values.items():
            graph.declare(name, value.shape, "input")
        attrs = {"strides": [1, 1], "padding": pads, "input_size": list(size)}
        dx = graph.one(find("conv2d_dx"), ("w", "dy"), attrs)
        results.append(run(graph, {k: np.abs(v) if sign else v for k, v in values.items()}, [dx], backend)[dx])
    expected, found, terms = results
    compare(found, expected, terms, BACKWARD, f"share {share}")
    assert not found[terms == 0].any()
