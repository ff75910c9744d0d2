"""What computes for a page: compiled kernels at once where they are right, a GPU only if it beats them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from handlens import architectures, backends, choose
from handlens.backends import NumpyBackend
from handlens.backends.native import NativeBackend
from handlens.chooser import Chooser
from handlens.errors import BackendError
from handlens.optimizers import Adam

VERIFIED = r"Compiled SIMD: verified, max error \de-\d\d, [\d.,]+ GFLOP/s, inference [\d.,]+x NumPy"


@pytest.fixture(autouse=True)
def alone(best_native: NativeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels are there and a GPU is not; time is plenty on a busy machine."""
    monkeypatch.setattr(backends, "_opened", {"native": best_native})
    monkeypatch.setattr(backends, "_refused", {"webgpu": "no adapter"})
    monkeypatch.setattr(choose, "BUDGET", 60.0)
    monkeypatch.setattr(choose, "_proved", WeakKeyDictionary())


def test_kernels_compute_from_the_start(best_native: NativeBackend) -> None:
    model, chooser = architectures.build("convnet"), Chooser()
    said = asyncio.run(chooser.begin(model))
    assert re.fullmatch(VERIFIED + r"\.", said), said
    assert model.backend is chooser.cpu is best_native
    again = architectures.build("linear")
    assert asyncio.run(chooser.begin(again)) == said  # judged once
    assert again.backend is best_native
    said = asyncio.run(chooser.measure_again(model))
    found = re.fullmatch(VERIFIED + r"(: not used)?\.", said)
    assert found and (model.backend is best_native) == (not found[1]), said


