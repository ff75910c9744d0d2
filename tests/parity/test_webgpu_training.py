"""Training on the GPU: the same curve as NumPy's, few dispatches, flat memory, and a way out of every failure."""

from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from typing import Any

import handlens
import numpy as np
import pytest
from handlens import architectures, backends, offload, teach, training
from handlens.backends import drive
from handlens.backends.webgpu import WebgpuBackend
from handlens.backends.webgpu.device import Device
from handlens.backends.webgpu.lowered import lower
from handlens.errors import BackendError, DivergenceError
from handlens.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten
from handlens.model import Sequential
from handlens.optimizers import SGD
from training_curve import BAND, same_curve, small, trained

DISPATCHES = 40  # of a training step of convnet


def test_the_training_curve_is_numpys(webgpu: WebgpuBackend, digits: Any) -> None:
    same_curve(webgpu, *digits)


def test_steps_in_one_submit_give_the_bits_of_single_ones(
    webgpu: WebgpuBackend, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = digits[0][:320], digits[1][:320]
    found = []
    for most in (1, 4):
        model = small()
        model.use(webgpu)
        run = training.Training(model, x, y, epochs=2, batch_size=48, progress=False)  # the last batch is smaller
        run.burst = most
        monkeypatch.setattr("handlens.offload.Offload._pace", lambda self, steps: None)
        history = model.fit_with(run)
        found.append((model.parameters.copy(), model.state.copy(), [row["loss"] for row in history.epochs]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][2] == found[1][2]


class Made:
    """Counts what is made of a device, by the name of the call; within ``with``."""

    def __init__(self, device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self.submits = self.reads = 0
        for name in [n for n in dir(device) if n.startswith("create_")]:
            monkeypatch.setattr(device, name, self.counted(name, getattr(device, name)), raising=False)
        for name in ("submit", "read_buffer"):
            monkeypatch.setattr(device.queue, name, self.counted(name, getattr(device.queue, name)), raising=False)

    def counted(self, name: str, plain: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            self.calls[name] += 1
            return plain(*given, **named)

        return call


def test_a_thousand_steps_of_a_training_make_nothing(webgpu: WebgpuBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an epoch has been seen, with its checks: an encoder a submit, which WebGPU has no way around, and nothing
    else; neither wgpu nor the backend holds more objects or bytes. A reading goes through a buffer of wgpu's own."""
    import wgpu

    generator = np.random.default_rng(6)
    x, y = generator.random((102, 1, 5, 5), np.float32), np.arange(102) % 3
    layers = [Conv2D(2, 3), BatchNorm(), Flatten(), Dropout(0.1), Dense(3)]
    model = Sequential(layers, (1, 5, 5), seed=4)
    model.use(webgpu)
    held, made, marks = webgpu.device.memory(), Made(webgpu.device.device, monkeypatch), []

    def mark(event: Any, run: Any) -> None:
        if event.kind == "epoch":
            gc.collect()
            alive = wgpu.diagnostics.object_counts.get_dict()  # of every kind how many, and the bytes of buffers
            marks.append((run.step, made.calls.copy(), webgpu.device.memory(), alive))

    history = model.fit(x, y, epochs=40, batch_size=4, callbacks=[mark], progress=False)
    assert history.handed_over == []
    (first, calls, memory, alive), (last, more, *_) = marks[0], marks[-1]
    assert last - first >= 1000
    new = more - calls
    assert set(new) == {"create_command_encoder", "submit", "read_buffer"}
    assert new["create_command_encoder"] == new["submit"]
    assert all(mark[2:] == (memory, alive) for mark in marks)
    assert alive["ComputePipeline"]["count"] and alive["Buffer"]["resource_mem"]
    assert webgpu.device.memory() == held


def test_calls_of_a_thousand_steps(webgpu: WebgpuBackend, digits: Any) -> None:
    x, y = digits[0][:64], digits[1][:64]
    model = small()
    model.use(webgpu)
    run = training.Training(model, x, y, batch_size=8, progress=False)
    program = drive(run.program(8))
    rows = [run.control(k % 8) for k in range(50)]
    control = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    webgpu.run(program, 50, control)
    crossings = webgpu.device.crossings
    for _ in range(20):
        webgpu.run(program, 50, control)
        drive(webgpu.recorded(program))
    assert webgpu.device.crossings - crossings == 40  # one call for 50 steps, one for their losses
    webgpu.close(program)
    webgpu.close(program)


def test_a_step_of_convnet_is_few_dispatches() -> None:
    model = architectures.build("convnet")
    recipe = architectures.find("convnet").recipe
    for augment in (None, recipe.augment):
        plan = training.training_plan(model, 128, "adam", images=60_000, dtype="uint8", augment=augment)
        assert len(lower(plan).steps) <= DISPATCHES


# -- faults ------------------------------------------------------------------------------------------------------------
class Faulty:
    """A device that does as it is told until ``when(run)``, then fails in one way."""

    answer = Device.answer  # by the calls below

    def __init__(self, device: Any, spoil: str, after: int) -> None:
        self._device, self._spoil, self._after, self._runs = device, spoil, after, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    @property
    def due(self) -> bool:
        return self._runs > self._after

    def run(self, program: int, steps: int, control: bytes) -> None:
        self._runs += 1
        if self.due and self._spoil == "lost":
            raise BackendError("the device was lost: driver reset")
        self._device.run(program, steps, control)

    async def load(self, lowered: Any, shared: Any, progress: Any = None) -> int:
        if self._spoil == "compile":
            raise BackendError("the kernel conv2d does not compile: unknown word")
        if self._spoil == "memory":
            raise BackendError("out of memory: a buffer of 47 MB could not be made")
        return await self._device.load(lowered, shared, progress)

    async def records(self, program: int) -> bytes:
        data = await self._device.records(program)
        if self.due and self._spoil == "stall":
            raise BackendError("the device was lost: has not answered for 30 s")
        if self.due and self._spoil == "nan":
            return np.full(len(data) // 4, np.nan, np.float32).tobytes()
        return data

    async def read(self, program: int, places: Any) -> list[bytes]:
        found = await self._device.read(program, places)
        if not self.due or self._spoil not in ("perturbed", "zero"):
            return found
        factor = np.float32(1.03 if self._spoil == "perturbed" else 0.0)
        return [
            (np.frombuffer(data, np.float32) * factor).tobytes() if name == "gradients" else data
            for data, (name, _, _) in zip(found, places, strict=True)
        ]


FAULTS = {
    "compile": "does not compile",
    "memory": "out of memory",
    "lost": "driver reset",
    "stall": "30 s",
    "nan": "not finite",
    "perturbed": "differs from NumPy's",
    "zero": "differs from NumPy's",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_in_numpys_result(fault: str, webgpu: WebgpuBackend, digits: Any) -> None:
    """The training goes back to the last state that was checked, on with NumPy, and says why."""
    x, y = digits[0][:1920], digits[1][:1920]  # 120 steps of 16: checks before steps 1, 51 and 101
    plain = small()
    expected, _ = trained(plain, x, y, batch_size=16)
    model = small()
    model.use(WebgpuBackend(Faulty(webgpu.device, fault, 30)))  # type: ignore[arg-type]
    held = webgpu.device.memory()
    curve, history = trained(model, x, y, batch_size=16)
    assert len(history.handed_over) == 1
    assert FAULTS[fault] in history.handed_over[0]
    assert model.handed_over == history.handed_over
    assert model.backend.name == backends.after("webgpu").name != "webgpu"
    assert len(curve.losses) == 120
    np.testing.assert_allclose(curve.smooth(), expected.smooth(), rtol=BAND, atol=BAND / 5)
    assert webgpu.device.memory() == held  # nothing of it stays on the device


def test_a_fault_while_reading_a_digit(webgpu: WebgpuBackend, digits: Any) -> None:
    model, x = small(), digits[0][:4]
    expected = model.predict(x)
    for fault in ("compile", "memory", "lost"):
        model.use(WebgpuBackend(Faulty(webgpu.device, fault, 0)))  # type: ignore[arg-type]
        np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-6)  # by the next backend
        assert FAULTS[fault] in model.handed_over[-1]


@pytest.mark.filterwarnings("ignore:.*encountered")
def test_a_divergence_that_is_the_trainings_own_is_still_one(webgpu: WebgpuBackend, digits: Any) -> None:
    model = small()
    model.use(webgpu)
    began = model.parameters.copy()
    with pytest.raises(DivergenceError, match="learning rate"):
        trained(model, digits[0][:640], digits[1][:640], optimizer=SGD(1e30), batch_size=16)
    np.testing.assert_array_equal(model.parameters, began)


def test_the_command_line_computes_on_it(webgpu: WebgpuBackend, tmp_path: Any, monkeypatch: Any, capsys: Any) -> None:
    """Train, evaluate and predict take ``--backend``; the file says what trained it."""
    from handlens import backends, cli

    monkeypatch.setattr(backends, "_opened", {"webgpu": webgpu})
    out = str(tmp_path / "linear.safetensors")
    short = ["--images", "6400", "--epochs", "1", "--sample", "20"]
    assert cli.main(["train", "linear", *short, "--out", out, "--backend", "webgpu"]) == 0
    assert "handed over" not in capsys.readouterr().out
    model = handlens.load(out, "webgpu")
    assert model.backend is webgpu
    assert model.metadata["backend"] == "webgpu"
    assert model.metadata["command"].endswith("--backend webgpu")
    assert model.metadata["accuracy"] > 0.5
    np.save(tmp_path / "one.npy", np.zeros((1, 28, 28), np.float32))
    answers = []
    for backend in ("webgpu", "numpy"):
        assert cli.main(["predict", out, str(tmp_path / "one.npy"), "--json", "--backend", backend]) == 0
        answers.append(json.loads(capsys.readouterr().out)["answers"][0]["digits"][0]["confidence"])
    assert answers[0] == pytest.approx(answers[1], abs=1e-4)
    assert cli.main(["predict", out, str(tmp_path / "one.npy"), "--backend", "abacus"]) == 1
    assert "use backend='numpy'" in capsys.readouterr().err


class Late(Faulty):
    """Fails at the end of an epoch only: when the parameters are fetched home."""

    async def read(self, program: int, places: Any) -> list[bytes]:
        found = await self._device.read(program, places)
        home = [name for name, _, _ in places] == ["parameters", "state", "gradients", "moment_1", "moment_2"]
        if self._runs < self._after or not home:
            return found
        if self._spoil == "lost":
            raise BackendError("the device was lost: driver reset")
        return [np.full(len(data) // 4, np.nan, np.float32).tobytes() for data in found]


@pytest.mark.parametrize("fault", ["lost", "nan"])
def test_a_fault_when_the_parameters_are_fetched(fault: str, webgpu: WebgpuBackend, digits: Any) -> None:
    """The epoch is gone through again, not counted as done."""
    x, y = digits[0][:640], digits[1][:640]
    plain = small()
    expected, _ = trained(plain, x, y, batch_size=16, epochs=2)
    model = small()
    model.use(WebgpuBackend(Late(webgpu.device, fault, 40)))  # type: ignore[arg-type]
    curve, history = trained(model, x, y, batch_size=16, epochs=2)
    assert len(history.handed_over) == 1
    assert [row["epoch"] for row in history.epochs] == [1, 2]
    assert all(row["loss"] > 0.1 for row in history.epochs)
    np.testing.assert_allclose(curve.smooth(), expected.smooth(), rtol=BAND, atol=BAND)


def test_a_fault_while_measuring_after_an_epoch(webgpu: WebgpuBackend, digits: Any) -> None:
    """The validation is NumPy's then, and so is the rest of the training; nothing stays on the device."""
    x, y, held = digits[0][:320], digits[1][:320], webgpu.device.memory()
    model = small()

    class Blind(Faulty):
        """Reads nothing that is called logits: inference fails, training does not."""

        async def load(self, lowered: Any, shared: Any, progress: Any = None) -> int:
            if "data" not in lowered.buffers:
                raise BackendError("out of memory")
            return await self._device.load(lowered, shared, progress)

    model.use(WebgpuBackend(Blind(webgpu.device, "", 0)))  # type: ignore[arg-type]
    _, history = trained(model, x, y, batch_size=16, epochs=3, validation_data=(x[:64], y[:64]))
    assert history.handed_over == ["out of memory"]
    assert len(history.epochs) == 3
    assert all("validation_accuracy" in row for row in history.epochs)
    assert webgpu.device.memory() == held


def test_what_a_callback_changes_reaches_the_device(webgpu: WebgpuBackend, digits: Any) -> None:
    x, y, ends = digits[0][:160], digits[1][:160], []
    for backend in ("numpy", webgpu):
        model = small()
        model.use(backend)

        def still(event: Any, run: Any) -> None:
            if event.kind == "epoch" and event.epoch == 1:
                run.model.parameters[...] = 0.0

        model.fit(x, y, epochs=2, batch_size=16, optimizer=SGD(1e-6), callbacks=[still], progress=False)
        ends.append(float(np.abs(model.parameters).max()))
    assert max(ends) < 1e-3


def test_no_more_than_two_runs_are_under_way(
    webgpu: WebgpuBackend, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs grow while they stay short, halve when they do not, and never is a third submitted."""
    waiting, bursts = [], []
    plain = offload.Offload._submit

    async def submit(self: Any, first: int) -> None:
        await plain(self, first)
        waiting.append(len(self.waiting))
        bursts.append(self.waiting[-1][1])

    monkeypatch.setattr(offload.Offload, "_submit", submit)
    monkeypatch.setattr(offload, "SUBMIT_SECONDS", 10.0)
    model = small()
    model.use(webgpu)
    trained(model, digits[0][:1920], digits[1][:1920], batch_size=16)
    assert max(waiting) == 2
    assert bursts[0] == 1
    assert max(bursts) >= 8
    monkeypatch.setattr(offload, "SUBMIT_SECONDS", 0.0)
    bursts.clear()
    trained(model, digits[0][:320], digits[1][:320], batch_size=16)
    assert set(bursts) == {1}


def test_teaching_leaves_nothing_on_the_device(webgpu: WebgpuBackend, digits: Any) -> None:
    held = webgpu.device.memory()
    teacher = teach.Teacher(architectures.build("linear"))

    async def judge(pupil: Any, course: Any, batch: int) -> WebgpuBackend:
        return webgpu

    teacher.judge = judge
    some = teach.Examples(digits[0][:60].astype(np.float32)[:, None] / 255, digits[1][:60].astype(np.int32))
    lesson = asyncio.run(teacher.teach(some, some))
    assert lesson.after["own"] > lesson.before["own"]
    assert teacher.handed_over == []
    assert webgpu.device.memory() == held
