"""A backend is used only where it was right and faster; otherwise one sentence says why not."""

from __future__ import annotations

import asyncio
import math
import re
import time
from types import SimpleNamespace
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


def test_golden_tensors_are_computed_once_a_device(
    webgpu: WebgpuBackend, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is judged after that, reading or training, finds the verdict; what is judged again compiles nothing."""
    backend, model, plain = WebgpuBackend(webgpu.device), architectures.build("linear"), choose.compared
    compiled, golden, made = webgpu.device.device, list[Any](), list[str]()

    async def compared(work: Any, *rest: Any) -> float:
        golden.append(work)
        return await plain(work, *rest)

    def compile_one(label: str, **given: Any) -> Any:
        made.append(label)
        return create(label=label, **given)

    create = compiled.create_compute_pipeline
    monkeypatch.setattr(choose, "compared", compared)
    monkeypatch.setattr(backend, "variants_of", lambda plan: ({},))  # another choice would need other kernels
    monkeypatch.setattr(compiled, "create_compute_pipeline", compile_one, raising=False)
    labels = np.arange(16, dtype=np.int32) % 10
    for _ in range(2):
        assert drive(judge_inference(model, images[:1], backend, PLENTY)).right
        assert drive(judge_training(model, images, labels, Adam(1e-3), backend, 16, PLENTY)).right
        first, made = made, []
    assert len(golden) == 1
    assert first == []  # of the second time


class Slow(Spoilt):
    """A device whose compiler takes its time for each kernel, as a browser's does: it goes on where nobody waits."""

    waits = True

    def __init__(self, device: Any, seconds: float) -> None:
        super().__init__(device, 1.0)
        self.seconds, self.compiled = seconds, dict[Any, Any]()

    async def load(self, lowered: Any, shared: Any, progress: Any = None) -> int:
        async def one() -> None:
            await asyncio.sleep(self.seconds * len(self.compiled))

        for source in lowered.sources:
            if source not in self.compiled:
                self.compiled[source] = asyncio.ensure_future(one())
        await asyncio.gather(*(self.compiled[source] for source in lowered.sources))
        return int(await self._device.load(lowered, shared, progress))


def test_a_judgement_goes_on_from_what_is_compiled(webgpu: WebgpuBackend, images: np.ndarray) -> None:
    """A slow compiler is compared in the end, though each judgement keeps to its time."""
    backend, model = WebgpuBackend(Slow(webgpu.device, 0.15)), architectures.build("linear")  # type: ignore[arg-type]
    said = []

    async def judged() -> None:
        while not said or (said[-1].late and len(said) < 30):
            said.append(await judge_inference(model, images[:1], backend, 2.0))

    asyncio.run(judged())
    assert said[0].late and not said[0].used
    assert re.fullmatch(
        r"WebGPU is not used: preparing its kernels took longer than the 2 s that are given to it; "
        "the next judgement goes on from there",
        said[0].sentence(),
    )
    assert said[-1].right, said[-1].sentence()


def test_kernels_that_do_not_compile_are_told_where_others_do(webgpu: WebgpuBackend, images: np.ndarray) -> None:
    class Half(Spoilt):
        async def load(self, lowered: Any, shared: Any, progress: Any = None) -> int:
            if any("tiled" in source.name for source in lowered.sources):
                raise BackendError("the kernel conv2d_tiled does not compile: too many registers")
            return int(await self._device.load(lowered, shared, progress))

    backend = WebgpuBackend(Half(webgpu.device, 1.0))  # type: ignore[arg-type]
    found = drive(judge_inference(architectures.build("cnn-small"), images[:1], backend, PLENTY))
    assert found.right
    told = "(without kernels that fail: the kernel conv2d_tiled does not compile: too many registers)"
    assert told in found.sentence()
    assert backend.variants["inference"] == {}


def test_what_checks_cost_while_it_trains_is_counted(
    webgpu: WebgpuBackend, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "CHECK_EVERY", 1e-9)  # as many checks as make any device slower than any processor
    model, labels = architectures.build("linear"), np.arange(16, dtype=np.int32) % 10
    found = drive(judge_training(model, images, labels, Adam(1e-3), webgpu, 16, PLENTY))
    assert found.right and not found.used
    assert found.own > PLENTY


def test_a_clock_that_has_not_moved_is_no_time(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser's clock goes in steps, and a small network may be run within one."""
    work = choose.inference(architectures.build("linear"), images[:1])
    monkeypatch.setattr(choose, "time", SimpleNamespace(perf_counter=lambda: time.perf_counter() // 0.01 * 0.01))
    ((seconds, _),) = drive(choose.raced(work, (NumpyBackend(),), 0.05))
    assert seconds > 0


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
