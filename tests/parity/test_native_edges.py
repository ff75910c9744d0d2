"""Values at the edges, as NumPy treats them: NaN, infinities, ties, denormals, numbers whose exponential overflows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from handlens.backends import Backend, NumpyBackend
from handlens.backends.native import NativeBackend
from handlens.graph import Graph
from handlens.ops import find
from op_runner import run

NAN, INF = np.nan, np.inf
SPECIAL = np.array([NAN, INF, -INF, 0, -0.0, 1e-40, 3e38, -3e38, 88, -88, 104, -104, 1, -1], np.float32)


def chance(*shape: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def computed(backend: Backend, op: str, inputs: list[np.ndarray], attrs: Any, updates: list[np.ndarray]) -> Any:
    """Outputs and updates of one op."""
    graph, kind = Graph("float32"), find(op)
    names = [name.removesuffix("?") for name in kind.inputs[: len(inputs)]]
    values = dict(zip([*names, *kind.updates], [*inputs, *updates], strict=False))
    for name, value in values.items():
        graph.declare(name, value.shape, "input", value.dtype.name)
    outputs = list(graph.emit(kind, names, attrs, updates=kind.updates))
    with np.errstate(all="ignore"):
        return run(graph, values, [*outputs, *kind.updates], backend)


def same(native: Backend, op: str, inputs: list[np.ndarray], attrs: Any = None, updates: Any = ()) -> None:
    """The op gives what it gives with NumPy: the same NaN and infinities, and 1e-6 of the rest."""
    sides = [computed(b, op, inputs, attrs or {}, [u.copy() for u in updates]) for b in (NumpyBackend(), native)]
    for name, expected in sides[0].items():
        np.testing.assert_allclose(sides[1][name], expected, rtol=2e-6, atol=1e-6, err_msg=f"{op} {name}")


@pytest.mark.parametrize("count", [1, 3, 16, 61])  # whole vectors of every width, and parts
@pytest.mark.parametrize(
    ("op", "attrs"),
    [("relu", {}), ("sigmoid", {}), ("tanh", {}), ("leaky_relu", {"alpha": 0.1}), ("scale", {"factor": 2.0})],
)
def test_activations_of_special_values(native: NativeBackend, op: str, attrs: Any, count: int) -> None:
    same(native, op, [np.resize(SPECIAL, count)], attrs)


@pytest.mark.parametrize("op", ["relu_dx", "sigmoid_dx", "tanh_dx", "leaky_relu_dx"])
def test_gradients_at_special_values(native: NativeBackend, op: str) -> None:
    attrs = {"alpha": 0.1} if op.startswith("leaky") else {}
    dy = np.random.default_rng(2).permutation(np.concatenate([chance(33), SPECIAL, SPECIAL]))
    same(native, op, [np.resize(SPECIAL, 61), dy], attrs)


def maps() -> np.ndarray:
    """Images with NaN, infinities and a window of nothing but -inf."""
    x = chance(1, 2, 8, 9)
    x[0, 0, 1, 3], x[0, 1, 0, 0], x[0, 1, 4, 4], x[0, 1, 6:8, 2:4] = NAN, INF, -INF, -INF
    return x


WINDOWS = ({"pool_size": [2, 2]}, {"pool_size": [3, 3], "strides": [1, 2]}, {"pool_size": [3, 2], "padding": 1})


@pytest.mark.parametrize("attrs", WINDOWS, ids=str)
def test_pooling_of_special_values(native: NativeBackend, attrs: Any) -> None:
    x = maps()
    same(native, "max_pool2d", [x], attrs)
    same(native, "avg_pool2d", [x], attrs)
    y = computed(NumpyBackend(), "max_pool2d", [x], attrs, [])["max_pool2d"]
    same(native, "max_pool2d_dx", [x, y, chance(*y.shape)], attrs)


@pytest.mark.parametrize("size", [(26, 26), (7, 9), (5, 5), (13, 17)])
@pytest.mark.parametrize("attrs", [*WINDOWS, {"pool_size": [3, 3], "strides": [2, 2]}], ids=str)
def test_ties_go_to_the_first_also_where_the_adjoints_are_joined(native: NativeBackend, attrs: Any, size: Any) -> None:
    """Gradients through a pooling over a ReLU's output: most windows hold several zeros, or the same value twice."""
    values = np.random.default_rng(1).integers(-3, 4, (2, 3, *size)) / 2
    x = np.maximum(values, 0).astype(np.float32)
    y = computed(NumpyBackend(), "max_pool2d", [x], attrs, [])["max_pool2d"]
    dy = chance(*y.shape)
    graph = Graph("float32")
    for name, value in (("x", x), ("y", y), ("dy", dy)):
        graph.declare(name, value.shape, "input")
    dx = graph.one(find("max_pool2d_dx"), ("x", "y", "dy"), attrs)
    through = graph.one(find("relu_dx"), ("x", dx), {})
    graph.outputs = {"through": through}
    for names in ([through], [dx]):  # joined, as nobody reads dx; then on its own
        graph.outputs = {name: name for name in names}
        sides = [run_kept(graph, {"x": x, "y": y, "dy": dy}, names[0], b) for b in (NumpyBackend(), native)]
        np.testing.assert_allclose(sides[1], sides[0], rtol=1e-5, atol=1e-6)


