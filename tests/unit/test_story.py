"""The article's facts and figures against arithmetic of their own, and the visitor's wrong numbers."""

from __future__ import annotations

import argparse
import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handlens import Conv2D, Dense, Flatten, MaxPool2D, Sequential, load
from handlens.backends import drive
from handlens.commands import story as story_command
from handlens.commands.story import images
from handlens.data import mnist
from handlens.errors import DataError, ShapeError
from handlens.inside import (
    story,
    story_counts,
    story_facts,
    story_maps,
    story_models,
    story_neurons,
    story_record,
    story_shifts,
    story_stack,
    story_study,
    story_tools,
    views,
)


@pytest.fixture(scope="module")
def models(root: Path) -> dict[str, Sequential]:
    """The shipped networks."""
    return {path.stem: load(path) for path in sorted((root / "web/models").glob("*.safetensors"))}


# --- facts


def test_counts_of_the_text() -> None:
    """Facts that a reader can work out on paper."""
    facts = story_facts.neuron_facts() | story_facts.counted_facts() | story_facts.mapped_facts()
    expected = {
        "inputs": 28 * 28,
        "hidden_weights": 784 * 100,
        "hidden_parameters": 784 * 100 + 100,
        "hidden_wrong": 2 * 784 * 100,
        "large_inputs": 224 * 224,
        "large_parameters": 224 * 224 * 100 + 100,
        "large_colour": 224 * 224 * 3,
        "large_megabytes": pytest.approx((224 * 224 * 100 + 100) * 4 / 1e6),
        "large_training": pytest.approx((224 * 224 * 100 + 100) * 12 / 1e6),
        "flat_index": 2 * 28 + 5,
        "three_weights": 27,
        "three_parameters": 30,
        "dense_three": 3 * 784,
        "same_outputs": 3 * 26 * 26,
        "same_weights": 784 * 3 * 26 * 26,
        "same_ratio": pytest.approx(784 * 3 * 26 * 26 / 27),
        "reused": 26 * 26,
        "three_work": 27 * 26 * 26,
        "out_plain": 26,
        "out_stride": 13,
        "out_padded": 28,
        "out_five": 24,
        "left_over": 28 * 28 - 27 * 27,
        "flat_long": 432,
        "flat_short": 108,
        "half_long_parameters": 432 * 216 + 216,
        "half_short_parameters": 108 * 54 + 54,
        "example_parameters": 3 * 25 + 3 + 432 * 216 + 216 + 216 * 10 + 10,
        "head_share": pytest.approx(1 - 78 / 95_776),
        "pool_work": 14 * 14 * 16 * 8 * 9,
        "pool_bare_work": 28 * 28 * 16 * 8 * 9,
        "hadamard_sum": 0,
        "hadamard_flipped": -2,
        "written_centre": "row 2, column 2",
        "written_to": "row 1, column 1",
        "shift_within": 0,
        "shift_across": 2,
        "context_alone": 1,
        "context_line": 3,
        "abs_error": 0,
        "softmax_sum": 1,
        "learn_gradient": pytest.approx(2 * (1.5 * 2 - 1) * 2),
        "learn_measured": pytest.approx(8, abs=1e-3),
        "learn_after": pytest.approx(1.5 - 0.05 * 8),
    }
    assert {name: facts[name] for name in expected} == expected
    assert [facts[f"field_{name}"] for name in ("conv_one", "pool_one", "conv_two", "pool_two", "bare")] == [
        3,
        4,
        8,
        10,
        5,
    ]
    assert facts["learn_still"] == facts["learn_weight"]
    assert facts["spot_by_spot"] > facts["spot_by_corner"] and facts["corner_by_corner"] > facts["corner_by_spot"]


