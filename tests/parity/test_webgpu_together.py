"""Steps that one kernel does together, on the GPU, against NumPy; and when they must not be taken together."""

from __future__ import annotations

from dataclasses import replace

import handlens
import numpy as np
import pytest
from handlens import architectures
from handlens.backends.webgpu import WebgpuBackend
from handlens.backends.webgpu.lowered import lower
from handlens.layers import Conv2D, Dense, Flatten, MaxPool2D
from handlens.model import Sequential
from handlens.plan import Plan

CLOSE = 1e-4
ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", None)


def kernels(plan: Plan) -> list[str]:
    """The kernels of the plan's steps, in order."""
    made = lower(plan)
    return [made.sources[d.source].name for d in made.steps]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize(
    ("shape", "filters"), [((1, 9, 10), 3), ((3, 12, 11), 9), ((9, 13, 9), 9), ((8, 8, 23), 12)], ids=str
)
def test_a_convolution_and_its_pooling(
    shape: tuple[int, int, int], filters: int, activation: str | None, webgpu: WebgpuBackend
) -> None:
    layers = [Conv2D(filters, 3, activation=activation), MaxPool2D(2), Flatten(), Dense(7)]
    sides = [Sequential(layers, shape, seed=1) for _ in range(2)]
    assert "max_pool2d" not in kernels(sides[0].plan(3))
    sides[1].use(webgpu)
    images = np.random.default_rng(2).standard_normal((3, *shape), np.float32)
    expected, found = (side.predict(images, logits=True) for side in sides)
    assert not sides[1].handed_over
    np.testing.assert_allclose(found, expected, atol=CLOSE * np.abs(expected).max())


@pytest.mark.parametrize(("classes", "inputs", "images"), [(1, 16, 1), (10, 1600, 1), (11, 65, 4), (32, 130, 3)])
def test_the_last_layer_and_its_softmax(classes: int, inputs: int, images: int, webgpu: WebgpuBackend) -> None:
    sides = [Sequential([Dense(classes)], (inputs,), seed=3) for _ in range(2)]
    assert kernels(sides[0].plan(images)) == ["dense_shares", "dense_softmax"]
    sides[1].use(webgpu)
    for side in sides:
        side.parameters += np.float32(0.125)  # biases, too
    x = np.random.default_rng(4).standard_normal((images, inputs), np.float32)
    for logits in (True, False):
        expected, found = (side.predict(x, logits=logits) for side in sides)
        np.testing.assert_allclose(found, expected, atol=CLOSE * np.abs(expected).max())
    assert not sides[1].handed_over


def test_a_prediction_of_convnet_is_six_dispatches() -> None:
    names = ["conv2d_max_pool2d", "conv2d_winograd_x", "conv2d_winograd", "conv2d_winograd_y"]
    assert kernels(architectures.build("convnet").plan(1)) == [*names, "dense_shares", "dense_softmax"]


def test_maps_that_are_wanted_are_made() -> None:
    model = architectures.build("convnet")
    assert kernels(model.plan(1, keep="all")).count("max_pool2d") == 2
    overlapping = Sequential([Conv2D(4, 3), MaxPool2D(3, strides=2), Flatten(), Dense(3)], (1, 12, 12), seed=0)
    assert "max_pool2d" in kernels(overlapping.plan(1))
    padded = Sequential([Conv2D(4, 3, padding="same"), MaxPool2D(2), Flatten(), Dense(3)], (1, 12, 12), seed=0)
    assert "conv2d" in kernels(padded.plan(1))


def test_many_classes_or_vectors_keep_their_own_kernels() -> None:
    assert kernels(Sequential([Dense(33)], (64,), seed=0).plan(1)) == ["dense_few", "softmax"]
    assert kernels(Sequential([Dense(10)], (64,), seed=0).plan(5)) == ["dense", "softmax"]


def test_a_pair_whose_result_lies_where_its_input_does_is_taken_apart() -> None:
    """The plan may give a step the memory of what the step before has read: one dispatch cannot do both."""
    plan = architectures.build("convnet").plan(1)
    there = replace(plan.tensors["input"], buffer="arena", offset=plan.tensors["pool1"].offset)
    moved = kernels(replace(plan, tensors={**plan.tensors, "input": there}))
    assert moved[:2] == ["conv2d", "max_pool2d"] and moved[2:] == kernels(plan)[1:]


def test_traced_values_are_those_of_numpy(webgpu: WebgpuBackend) -> None:
    sides = [handlens.Sequential([Conv2D(9, 3), MaxPool2D(2), Flatten(), Dense(70)], (1, 10, 10), seed=5) for _ in "ab"]
    sides[1].use(webgpu)
    expected, found = (side.trace(np.random.default_rng(0).random((1, 1, 10, 10), np.float32)) for side in sides)
    assert not sides[1].handed_over
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=CLOSE * max(1.0, float(np.abs(values).max())))
