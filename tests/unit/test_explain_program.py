"""Copy as NumPy: the programs run alone, make the number again, and hold nothing that they do not need."""

from __future__ import annotations

import contextlib
import io

import handlens
import numpy as np
import pytest
from handlens.inside.explain import Lens
from handlens.inside.program import TOLERANCE, numpy_program, scale
from handlens.layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LeakyReLU,
    MaxPool2D,
    Sigmoid,
    Softmax,
    Tanh,
)

NETWORKS = {
    "padding, strides, channels": [
        Conv2D(3, 3, padding="same", activation="leaky_relu"),
        MaxPool2D(3, strides=2, padding=1),
        Conv2D(2, (3, 2), strides=(2, 1), padding=(2, 0, 1, 1), use_bias=False, activation="tanh"),
    ],
    "averages and norms": [
        Conv2D(2, 2),
        BatchNorm(),
        Sigmoid(),
        AvgPool2D(3, strides=2, padding=1),
        BatchNorm(),
        GlobalAvgPool2D(),
        BatchNorm(),
    ],
    "windows with gaps": [Conv2D(2, 1, strides=3, padding=2), MaxPool2D(1), AvgPool2D((1, 2)), LeakyReLU(0.3)],
    "dense": [MaxPool2D(2), Flatten(), Dropout(), Dense(5, activation="relu"), Dense(4, use_bias=False), Softmax()],
    "softmax along rows": [Conv2D(2, 2, activation="softmax"), AvgPool2D(2), Tanh()],
}


def ran(text: str) -> tuple[float, float]:
    """What a program prints: the number it made, and the network's."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, "program", "exec"), {"__name__": "__main__"})
    mine, theirs = out.getvalue().splitlines()
    return float(mine.rsplit(" ", 1)[1]), float(theirs.rsplit(" ", 1)[1])


def drawn(layers: list[handlens.layers.Layer], shape: tuple[int, ...]) -> handlens.Sequential:
    """A network with random weights, biases and statistics."""
    model = handlens.Sequential(layers, shape, seed=0, loss="mean_squared_error", name="drawn")
    generator = np.random.default_rng(0)
    model.parameters[...] = generator.normal(0, 0.5, model.parameters.shape)
    model.state[...] = generator.uniform(0.2, 2, model.state.shape)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_a_program_makes_every_cell_again(name: str) -> None:
    model = drawn(NETWORKS[name], (2, 9, 8))
    image = np.random.default_rng(1).normal(size=(2, 9, 8))
    lens, generator = Lens.over(model, image), np.random.default_rng(2)
    for key, step in lens.steps.items():
        corners = [(0,) * len(step.shape), tuple(n - 1 for n in step.shape)]
        for index in [*corners, tuple(int(generator.integers(n)) for n in step.shape)]:
            mine, theirs = ran(lens.program(key, index))
            assert np.float32(theirs) == lens.values(key)[index]
            assert abs(mine - theirs) <= TOLERANCE * scale(lens, key, index), (key, index)


def test_a_vector_network_has_programs_too() -> None:
    model = drawn([Dense(3, activation="sigmoid"), Dense(2)], (4,))
    mine, theirs = ran(numpy_program(model, np.array([0.5, -1, 2, 0]), "dense2", 1))
    assert mine == pytest.approx(theirs, abs=1e-6)


def test_a_program_holds_what_it_needs_alone_and_stays_short() -> None:
    model = drawn([Conv2D(8, 3, activation="relu"), MaxPool2D(2), Conv2D(16, 3)], (1, 28, 28))
    image = np.random.default_rng(1).random((28, 28), np.float32)
    one = numpy_program(model, image, "conv1", (3, 10, 12))
    compile(one, "program", "exec")
    numbers = [n for n in one.replace("[", " ").replace(",", " ").split() if n.lstrip("-")[:1].isdigit() and "." in n]
    weights, pixels = model.parameter("conv1.weight")[3].ravel(), image[10:13, 12:15].ravel()
    assert {np.float32(n) for n in numbers} >= {*weights, *pixels}
    assert "base64" not in one and len(one.splitlines()) < 35
    assert "rows 10 to 12, columns 12 to 14 of the 28x28 image" in one and "products = w * x" in one
    pooled = numpy_program(model, image, "pool1", (3, 5, 6))
    assert str(model.parameter("conv1.weight")[2, 0, 0, 0]) not in pooled  # of another kernel
    deep = numpy_program(model, image, "conv2", (7, 0, 0))
    assert "rows 0 to 7, columns 0 to 7" in deep and len(deep) < 5000


def test_many_weights_are_packed() -> None:
    model = handlens.architectures.build("ann", seed=0)
    image = np.zeros((28, 28), np.float32)
    image[10:18, 14] = 0.7
    text = numpy_program(model, image, "probabilities", (3,))
    assert text.count('packed("""') == 2 and max(map(len, text.splitlines())) <= 130
    assert len(text) < 1.4 * 4 * model.parameter_count + 8000  # base64 of single precision, and little else
    mine, theirs = ran(text)
    assert mine == pytest.approx(theirs, abs=1e-6)


def test_a_name_from_a_file_cannot_become_code() -> None:
    evil = 'x"""\nraise SystemExit("owned")\n"""\n#'
    layers = [Conv2D(1, 2, name=evil), Flatten(name="a\nraise SystemExit")]
    model = handlens.Sequential(layers, (1, 2, 2), loss="mean_squared_error", name=evil)
    for key, index in ((evil, (0, 0, 0)), ("a\nraise SystemExit", (0,))):
        text = numpy_program(model, np.ones((2, 2)), key, index)
        mine, theirs = ran(text)
        assert mine == pytest.approx(theirs, abs=1e-6)
        assert not any(line.startswith("raise") for line in text.splitlines())


def test_the_tolerance_stated_follows_the_last_sum() -> None:
    model = drawn([Conv2D(1, 2, activation="relu"), MaxPool2D(2), Flatten()], (1, 3, 3))
    lens = Lens.over(model, np.random.default_rng(0).random((3, 3)))
    sums = [lens.explain("conv1.linear", (0, *cell)).magnitude for cell in np.ndindex(2, 2)]
    assert scale(lens, "conv1", (0, 1, 0)) == sums[2]
    assert scale(lens, "pool1", (0, 0, 0)) == scale(lens, "flatten1", (0,)) == max(sums)
    assert f"{TOLERANCE:g} times {max(sums):.4g}" in lens.program("flatten1", 0)