def test_facts_of_the_shipped_networks(models: dict[str, Sequential], root: Path) -> None:
    """What the files say, what the networks do, and that the text gets all of it, once."""
    facts = story.facts(models, images(root / "web/samples", "test"), story_study.recorded())
    assert facts["linear_accuracy"] == models["linear"].metadata["accuracy"]
    assert facts["small_parameters"] == models["cnn-small"].parameter_count
    assert facts["samples_ann"] == facts["samples_ann_shuffled"] > 0.95
    assert facts["samples_cnn"] > 0.98 and facts["samples_cnn_shuffled"] < 0.3 and facts["samples_exchanged"] < 0.4
    assert (facts["seen_hidden"], facts["seen_kernel"]) == (784, 9)
    assert (facts["channel_matrices"], facts["channel_weights"], facts["channel_parameters"]) == (15, 135, 140)
    assert facts["refusal"] == 'Dense "dense1": expected 784 inputs, got 1024'
    assert facts["free_sizes"] == "28, 32, 40 and 56"
    with pytest.raises(DataError, match="missing: digits"):
        story.facts({k: v for k, v in models.items() if k != "digits"}, (np.zeros(0), np.zeros(0)), {})


def test_record_of_the_study_is_whole() -> None:
    """The record names the settings of the code, five runs of each network, and shows what the text says it shows."""
    record = json.loads(story_record.RECORD.read_text("utf-8"))
    settings = [record[name] for name in ("seeds", "epochs", "batch_size", "learning_rate")]
    assert settings == [story_study.SEEDS, story_study.EPOCHS, story_study.BATCH, story_study.RATE]
    assert {name: len(runs) for name, runs in record["runs"].items()} == dict.fromkeys(
        ("ann", "ann_shuffled", "cnn", "cnn_shuffled", "strided", "linear", "linear_shuffled"), story_study.SEEDS
    )
    assert [record["tune"][name] for name in ("images", "epochs", "learning_rate", "test_images")] == [
        story_study.TUNED,
        story_study.TUNE_EPOCHS,
        story_study.TUNE_RATE,
        story_study.TUNE_TESTS,
    ]
    assert len(record["tune"]["runs"]) == story_study.SEEDS
    assert (record["shifts"]["images"], record["shifts"]["reach"]) == (story_study.SHIFTED, story_shifts.REACH)
    assert list(record["shifts"]["accuracy"]) == list(story_shifts.KINDS)
    for map_ in record["shifts"]["accuracy"].values():
        assert np.shape(map_) == (17, 17) and map_[8][8] == np.max(map_[7:10]) > 0.75  # nothing is better than no shift
    tiny = record["tiny"]
    assert (tiny["epochs"], tiny["batch_size"]) == (story_study.TINY_EPOCHS, story_study.TINY_BATCH)
    assert len(tiny["runs"]) == story_study.SEEDS
    facts = story_study.recorded()
    assert facts["tiny_parameters"] == 784 * 6 + 6 + 6 * 10 + 10 < 5000 and facts["tiny_accuracy"] > 0.8
    assert (
        abs(facts["study_ann"] - facts["study_ann_shuffled"]) < 0.02 < facts["study_cnn"] - facts["study_cnn_shuffled"]
    )
    trained, seen = np.mean(record["runs"]["cnn"], axis=0)
    assert facts["study_gap_pool"] == pytest.approx(trained - seen) and facts["study_pool"] == pytest.approx(seen)


@pytest.mark.slow
def test_the_study_can_be_done_again(root: Path) -> None:
    """One seed of it: within two percentage points of the record, which another machine made."""
    sets = [images(root / "web/samples", name) for name in ("mix", "test")]
    record = json.loads(story_record.RECORD.read_text("utf-8"))["runs"]
    for name, runs in story_study.study(sets[0], sets[1], seeds=1)["runs"].items():
        assert runs[0] == pytest.approx(record[name][0], abs=0.02), name


def test_the_record_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    record = json.loads(story_record.RECORD.read_text("utf-8"))
    story_record.keep(record, path)
    assert path.read_bytes() == story_record.RECORD.read_bytes()  # as `handlens story --study` has written it
    with pytest.raises(TypeError):
        story_record.keep({"runs": object()}, path)
    assert path.read_bytes() == story_record.RECORD.read_bytes() and [*tmp_path.iterdir()] == [path]