def test_before_the_first_answer_a_slow_machine_runs_each_side_once(
    best_native: NativeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judgement at the start has 50 ms; golden tensors come when somebody has been answered."""
    runs: list[str] = []

    def counted(name: str, plain: Any) -> Any:
        def run(self: Any, *arguments: Any, **options: Any) -> Any:
            runs.append(name)
            return plain(self, *arguments, **options)

        return run

    ticks = iter(range(10**9))
    monkeypatch.setattr(choose.time, "perf_counter", lambda: float(next(ticks)))  # every look at the clock: a second
    for kind in (NativeBackend, NumpyBackend):
        for way in ("run", "run_async"):
            monkeypatch.setattr(kind, way, counted(kind.name, getattr(kind, way)))
    golden = choose.golden
    monkeypatch.setattr(choose, "golden", lambda: pytest.fail("golden tensors before the first answer"))
    model, chooser = architectures.build("cnn-small"), Chooser()
    asyncio.run(chooser.begin(model, "native"))
    assert sorted(runs) == ["native", "numpy"]
    monkeypatch.setattr(choose, "golden", golden)
    assert "verified" in asyncio.run(chooser.measure_again(model))
    assert len(runs) == 6  # once for the golden tensors, once for the speed


def test_kernels_that_fail_the_golden_tensors_hand_over(
    best_native: NativeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Off(NativeBackend):
        """Right forward, wrong backward."""

        async def fetch(self, program: Any, *names: str) -> dict[str, np.ndarray]:
            found = await super().fetch(program, *names)
            if "gradients" in found:  # a whole buffer comes as bytes
                found["gradients"] = found["gradients"].view(np.float32) * np.float32(1.01)
            return found

    off = Off(best_native.library)
    monkeypatch.setitem(backends._opened, "native", off)
    model, chooser = architectures.build("convnet"), Chooser()
    assert "verified" in asyncio.run(chooser.begin(model, "native")) and model.backend is off
    x, y = np.zeros((8, 1, 28, 28), np.float32), np.zeros(8, np.int32)
    assert asyncio.run(chooser.trainer(model, x, y, Adam(), 8))[0].name == "numpy"
    said = asyncio.run(chooser.measure_again(model))
    assert said.startswith("Compiled SIMD is not used: its results differ from NumPy's by 1e-02")
    assert model.backend.name == chooser.cpu.name == backends.after("webgpu").name == "numpy"


def test_numpy_is_used_where_it_was_asked_for(best_native: NativeBackend) -> None:
    model, chooser = architectures.build("cnn-small"), Chooser()
    assert asyncio.run(chooser.begin(model, "numpy")) == ""
    assert model.backend.name == chooser.cpu.name == "numpy"


def test_slower_kernels_are_used_where_they_were_asked_for(
    best_native: NativeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, slower = choose.raced, [1e3]

    async def raced(*arguments: Any) -> Any:
        (own, found), theirs = await plain(*arguments)
        return [(own * slower[0], found), theirs]

    monkeypatch.setattr(choose, "raced", raced)
    small, larger, chooser = architectures.build("linear"), architectures.build("convnet"), Chooser()
    assert re.fullmatch(VERIFIED + r"\.", asyncio.run(chooser.begin(small)))  # so short a race decides nothing
    asyncio.run(chooser.begin(larger))
    assert asyncio.run(chooser.measure_again(small)).endswith(": not used.")
    assert small.backend.name == "numpy" and larger.backend is chooser.cpu is best_native
    slower[0] = 1e-3  # each model is judged by itself
    assert re.fullmatch(VERIFIED + r"\.", asyncio.run(chooser.measure_again(larger)))
    slower[0], chooser = 1e3, Chooser()  # another page
    asyncio.run(chooser.begin(small, "native"))
    assert asyncio.run(chooser.measure_again(small)).endswith("; used because it was asked for.")
    assert small.backend is best_native


def test_wrong_kernels_are_left_out(best_native: NativeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    class Off(NativeBackend):
        async def fetch(self, program: Any, *names: str) -> dict[str, np.ndarray]:
            found = await super().fetch(program, *names)
            return {
                name: value * np.float32(1.01) if value.dtype == np.float32 else value for name, value in found.items()
            }

    monkeypatch.setitem(backends._opened, "native", Off(best_native.library))
    model, chooser = architectures.build("cnn-small"), Chooser()
    said = asyncio.run(chooser.begin(model))
    assert said.startswith("Compiled SIMD is not used: its results differ from NumPy's by 1e-02")
    assert model.backend.name == "numpy"
    assert backends.available()["native"].startswith("its results differ")


def test_kernels_that_are_not_there_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_opened", {})
    monkeypatch.setattr(backends, "_refused", {"native": "none are installed", "webgpu": "no adapter"})
    model, chooser = architectures.build("cnn-small"), Chooser()
    assert asyncio.run(chooser.begin(model)) == "Compiled SIMD is not used: none are installed."
    assert model.backend.name == "numpy"


def test_without_a_gpu_the_kernels_train(best_native: NativeBackend) -> None:
    model, chooser = architectures.build("convnet"), Chooser()
    asyncio.run(chooser.begin(model, "native"))
    x, y = np.zeros((8, 1, 28, 28), np.float32), np.zeros(8, np.int32)
    assert asyncio.run(chooser.trainer(model, x, y, Adam(), 8)) == (best_native, "")
    used, said = asyncio.run(chooser.judge(model, x))
    assert not used
    assert said == "WebGPU is not used: no adapter."


def test_a_gpu_has_to_beat_what_answers(
    webgpu: Any, best_native: NativeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "_refused", {})
    monkeypatch.setitem(backends._opened, "webgpu", webgpu)
    model, chooser = architectures.build("cnn-small"), Chooser()
    asyncio.run(chooser.begin(model, "native"))
    used, said = asyncio.run(chooser.judge(model, np.zeros((1, 1, 28, 28), np.float32)))
    assert "x Compiled SIMD" in said, said
    assert used == (model.backend is webgpu) == (not said.endswith("not used."))


def test_kernels_that_are_compiled_for_a_training_are_counted(
    webgpu: Any, best_native: NativeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is judged, and on while it prepares where the GPU trains; nobody waits where the processor does."""
    monkeypatch.setattr(backends, "_refused", {})
    gpu = type(webgpu)(webgpu.device)
    monkeypatch.setitem(backends._opened, "webgpu", gpu)
    x, y = np.zeros((8, 1, 28, 28), np.float32), np.zeros(8, np.int32)
    plain, seen = choose.judge_training, list[tuple[int, int]]()
    for forced in ("webgpu", "native"):
        model, chooser = architectures.build("linear"), Chooser()
        asyncio.run(chooser.begin(model, forced))

        async def judged(*given: Any, chooser: Chooser = chooser, forced: str = forced) -> Any:
            assert chooser.progress == (0, 0)
            found = await plain(*given)
            seen.append(chooser.progress)
            return replace(found, used=forced == "webgpu")

        monkeypatch.setattr(choose, "judge_training", judged)
        trainer, _ = asyncio.run(chooser.trainer(model, x, y, Adam(), 8))
        assert (trainer is gpu) == (forced == "webgpu")
        assert seen[-1][0] == seen[-1][1] > 0
        told, chooser.progress = gpu.progress, (0, 0)
        told(3, 7)
        assert chooser.progress == ((3, 7) if forced == "webgpu" else (0, 0))


def test_after_a_failure_the_kernels_take_over(best_native: NativeBackend) -> None:
    class Lost(NativeBackend):
        name = "webgpu"

        def run(self, *arguments: Any, **options: Any) -> None:
            raise BackendError("the device was lost")

    model = architectures.build("cnn-small")
    model.use(Lost(best_native.library))
    model.predict(np.zeros((1, 28, 28), np.float32))
    assert model.backend is best_native
    assert model.handed_over == ["the device was lost"]
