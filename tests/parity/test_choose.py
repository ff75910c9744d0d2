"""A backend is used only where it was right and faster; otherwise one sentence says why not."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from handlens import architectures, backends, choose
from handlens.backends import NumpyBackend, drive
from handlens.backends.webgpu import WebgpuBackend
from handlens.backends.webgpu.device import Device
from handlens.choose import judge_inference, judge_training
from handlens.errors import BackendError
from handlens.optimizers import Adam

PLENTY = 120.0  # s


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(2).random((16, 1, 28, 28), np.float32)


class Spoilt:
    """A device whose results, from the first on, are off by a share."""

    answer = Device.answer  # by the calls below

    def __init__(self, device: Any, factor: float) -> None:
        self._device, self._factor = device, factor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    async def read(self, program: int, places: Any) -> list[bytes]:
        found = await self._device.read(program, places)
        return [(np.frombuffer(data, np.float32) * np.float32(self._factor)).tobytes() for data in found]


def test_right_on_golden_tensors_and_on_the_visitors_own_work(webgpu: WebgpuBackend, images: np.ndarray) -> None:
    model, held = architectures.build("cnn-small"), webgpu.device.memory()
    found = drive(judge_inference(model, images[:1], webgpu, PLENTY))
    assert found.error < 1e-4
    assert found.ratio > 0
    assert found.used == (found.ratio > 1)  # software adapter or not
    line = r"WebGPU: verified, max error \de-\d\d, inference [\d.e+-]+x NumPy(: not used)?"
    assert re.fullmatch(line, found.sentence())
    assert found.sentence().endswith("not used") != found.used
    assert webgpu.device.memory() == held


def test_training_is_judged_apart(webgpu: WebgpuBackend, images: np.ndarray) -> None:
    model, labels = architectures.build("cnn-small"), np.arange(16, dtype=np.int32) % 10
    began = model.parameters.copy()
    found = drive(judge_training(model, images, labels, Adam(1e-3), webgpu, 16, PLENTY))
    assert found.work == "training"
    assert found.error < 1e-3
    assert found.ratio > 0
    np.testing.assert_array_equal(model.parameters, began)  # the visitor's model is not moved


def test_numpy_itself_is_right(images: np.ndarray) -> None:
    backend = NumpyBackend()
    found = drive(judge_inference(architectures.build("cnn-small"), images, backend, PLENTY))
    assert found.error == 0
    assert found.ratio > 0  # about 1, but on a laden machine one pause makes it anything


@pytest.mark.parametrize("factor", [1.01, 0.0, math.nan], ids=["perturbed", "zero", "nan"])
def test_wrong_results_are_found(webgpu: WebgpuBackend, images: np.ndarray, factor: float) -> None:
    spoilt = WebgpuBackend(Spoilt(webgpu.device, factor))  # type: ignore[arg-type]
    found = drive(judge_inference(architectures.build("cnn-small"), images[:1], spoilt, PLENTY))
    assert not found.used
    assert re.match(r"WebGPU is not used: its results differ from NumPy's by ", found.sentence())


def test_the_quicker_kernels_are_kept(
    webgpu: WebgpuBackend, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sets of kernels are timed; the one that took less is taken from then on, for that kind of work alone."""
    backend, model = WebgpuBackend(webgpu.device), architectures.build("cnn-small")
    plain = choose.timed
    for quick in ("", "tiled"):

        async def timed(work: Any, side: Any, *rest: Any, quick: str = quick) -> Any:
            seconds, found = await plain(work, side, *rest)
            variant = side.variants["inference"].get("conv2d", "") if side is backend else ""
            return (seconds / 1e3 if variant == quick else seconds), found

        monkeypatch.setattr(choose, "timed", timed)
        found = drive(judge_inference(model, images[:1], backend, PLENTY))
        assert found.error < 1e-4
        assert backend.variants["inference"] == ({"conv2d": "tiled", "dense": "tiled"} if quick else {})
        assert backend.variants["training"] == {}


def test_a_budget_that_is_spent_is_a_reason(webgpu: WebgpuBackend, images: np.ndarray) -> None:
    held = webgpu.device.memory()
    found = drive(judge_inference(architectures.build("cnn-small"), images[:1], webgpu, 0.0))
    assert not found.used
    assert "took longer than the 0 s that are given to it" in found.sentence()
    assert webgpu.device.memory() == held


def test_the_golden_network_meets_most_ops() -> None:
    ops = {step.op for step in choose.golden().plan.steps}
    assert {"conv2d", "conv2d_dx", "conv2d_dw", "max_pool2d_dx", "avg_pool2d_dx", "batch_norm_dx", "dense_dw"} <= ops


def test_what_is_available_is_said(webgpu: WebgpuBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    found = backends.available()
    assert list(found) == ["webgpu", "native", "numpy"]
    assert found["numpy"] == ""
    assert found["native"] == ""  # make.py test builds the kernels
    with pytest.raises(BackendError, match="use backend='numpy'"):
        backends.get("abacus")
    monkeypatch.setattr(backends, "_opened", {})
    monkeypatch.setattr(backends, "_refused", {"webgpu": "no adapter"})
    with pytest.raises(BackendError, match="'webgpu' cannot run: no adapter; use"):
        backends.get("webgpu")
    assert backends.available()["webgpu"] == "no adapter"
