"""The device's copy of the parameters, and what is made of them once: they follow every change on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from handlens import architectures
from handlens.backends import drive
from handlens.backends.webgpu import WebgpuBackend
from handlens.backends.webgpu.device import Device
from handlens.backends.webgpu.lowered import KEPT, lower
from handlens.graph import Array
from handlens.layers import BatchNorm, Conv2D, Dense, Flatten
from handlens.model import Sequential
from handlens.training import training_plan

CLOSE = 1e-4


class Counting:
    """A device that counts what is written of parameters, and prologues."""

    answer = Device.answer

    def __init__(self, device: Any) -> None:
        self._device, self.writes, self.prologues = device, 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def write_shared(self, handle: int, data: Any) -> None:
        self.writes += 1
        self._device.write_shared(handle, data)

    def prepare(self, program: int) -> None:
        self.prologues += 1
        self._device.prepare(program)


def network() -> Sequential:
    """Convolutions in Winograd's domain, of weights as they are and of folded ones."""
    layers = [
        Conv2D(8, 3, activation="relu"),
        Conv2D(9, 3, activation="relu"),
        Conv2D(8, 3, use_bias=False),
        BatchNorm(),
    ]
    return Sequential([*layers, Flatten(), Dense(10)], (1, 14, 14), seed=5)


@pytest.fixture
def counting(webgpu: WebgpuBackend) -> Counting:
    return Counting(webgpu.device)


@pytest.fixture
def pair(counting: Counting) -> tuple[Sequential, Sequential]:
    """The same network on NumPy and on the device."""
    models = network(), network()
    models[1].use(WebgpuBackend(counting))  # type: ignore[arg-type]
    return models


def agree(pair: tuple[Sequential, Sequential], images: Array) -> Array:
    """Hold the sides against each other; NumPy's answer."""
    expected, found = (model.predict(images, logits=True) for model in pair)
    assert not pair[1].handed_over
    np.testing.assert_allclose(found, expected, atol=CLOSE * np.abs(expected).max())
    return expected


@pytest.fixture(scope="module")
def images() -> Array:
    return np.random.default_rng(4).random((3, 1, 14, 14), np.float32)


def nudge(array: Array) -> None:
    """In place, and by little."""
    array += np.float32(0.25)


CHANGES = {
    "a convolution's weight": lambda model: nudge(model._array("conv2.weight")),
    "a folded convolution's weight": lambda model: nudge(model._array("conv3.weight")),
    "a bias": lambda model: nudge(model._array("dense1.bias")[3:4]),
    "a running mean": lambda model: nudge(model.state[:8]),
    "all of them": lambda model: model.load_state_dict({k: v * 1.5 + 0.1 for k, v in model.state_dict().items()}),
    "by a training": lambda model: model.parameters.__imul__(np.float32(0.9)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_two_predictions_changes_the_answer(change: str, pair: Any, images: Array) -> None:
    before = [agree(pair, images), agree(pair, images[:1])]  # two programs that share one copy
    for model in pair:
        CHANGES[change](model)
    after = [agree(pair, images), agree(pair, images[:1])]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(after, before, strict=True))


def test_a_training_between_two_predictions_changes_the_answer(pair: Any, images: Array) -> None:
    agree(pair, images)
    pair[1].fit(images, np.array([1, 2, 3]), epochs=2, batch_size=3, progress=False)
    pair[0].load_state_dict(pair[1].state_dict())
    agree(pair, images)


def test_what_has_not_changed_is_not_written_again(pair: Any, images: Array, counting: Counting) -> None:
    agree(pair, images)
    first = counting.writes, counting.prologues
    for _ in range(3):
        agree(pair, images)
    assert (counting.writes, counting.prologues) == first
    for model in pair:
        nudge(model._array("dense1.bias"))
    agree(pair, images)
    assert (counting.writes, counting.prologues) == (first[0] + 1, first[1] + 1)  # the running statistics stay


def test_what_a_program_was_given_lasts_until_it_is_prepared(webgpu: WebgpuBackend, images: Array) -> None:
    """Parameters uploaded to a program, its own or shared ones, count at its next run; then the host's again."""
    one, other = network(), network()
    nudge(other._array("dense1.weight"))
    expected = [model.predict(images, logits=True) for model in (one, other)]
    plan = one.plan(len(images))
    shared = {"parameters": one.parameters, "state": one.state}
    programs = [drive(webgpu.load(plan, given)) for given in (shared, shared, None)]
    for program in programs:
        webgpu.upload(program, "state", one.state)
        webgpu.upload(program, "parameters", other.parameters)
        found = drive(webgpu.answer(program, "input", images, "logits"))["logits"]
        np.testing.assert_allclose(found, expected[1], atol=CLOSE * np.abs(expected[1]).max())
    for program in programs[:2]:
        webgpu.prepare(program)
        found = drive(webgpu.answer(program, "input", images, "logits"))["logits"]
        np.testing.assert_allclose(found, expected[0], atol=CLOSE * np.abs(expected[0]).max())
    for program in programs:
        webgpu.close(program)


def test_weights_are_transformed_once_where_no_run_changes_them() -> None:
    made = lower(architectures.build("convnet").plan(1))
    names = [[made.sources[d.source].name for d in part] for part in (made.prologue, made.steps)]
    assert names[0] == ["conv2d_winograd_w"]
    assert "conv2d_winograd_w" not in names[1]
    assert "conv2d_winograd" in names[1]
    training = lower(training_plan(architectures.build("convnet"), 128, "adam", images=1000, dtype="uint8"))
    assert KEPT not in training.buffers
    assert not training.prologue
