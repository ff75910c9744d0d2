"""Layers and Sequential: shapes, names, errors, prediction, trace, any image size."""

from __future__ import annotations

import asyncio

import handlens
import numpy as np
import pytest
from handlens import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from handlens.errors import DataError, ShapeError

EVERY_LAYER = [
    Conv2D(3, (2, 3), strides=(1, 2), padding="same", activation="tanh"),
    BatchNorm(),
    LeakyReLU(0.2),
    Dropout(0.25),
    AvgPool2D((2, 1)),
    Conv2D(2, 2, padding=((1, 0), (0, 1)), use_bias=False),
    ReLU(),
    MaxPool2D(2, strides=1),
    Sigmoid(),
    Tanh(),
    Flatten(),
    Dense(5, activation="sigmoid"),
    Dense(4),
    Softmax(),
]


def every_layer() -> Sequential:
    config = {"input_shape": [2, 8, 9], "layers": [{"type": type(x).__name__, **x.config()} for x in EVERY_LAYER]}
    for layer in config["layers"]:
        layer["name"] = ""  # type: ignore[index]
    return Sequential.from_config(config, seed=4)


def run_layer(layer: handlens.layers.Layer, shape: tuple[int, ...]) -> Sequential:
    """Build, count, check, save, load and train one layer in one call, as Keras's run_layer_test does."""
    tail = [Flatten(), Dense(2)] if len(shape) == 3 and not isinstance(layer, Flatten | GlobalAvgPool2D) else [Dense(2)]
    model = Sequential([layer, *tail], shape, seed=1)
    x = np.random.default_rng(0).standard_normal((6, *shape)).astype(np.float32)
    probabilities = model.predict(x)
    assert probabilities.shape == (6, 2) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    again = Sequential.from_config(model.config(), seed=1)
    np.testing.assert_array_equal(again.predict(x), probabilities)
    assert sum(r.parameters for r in model.summary().rows) == model.parameter_count
    before = model.parameters.copy()
    model.fit(x, np.array([0, 1] * 3), epochs=2, batch_size=4, progress=False)
    assert not np.array_equal(before, model.parameters) and np.isfinite(model.parameters).all()
    return model


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2D(3, 3), (2, 6, 6)),
        (Conv2D(3, (1, 4), strides=2, padding="same", activation="leaky_relu"), (2, 6, 6)),
        (MaxPool2D(2), (2, 6, 6)),
        (MaxPool2D(3, strides=1, padding="same"), (2, 5, 7)),
        (AvgPool2D(2), (2, 6, 6)),
        (GlobalAvgPool2D(), (2, 6, 6)),
        (Flatten(), (2, 3, 3)),
        (Dense(4, activation="softmax"), (7,)),
        (Dense(4, use_bias=False), (7,)),
        (ReLU(), (7,)),
        (LeakyReLU(), (2, 3, 3)),
        (Sigmoid(), (7,)),
        (Tanh(), (7,)),
        (Softmax(), (7,)),
        (Dropout(0.5), (7,)),
        (BatchNorm(), (2, 4, 4)),
        (BatchNorm(), (7,)),
    ],
    ids=repr,
)
def test_every_layer_builds_predicts_rebuilds_and_trains(layer: handlens.layers.Layer, shape: tuple[int, ...]) -> None:
    layer.name = ""
    run_layer(layer, shape)


