"""What the lens is told of windows, scales, ties and places: held to the trace and to NumPy."""

from __future__ import annotations

import asyncio
from typing import Any

import handlens
import numpy as np
import pytest
from handlens.inside import geometry, views
from handlens.inside.anatomy import Anatomy


def told(model: Any, layer: str, index: list[int], image: np.ndarray, **more: Any) -> dict[str, Any]:
    """What the page is told of a cell of a network that nobody ships."""
    session = views.Session({"own": model}, {"image": image})
    return asyncio.run(views.answer(session, "cell", {"model": "own", "layer": layer, "index": index, **more}))


def network(*layers: Any) -> Any:
    return handlens.Sequential([*layers, handlens.Flatten(), handlens.Dense(3)], (1, 28, 28), seed=2)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(5).random((28, 28), np.float32)


@pytest.mark.parametrize(
    "layer",
    [
        handlens.MaxPool2D(2, strides=3),
        handlens.AvgPool2D((2, 3), strides=(5, 4)),
        handlens.Conv2D(2, 3, strides=4, padding=1),
        handlens.Conv2D(2, 1, strides=2),
        handlens.Conv2D(2, 5, strides=2, padding=((1, 0), (0, 2))),
        handlens.Conv2D(2, 3, padding="same"),
    ],
)
def test_what_no_window_reads_is_what_none_of_all_windows_covers(layer: Any) -> None:
    model = network(layer)
    step = next(step for step in Anatomy(model).rows.values() if step.source == "input")
    window, covered = step.window, np.zeros((28, 28), bool)
    for row in range(window.out[0]):
        for column in range(window.out[1]):
            top, left = (at * s - p for at, s, p in zip((row, column), window.strides, window.pads, strict=False))
            covered[max(0, top) : top + window.kernel[0], max(0, left) : left + window.kernel[1]] = True
    found = geometry.unread(step)
    drawn = np.zeros((28, 28), bool)
    for first, count in found["rows"]:
        drawn[first : first + count] = True
    for first, count in found["columns"]:
        drawn[:, first : first + count] = True
    np.testing.assert_array_equal(drawn, ~covered)
    assert found["cells"] == (~covered).sum() and found["of"] == 28 * 28
    assert found["lost"] == [sum(count for _, count in found[axis]) for axis in ("rows", "columns")]


def test_a_stride_that_is_longer_than_the_window_leaves_gaps(image: np.ndarray) -> None:
    found = told(network(handlens.MaxPool2D(2, strides=3)), "pool1", [0, 0, 0], image)
    # 28 rows under windows at 0, 3, .. 24: every third row but the last is jumped over, and two are left at the edge
    assert found["unread"]["rows"] == [[2 + 3 * k, 1] for k in range(8)] + [[26, 2]]
    assert found["unread"]["lost"] == [10, 10] and found["unread"]["cells"] == 28 * 28 - 18 * 18


def test_the_next_window_is_a_stride_away(image: np.ndarray) -> None:
    model = network(handlens.Conv2D(1, 3, strides=2, padding=1))
    assert told(model, "conv1", [0, 0, 0], image)["next"] == [-1, 1]
    assert told(model, "conv1", [0, 3, 13], image)["next"] == [7, -1]  # a line further
    assert told(model, "conv1", [0, 13, 13], image)["next"] == []


def test_both_poolings_have_one_scale_and_every_choice_holds_what_it_says(image: np.ndarray) -> None:
    model = network(handlens.Conv2D(3, 3), handlens.MaxPool2D(2))
    found = told(model, "pool1", [1, 2, 2], image)
    trace = {key: values[0] for key, values in model.trace(image[None, None]).items()}
    maximum, average = found["maximum_map"], found["average_map"]
    assert maximum["scales"] == average["scales"]
    blocks = trace["conv1"].reshape(3, 13, 2, 13, 2)
    both = np.abs(np.stack([blocks.max(axis=(2, 4)), blocks.mean(axis=(2, 4))]))
    assert maximum["scales"]["map"] == pytest.approx(both[:, 1].max())
    assert maximum["scales"]["layer"] == pytest.approx(both.max())
    whole = max(float(np.abs(values).max()) for values in trace.values())
    for picture in (maximum, found["source_map"]):
        assert picture["scales"]["network"] == whole
        assert picture["scales"]["map"] <= picture["scales"]["layer"] <= whole
    assert found["source_map"]["scales"]["layer"] == np.abs(trace["conv1"]).max()
    under = told(model, "conv1", [2, 0, 0], image)["target_map"]
    assert under["scales"]["map"] == np.abs(trace["conv1"][2]).max() and under["scales"]["network"] == whole


def test_of_equal_cells_the_first_wins_and_it_is_said(image: np.ndarray) -> None:
    for layer in (handlens.MaxPool2D(2), handlens.AvgPool2D(2)):
        model, drawing = network(layer), np.zeros((28, 28), np.float32)
        drawing[0, 1] = drawing[1, 0] = 0.5
        found = told(model, "pool1", [0, 0, 0], drawing)
        assert (found["winner"], found["tied"]) == (1, [1, 2])
        assert found["tie"] == "2 are equally large: of those the first wins, row by row from the top left"
        assert found["tie"] in found["spoken"]
        level = told(model, "pool1", [0, 5, 5], drawing)
        assert level["winner"] == 0 and level["tie"].startswith("all 4 are equally large")
        single = told(model, "pool1", [0, 0, 0], image)
        assert single["tie"] == "" and single["tied"] == [single["winner"]]
    made = network(handlens.MaxPool2D(2)).explain(drawing, "pool1", (0, 0, 0))
    assert made.details["winner"] == 1 and made.details["tied"] == 2  # the certificate's rule is the lens's


@pytest.mark.parametrize("kind", ["bn1", "relu1", "dropout1"])
def test_what_keeps_its_place_shows_both_maps(image: np.ndarray, kind: str) -> None:
    model = network(handlens.Conv2D(3, 3), handlens.BatchNorm(), handlens.ReLU(), handlens.Dropout(0.2))
    trace = model.trace(image[None, None])
    found = told(model, kind, [2, 4, 5], image)
    before = {"bn1": "conv1", "relu1": "bn1", "dropout1": "relu1"}[kind]
    np.testing.assert_array_equal(found["source_map"]["values"][0], trace[before][0, 2])
    np.testing.assert_array_equal(found["target_map"]["values"][0], trace[kind][0, 2])
    assert found["target_map"]["values"][0][4, 5] == found["value"]


def test_a_number_of_the_list_is_counted_one_way_and_the_other_is_named(image: np.ndarray) -> None:
    model = network(handlens.Conv2D(3, 3, strides=3))
    found = told(model, "flatten1", [90], image)
    assert found["origin"] == [1, 1, 0] and found["formula"].endswith("= 90")
    assert found["counted"] == (
        "The rule counts from 0: index 90, of map 1, row 1, column 0. "
        "Here everything is counted from 1: number 91, map 2, row 2, column 1."
    )
    assert found["spoken"].startswith("Number 91 of the list, index 90 when counted from 0, is map 2, row 2, column 1:")
