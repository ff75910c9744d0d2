"""What random cases do not meet: huge arguments, ties, exact bits, and sizes beyond one dimension of workgroups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from handlens.backends import NumpyBackend
from handlens.backends.webgpu import WebgpuBackend
from handlens.graph import Graph
from handlens.ops import find
from op_runner import run


def one(op: str, backend: Any, values: dict[str, np.ndarray], updates: int = 0, **attrs: Any) -> dict[str, np.ndarray]:
    """The outputs and updates of one op on a backend, float32."""
    graph, names = Graph("float32"), list(values)
    for name, value in values.items():
        graph.declare(name, value.shape, "input", value.dtype.name)
    made = graph.emit(find(op), names[: len(names) - updates], attrs, updates=names[len(names) - updates :])
    found = run(graph, values, [*made, *names[len(names) - updates :]], backend)
    keys = (*find(op).outputs, *find(op).updates)
    return dict(zip(keys, found.values(), strict=True))


HUGE = np.array([[-3e38, -1e30, -1e4, -90, -1, -0.0, 1e-30, 1, 88, 90, 1e4, 1e30, 3e38]], np.float32)


@pytest.mark.parametrize("op", ["relu", "sigmoid", "tanh", "leaky_relu"])
def test_huge_arguments_give_what_numpy_gives(op: str, webgpu: WebgpuBackend) -> None:
    found, expected = (one(op, b, {"x": HUGE})["y"] for b in (webgpu, NumpyBackend()))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_softmax_and_its_loss_stay_finite_far_from_zero(webgpu: WebgpuBackend) -> None:
    logits = np.array([[1e4, -1e4, 0], [-1e30, -1e30, -1e30], [88, 89, 90], [-3e4, -3e4, -2e4]], np.float32)
    values = {"logits": logits, "labels": np.array([0, 1, 2, 2], np.int32)}
    found, expected = (one("softmax_cross_entropy", b, values) for b in (webgpu, NumpyBackend()))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
    found, expected = (one("softmax", b, {"x": logits}, axis=0) for b in (webgpu, NumpyBackend()))
    np.testing.assert_allclose(found["y"], expected["y"], rtol=1e-5, atol=1e-6)


def test_of_equal_logits_the_first_is_the_answer(webgpu: WebgpuBackend) -> None:
    values = {
        "logits": np.array([[2, 2, 1], [2, 2, 1], [0, 3, 3]], np.float32),
        "labels": np.array([0, 1, 1], np.int32),
    }
    assert one("softmax_cross_entropy", webgpu, values)["correct"][0] == 2


@pytest.mark.parametrize(("strides", "padding"), [(2, 0), (2, 1), (1, 1), (3, 1)])
def test_of_equal_pixels_the_first_takes_the_gradient(strides: int, padding: int, webgpu: WebgpuBackend) -> None:
    generator = np.random.Generator(np.random.PCG64(0))
    x = generator.integers(-2, 1, (3, 2, 8, 10)).astype(np.float32)
    x[0] = 0  # all tied, as after a ReLU
    attrs = {"pool_size": [2, 2], "strides": strides, "padding": padding}
    y = one("max_pool2d", NumpyBackend(), {"x": x}, **attrs)["y"]
    assert np.array_equal(one("max_pool2d", webgpu, {"x": x}, **attrs)["y"], y)
    values = {"x": x, "y": y, "dy": generator.integers(1, 9, y.shape).astype(np.float32)}
    found, expected = (one("max_pool2d_dx", b, values, **attrs)["dx"] for b in (webgpu, NumpyBackend()))
    assert np.array_equal(found, expected)


def test_dropout_drops_the_same_elements_as_numpy(webgpu: WebgpuBackend) -> None:
    x = np.ones((37, 101), np.float32)
    for seed, salt, rate in ((0, 0, 0.5), (2**32 - 1, 3, 0.25), (123456789, 2**32 - 1, 0.999)):
        values = {"x": x, "seed": np.array([seed], np.uint32)}
        found, expected = (one("dropout", b, values, rate=rate, salt=salt)["y"] for b in (webgpu, NumpyBackend()))
        assert np.array_equal(found != 0, expected != 0)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_all_of_mnist_is_gathered_to_the_bit(webgpu: WebgpuBackend) -> None:
    data = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (60_000, 1, 28, 28), np.uint8)
    values = {"data": data, "rows": np.array([59_999, 0, 31_415, 59_999], np.int32)}
    attrs = {"dtype": "float32", "scale": 1.0 / 255.0}
    found, expected = (one("gather", b, values, **attrs)["y"] for b in (webgpu, NumpyBackend()))
    assert np.array_equal(found, expected)


def test_more_elements_than_one_dimension_of_workgroups(webgpu: WebgpuBackend) -> None:
    x = np.arange(-100, 65_535 * 64 * 4 + 3, dtype=np.float32)
    assert np.array_equal(one("relu", webgpu, {"x": x})["y"], np.maximum(x, 0))


@pytest.mark.parametrize("step", [1, 2, 700, 1_000_000])
def test_adams_first_and_last_steps(step: int, webgpu: WebgpuBackend) -> None:
    generator = np.random.Generator(np.random.PCG64(step))
    values = {"gradients": generator.standard_normal(200).astype(np.float32) * np.float32(1e-3)}
    values |= {"learning_rate": np.array([0.01], np.float32), "step": np.array([step], np.float32)}
    values |= {name: np.zeros(200, np.float32) for name in ("parameters", "moment_1", "moment_2")}
    attrs = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    found, expected = (one("adam", b, values, 3, **attrs) for b in (webgpu, NumpyBackend()))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-5, err_msg=name)


def test_a_batch_norm_of_more_channels_than_one_dimension_of_workgroups(webgpu: WebgpuBackend) -> None:
    channels, generator = 65_535 + 70, np.random.Generator(np.random.PCG64(3))
    vectors = ("gamma", "beta", "running_mean", "running_var")
    values = {"x": generator.standard_normal((3, channels)).astype(np.float32)}
    values |= {name: generator.uniform(0.5, 2.0, channels).astype(np.float32) for name in vectors}
    attrs = {"epsilon": 1e-2, "momentum": 0.9}
    found, expected = (one("batch_norm", b, values, 2, **attrs) for b in (webgpu, NumpyBackend()))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
    back = {"x": values["x"], "gamma": values["gamma"], "mean": expected["mean"], "inv_std": expected["inv_std"]}
    back["dy"] = generator.standard_normal((3, channels)).astype(np.float32)
    found, expected = (one("batch_norm_dx", b, back) for b in (webgpu, NumpyBackend()))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


def test_a_batch_norm_whose_first_image_is_an_outlier(webgpu: WebgpuBackend) -> None:
    x = np.random.Generator(np.random.PCG64(0)).standard_normal((128, 2, 5, 5)).astype(np.float32)
    x[0] += 1000
    values = {"x": x, "gamma": np.ones(2, np.float32), "beta": np.zeros(2, np.float32)}
    values |= {"running_mean": np.zeros(2, np.float32), "running_var": np.ones(2, np.float32)}
    attrs = {"epsilon": 1e-5, "momentum": 0.9}
    found, expected = (one("batch_norm", b, values, 2, **attrs) for b in (webgpu, NumpyBackend()))
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