def run_kept(graph: Graph, values: dict[str, np.ndarray], name: str, backend: Backend) -> np.ndarray:
    """One output, nothing else kept."""
    from handlens.backends import drive
    from handlens.plan import make_plan

    program = drive(backend.load(make_plan(graph)))
    for tensor, value in values.items():
        backend.upload(program, tensor, value)
    backend.run(program)
    return drive(backend.fetch(program, name))[name]


def scores() -> np.ndarray:
    """Rows with NaN, with each infinity, with nothing but -inf, and large ones."""
    x = 3 * chance(6, 19)
    x[1, 3], x[2, 5], x[3, 7], x[4], x[5] = NAN, INF, -INF, -INF, 1e30 * x[5]
    return x


@pytest.mark.parametrize("axis", [-1, 0])
def test_softmax_of_special_values(native: NativeBackend, axis: int) -> None:
    same(native, "softmax", [scores()], {"axis": axis})


@pytest.mark.parametrize("row", range(6))
def test_cross_entropy_of_special_values(native: NativeBackend, row: int) -> None:
    same(native, "softmax_cross_entropy", [scores()[row : row + 1], np.array([row], np.int32)])


def test_images_with_nan_and_displacements_beyond_all_images(native: NativeBackend) -> None:
    x = np.random.default_rng(3).uniform(0, 1, (2, 1, 6, 7)).astype(np.float32)
    field = chance(2, 2, 19)
    field[1, 0, 0], field[0, 1, 1] = 1e30, INF
    same(native, "warp", [x, field], {"cells": 1})
    field[1, 0, 0] = NAN
    same(native, "warp", [x, field], {"cells": 1})
    x[0, 0, 2, 2] = NAN
    same(native, "thickness", [x, np.array([0.5, -0.5], np.float32)])
    same(native, "smoothing", [x, np.array([0.5, 1], np.float32)], {"gain": 2.0, "level": 0.4})


@pytest.mark.parametrize("step", [1, 2, 1000, 1e6])
def test_adam_at_any_step(native: NativeBackend, step: float) -> None:
    attrs = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    given = [chance(37), np.array([0.01], np.float32), np.array([step], np.float32)]
    updates = [chance(37, seed=1), chance(37, seed=2), np.abs(chance(37, seed=3))]
    same(native, "adam", given, attrs, updates)


def test_rows_that_the_data_does_not_have_are_not_read(native: NativeBackend) -> None:
    """Indices come at run time: a wrong one gives some row of the data or zeros, never what lies beside it."""
    data = np.arange(1, 21, dtype=np.float32).reshape(5, 4)
    rows = np.array([-7, 0, 4, 5, 2**31 - 1, -(2**31)], np.int32)
    found = computed(native, "gather", [data, rows], {}, [])["gather"]
    np.testing.assert_array_equal(found[1:3], data[[0, 4]])
    known = [*data.tolist(), [0.0] * 4]
    assert all(row in known or np.isnan(row).all() for row in found.tolist())
