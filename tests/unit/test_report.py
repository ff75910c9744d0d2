"""The sources of training images, calibration on the choosing writers, and what is kept in a model's file."""

from __future__ import annotations

import json
from pathlib import Path

import handlens
import numpy as np
import pytest
from handlens import architectures, calibration, drawn, report
from handlens.data import generator, mnist, sources, unipen
from handlens.errors import DataError


def small_mnist(count: int = 40) -> mnist.Mnist:
    """A few generated digits in MNIST's place, so that no file is needed."""
    images, labels = sources.rendered([(d.label, d.drawn()) for d in generator.digits(count, 5)])
    return mnist.Mnist(images, labels, images, labels)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few drawings of each source."""
    for name, value in (("GENERATED", 30), ("REJECTS", 30), ("PAIRS", 5), ("COPIES", 1)):
        monkeypatch.setattr(sources, name, value)
    monkeypatch.setattr(report, "DIGITS", 30)
    monkeypatch.setattr(report, "NUMBERS", 4)
    monkeypatch.setattr(drawn, "REJECTS", 3)


@pytest.fixture
def no_strokes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unipen, "find_file", lambda: None)


def test_sources_follow_from_the_seed_and_say_where_they_come_from(few: None) -> None:
    data = small_mnist()
    names = ("mnist", "generated", "rejects")
    one, same, other = (sources.gather(names, data, seed, 11) for seed in (0, 0, 1))
    assert np.array_equal(one.images, same.images) and not np.array_equal(one.images, other.images)
    assert one.images.shape[1:] == (28, 28) and one.images.dtype == np.uint8
    assert [p["source"] for p in one.parts] == list(names)
    assert sum(p["images"] for p in one.parts) == len(one.images) == len(one.labels)
    assert (one.labels[-one.parts[-1]["images"] :] == 10).all() and (one.labels[: -one.parts[-1]["images"]] < 10).all()
    assert all(p["licence"] and p["by"] for p in one.parts)


def test_each_source_is_the_same_whatever_stands_beside_it(few: None) -> None:
    data = small_mnist()
    alone = sources.gather(("generated",), data, 3, 10)
    beside = sources.gather(("mnist", "generated"), data, 3, 10)
    assert np.array_equal(alone.images, beside.images[len(data.train_images) :])


def test_sources_that_are_none_or_missing_are_refused_by_name(few: None, no_strokes: None) -> None:
    for names, classes, reason in (
        (("mnist", "photos"), 11, "'photos'.*mnist, writers, generated, rejects"),
        (("rejects",), 10, "11 classes; this one has 10"),
        (("writers",), 11, "HANDLENS_PENDIGITS"),
        ((), 11, "no source"),
    ):
        with pytest.raises(DataError, match=reason):
            sources.gather(names, small_mnist(), 0, classes)


def test_only_permitted_writers_train_and_others_choose_and_report() -> None:
    if unipen.find_file() is None:
        pytest.skip("the pen strokes are not here")
    assert {d.writer % 5 for d in sources.permitted()} == {2, 3, 4}
    assert {d.writer % 5 for d in report.writers("choose")[0]} == {1}
    assert {d.writer % 5 for d in report.writers("report")[0]} == {0}


def test_calibration_makes_the_shares_of_the_choosing_digits_true(few: None, no_strokes: None) -> None:
    """A network that is made far too sure of itself comes back, and the threshold leaves few of them unanswered."""
    model = architectures.build("linear")
    data = small_mnist(600)
    model.fit(data.train_images, data.train_labels, epochs=8, batch_size=20, progress=False)
    calibration.fold(model, 0.1)
    images, labels = report._images(report.writers("choose")[0])

    def surprise() -> float:
        return float(-np.log(np.maximum(model.predict(images)[np.arange(len(labels)), labels], 1e-12)).mean())

    before = surprise()
    report.calibrate(model)
    assert surprise() < 0.5 * before
    rules = model.metadata["refusal"]
    assert 0.5 <= rules["answer"] <= rules["sure"] and rules["drawings"] == len(images) == 60
    assert "generated" in rules["chosen_on"] and model.metadata["temperature"] != 1.0


def test_what_is_measured_is_kept_in_the_file(few: None, no_strokes: None, tmp_path: Path) -> None:
    model, data = architectures.build("digits"), small_mnist(20)
    with pytest.raises(DataError, match="handlens measure"):
        report.row(model)
    model.metadata |= {"recipe": {"epochs": 1, "augment": None}, "command": "none", "data": {}}
    test = report.record(model, data, sample=12)
    model.save(tmp_path / "m.safetensors")
    kept = handlens.load(tmp_path / "m.safetensors").metadata
    assert kept["accuracy"] == test["accuracy"] and kept["drawn"]["digits"] == 12
    assert set(kept["drawn"]["stages"]["off"]) == set(handlens.strokes.STAGES)
    assert kept["mnist"]["shifted"]["pixels"] == 2 and "numbers" not in kept  # generated digits have no one hand
    row = report.row(model)
    assert json.loads(json.dumps(row)) == row
    assert row["drawn"] == kept["drawn"]["accuracy"] and row["worst_writer"] is None
