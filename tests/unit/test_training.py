"""Training: it learns, it repeats to the bit, it stops, resumes, and never loses the model."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import handlens
import numpy as np
import pytest
from handlens import SGD, Adam, AdamW, Constant, Conv2D, Cosine, Dense, Flatten, MaxPool2D, OneCycle, Sequential
from handlens.callbacks import BestCheckpoint, Checkpoint, EarlyStopping
from handlens.errors import DataError, DivergenceError, FormatError, ShapeError
from handlens.training import Event, Training


def problem(count: int = 48, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four classes of 12x12 images: a bright bar at one of four places, in noise."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, count)
    images = generator.normal(0, 0.3, (count, 1, 12, 12)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[0, 3 * label : 3 * label + 2] += 1
    return images, labels


def network(seed: int = 0) -> Sequential:
    layers = [Conv2D(4, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(4)]
    return Sequential(layers, (1, 12, 12), seed=seed)


def noisy_network() -> Sequential:
    """With everything that has a state of its own: batch norm and dropout."""
    layers = [Conv2D(4, 3), handlens.BatchNorm(), handlens.ReLU(), handlens.Dropout(0.2), Flatten(), Dense(4)]
    return Sequential(layers, (1, 12, 12), seed=2)


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1),
        SGD(0.02, momentum=0.9),
        SGD(0.02, momentum=0.9, nesterov=True, weight_decay=1e-4),
        Adam(0.01),
        AdamW(0.01),
        Adam(Cosine(0.02, warmup=0.1)),
        Adam(OneCycle(0.02)),
        "adam",
    ],
    ids=str,
)
def test_every_optimizer_learns(optimizer: Any) -> None:
    (x, y), model = problem(160), network()
    before = model.evaluate(x, y)["loss"]
    history = model.fit(x, y, epochs=15, batch_size=16, optimizer=optimizer, progress=False)
    after = model.evaluate(x, y)
    assert after["loss"] < 0.5 * before and after["accuracy"] > 0.8
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"] and len(history.epochs) == 15


def test_overfitting_32_images_reaches_100_percent() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.random((32, 28, 28), np.float32), generator.integers(0, 10, 32)
    model = handlens.architectures.build("cnn-small")
    model.fit(x, y, epochs=60, batch_size=32, optimizer=Adam(0.01), progress=False)
    assert model.evaluate(x, y)["accuracy"] == 1.0


@pytest.mark.parametrize("build", [network, noisy_network])
def test_the_same_seed_gives_the_same_bits(build: Any) -> None:
    x, y = problem(50)
    ends = []
    for _ in range(2):
        model = build()
        model.fit(x, y, epochs=3, batch_size=16, seed=7, progress=False)
        ends.append(model.parameters.tobytes() + model.state.tobytes())
    assert ends[0] == ends[1]
    other = build()
    other.fit(x, y, epochs=3, batch_size=16, seed=8, progress=False)
    assert other.parameters.tobytes() + other.state.tobytes() != ends[0]


def test_async_training_gives_the_same_bits_and_lets_others_run() -> None:
    x, y = problem(50)
    one, two, turns = noisy_network(), noisy_network(), []

    async def both() -> None:
        task = asyncio.create_task(two.fit_async(x, y, epochs=4, batch_size=8, progress=False))
        while not task.done():
            turns.append(1)
            await asyncio.sleep(0)
        await task

    one.fit(x, y, epochs=4, batch_size=8, progress=False)
    asyncio.run(both())
    assert one.parameters.tobytes() == two.parameters.tobytes() and turns


def test_the_event_loop_gets_a_turn_between_ops() -> None:
    """One step far longer than the budget: the loop still runs in between, and can stop the training."""
    model, generator = handlens.architectures.build("convnet"), np.random.default_rng(0)
    x, y = generator.random((256, 28, 28), np.float32), generator.integers(0, 10, 256)
    training = Training(model, x, y, epochs=50, batch_size=256, progress=False)
    seen: list[int] = []

    async def watch() -> None:
        task = asyncio.create_task(training.run(cooperative=True))
        while not task.done():
            seen.append(training.step)
            if len(seen) > 6:
                training.stop("enough")
            await asyncio.sleep(0)
        history = await task
        assert history.stopped == "enough"

    asyncio.run(watch())
    assert len(seen) > len(set(seen))  # several turns within one step


@pytest.mark.parametrize("build", [network, noisy_network])
@pytest.mark.parametrize("stop_at", [(2, 0), (1, 2)])
def test_resume_ends_with_the_same_bits(build: Any, stop_at: tuple[int, int], tmp_path: Path) -> None:
    """Stopped after two epochs, or in the middle of the second, and gone on with."""
    (x, y), path = problem(50), tmp_path / "run.safetensors"
    options: dict[str, Any] = {"epochs": 4, "batch_size": 16, "optimizer": Adam(OneCycle(0.01)), "progress": False}
    whole = build()
    whole_history = whole.fit(x, y, **options)

    def stop(event: Event, training: Training) -> None:
        if (training.epoch, training.batch) == stop_at and event.kind in ("step", "epoch"):
            training.stop("test")

    part = build()
    history = part.fit(x, y, callbacks=[stop, Checkpoint(path)], **options)
    assert history.stopped == "test" and part.parameters.tobytes() != whole.parameters.tobytes()
    rest = build()
    rest_history = rest.fit(x, y, resume=path, **options)
    assert rest.parameters.tobytes() == whole.parameters.tobytes()
    assert rest.state.tobytes() == whole.state.tobytes()
    for one, two in zip(whole_history.epochs, rest_history.epochs, strict=True):
        assert (one["loss"], one["accuracy"]) == (two["loss"], two["accuracy"])


def test_resume_refuses_another_training(tmp_path: Path) -> None:
    (x, y), path = problem(20), tmp_path / "run.safetensors"
    network().fit(x, y, epochs=1, progress=False, callbacks=[Checkpoint(path)])
    with pytest.raises(DataError, match="epochs 1 -> 2"):
        network().fit(x, y, epochs=2, progress=False, resume=path)
    with pytest.raises(DataError, match="another network"):
        noisy_network().fit(x, y, epochs=1, progress=False, resume=path)
    model_file = tmp_path / "model.safetensors"
    network().save(model_file)
    with pytest.raises(FormatError, match="no training to resume"):
        network().fit(x, y, epochs=1, progress=False, resume=model_file)


def test_ctrl_c_keeps_the_model_and_can_be_resumed(tmp_path: Path) -> None:
    (x, y), path = problem(64), tmp_path / "run.safetensors"
    whole = network()
    options: dict[str, Any] = {"epochs": 3, "batch_size": 8, "progress": False}
    whole.fit(x, y, **options)

    def interrupt(event: Event, training: Training) -> None:
        if event.kind == "step" and training.step == 11:
            os.kill(os.getpid(), signal.SIGINT)

    model, before = network(), signal.getsignal(signal.SIGINT)
    history = model.fit(x, y, callbacks=[interrupt, Checkpoint(path)], **options)
    assert history.interrupted and np.isfinite(model.parameters).all() and len(history.epochs) == 1
    assert signal.getsignal(signal.SIGINT) is before
    rest = network()
    rest.fit(x, y, resume=path, **options)
    assert rest.parameters.tobytes() == whole.parameters.tobytes()


def test_divergence_is_explained_and_puts_the_last_good_model_back() -> None:
    (x, y), model = problem(64), network()
    before = model.parameters.tobytes()
    with np.errstate(all="ignore"), pytest.raises(DivergenceError, match="learning rate 1e\\+30"):
        model.fit(x, y, epochs=3, optimizer=SGD(1e30), progress=False)
    assert model.parameters.tobytes() == before


def test_every_image_is_seen_once_an_epoch_in_a_new_order() -> None:
    x, y = problem(21)
    training = Training(network(), x, y, epochs=2, batch_size=8, progress=False)
    first, second = training.order(0), training.order(1)
    assert sorted(first) == sorted(second) == list(range(21)) and list(first) != list(second)
    assert training.steps_per_epoch == 3
    assert list(Training(network(), x, y, shuffle=False, progress=False).order(0)) == list(range(21))


def test_uint8_data_trains_like_scaled_floats() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.integers(0, 256, (40, 12, 12)).astype(np.uint8), generator.integers(0, 4, 40)
    one, two = network(), network()
    one.fit(x, y, epochs=2, progress=False)
    two.fit(x[:, None].astype(np.float32) * np.float32(1 / 255), y, epochs=2, progress=False)
    np.testing.assert_allclose(one.parameters, two.parameters, atol=1e-6)


def test_early_stopping_restores_the_best_epoch() -> None:
    x, y = problem(64)
    wrong = np.roll(y, 7)  # labels that cannot be learnt from these images: validation gets worse and worse
    model, kept = network(), []

    def keep(event: Event, training: Training) -> None:
        if event.kind == "epoch" and event.validation:
            kept.append((event.validation["loss"], training.model.parameters.tobytes()))

    stopper = EarlyStopping(patience=2)
    history = model.fit(
        x, y, epochs=50, validation_data=(x, wrong), optimizer=Adam(0.02), callbacks=[keep, stopper], progress=False
    )
    assert "no better validation_loss" in history.stopped and len(history.epochs) < 50
    assert model.parameters.tobytes() == min(kept)[1]


def test_best_checkpoint_keeps_the_best_model(tmp_path: Path) -> None:
    (x, y), path = problem(64), tmp_path / "best.safetensors"
    model = network()
    history = model.fit(
        x, y, epochs=6, validation_data=problem(64, 1), callbacks=[BestCheckpoint(path)], progress=False
    )
    best = max(row["validation_accuracy"] for row in history.epochs)
    saved = handlens.load(path)
    assert saved.evaluate(*problem(64, 1))["accuracy"] == best == saved.metadata["checkpoint"]["validation_accuracy"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 0}, DataError, "epochs"),
        ({"batch_size": 1.5}, DataError, "batch_size"),
        ({"optimizer": "lion"}, DataError, "no optimizer"),
        ({"loss": "hinge"}, DataError, "no loss"),
        ({"label_smoothing": 1.0}, DataError, "label_smoothing"),
        ({"callbacks": [EarlyStopping()]}, DataError, "validation_data"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    x, y = problem(8)
    with pytest.raises(error, match=message):
        network().fit(x, y, progress=False, **options)


def test_wrong_data_is_refused() -> None:
    x, y = problem(8)
    for images, labels, error in (
        (x[:, :, :10], y, ShapeError),
        (x, y[:5], DataError),
        (x[:0], y[:0], DataError),
        (x, y + 4, DataError),
        (x, y - 9, DataError),
        (x, y * 0.5, DataError),
        (np.full_like(x, np.inf), y, DataError),
    ):
        with pytest.raises(error):
            network().fit(images, labels, progress=False)
    with pytest.raises(DataError, match="monitor"):
        EarlyStopping(monitor="validation_f1")


def test_label_smoothing_keeps_answers_less_certain() -> None:
    x, y = problem(64)
    sharp, smooth = network(), network()
    sharp.fit(x, y, epochs=40, optimizer=Adam(0.01), progress=False)
    smooth.fit(x, y, epochs=40, optimizer=Adam(0.01), label_smoothing=0.2, progress=False)
    assert smooth.predict(x).max(1).mean() < sharp.predict(x).max(1).mean()


def test_schedules_begin_peak_and_end_as_stated() -> None:
    total = 100
    cycle = [OneCycle(1.0)(k, total) for k in range(total)]
    assert cycle[0] == pytest.approx(1 / 25) and max(cycle) == pytest.approx(1.0)
    assert cycle[-1] == pytest.approx(1e-5) and cycle.index(max(cycle)) == 29
    cosine = [Cosine(1.0, floor=0.1, warmup=0.1)(k, total) for k in range(total)]
    assert cosine[0] == pytest.approx(0.1) and cosine[9] == cosine[10] == 1.0 and cosine[-1] == pytest.approx(0.1)
    assert {Constant(0.3)(k, total) for k in range(total)} == {0.3}
    assert all(np.isfinite(s(k, 1)) for s in (OneCycle(1.0), Cosine(1.0)) for k in (0, 1))


def test_events_tell_the_whole_story() -> None:
    (x, y), events = problem(20), []
    network().fit(x, y, epochs=2, batch_size=8, callbacks=[lambda e, t: events.append(e)], progress=False)
    assert [e.kind for e in events] == ["start", *["step"] * 3, "epoch", *["step"] * 3, "epoch", "end"]
    assert [e.step for e in events if e.kind == "step"] == [1, 2, 3] * 2
    assert all(0 <= e.accuracy <= 1 and e.images_per_second > 0 for e in events if e.kind == "step")


def test_a_bar_shows_on_a_terminal_and_nothing_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    from handlens.callbacks import Bar, progress_display

    x, y = problem(20)
    network().fit(x, y)
    assert capsys.readouterr().err == ""
    from tqdm import tqdm

    network().fit(x, y, progress=False, callbacks=[Bar(tqdm)])
    assert "epoch 1/1" in capsys.readouterr().err
    network().fit(x, y, progress=True)
    assert "epoch 1/1, loss" in capsys.readouterr().err
    assert progress_display(None) == []


def test_training_leaves_the_data_alone() -> None:
    x, y = problem(20)
    copies = x.copy(), y.copy()
    began = time.perf_counter()
    history = network().fit(x, y, epochs=2, progress=False)
    assert 0 < history.seconds <= time.perf_counter() - began
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])
