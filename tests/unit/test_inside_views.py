"""What the page's view "Look inside" is told: held to the trace, to the explanations and to NumPy."""

from __future__ import annotations

import asyncio
from typing import Any

import handlens
import numpy as np
import pytest
from handlens.errors import DataError
from handlens.inside import views
from handlens.inside.anatomy import Anatomy, apply
from handlens.inside.layerview import channel_maps

NAMES = ("digits", "cnn-small", "ann", "linear")


@pytest.fixture(scope="module")
def session(root: Any) -> views.Session:
    models = {name: handlens.load(root / "web" / "models" / f"{name}.safetensors") for name in NAMES}
    image = np.random.default_rng(1).random((28, 28), np.float32)
    return views.Session(models, {"image": image, "prepared": None, "extent": None, "drawn": []})


def ask(session: views.Session, name: str, **arguments: Any) -> dict[str, Any]:
    return asyncio.run(views.answer(session, name, arguments))


def test_the_network_is_told_whole_and_counted_as_the_summary_counts(session: views.Session) -> None:
    for name in NAMES:
        told = ask(session, "network", model=name)
        model = session.model(name)
        summary = model.summary()
        assert [row["layer"] for row in told["rows"] if row["layer"]][-1] == model.layers[-1].name
        for key in ("parameters", "multiply_adds"):
            assert sum(row[key] for row in told["rows"]) == getattr(summary, key)
        assert sum(row["weight_bytes"] for row in told["rows"]) == summary.bytes
        assert told["aliases"] == {"logits": model.layers[-2].name, "probabilities": model.layers[-1].name}
        assert set(told["aliases"].values()) <= {row["name"] for row in told["rows"]}


def test_maps_are_the_trace_and_follow_drawing_and_weights(session: views.Session) -> None:
    model = session.model("cnn-small")
    trace = model.trace(session.image()[None, None])
    told = ask(session, "maps", model="cnn-small")
    for row in told["rows"]:
        np.testing.assert_array_equal(row["values"].ravel(), trace[row["name"]].ravel())
        assert row["low"] == trace[row["name"]].min() and row["high"] == trace[row["name"]].max()
        assert row["peaks"].max() == max(-row["low"], row["high"])
    assert told["peak"] == max(row["peaks"].max() for row in told["rows"])
    blank = ask(session, "maps", model="cnn-small", blank=True)
    assert blank["ink"] == 0 and not blank["rows"][0]["values"].any()
    kept = model.parameters.copy()
    model.parameters[:9] = 0  # the first kernel
    try:
        assert np.ptp(ask(session, "maps", model="cnn-small")["rows"][1]["values"][0]) == 0  # the bias alone
    finally:
        model.parameters[:] = kept


