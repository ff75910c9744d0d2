"""The weights we ship: what their metadata says is measured again, on all 10,000 test images."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import handlens
import numpy as np
import pytest
from handlens import drawn, report
from handlens.architectures import ARCHITECTURES
from handlens.data import mnist

MODELS = Path(__file__).resolve().parents[2] / "web" / "models"
# What was asked for. The two last ones are there to be compared with.
AT_LEAST = {"digits": 0.995, "convnet": 0.993, "cnn-small": 0.986, "ann": 0.976, "ann-matched": 0.0, "linear": 0.0}
SHIFTED = {"digits": 0.993, "convnet": 0.988}  # MNIST moved by 2 pixels in eight directions, not centred again


@cache
def data() -> mnist.Mnist:
    return mnist.load()


def test_every_named_network_is_shipped_and_nothing_else() -> None:
    assert {p.stem for p in MODELS.glob("*.safetensors")} == set(ARCHITECTURES) == set(AT_LEAST)
    assert sum(p.stat().st_size for p in MODELS.glob("*.safetensors")) < 1_500_000


@pytest.mark.parametrize("name", AT_LEAST)
def test_measured_accuracy_is_the_recorded_one(name: str) -> None:
    model = handlens.load(MODELS / f"{name}.safetensors")
    measured = model.evaluate(data().test_images, data().test_labels)
    # Another BLAS rounds differently in the last bits: one image of 10,000 may change sides.
    assert measured["accuracy"] == pytest.approx(model.metadata["accuracy"], abs=1.01e-4)
    assert measured["loss"] == pytest.approx(model.metadata["test_loss"], abs=1e-4)
    assert model.metadata["accuracy"] >= AT_LEAST[name]


@pytest.mark.parametrize("name", AT_LEAST)
def test_metadata_says_how_it_was_made(name: str) -> None:
    model = handlens.load(MODELS / f"{name}.safetensors")
    metadata, fresh, recipe = model.metadata, handlens.architectures.build(name), ARCHITECTURES[name].recipe
    assert metadata["command"] == f"handlens train {name} --seed 0" and model.seed == 0
    data = metadata["data"]
    assert [part["source"] for part in data["sources"]] == list(recipe.sources)
    assert recipe.sources == (("mnist", "writers", "generated", "rejects") if name == "digits" else ("mnist",))
    assert data["sources"][0]["images"] == 60_000 and data["held_out"] == 0 and data["test_images"] == 10_000
    assert data["training_images"] == sum(part["images"] for part in data["sources"])
    assert all(part["by"] and part["licence"] for part in data["sources"])
    assert model.config() == fresh.config()
    assert metadata["parameters"] == model.parameter_count == fresh.parameter_count
    assert metadata["recipe"]["epochs"] == recipe.epochs == len(metadata["history"])
    assert metadata["recipe"]["augment"] == (recipe.augment.recipe() if recipe.augment else None)
    assert metadata["classes"] == [*"0123456789", *(["none"] if name == "digits" else [])]
    assert metadata["preprocessing"]["size"] == [28, 28]


@pytest.mark.parametrize("name", SHIFTED)
def test_mnist_moved_by_two_pixels_is_still_read(name: str) -> None:
    model = handlens.load(MODELS / f"{name}.safetensors")
    images, labels = data().test_images[:2000], data().test_labels[:2000]
    ways = [(y, x) for y in (-2, 0, 2) for x in (-2, 0, 2) if y or x]
    right = np.mean([model.predict(drawn.shifted(images, *w)).argmax(axis=1) == labels for w in ways])
    recorded = model.metadata["mnist"]["shifted"]["accuracy"]
    assert recorded >= SHIFTED[name] and right == pytest.approx(recorded, abs=0.008)  # the first 2,000 are harder


def test_the_credits_of_digits_name_the_writers_and_who_collected_them() -> None:
    parts = handlens.load(MODELS / "digits.safetensors").metadata["data"]["sources"]
    assert "E. Alpaydin and F. Alimoglu, UCI Machine Learning Repository" in [part["by"] for part in parts]


def test_digits_reads_drawn_digits_and_refuses_what_is_none() -> None:
    """On the writers who report, or on the generator's where their strokes are not here, as the metadata says."""
    model = handlens.load(MODELS / "digits.safetensors")
    kept = model.metadata["drawn"]
    digits, source = report.writers("report")
    rejects = drawn.held_out(25)
    found = drawn.measure(
        model, digits, sample=300, conditions=[drawn.USUAL, drawn.ANYWHERE], stages=False, rejects=rejects
    )
    fit = 0.02 if source == kept["source"] else 0.06
    assert found["accuracy"] == pytest.approx(kept["accuracy"], abs=fit) and found["refused"] <= kept["refused"] + fit
    if not found["rejects"]["missing"]:
        assert found["rejects"]["refused"] == pytest.approx(kept["rejects"]["refused"], abs=0.08)