def test_the_command_does_the_study_and_keeps_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: dict[str, Sequential]
) -> None:
    """`handlens story --study` from end to end, with everything that takes time cut short: the same kind of file."""
    before = story_record.record()
    sets = [[part[:60] for part in images(root / "web/samples", name)] for name in ("mix", "test")]
    short = {"SEEDS": 1, "EPOCHS": 1, "TINY_EPOCHS": 1, "TUNE_EPOCHS": 1, "TUNED": 20, "TUNE_TESTS": 20, "SHIFTED": 5}
    for name, value in short.items():
        monkeypatch.setattr(story_study, name, value)
    defaults = {"study": (1,), "shift_study": (1, 5), "tiny_study": (1,), "tune_study": (1,)}
    for name, value in {**defaults, "fitted": (1, 50), "trained": (1, 50)}.items():
        monkeypatch.setattr(getattr(story_study, name), "__defaults__", value)
    monkeypatch.setattr(story_record, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(story_record.keep, "__defaults__", (tmp_path / "record.json",))
    few = mnist.Mnist(*sets[0], *sets[1])
    monkeypatch.setattr(mnist, "load", lambda folder: few)
    monkeypatch.setattr(story_command, "images", lambda folder, name: sets[name == "test"])
    try:
        arguments = argparse.Namespace(models=root / "web/models", samples=root / "web/samples", study=True, data=None)
        result = story_command.run(arguments)
        made = story_record.record()
    finally:
        story_record.record.cache_clear()
    shape = lambda value: {k: shape(v) for k, v in value.items()} if isinstance(value, dict) else type(value)  # noqa: E731
    assert shape(made) == shape(before) and made["tiny"]["images"] == 60
    assert len(made["runs"]["cnn"]) == len(made["tune"]["runs"]) == 1
    assert result["facts"]["study_cnn"] == made["runs"]["cnn"][0][1] and "shifts" in result["figures"]


# --- what it is computed with


def test_costs_agree_with_a_network_that_is_built() -> None:
    layers = [Conv2D(4, 3, strides=2, activation="relu"), MaxPool2D(2), Flatten(), Dense(7)]
    summary = Sequential(layers, (2, 20, 17)).summary()
    found = story_tools.costs(layers, (2, 20, 17))
    assert [(c.layer, c.shape, c.parameters, c.multiply_adds) for c in found] == [
        (row.layer, row.shape, row.parameters, row.multiply_adds) for row in summary.rows
    ]
    assert story_tools.costs([Flatten(), Dense(10**6)], (3, 4096, 4096))[1].weights == 3 * 4096**2 * 10**6
    with pytest.raises(ShapeError, match='Conv2D "conv1": kernel 9x9 is larger'):
        story_tools.costs([Conv2D(1, 9)], (1, 8, 8))


# --- figures


def test_neuron() -> None:
    found = story_neurons.neuron([2, -1, 0.5], [1, 2, 3, 4, 5, 6], [0.5, -9])
    assert found["products"].tolist() == [[2, -2, 1.5], [8, -5, 3]]
    assert found["z"].tolist() == [2, -3] and found["activated"].tolist() == [2, 0]
    assert (found["weight_count"], found["bias_count"]) == (6, 2)


@pytest.mark.parametrize("z", [-3.0, -0.2, 0.0, 1.7])
def test_activations(z: float) -> None:
    curves = {curve["name"]: curve for curve in story_neurons.activations(z)["curves"]}
    s = 1 / (1 + math.exp(-z))
    assert curves["sigmoid"]["value"] == pytest.approx(s)
    assert curves["sigmoid"]["slope"] == pytest.approx(s * (1 - s))
    assert curves["tanh"]["slope"] == pytest.approx(1 - math.tanh(z) ** 2) == curves["tanh"]["measured"]
    assert (curves["relu"]["value"], curves["relu"]["slope"]) == (max(0, z), float(z > 0))


def test_collapse() -> None:
    straight, bent = story_neurons.collapse(inputs=[3, 2]), story_neurons.collapse(True)
    by_hand = straight["second"] @ (straight["first"] @ [3, 2] + straight["first_bias"]) + straight["second_bias"]
    np.testing.assert_allclose(straight["deep"], by_hand, atol=1e-6)
    assert straight["difference"] < 1e-5 < 0.5 < bent["difference"]


@pytest.mark.parametrize("start", ["wave", "step", "tent", "teeth"])
def test_approximation_gets_better_with_more_neurons(start: str) -> None:
    found = story_neurons.approximate(units=64, start=start)
    assert (
        found["error"] == found["errors"][-1] == pytest.approx(np.abs(found["fitted"] - found["curve"]).max(), abs=1e-6)
    )
    assert found["errors"][-1] < 0.5 * found["errors"][0]
    assert found["parameters"] == 3 * 64 + 1
    drawn = story_neurons.approximate([0, 1, 0], 4)
    assert drawn["curve"][[0, 25, 50, 100]].tolist() == [0, 0.5, 1, 0]


@pytest.mark.parametrize(
    ("size", "k", "s", "p"), [(28, 3, 1, 0), (28, 3, 2, 0), (28, 5, 3, 2), (10, 1, 4, 0), (7, 4, 2, 1)]
)
def test_sliding(size: int, k: int, s: int, p: int) -> None:
    reached = np.zeros((size, size), int)
    out = 0
    for top in range(-p, size + p - k + 1, s):
        out += 1
        for left in range(-p, size + p - k + 1, s):
            rows, columns = range(max(0, top), min(size, top + k)), range(max(0, left), min(size, left + k))
            for row, column in product(rows, columns):
                reached[row, column] += 1
    found = story_counts.sliding(size, k, s, p, 2)
    assert found["out"] == out and found["reached"].tolist() == reached.tolist()
    assert found["left_over"] == (reached == 0).sum()
    bare = [i for first, behind in found["gaps"] for i in range(first, behind)]
    assert bare == [i for i in range(size) if not reached[i].any()]
    assert (found["top"], found["left"]) == (2 // out * s - p, 2 % out * s - p)


def test_slide_reads_the_patch_and_writes_the_cell() -> None:
    image = np.random.default_rng(1).random((28, 28), np.float32)
    found = story_maps.slide(image, 3, 2, 1, step=14 * 4 + 6)
    assert (found["top"], found["left"]) == (7, 11)
    np.testing.assert_allclose(found["patch"], image[7:10, 11:14])
    assert found["value"] == pytest.approx(found["product"].sum(), abs=1e-6)
    assert found["image"].shape == (30, 30) and found["map"].shape == (14, 14)
    assert found["spoken"].startswith("patch row 1: 0.") and found["spoken"].count("patch row") == 3
    assert found["spoken"].endswith(", written to row 5, column 7")


def test_hadamard() -> None:
    patch, kernel = np.arange(9.0), np.arange(9.0, 0, -1)
    found, turned = story_maps.hadamard(patch, kernel, 2), story_maps.hadamard(patch, kernel, 2, True)
    assert found["value"] == sum(i * (9 - i) for i in range(9)) + 2 and found["sum"] == found["value"] - 2
    assert turned["value"] == sum(i * (i + 1) for i in range(9)) + 2
    assert story_maps.hadamard(3 * kernel, kernel)["cosine"] == pytest.approx(1)
    assert story_maps.hadamard(np.zeros(9), kernel)["cosine"] == 0
    for name, (patch, kernel) in story_maps.beginnings().items():
        found = story_maps.hadamard(start=name)
        assert found["patch"].tolist() == np.asarray(patch).tolist()
        assert found["kernel"].tolist() == np.asarray(kernel).tolist()


def test_several_kernels_are_independent() -> None:
    found = story_maps.several(changed=2)
    assert found["differs"] == [False, False, True, False]
    assert found["zero"] == [float((np.maximum(one, 0) == 0).mean()) for one in found["maps"]]


def test_channels_add_up(models: dict[str, Sequential]) -> None:
    found = story_maps.channels(models["cnn-small"], kernel=3, cell=(2, 7))
    by_hand = [(found["maps"][c, 2:5, 7:10] * found["kernels"][3, c]).sum() for c in range(3)]
    assert found["shares"] == pytest.approx(by_hand, abs=1e-6)
    assert found["value"] == pytest.approx(sum(by_hand) + found["bias"], abs=1e-6)
    assert found["cell"] == [2, 7] and found["intermediate"].shape == (3, 11, 11)


def test_a_first_layer_is_timed_where_it_fits_into_memory() -> None:
    found = story_counts.dense_against_kernels(28, hidden=10, timed=True)
    assert found["dense_ms"] > 0 and found["conv_ms"] > 0
    with pytest.raises(DataError, match="50,176,000 weights take too much memory"):
        story_counts.dense_against_kernels(224, hidden=1000, timed=True)


@pytest.mark.parametrize("place", [(0, 0), (14, 12), (27, 27)])
def test_fields_hold_the_pixel(place: tuple[int, int]) -> None:
    for row in story_maps.fields(row=place[0], column=place[1])["rows"]:
        top, left, bottom, right = row["box"]
        assert bottom - top == right - left == row["size"]
        if row["layer"] == "conv1" or place == (14, 12):  # an odd rest is dropped by the poolings
            assert top <= place[0] < bottom and left <= place[1] < right


def test_pooling_moves_the_picture() -> None:
    still, moved = story_maps.pooling(), story_maps.pooling(1, -2)
    np.testing.assert_array_equal(moved["picture"][:4, 1:], still["picture"][2:, :5])
    for found in (still, moved):
        windows = found["picture"].reshape(3, 2, 3, 2).transpose(0, 2, 1, 3).reshape(3, 3, 4)
        np.testing.assert_array_equal(found["max"], windows.max(axis=2))
        np.testing.assert_allclose(found["average"], windows.mean(axis=2))
        assert found["winners"].sum() == 9 and (found["spread"] == 0.25).all()
    assert still["max_changed"] == still["average_changed"] == 0
    assert moved["max_changed"] == (moved["max"] != still["max"]).sum() > 0


def test_shifts_are_those_of_the_drawing_one_by_one(models: dict[str, Sequential]) -> None:
    image = story_maps.example(3)
    found = story_shifts.shifts(models["cnn-small"], models["ann"], models["linear"], image, right=-3, down=2)
    by_hand = np.zeros_like(image)
    by_hand[2:, :-3] = image[:-2, 3:]
    np.testing.assert_array_equal(found["moved"], by_hand)
    for row, name in zip(found["rows"], ("cnn-small", "ann", "linear"), strict=True):
        shares = models[name].predict(by_hand[None])[0]
        assert row["name"] == name and row["digit"] == models[name].predict(image[None])[0].argmax()
        assert row["shares"].shape == (17, 17)
        assert row["shares"][2 + 8, -3 + 8] == pytest.approx(shares[row["digit"]], abs=1e-6)
        assert row["said"] == {"digit": shares.argmax(), "share": pytest.approx(shares.max(), abs=1e-6)}
        assert 1 <= row["kept"] < found["count"] == 289
    assert [one["words"] for one in found["trained"]] == list(story_shifts.KINDS.values())
    few = np.round(image * 255).astype(np.uint8)[None]
    right = story_shifts.accuracies(models["cnn-small"], few, np.array([3]), reach=1)
    assert right.shape == (3, 3) and set(right.ravel()) <= {0.0, 1.0} and right[1, 1] == 1
    assert story_shifts.near(np.eye(5), 2) == pytest.approx(4 / 24)
    with pytest.raises(DataError, match="right: a whole number from -8 to 8"):
        story_shifts.shifts(models["cnn-small"], models["ann"], models["linear"], image, right=9)


def test_a_step_is_told_as_the_article_tells_it() -> None:
    best = story_maps.slide(story=True)
    assert "lies on the photograph, " in best["told"] and "There is a clear left edge" in best["told"]
    assert f"row {best['row'] + 1}, column {best['column'] + 1} of a notebook" in best["told"]
    assert story_maps.slide()["told"] == ""
    corner = story_maps.slide(padding=1, stride=2, step=0, story=True)["told"]
    assert "partly beside it. There is none: 0.00." in corner and corner.endswith("moves the glass on by 2 inches.")
    last = story_maps.slide(step=26 * 26 - 1, story=True)["told"]
    assert last.endswith("has seen the whole photograph: the notebook is the map.")
    assert "begins again at the left, 1 inch lower" in story_maps.slide(step=25, story=True)["told"]


def test_ranks_share_their_places() -> None:
    values = np.array([3.0, 1.0, 3.0, 2.0])
    assert story_study.ranks(values).tolist() == [2.5, 0, 2.5, 1]
    assert story_study.rank_correlation(values, 2 * values + 1) == pytest.approx(1)
    assert story_study.rank_correlation(values, -values) == pytest.approx(-1)
    assert story_study.rank_correlation(values, np.ones(4)) == 0


def test_flatten_says_where_a_cell_goes() -> None:
    found = story_counts.flatten(cell=(2, 11, 5))
    assert found["index"] == np.arange(432).reshape(3, 12, 12)[2, 11, 5]
    assert story_counts.flatten(cell=(99, -1, 5))["cell"] == [2, 0, 5]
    assert story_counts.flatten(pools=0)["length"] == 3 * 24 * 24


def test_shuffled_pixels(models: dict[str, Sequential]) -> None:
    found = story_models.permuted(models["ann"], models["cnn-small"], models["linear"])
    assert sorted(found["image"].ravel()) == sorted(found["shuffled"].ravel())
    rows = {row["name"]: row for row in found["rows"]}
    for name in ("ann", "linear"):
        assert rows[name]["difference"] < 1e-6 and rows[name]["drawn"]["digit"] == rows[name]["shuffled"]["digit"] == 7
    assert rows["cnn-small"]["drawn"]["digit"] == 7 and rows["cnn-small"]["difference"] > 0.3


def test_a_network_freed_of_its_size(models: dict[str, Sequential]) -> None:
    free = story_models.freed(models["cnn-small"])
    x = np.random.default_rng(0).random((5, 1, 28, 28), np.float32)
    np.testing.assert_allclose(free.predict(x), models["cnn-small"].predict(x), atol=1e-6)
    found = story_models.sizes(models["ann"], models["cnn-small"], models["linear"], side=32)
    rows = {(row["name"], row["way"]): row for row in found["rows"]}
    for name in ("ann", "linear"):
        assert "expected 784 inputs, got 1024" in rows[name, "as it is"]["refused"]
        assert rows[name, "prepared"]["digit"] == 7  # the ink alone, as large as it was drawn
    assert "expected 400 inputs, got 576" in rows["flatten", "as it is"]["refused"]
    assert (rows["average", "as it is"]["refused"], rows["average", "as it is"]["digit"]) == ("", 7)
    with pytest.raises(ShapeError, match="can be freed"):
        story_models.freed(models["ann"])


@pytest.mark.parametrize("side", [28, 40, 56])
def test_a_sheet_is_scaled_by_area(models: dict[str, Sequential], side: int) -> None:
    """Every pixel is the mean of what lies below it; the ink in all stays the same."""
    sheet = story_models.on_paper(story_maps.example(), side)
    small = story_models.scaled(sheet)
    assert small.shape == (28, 28) and small.sum() * (side / 28) ** 2 == pytest.approx(sheet.sum(), rel=1e-5)
    if side == 56:
        np.testing.assert_allclose(small, sheet.reshape(28, 2, 28, 2).mean(axis=(1, 3)), atol=1e-6)
    found = story_models.sizes(models["ann"], models["cnn-small"], models["linear"], side=side)
    np.testing.assert_array_equal(found["scaled"], small)
    shares = models["ann"].predict(small[None])[0]
    row = next(row for row in found["rows"] if (row["name"], row["way"]) == ("ann", "scaled"))
    assert (row["digit"], row["share"]) == (shares.argmax(), pytest.approx(shares.max(), abs=1e-6))


def test_polarity(models: dict[str, Sequential]) -> None:
    networks = [models[name] for name in ("cnn-small", "ann", "linear")]
    rows = story_models.polarity(*networks)["rows"]
    assert set(np.unique(rows[1]["image"])) == {0, 1}
    np.testing.assert_allclose(rows[0]["image"] + rows[2]["image"], 1)
    assert [one["name"] for one in rows[0]["answers"]] == ["cnn-small", "ann", "linear"]
    assert rows[0]["answers"][0]["digit"] == rows[1]["answers"][0]["digit"] == 7
    pale, dark = (story_models.polarity(*networks, threshold=at)["rows"][1]["image"].sum() for at in (0.1, 0.9))
    assert pale > rows[1]["image"].sum() > dark


def test_the_loss_is_that_of_training(models: dict[str, Sequential]) -> None:
    """-log p, as the library's own cross-entropy gives it for the same image and label."""
    model, image = models["cnn-small"], story_maps.example(3)
    for label in (-1, 0, 3, 9):
        found = story_models.loss(model, image, label)
        meant = 3 if label == -1 else label
        assert (found["digit"], found["label"]) == (3, meant)
        assert found["loss"] == pytest.approx(
            model.evaluate(image[None], np.array([meant]))["loss"], rel=1e-4, abs=1e-6
        )
        assert found["share"] == pytest.approx(model.predict(image[None])[0, meant], rel=1e-4)
    assert found["shares"].sum() == pytest.approx(1) and found["powers"].max() == 1
    assert story_neurons.crossed([1, 0.5]).tolist() == pytest.approx([0, math.log(2)])


def test_a_network_of_ones_own_is_counted_or_refused() -> None:
    small = story_stack.builder()
    layers = [Conv2D(8, 3, activation="relu"), MaxPool2D(2), Conv2D(16, 3, activation="relu"), MaxPool2D(2)]
    summary = Sequential([*layers, Flatten(), Dense(10)], (1, 28, 28)).summary()
    assert (small["parameters"], small["multiply_adds"]) == (summary.parameters, summary.multiply_adds)
    assert [row["words"] for row in small["rows"]][:2] == ["8 kernels 3 × 3, ReLU", "max pooling 2 × 2"]
    assert sum(row["share"] for row in small["rows"]) == pytest.approx(1)
    other = story_stack.builder([[1, 5, "none"], [0, 9, "max"]], hidden=1)
    assert [row["words"] for row in other["rows"]] == [
        *("1 kernel 5 × 5, ReLU", "flatten"),
        *("dense, 1 neuron, ReLU", "dense, 10 neurons", "softmax"),
    ]
    wrong = story_stack.builder([[4, 9, "max"], [4, 9, "average"], [4, 3, "none"]])
    assert wrong["refused"].startswith('Conv2D "conv3": kernel 3x3 is larger than its input 1x1') and not wrong["rows"]


def test_what_pooling_saves_is_measured_when_asked() -> None:
    found = story_maps.pooling(timed=True)
    assert found["saves"]["ms"] > 0 < found["saves"]["pooled_ms"] and found["ties"] == 4
    assert "ms" not in story_maps.pooling(right=1)["saves"]
    assert story_maps.pooling(picture=np.eye(6))["ties"] == 3  # two ones on the diagonal of each window there
    assert story_maps.pooling(picture=np.zeros((6, 6)))["ties"] == 0


def test_curves_that_jump() -> None:
    """No continuous curve stays nearer to a jump than half of it, on both sides."""
    assert [story_neurons.jump(name) for name in story_neurons.CURVES] == [0, 1.2, 0, 1.4]
    assert story_neurons.approximate(start="step")["jump"] == 1.2
    assert story_neurons.approximate([0, 1, 0])["jump"] == 0
    assert all(story_neurons.between(units) >= 0.6 for units in (4, 32, 64))
    assert story_neurons.between(64, "wave") < 0.01


def test_no_kernel_is_idle(models: dict[str, Sequential], root: Path) -> None:
    """Row 39 says how many are: counted on other images than those of the text, the answer is the same."""
    x, y = images(root / "web/samples", "test")
    found = story_facts.kernel_facts(models, (x[300:400], y[300:400]))
    kernels = [
        layer.filters
        for name in ("cnn-small", "convnet", "digits")
        for layer in models[name].layers
        if isinstance(layer, Conv2D)
    ]
    assert (found["kernels_counted"], found["kernels_images"]) == (sum(kernels), 100)
    assert (found["kernels_dead"], found["kernels_twins"]) == (0, 0) and 0.5 < found["kernels_closest"] < 0.98


# --- questions of the page


def test_every_figure_is_plain_enough_for_the_page(models: dict[str, Sequential]) -> None:
    for name, found in story.figures(models).items():
        assert json.dumps(story_tools.plain(found)), name
    found = story_tools.plain({"a": np.float32(0.5) * np.ones((1, 2)), "b": (np.int64(3), True)})
    assert found == {"a": {"shape": [1, 2], "values": [0.5, 0.5]}, "b": [3, True]}


def test_figures_follow_the_drawing_and_networks_that_were_taught(models: dict[str, Sequential]) -> None:
    taught = dict(models)
    taught["cnn-small"] = Sequential.from_config(models["cnn-small"].config(), name="cnn-small")
    taught["cnn-small"].load_state_dict(models["cnn-small"].state_dict())
    session = views.Session(taught, {"image": story_maps.example(3), "prepared": None, "extent": None})

    def ask(**arguments: Any) -> dict[str, Any]:
        return drive(views.answer(session, "article", arguments))

    assert ask(figure="whole")["digit"] == 3 and ask(figure="whole", blank=True)["digit"] == 7
    assert ask(figure="slide", arguments={"kernel": 2})["drawn"]
    before = ask(figure="whole")["probabilities"]
    taught["cnn-small"].parameters *= 0.5
    assert np.abs(ask(figure="whole")["probabilities"] - before).max() > 0
    again = drive(views.answer(session, "article_facts", {"family": "counts"}))
    assert again["facts"] == story_facts.counted_facts()
    with pytest.raises(DataError, match="no figure is called 'x'"):
        ask(figure="x")
    with pytest.raises(DataError, match="no facts are called"):
        drive(views.answer(session, "article_facts", {"family": "x"}))
    with pytest.raises(DataError, match="waits for the network"):
        story.figure("whole", {})


@pytest.mark.parametrize(
    ("figure", "arguments", "sentence"),
    [
        ("neuron", {"inputs": [1, 2]}, "3 numbers are needed; got 2"),
        ("neuron", {"inputs": [1, 2, "x"]}, "not all numbers"),
        ("neuron", {"inputs": [1, 2, 1e9]}, "numbers from -10000 to 10000"),
        ("activations", {"z": float("nan")}, "numbers from"),
        ("approximate", {"units": 0}, "1 to 128 units"),
        ("approximate", {"curve": [1]}, "2 to 1000 values"),
        ("approximate", {"start": "x"}, "no curve is called 'x'"),
        ("counts", {"side": 0}, "side: a whole number from 1 to 1024"),
        ("counts", {"hidden": 2.5}, "neurons: a whole number"),
        ("hadamard", {"start": "x"}, "no example is called 'x'"),
        ("slide", {"kernel": 9}, "kernel: a whole number from 1 to 7"),
        ("pooling", {"right": 9}, "right: a whole number"),
        ("fields", {"row": 28}, "pixel: a whole number from 0 to 27"),
        ("builder", {"rounds": []}, "1 to 3 rounds"),
        ("builder", {"rounds": [[8, 3, "odd"]]}, "no pooling is called 'odd'"),
        ("builder", {"rounds": [[8, 0, "max"]]}, "kernel size: a whole number"),
    ],
)
def test_wrong_numbers_get_a_sentence(figure: str, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        story.figure(figure, {}, None, arguments)


def test_flatten_that_pools_to_nothing_names_the_layer() -> None:
    with pytest.raises(ShapeError, match='MaxPool2D "pool4"'):
        story.figure("flatten", {}, None, {"kernel": 15, "pools": 4})