def test_a_network_of_every_layer() -> None:
    model = every_layer()
    names = [layer.name for layer in model.layers]
    assert names[:3] == ["conv1", "bn1", "leaky_relu1"] and len(set(names)) == len(names)
    x = np.random.default_rng(0).random((3, 2, 8, 9), np.float32)
    trace = model.trace(x)
    assert [n for n in trace if n in names] == names and list(trace)[:3] == ["input", "conv1.linear", "conv1"]
    np.testing.assert_allclose(trace["probabilities"], model.predict(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace["logits"], model.predict(x, logits=True), rtol=1e-4, atol=1e-5)
    for row in model.summary().rows:
        if row.layer in trace:
            assert trace[row.layer].shape[1:] == row.shape


def test_state_dict_is_in_layer_order_weight_before_bias() -> None:
    model = Sequential([Conv2D(2, 3), BatchNorm(), Flatten(), Dense(3)], (1, 5, 5))
    expected = "conv1.weight conv1.bias bn1.weight bn1.bias bn1.running_mean bn1.running_var dense1.weight dense1.bias"
    assert list(model.state_dict()) == expected.split()


def test_the_same_seed_gives_the_same_weights_and_another_others() -> None:
    one, two, other = (handlens.architectures.build("cnn-small", seed) for seed in (5, 5, 6))
    assert one.parameters.tobytes() == two.parameters.tobytes() != other.parameters.tobytes()


def test_he_and_glorot_have_the_stated_variance() -> None:
    from handlens.initializers import NAMES, initialize

    shape, generator = (200, 30, 3, 3), np.random.default_rng(0)
    for name in NAMES[2:]:
        values = initialize(name, shape, generator)
        fan_in, fan_out = 30 * 9, 200 * 9
        variance = 2 / fan_in if name.startswith("he") else 2 / (fan_in + fan_out)
        assert abs(values.var() / variance - 1) < 0.05 and abs(values.mean()) < 0.01
    with pytest.raises(DataError, match="he_normal"):
        initialize("lecun", shape, generator)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Sequential([MaxPool2D(2), Conv2D(1, 5, name="conv2"), Flatten(), Dense(2)], (1, 8, 8)),
            r'Conv2D "conv2": kernel 5x5 is larger than its input 4x4; use padding="same" or kernel_size <= 4',
        ),
        (lambda: Sequential([MaxPool2D(9), Flatten()], (1, 8, 8)), r'MaxPool2D "pool1": pool 9x9 is larger'),
        (lambda: Sequential([Dense(3)], (1, 8, 8)), r'Dense "dense1": needs a vector.*Flatten'),
        (lambda: Sequential([Flatten(), Conv2D(1, 3)], (1, 8, 8)), r'Conv2D "conv1": needs images'),
        (lambda: Sequential([Conv2D(2, 3)], (1, 8, 8)), "end it with Flatten"),
        (lambda: Sequential([], (1, 8, 8)), "at least one layer"),
        (lambda: Sequential([Flatten()], (8, 8)), "input_shape"),
        (lambda: Sequential([Flatten()], (1, 0, 8)), "input_shape"),
        (lambda: Conv2D(0, 3), "filters"),
        (lambda: Conv2D(1, 0), "kernel_size"),
        (lambda: Conv2D(1, (1, 2, 3)), "kernel_size"),
        (lambda: Conv2D(1, 3, strides=0), "strides"),
        (lambda: Sequential([Conv2D(1, 3, padding="full"), Flatten()], (1, 8, 8)), "padding"),
        (lambda: Sequential([Conv2D(1, 3, padding=-1), Flatten()], (1, 8, 8)), "padding"),
        (lambda: Sequential([MaxPool2D(2, padding=2), Flatten()], (1, 8, 8)), "smaller than the pool"),
        (lambda: Dense(0), "units"),
    ],
)
def test_shapes_that_do_not_fit_name_layer_shapes_and_a_way_out(build: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        build()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Conv2D(1, 3, activation="swish"), "no activation is called 'swish'"),
        (lambda: Dropout(1.0), "rate"),
        (lambda: BatchNorm(momentum=1.0), "momentum"),
        (lambda: LeakyReLU(-1), "negative_slope"),
        (lambda: Sequential([Dense(2, name="a"), Dense(2, name="a")], (3,)), "two layers are called 'a'"),
        (lambda: Dense(2, name="a.b"), "without a dot"),
        (lambda: Sequential.from_config({"input_shape": [3], "layers": [{"type": "LSTM"}]}), "no layer is called"),
        (lambda: Sequential([Dense(2)], (3,), loss="hinge"), "no loss is called"),
        (lambda: handlens.architectures.build("resnet"), "no architecture is called"),
    ],
)
def test_wrong_arguments_say_what_is_possible(build: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build()  # type: ignore[operator]


def test_bad_images_are_refused() -> None:
    model = handlens.architectures.build("linear")
    for wrong, kind in (
        (np.zeros((28, 28)), ShapeError),
        (np.zeros((2, 3, 28, 28)), ShapeError),
        (np.full((1, 28, 28), np.nan), DataError),
        (np.array([["a"]]), ShapeError),
        (np.full((1, 28, 28), "a"), DataError),
    ):
        with pytest.raises(kind):
            model.predict(wrong)
    assert model.predict(np.zeros((0, 28, 28))).shape == (0, 10)


def test_uint8_images_are_scaled_as_floats_would_be() -> None:
    model = handlens.architectures.build("cnn-small")
    x = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    np.testing.assert_array_equal(model.predict(x), model.predict(x[:, None].astype(np.float32) / np.float32(255)))


def test_batches_do_not_change_the_answer() -> None:
    model = handlens.architectures.build("cnn-small")
    x = np.random.default_rng(0).random((70, 28, 28), np.float32)
    whole = model.predict(x)
    np.testing.assert_allclose(model.predict(x, batch_size=32), whole, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([model.predict(i[None]) for i in x]), whole, atol=1e-6)
    np.testing.assert_array_equal(asyncio.run(model.predict_async(x)), whole)


def gap() -> Sequential:
    return Sequential([Conv2D(4, 3, activation="relu"), MaxPool2D(2), Conv2D(10, 3), GlobalAvgPool2D()], (1, 28, 28))


def test_global_average_pooling_takes_any_size_and_flatten_does_not() -> None:
    model = gap()
    for size in (28, 32, 40, 56, 9):
        assert model.predict(np.zeros((2, 1, size, size + 1))).shape == (2, 10)
    with pytest.raises(ShapeError, match=r'Conv2D "conv2".*28x28 images and met 5x5'):
        model.predict(np.zeros((1, 1, 5, 5)))
    dense = handlens.architectures.build("cnn-small")
    with pytest.raises(ShapeError, match=r'Dense "dense1": expected 400 inputs, got 1024.*built for 28x28.*met 40x40'):
        dense.predict(np.zeros((1, 1, 40, 40)))
    assert dense.predict(np.zeros((1, 1, 28, 28))).shape == (1, 10)


def test_a_regression_network_gives_its_outputs_as_they_are() -> None:
    model = Sequential([Dense(8, activation="tanh"), Dense(1)], (1,), loss="mse")
    x = np.linspace(-1, 1, 32)[:, None]
    model.fit(x, x**2, epochs=200, batch_size=32, optimizer=handlens.Adam(0.03), progress=False)
    assert model.evaluate(x, x**2)["loss"] < 0.005
    assert model.predict(x).shape == (32, 1) and "outputs" in model.plan().outputs


def test_load_state_dict_changes_nothing_when_something_does_not_fit() -> None:
    model = handlens.architectures.build("linear")
    before = model.parameters.tobytes()
    good = model.state_dict()
    for bad in (
        {},
        {**good, "more.weight": np.zeros(1)},
        {**good, "dense1.weight": np.zeros((10, 783))},
        {**good, "dense1.bias": np.full(10, np.nan)},
    ):
        with pytest.raises(DataError):
            model.load_state_dict(bad)
    assert model.parameters.tobytes() == before


def test_summary_is_text_and_numbers() -> None:
    summary = handlens.architectures.build("cnn-small").summary()
    assert (summary.parameters, summary.multiply_adds, summary.bytes) == (5258, 192064, 4 * 5258)
    assert "192,064" in str(summary) and summary.to_dict()["layers"][0]["shape"] == [8, 26, 26]


def test_programs_do_not_pile_up() -> None:
    from handlens.model import KEPT_PROGRAMS

    model = handlens.architectures.build("linear")
    for n in range(1, KEPT_PROGRAMS + 5):
        model.predict(np.zeros((n, 28, 28)))
    assert len(model._programs) == KEPT_PROGRAMS
