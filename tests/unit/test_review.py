"""Mistakes that a review found, each held by a test: silent wrong numbers first."""

from __future__ import annotations

import asyncio
import copy
import re
from pathlib import Path
from typing import Any

import handlens
import handlens.training
import numpy as np
import pytest
from handlens import SGD, Adam, BatchNorm, Conv2D, Dense, Flatten, MaxPool2D, Sequential, Softmax
from handlens.callbacks import BestCheckpoint, Checkpoint, EarlyStopping
from handlens.errors import DataError, DivergenceError, FormatError, PlanError, ShapeError

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.random((24, 1, 6, 6), np.float32), GENERATOR.integers(0, 3, 24)


def small(**options: Any) -> Sequential:
    return Sequential([Conv2D(2, 3, activation="relu"), Flatten(), Dense(3)], (1, 6, 6), **options)


@pytest.mark.parametrize("between", [[], [handlens.Dropout(0.5)]])
def test_two_batch_norms_in_a_row_fold_rightly(between: list[Any]) -> None:
    layers = [Conv2D(4, 3), BatchNorm(), *between, BatchNorm(), Flatten(), Dense(3)]
    model = Sequential(layers, (1, 6, 6))
    model.state[...] = GENERATOR.uniform(0.3, 2.0, model.state.shape)
    np.testing.assert_allclose(model.predict(X, logits=True), model.trace(X)["logits"], rtol=1e-4, atol=1e-5)


def test_a_plan_that_reads_what_nothing_wrote_is_refused() -> None:
    from dataclasses import replace

    plan = small().plan()
    with pytest.raises(PlanError, match="nothing has written"):
        replace(plan, steps=plan.steps[1:]).validate()


def test_overlapping_predictions_do_not_mix() -> None:
    model = Sequential([Conv2D(16, 3), Conv2D(16, 3), Flatten(), Dense(3)], (1, 28, 28))
    a, b = GENERATOR.random((2, 64, 1, 28, 28), np.float32)

    async def both() -> list[np.ndarray]:
        return list(await asyncio.gather(model.predict_async(a), model.predict_async(b)))

    found = asyncio.run(both())
    np.testing.assert_array_equal(found[0], model.predict(a))
    np.testing.assert_array_equal(found[1], model.predict(b))


def test_a_deep_copy_is_a_model_of_its_own() -> None:
    model = small()
    model.predict(X)
    twin = copy.deepcopy(model)
    twin.fit(X, Y, epochs=2, progress=False)
    other = X[::-1].copy()
    assert not np.allclose(twin.predict(other), model.predict(other))
    np.testing.assert_allclose(twin.predict(other), twin.trace(other)["probabilities"], atol=1e-6)


def test_squared_error_on_probabilities_is_what_is_trained_and_measured() -> None:
    model = Sequential([Flatten(), Dense(3), Softmax()], (1, 6, 6), loss="mse")
    history = model.fit(X, Y, optimizer=SGD(0.0), batch_size=24, progress=False)
    assert history.epochs[0]["loss"] == pytest.approx(model.evaluate(X, Y)["loss"], rel=1e-5)


def test_a_monitor_begins_anew_with_each_training() -> None:
    stopper = EarlyStopping(patience=1)
    for seed in (0, 1):
        model = small(seed=seed)
        model.fit(X, Y, epochs=3, validation_data=(X, Y), callbacks=[stopper], progress=False)
        assert np.isfinite(stopper.best)
    fresh = small(seed=1)
    fresh.fit(X, Y, epochs=3, validation_data=(X, Y), callbacks=[EarlyStopping(patience=1)], progress=False)
    np.testing.assert_array_equal(fresh.parameters, model.parameters)


def test_monitors_go_on_where_a_checkpoint_left_them(tmp_path: Path) -> None:
    path, best = tmp_path / "run.safetensors", tmp_path / "best.safetensors"
    options: dict[str, Any] = {
        "epochs": 12,
        "batch_size": 8,
        "optimizer": Adam(0.05),
        "validation_data": (X, np.roll(Y, 5)),
        "progress": False,
    }
    whole = small()
    whole_history = whole.fit(X, Y, callbacks=[EarlyStopping(patience=3), BestCheckpoint(best)], **options)
    kept = best.read_bytes()

    def stop(event: Any, training: Any) -> None:
        if event.kind == "epoch" and event.epoch == 2:
            training.stop("test")

    part = small()
    part.fit(X, Y, callbacks=[EarlyStopping(patience=3), BestCheckpoint(best), stop, Checkpoint(path)], **options)
    rest = small()
    history = rest.fit(X, Y, callbacks=[EarlyStopping(patience=3), BestCheckpoint(best)], resume=path, **options)
    assert len(history.epochs) == len(whole_history.epochs) and history.stopped == whole_history.stopped
    np.testing.assert_array_equal(rest.parameters, whole.parameters)
    one, two = handlens.load(kept), handlens.load(best)
    np.testing.assert_array_equal(one.parameters, two.parameters)


def test_the_loss_of_a_training_stays_with_it() -> None:
    model = small()
    model.fit(X, Y, label_smoothing=0.3, progress=False)
    assert model.loss == handlens.CrossEntropy(0.0)
    model.predict(X)
    model.fit(X, Y, loss="mse", progress=False)
    assert model.predict(X).shape == (24, 3)
    smoothed = handlens.training.Training(small(), X, Y, loss=handlens.CrossEntropy(), label_smoothing=0.3)
    assert smoothed.recipe()["loss"]["label_smoothing"] == 0.3
    with pytest.raises(DataError, match="label_smoothing"):
        small().fit(X, Y, loss="mse", label_smoothing=0.1, progress=False)