def test_digits_reads_drawn_digits_as_well_as_it_says() -> None:
    """What was asked for: 99.2 % at every brush, each writer 97 %, 8 % of numbers refused, 95 % of the rest right."""
    kept = handlens.load(MODELS / "digits.safetensors").metadata
    found, row = kept["drawn"], report.row(handlens.load(MODELS / "digits.safetensors"))
    assert "divisible by 5" in found["source"]
    assert row["brush"] >= 0.992 and row["worst_writer"] >= 0.97
    assert found["accuracy"] - row["corner"] <= 0.005 and found["accuracy"] - row["rotation"] <= 0.01
    assert kept["mnist"]["ece"] <= 0.005 and found["ece"] <= 0.01
    assert found["refused"] <= 0.02 and found["rejects"]["refused"] >= 0.8
    assert all(family["count"] >= 1000 for family in found["rejects"]["families"].values())
    apart, touching = kept["numbers"]["apart"], kept["numbers"]["touching"]
    assert apart["right_share"] >= 0.95 and apart["refused_share"] <= 0.08
    assert touching["refused_or_right_share"] >= 0.9 and kept["numbers"]["joined"]["refused_or_right_share"] >= 0.9
    assert kept["numbers"]["single"]["split"] <= 0.01 * kept["numbers"]["single"]["numbers"]


def test_digits_stays_within_100_000_parameters_and_the_matched_ann_matches() -> None:
    counts = {name: handlens.architectures.build(name).parameter_count for name in ARCHITECTURES}
    assert counts["digits"] <= 100_000
    assert abs(counts["ann-matched"] - counts["convnet"]) <= 795 / 2  # half a hidden neuron


def test_the_index_of_the_page_agrees_with_the_files() -> None:
    index = json.loads((MODELS / "index.json").read_text("utf-8"))
    assert [m["name"] for m in index] == list(ARCHITECTURES)
    for entry in index:
        path = MODELS / entry["file"]
        model = handlens.load(path)
        assert entry["bytes"] == path.stat().st_size
        assert (entry["parameters"], entry["accuracy"]) == (model.parameter_count, model.metadata["accuracy"])
        assert entry["multiply_adds"] == model.summary().multiply_adds


def test_drawn_digits_prepared_like_mnist_stay_readable() -> None:
    """Test digits turned to strokes, a horizontal stroke for each run of bright pixels, and prepared anew."""
    model, right, count = handlens.load(MODELS / "digits.safetensors"), 0, 300
    for image, label in zip(data().test_images[:count], data().test_labels[:count], strict=True):
        strokes = []
        for row in range(28):
            bright = np.flatnonzero(np.diff(np.pad((image[row] > 127).astype(int), 1)))
            for start, end in bright.reshape(-1, 2):
                points = np.array([[start + 0.5, row + 0.5], [end - 0.5, row + 0.5]]) * 10
                strokes.append(handlens.strokes.Stroke(points, 10.0))
        prepared = handlens.strokes.prepare(strokes, 280)
        assert prepared is not None
        right += int(model.predict(prepared.image[None])[0].argmax() == label)
    assert right / count >= 0.95
