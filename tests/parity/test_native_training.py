"""Training and answering on the compiled kernels: NumPy's curve, two calls a run, the same bits however it is cut."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import numpy as np
import pytest
from handlens import architectures, backends, training
from handlens.backends import drive
from handlens.backends.native import NativeBackend
from handlens.backends.native import backend as native_backend
from handlens.errors import BackendError
from handlens.losses import CrossEntropy
from handlens.optimizers import SGD, Adam
from training_curve import same_curve, small, trained

CROSSINGS = 2  # calls into the library that a run may take


def test_the_training_curve_is_numpys(native: NativeBackend, digits: Any) -> None:
    same_curve(native, *digits)


@pytest.mark.parametrize("optimizer", [Adam(1e-3, weight_decay=0.01), SGD(0.05, momentum=0.9, nesterov=True)])
def test_a_network_with_a_state_ends_as_with_numpy(native: NativeBackend, digits: Any, optimizer: Any) -> None:
    """Batch norm's running statistics, dropout's mask and the last, smaller batch."""
    x, y = digits[0][:208], digits[1][:208]
    ends = []
    for side in ("numpy", native):
        model = small()
        model.use(side)
        trained(model, x, y, optimizer=optimizer)
        ends.append((model.parameters.copy(), model.state.copy()))
    for found, expected in zip(ends[1], ends[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4 * np.abs(expected).max())


def test_a_run_is_one_call(native: NativeBackend, digits: Any) -> None:
    model, x, y = small(), digits[0][:64], digits[1][:64]
    model.use(native)
    run = training.Training(model, x, y, batch_size=8, progress=False)
    program = drive(run.program(8))
    rows = [run.control(k) for k in range(8)]
    control = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    before = native.crossings
    native.run(program, 8, control)
    assert native.crossings - before == 1
    assert drive(native.fetch(program, "loss"))["loss"].shape == (8, 1)
    model.predict(x[:1])
    before = native.crossings
    model.predict(x[:1])
    assert native.crossings - before <= CROSSINGS


def test_a_run_cut_into_parts_gives_the_same_bits(
    native: NativeBackend, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one call, and with the event loop's turn after every op or two."""
    x, y = digits[0][:96], digits[1][:96]
    found = []
    for cooperative, guess in ((False, 1e12), (True, 1e12), (True, 1.0)):
        monkeypatch.setattr(native_backend, "FIRST_GUESS", guess)
        model = small()
        model.use(native)
        options: dict[str, Any] = {"batch_size": 40, "progress": False, "loss": CrossEntropy()}
        before = native.crossings
        if cooperative:
            history = asyncio.run(model.fit_async(x, y, **options))
        else:
            history = model.fit(x, y, **options)
        found.append((model.parameters.copy(), history.epochs[0]["loss"], native.crossings - before))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][0], found[2][0])
    assert found[0][1] == found[1][1] == found[2][1]
    assert found[2][2] > 3 * found[1][2]  # it was cut indeed


def test_fused_or_not_the_answers_are_the_same(native: NativeBackend, digits: Any) -> None:
    plain, model = NativeBackend(native.library, fused=False), architectures.build("convnet")
    model.use(native)
    one = model.predict(digits[0][:9])
    model.use(plain)
    np.testing.assert_allclose(model.predict(digits[0][:9]), one, atol=1e-6)


@pytest.mark.parametrize("count", [1, 4, 5])
def test_what_is_kept_of_the_weights_follows_them(native: NativeBackend, digits: Any, count: int) -> None:
    """For few images the kernels keep what they made of a convolution's weights; a weight changed in place is seen."""
    model, plain = architectures.build("convnet"), architectures.build("convnet")
    model.use(native)
    images = digits[0][:count]
    for place in (None, "conv2.weight", "conv1.weight", "conv2.weight"):
        for one in (model, plain):
            if place:
                one._array(place)[-1, -1, 2, 2] += 0.5
        for _ in range(2):
            np.testing.assert_allclose(model.predict(images), plain.predict(images), atol=2e-6)


def test_a_plan_that_it_cannot_run_goes_to_numpy(native: NativeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    model = architectures.build("cnn-small")
    expected = model.predict(np.ones((1, 28, 28), np.float32))
    model.use(NativeBackend(native.library))
    monkeypatch.delitem(model.backend.library.ops, "dense")  # type: ignore[attr-defined]
    np.testing.assert_array_equal(model.predict(np.ones((1, 28, 28), np.float32)), expected)
    assert model.backend.name == "numpy"
    assert model.handed_over == ["the compiled kernels cannot run this plan: there is no compiled kernel for dense"]


def test_what_is_closed_or_unknown_is_refused(native: NativeBackend) -> None:
    plan = architectures.build("linear").plan(1)
    program = drive(native.load(plan))
    with pytest.raises(Exception, match="nothing is called 'x'"):
        native.upload(program, "x", np.zeros(1, np.float32))
    with pytest.raises(Exception, match="has shape"):
        native.upload(program, "input", np.zeros((2, 1, 28, 28), np.float32))
    native.close(program)
    native.close(program)
    with pytest.raises(BackendError, match="closed"):
        native.run(program)
    short = np.zeros(3, np.float32)
    with pytest.raises(BackendError, match=r"refuse the plan at dense .dense1.: a tensor.s shape, type or place"):
        drive(native.load(plan, {"parameters": short}))


def test_what_was_fetched_stays_as_it_was(native: NativeBackend, digits: Any) -> None:
    model, x, y = small(), digits[0][:16], digits[1][:16]
    model.use(native)
    run = training.Training(model, x, y, batch_size=8, optimizer=SGD(0.5), progress=False)
    program = drive(run.program(8))
    native.run(program, 1, run.control(0))
    found = drive(native.fetch(program, "loss"))["loss"]
    before = found.copy()
    native.run(program, 1, run.control(1))
    np.testing.assert_array_equal(found, before)
    assert drive(native.fetch(program, "loss"))["loss"] != before


def test_a_program_closed_while_it_runs_is_not_run_on(native: NativeBackend) -> None:
    async def closed_meanwhile() -> None:
        program = await native.load(architectures.build("cnn-small").plan(4))
        program.seconds = 1.0  # so that it is cut into parts
        running = asyncio.ensure_future(native.run_async(program))
        await asyncio.sleep(0)
        native.close(program)
        with pytest.raises(BackendError, match="closed"):
            await running

    asyncio.run(closed_meanwhile())


def test_a_copy_of_a_model_computes_on_the_same_backend(native: NativeBackend) -> None:
    model = small()
    model.use(native)
    assert copy.deepcopy(model).backend is native


def test_the_next_best_backend_takes_over(native: NativeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_opened", {"native": native})
    monkeypatch.setattr(backends, "_refused", {})
    assert backends.after("webgpu") is native
    assert backends.after("native").name == "numpy"
    backends.refuse("native", "it was found wrong")
    assert backends.after("webgpu").name == "numpy"
    assert backends.available()["native"] == "it was found wrong"