def test_a_refused_training_leaves_the_loss_as_it_was() -> None:
    model = small()
    with pytest.raises(DataError):
        model.fit(X, Y, loss="mse", epochs=0, progress=False)
    assert model.loss == handlens.CrossEntropy() and model.predict(X).sum() == pytest.approx(len(X), rel=1e-5)


def test_parameters_that_stop_being_finite_are_noticed_before_anything_is_saved(tmp_path: Path) -> None:
    model, path = small(), tmp_path / "run.safetensors"
    before = model.parameters.tobytes()
    with np.errstate(all="ignore"), pytest.raises(DivergenceError, match="parameter"):
        model.fit(X * 1e3, Y, batch_size=24, optimizer=SGD(3e38), callbacks=[Checkpoint(path)], progress=False)
    assert model.parameters.tobytes() == before and not path.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"validation_data": (X, Y + 7)},
        {"validation_data": (X[:, :, :3], Y)},
        {"callbacks": [EarlyStopping()]},
        {"callbacks": [Checkpoint("/nowhere/run.safetensors")]},
        {"optimizer": Adam(learning_rate=lambda step, total: 0.1)},  # type: ignore[arg-type]
        {"seed": -1},
    ],
    ids=lambda options: re.sub(r" at 0x[0-9a-f]+", "", str(options)),  # the same in every process
)
def test_wrong_options_are_refused_before_the_first_step(options: dict[str, Any]) -> None:
    model = small()
    before = model.parameters.tobytes()
    with pytest.raises((DataError, ShapeError)):
        model.fit(X, Y, progress=False, **options)
    assert model.parameters.tobytes() == before


def test_a_checkpoint_is_a_model_and_a_damaged_one_touches_nothing(tmp_path: Path) -> None:
    from handlens.io import safetensors

    path, model = tmp_path / "run.safetensors", small()
    model.fit(X, Y, epochs=2, callbacks=[Checkpoint(path)], progress=False)
    np.testing.assert_array_equal(handlens.load(path).parameters, model.parameters)
    tensors, metadata = safetensors.read(path)
    for damage in ('{"recipe": {}}', "[" * 100_000, "1" * 5000):
        safetensors.write(path, tensors, {**metadata, "training": damage})
        other = small(seed=5)
        before = other.parameters.tobytes()
        with pytest.raises((FormatError, DataError)):
            other.fit(X, Y, epochs=2, resume=path, progress=False)
        assert other.parameters.tobytes() == before


@pytest.mark.parametrize("name", ["input", "probabilities", "gradients", "learning_rate"])
def test_layers_cannot_take_the_networks_own_names(name: str) -> None:
    with pytest.raises(DataError, match="choose another"):
        Sequential([Flatten(name=name), Dense(3)], (1, 6, 6))


def test_the_last_layer_may_be_called_logits_or_scores() -> None:
    for name in ("logits", "scores"):
        model = Sequential([Flatten(), Dense(3, name=name)], (1, 6, 6))
        np.testing.assert_array_equal(model.trace(X)[name], model.predict(X, logits=True))
        model.fit(X, Y, progress=False)


def test_layers_can_be_used_in_two_networks() -> None:
    one = small()
    two = Sequential([*one.layers[:-1], Dense(5)], (1, 6, 6))
    assert [layer.name for layer in two.layers] == ["conv1", "flatten1", "dense1"]
    both = Sequential([*one.layers[:-1], *two.layers[2:], *one.layers[2:]], (1, 6, 6))
    assert [layer.name for layer in both.layers] == ["conv1", "flatten1", "dense1", "dense2"]


def test_whole_number_images_are_not_taken_for_fractions() -> None:
    with pytest.raises(DataError, match="divide by 255"):
        small().predict((X * 255).astype(np.int64))
    assert small().predict((X > 0.5).astype(np.int64)).shape == (24, 3)


def test_images_as_outputs_can_be_trained() -> None:
    model = Sequential([Conv2D(1, 3, padding="same")], (1, 6, 6), loss="mse")
    history = model.fit(X, X, epochs=30, optimizer=Adam(0.05), progress=False)
    assert history.epochs[-1]["loss"] < 0.3 * history.epochs[0]["loss"] and model.predict(X).shape == X.shape


def test_one_value_a_channel_leaves_the_running_statistics_alone() -> None:
    model = Sequential([BatchNorm(), Dense(3)], (7,))
    model.fit(GENERATOR.random((1, 7), np.float32), Y[:1], progress=False)
    assert model.state_dict()["bn1.running_var"].tolist() == [1.0] * 7


@pytest.mark.parametrize(
    "build",
    [
        lambda: Conv2D(2, 3.0),  # type: ignore[arg-type]
        lambda: Dense("ten"),  # type: ignore[arg-type]
        lambda: Sequential([Conv2D(2, 3, padding=1.5), Flatten()], (1, 6, 6)),  # type: ignore[arg-type]
        lambda: small(seed=-1),
    ],
)
def test_wrong_kinds_of_numbers_get_our_errors(build: Any) -> None:
    with pytest.raises((ShapeError, DataError)):
        build()


def test_pooling_takes_nested_padding_and_numpy_rates_work() -> None:
    model = Sequential([MaxPool2D(2, padding=((0, 1), (0, 1))), Flatten(), Dense(3)], (1, 5, 5))
    assert model.summary().rows[0].shape == (1, 3, 3)
    small().fit(X, Y, optimizer=Adam(np.float32(1e-3)), progress=False)  # type: ignore[arg-type]


def test_messages_show_the_way_out() -> None:
    with pytest.raises(DataError, match="argmax"):
        small().fit(X, np.eye(3)[Y].astype(int), progress=False)
    with pytest.raises(ShapeError, match="transpose"):
        small().predict(X.transpose(0, 2, 3, 1))