@pytest.mark.parametrize(("name", "layer"), [("digits", "conv4"), ("cnn-small", "conv2.linear")])
def test_channels_sum_and_bias_make_the_map(session: views.Session, name: str, layer: str) -> None:
    model = session.model(name)
    told = ask(session, "layer", model=name, layer=layer, number=3)
    trace = model.trace(session.image()[None, None])
    made = told["between"].sum(axis=0) + told["bias"]
    np.testing.assert_allclose(made, trace[layer][0, 3], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(told["kernels"][3], told["matrices"].astype(np.float32))
    row, column = told["cell"]
    np.testing.assert_array_equal(told["shares"], told["between"][:, row, column])
    last = told["onward"][-1]["values"]
    assert abs(last[0, row, column]) == np.abs(last).max()


@pytest.mark.parametrize("layer", ["conv2.linear", "conv2", "dense1"])
def test_full_colour_is_told_for_every_choice_of_the_legend(session: views.Session, layer: str) -> None:
    model = session.model("cnn-small")
    trace = model.trace(session.image()[None, None])
    whole = ask(session, "maps", model="cnn-small")["peak"]
    told = ask(session, "layer", model="cnn-small", layer=layer, number=3)
    for part in ("inputs", "outputs"):
        values, full = told[part]["values"], told[part]["full"]
        np.testing.assert_array_equal(full["map"], np.abs(values).max(axis=(1, 2)))
        assert full["layer"] == np.abs(values).max() == full["map"].max() and full["network"] == whole
    if layer == "dense1":
        weights = told["weight_full"]
        np.testing.assert_array_equal(weights["map"], np.abs(model._array("dense1.weight")).max(axis=1))
        assert weights["layer"] == weights["map"].max() <= weights["network"]
    if layer != "conv2.linear":
        return
    kernels, names = told["kernel_full"], ("conv1", "conv2", "dense1")
    np.testing.assert_array_equal(kernels["map"], np.abs(told["kernels"]).max(axis=(1, 2, 3)))
    assert kernels["layer"] == kernels["map"].max() == told["kernel_peak"]
    assert kernels["network"] == max(np.abs(model._array(f"{name}.weight")).max() for name in names)
    between = told["between_full"]
    np.testing.assert_allclose(between["map"], np.abs(told["between"]).max(axis=(1, 2)))
    assert between["layer"] == between["map"].max() <= between["network"]
    sums = trace["conv2.linear"][0] - model._array("conv2.bias")[:, None, None]
    total = told["sum"]["full"]
    assert total["map"][0] == np.abs(told["sum"]["values"]).max() and total["map"][0] <= total["layer"]
    assert total["layer"] == pytest.approx(np.abs(sums).max(), rel=1e-5) and total["network"] >= whole
    (after,) = told["onward"]
    assert after["full"]["map"][0] == trace["conv2"][0, 3].max() and after["full"]["layer"] == trace["conv2"].max()


def test_a_stride_and_padding_are_walked_as_the_convolution_walks_them() -> None:
    layers = [handlens.Conv2D(2, 3, strides=2, padding=((1, 0), (0, 2))), handlens.Flatten(), handlens.Dense(3)]
    model = handlens.Sequential(layers, (2, 8, 9), seed=4)
    x = np.random.default_rng(2).random((1, 2, 8, 9), np.float32)
    step = Anatomy(model).rows["conv1"]
    between = channel_maps(step, x[0], np.asarray(model.parameter("conv1.weight")[1], np.float64))
    np.testing.assert_allclose(between.sum(axis=0), model.trace(x)["conv1"][0, 1], atol=1e-5)


def test_every_number_says_what_it_is(session: views.Session) -> None:
    for name in NAMES:
        trace = session.model(name).trace(session.image()[None, None])
        for row in ask(session, "network", model=name)["rows"]:
            index = [0, 2, 3] if len(row["shape"]) == 3 else [4]
            told = ask(session, "cell", model=name, layer=row["name"], index=index)
            assert told["value"] == trace[row["name"]][0][tuple(index)]
            assert told["spoken"].endswith(".") and told["index"] == index
            for entry in told["onward"]:
                assert entry["value"] == trace[entry["name"]][0][tuple(entry["index"])]


def test_the_lens_shows_patch_kernel_and_product(session: views.Session) -> None:
    told = ask(session, "cell", model="digits", layer="conv2", index=[5, 1, 2], channel=7)
    trace, model = session.model("digits").trace(session.image()[None, None]), session.model("digits")
    np.testing.assert_array_equal(told["patch"], trace["pool1"][0, 7, 1:4, 2:5])
    np.testing.assert_array_equal(told["kernel"], model.parameter("conv2.weight")[5, 7])
    np.testing.assert_array_equal(told["product"], told["patch"] * told["kernel"])
    assert told["channel_sum"] == pytest.approx(told["product"].sum())
    assert told["channel_sum"] + told["others_sum"] + told["bias"] == pytest.approx(told["value"], abs=1e-4)
    assert told["channel"] == 7 and told["order"][0] == np.abs(told["sums"]).argmax()
    strongest = ask(session, "cell", model="digits", layer="conv2", index=[5, 1, 2])
    assert strongest["channel"] == told["order"][0]
    padded = ask(session, "cell", model="digits", layer="conv4", index=[0, 0, 0])
    assert padded["window"] == [-1, -1] and padded["outside"][0].all() and padded["outside"][1:, 1:].sum() == 0
    assert "written to row 2, column 3" in told["spoken"] and "ReLU" in told["spoken"]


def test_pooling_is_told_both_ways(session: views.Session) -> None:
    told = ask(session, "cell", model="cnn-small", layer="pool1", index=[2, 3, 4])
    window = session.model("cnn-small").trace(session.image()[None, None])["conv1"][0, 2, 6:8, 8:10]
    assert told["maximum"] == window.max() == told["value"]
    assert told["average"] == pytest.approx(window.mean())
    assert told["winner"] == window.argmax() and told["count"] == 4
    assert told["maximum_map"]["values"].shape == told["average_map"]["values"].shape == (1, 13, 13)
    assert told["unread"] == {"rows": [], "columns": [], "lost": [0, 0], "cells": 0, "of": 26 * 26}
    # 11 x 11 under a 2 x 2 window that moves by 2: one row and one column are never read
    told = ask(session, "cell", model="cnn-small", layer="pool2", index=[0, 0, 0])["unread"]
    assert told == {"rows": [[10, 1]], "columns": [[10, 1]], "lost": [1, 1], "cells": 21, "of": 121}


def test_single_steps_add_up(session: views.Session) -> None:
    norm = ask(session, "cell", model="digits", layer="bn1", index=[1, 2, 3])
    assert norm["centred"] / norm["deviation"] == pytest.approx(norm["normalised"])
    assert norm["scaled"] + norm["beta"] == pytest.approx(norm["value"], abs=1e-5)
    bent = ask(session, "cell", model="cnn-small", layer="conv1", index=[1, 2, 3])
    np.testing.assert_array_equal(bent["met_y"], np.maximum(bent["met_x"], 0))
    np.testing.assert_array_equal(bent["curve_y"], np.maximum(bent["curve_x"], 0))
    assert bent["below"] == (bent["met_x"] < 0).sum()
    flat = ask(session, "cell", model="cnn-small", layer="flatten1", index=[108])
    assert flat["origin"] == [4, 1, 3] and flat["formula"].endswith("= 108")
    neuron = ask(session, "cell", model="ann", layer="dense1.linear", index=[7])
    assert neuron["sum"] == pytest.approx(neuron["positive"] + neuron["negative"])
    assert neuron["products"].sum() + neuron["rest_sum"] + neuron["bias"] == pytest.approx(neuron["value"], abs=1e-4)
    assert (np.diff(np.abs(neuron["products"])) <= 0).all()
    assert neuron["weight_image"]["values"].shape == (1, 28, 28) and neuron["places"][0][0] == 0
    soft = ask(session, "cell", model="digits", layer="probabilities", index=[3])
    assert soft["layer"] == "softmax1" and soft["shares"].sum() == pytest.approx(1)
    assert soft["shares"][3] == pytest.approx(soft["value"], rel=1e-5)


def test_a_certificate_leads_from_a_probability_to_a_pixel(session: views.Session) -> None:
    layer, index, path = "probabilities", [3], []
    while True:
        told = ask(session, "certificate", model="digits", layer=layer, index=index)
        path.append(told["layer"])
        shown = sum(term["gives"] for term in told["terms"]) + told["rest_sum"]
        if told["additive"]:
            assert shown + told["bias"] == pytest.approx(told["total"])
            assert told["total"] == pytest.approx(told["value"], abs=1e-3)
        if not told["terms"]:
            break
        layer, index = told["source"], told["terms"][0]["index"]
    assert path[0] == "softmax1" and path[-1] == "input" and "flatten1" in path and "pool1" in path
    top, left, bottom, right = told["box"]
    assert (bottom - top, right - left) == (1, 1)
    assert told["footprint"] == [[left / 28, top / 28, right / 28, bottom / 28]]
    assert 'model.explain(image, "input"' in told["python"]


def test_a_probabilitys_certificate_says_what_is_divided_by_what(session: views.Session) -> None:
    for model, layer in (("digits", "dense1"), ("ann", "dense2")):
        scores = np.float64(session.model(model).trace(session.image()[None, None])["logits"][0])
        told = ask(session, "certificate", model=model, layer="probabilities", index=[7])
        assert told["place"] == "number 8 (7)" and "number 8 (7)" in told["spoken"]
        assert {term["place"] for term in told["terms"]} == {
            f"number {k + 1} ({name})" for k, name in enumerate(ask(session, "network", model=model)["classes"])
        }
        shared, best = told["division"], int(scores.argmax())
        assert shared["largest"] == scores.max()
        assert shared["place"] == f"number {best + 1} ({'none' if best == 10 else best})"
        assert shared["own"] == pytest.approx(np.exp(scores[7] - scores.max()), rel=1e-12)
        assert shared["sum"] == pytest.approx(np.exp(scores - scores.max()).sum(), rel=1e-12)
        assert shared["sum"] == pytest.approx(sum(term["gives"] for term in told["terms"]) + told["rest_sum"])
        for term in told["terms"]:
            assert term["shifted"] == term["value"] - shared["largest"]
            assert term["gives"] == pytest.approx(np.exp(term["shifted"]), rel=1e-12)
        assert (
            shared["own"] / shared["sum"] == shared["share"] == told["total"] == pytest.approx(told["value"], rel=1e-5)
        )
        neuron = ask(session, "certificate", model=model, layer=layer, index=[7])
        assert neuron["place"] == "number 8 (7)" and neuron["division"] is None
        assert "(" not in neuron["terms"][0]["place"]  # what it reads are no classes


def test_a_batch_norms_certificate_says_where_its_scale_and_shift_come_from(session: views.Session) -> None:
    told = ask(session, "certificate", model="digits", layer="bn2", index=[5, 3, 4])
    state = session.model("digits").state_dict()
    names = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, mean, variance = (float(state[f"bn2.{name}"][5]) for name in names)
    line, (term,) = told["line"], told["terms"]
    assert (line["gamma"], line["beta"], line["mean"], line["variance"]) == (gamma, beta, mean, variance)
    assert line["deviation"] == pytest.approx((variance + line["epsilon"]) ** 0.5, rel=1e-12)
    assert line["scale"] == gamma / line["deviation"] == term["weight"]
    assert line["shift"] == beta - mean * line["scale"] == told["bias"]
    assert term["value"] * line["scale"] + line["shift"] == pytest.approx(told["value"], abs=1e-5)
    assert ask(session, "certificate", model="digits", layer="conv2", index=[5, 3, 4])["line"] is None


def test_the_terms_of_a_maximum_lie_as_in_the_window_and_are_all_there() -> None:
    layers = [handlens.MaxPool2D(4), handlens.Flatten(), handlens.Dense(3)]
    model = handlens.Sequential(layers, (1, 28, 28), seed=0)
    image = np.random.default_rng(2).random((28, 28), np.float32)
    session = views.Session({"wide": model}, {"image": image, "prepared": None, "extent": None, "drawn": []})
    told = ask(session, "certificate", model="wide", layer="pool1", index=[0, 2, 3])
    places = [term["index"] for term in told["terms"]]
    assert places == [[0, row, column] for row in range(8, 12) for column in range(12, 16)]  # 16, more than are usual
    assert told["ordered"] == "as they lie in the window, row by row" and told["rest_count"] == 0
    assert told["terms"][told["winner"]]["value"] == told["value"] == image[8:12, 12:16].max()
    told = ask(session, "certificate", model="wide", layer="dense1", index=[1])
    sizes = [abs(term["gives"]) for term in told["terms"]]
    assert told["ordered"] == "the largest first" and sizes == sorted(sizes, reverse=True)
    assert told["rest_count"] == 49 - 12


def test_a_program_is_plain_numpy(session: views.Session) -> None:
    text = ask(session, "program", model="cnn-small", layer="conv1", index=[0, 3, 4])["text"]
    assert "import numpy as np" in text and "handlens" not in text
    compile(text, "program", "exec")


def test_what_is_not_there_is_said(session: views.Session) -> None:
    with pytest.raises(DataError, match="no view asks 'nothing'"):
        ask(session, "nothing")
    with pytest.raises(DataError, match="no model 'gpt' is loaded; there are: digits"):
        ask(session, "network", model="gpt")
    with pytest.raises(DataError, match="has no layer 'conv9'; there are: input, conv1"):
        ask(session, "cell", model="digits", layer="conv9", index=[0])


def test_an_op_alone_is_the_layers_op() -> None:
    x = np.random.default_rng(3).random((1, 1, 5, 5), np.float32)
    attrs = {"pool_size": [2, 2], "strides": [1, 1], "padding": "same"}
    assert apply("max_pool2d", [x], attrs).shape == (1, 1, 5, 5)
    assert apply("avg_pool2d", [x], attrs)[0, 0, 0, 0] == pytest.approx(x[0, 0, :2, :2].mean())


def test_scores_and_probabilities_bear_the_names_of_the_classes(session: views.Session) -> None:
    digits = [str(digit) for digit in range(10)]
    for layer in ("dense1", "softmax1"):
        assert ask(session, "layer", model="digits", layer=layer)["names"] == [*digits, "none"]
        assert ask(session, "layer", model="cnn-small", layer=layer)["names"] == digits
    for model, layer in (("digits", "conv1"), ("cnn-small", "flatten1"), ("ann", "dense1")):
        assert ask(session, "layer", model=model, layer=layer)["names"] == []
