"""What the page asks about reasons and at the operating table: every answer against the core that it comes from."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pytest
from handlens.errors import DataError
from handlens.inside import attribution, handmade, jobs, operate, views, why
from handlens.inside.ablation import Worths
from handlens.inside.patches import excitement
from handlens.inside.session import QUESTIONS, Session
from handlens.inside.table import Table
from handlens.teach import Examples
from unit.inside_tools import samples, shipped


async def sample(name: str, folder: str) -> Examples:
    """A part of the samples, as the engine would fetch them."""
    assert folder == "samples/"
    images, labels = samples(name)
    return Examples(images[:150], labels[:150])


def session(*names: str) -> Session:
    image = samples()[0][5].astype(np.float32) / 255
    return Session({name: shipped(name) for name in names}, {"image": image}, sample)


def asked(question: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        return await question

    return asyncio.run(ask())


def plain(value: object) -> bool:
    """Whether the engine can pack it: plain values, lists, dicts with names, arrays."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(plain(inner) for inner in value)
    return value is None or isinstance(value, str | bool | int | float | np.ndarray)


def test_why_gives_the_maps_of_the_core() -> None:
    here = session("digits", "ann")
    image = here.image()
    best = int(here.model("digits").predict(image[None]).argmax())
    found = asked(why.why(here, "digits"))
    assert plain(found) and found["target"] == best and found["layer"] == "relu4" and found["refusal"] == ""
    np.testing.assert_allclose(found["saliency"], attribution.saliency(here.model("digits"), image, best), atol=1e-6)
    np.testing.assert_allclose(found["cam"], attribution.grad_cam(here.model("digits"), image, best), atol=1e-6)
    assert set(found["methods"]) == {"saliency", "signed", "grad_cam", "occlusion"}
    assert all(method["rule"] and method["source"] for method in found["methods"].values())
    other = asked(why.why(here, "digits", target=3, layer="conv1"))
    np.testing.assert_allclose(other["cam"], attribution.grad_cam(here.model("digits"), image, 3, "conv1"), atol=1e-6)
    flat = asked(why.why(here, "ann", 2))
    assert flat["cam"] is None and '"ann" has none' in flat["refusal"] and flat["saliency"].shape == (28, 28)
    with pytest.raises(DataError):
        asked(why.why(here, "ann", 2, "conv1"))


def test_a_newer_occlusion_takes_the_place_of_the_older() -> None:
    here = session("cnn-small")

    async def both() -> list[dict[str, Any]]:
        first = asyncio.ensure_future(why.occluded(here, "cnn-small", 1))
        same = asyncio.ensure_future(why.occluded(here, "cnn-small", 1))
        for _ in range(4):
            await asyncio.sleep(0)
        told = await jobs.progress(here, "occluded")
        second = asyncio.ensure_future(why.occluded(here, "cnn-small", 2))
        found = [await first, await same, await second, told]
        third = asyncio.ensure_future(why.occluded(here, "cnn-small", 2, stride=1))
        await asyncio.sleep(0)
        await jobs.stop(here, "occluded")
        return [*found, await third, await jobs.progress(here, "occluded")]

    first, same, second, told, stopped, after = asyncio.run(both())
    assert first == same == stopped == {"cancelled": True} and plain(second)
    assert told["running"] and not after["running"]
    assert not second["cancelled"] and second["target"] == 2
    np.testing.assert_allclose(
        second["map"], attribution.occlusion(here.model("cnn-small"), here.image(), 2).map, atol=1e-6
    )


def test_the_patches_come_with_their_pixels_and_are_found_once_for_all_kernels() -> None:
    here = session("cnn-small")

    async def all_three() -> list[dict[str, Any]]:
        two = await asyncio.gather(*(why.excited(here, "cnn-small", "conv2", k, "samples/", 4) for k in (3, 5)))
        kept = here.kept["excited"]["response"]
        again = await why.excited(here, "cnn-small", "conv2", 7, "samples/")
        assert here.kept["excited"]["response"] is kept
        here.model("cnn-small")._array("conv2.weight")[7] = 0.0
        here.model("cnn-small")._array("conv2.bias")[7] = -1.0
        return [*two, again, await why.excited(here, "cnn-small", "conv2", 7, "samples/")]

    images, labels = (part[:150] for part in samples())
    expected = excitement(shipped("cnn-small"), "conv2", images, labels)
    *found, changed = asyncio.run(all_three())
    for answer, kernel, count in zip(found, (3, 5, 7), (4, 4, 9), strict=True):
        assert plain(answer) and answer["images"] == 150
        assert [patch["image"] for patch in answer["patches"]] == [p.image for p in expected.patches(kernel, count)]
        for patch in answer["patches"]:
            np.testing.assert_allclose(patch["pixels"], images[patch["image"]] / 255, atol=1e-6)
            assert patch["label"] == labels[patch["image"]] and len(patch["box"]) == 4
    assert (
        changed["dead"] == [7]
        and changed["patches"] == []
        and changed["sentences"][0].startswith("Dead: conv2 kernel 8")
    )


def test_hand_made_kernels_stand_beside_the_learned_ones() -> None:
    here = session("digits")
    found = asked(why.hand_made(here))
    assert plain(found) and [entry["name"] for entry in found["kernels"]] == list(handmade.HANDMADE)
    assert found["size"] == [3, 3] and found["nearest"] == [] and found["kernels"][0]["map"].shape == (26, 26)
    beside = asked(why.hand_made(here, "digits", "conv2", 4, 6))
    weights = here.model("digits")._array("conv2.weight")[:, 6]
    name, cosine = handmade.nearest(weights[4])
    assert beside["nearest"][4][0] == name and beside["nearest"][4][1] == pytest.approx(cosine)
    assert beside["cosines"] == pytest.approx(list(handmade.resemblance(weights[4]).values()))
    assert plain(beside) and beside["channels"] == 16
    np.testing.assert_array_equal(beside["learned"]["matrix"], weights[4])
    np.testing.assert_allclose(beside["learned"]["map"], handmade.applied(weights[4], here.image()), atol=1e-6)
    every = here.model("digits")._array("conv2.weight")
    for k, kernel in enumerate(beside["kernels"]):
        assert len(kernel["alike"]) == 3
        for f, c, cosine in kernel["alike"]:
            assert list(handmade.resemblance(every[f, c]).values())[k] == pytest.approx(cosine)
    assert found["learned"] is None and found["channels"] == 0 and found["kernels"][0]["alike"] == []
    assert asked(why.hand_made(here, "digits", "conv1"))["size"] == [5, 5]
    with pytest.raises(DataError, match="32 kernels over 16 maps"):
        asked(why.hand_made(here, "digits", "conv2", 0, 16))


def test_the_table_is_edited_by_name_and_seen_by_every_view() -> None:
    here = session("cnn-small")
    first = asked(operate.table(here, "cnn-small"))
    assert plain(first) and first["changes"] == [] and first["name"] == "cnn-small*"
    np.testing.assert_array_equal(first["before"], first["after"])
    kinds = {row["name"]: row for row in first["layers"]}
    assert kinds["conv1"]["activation"] == "relu" and kinds["conv1"]["strides"] == [1, 1]
    assert kinds["pool1"]["pooling"] == "max" and kinds["dense1"]["activation"] is None
    steps = [
        ("weight", {"layer": "conv1", "index": [2, 0, 0, 1], "value": -0.5}),
        ("kernel", {"layer": "conv1", "kernel": 4, "name": "Sobel x"}),
        ("zero", {"layer": "conv2", "kernel": 1}),
        ("pooling", {"layer": "pool1", "kind": "average"}),
        ("activation", {"layer": "conv2", "kind": "tanh"}),
    ]
    mirror = Table(shipped("cnn-small"))
    for action, arguments in steps:
        found = asked(operate.edited(here, "cnn-small", action, **json.loads(json.dumps(arguments))))
        assert not found["refused"]
    mirror.set_weight("conv1", (2, 0, 0, 1), -0.5)
    mirror.set_kernel("conv1", 4, handmade.kernel("Sobel x"), called="Sobel x")
    mirror.zero_kernel("conv2", 1)
    mirror.set_pooling("pool1", "average")
    mirror.set_activation("conv2", "tanh")
    assert found["changes"] == mirror.changes and found["undo"] == mirror.changes[-1]
    np.testing.assert_array_equal(found["after"], mirror.model.predict(here.image()[None])[0])
    seen = asyncio.run(here.trace("cnn-small*"))  # any view may look at the changed network
    np.testing.assert_array_equal(seen["pool1"], mirror.model.trace(here.image()[None])["pool1"])
    assert asked(why.why(here, "cnn-small*", 3))["saliency"].shape == (28, 28)
    refused = asked(operate.edited(here, "cnn-small", "stride", layer="conv1", stride=2))
    assert "16 maps of 2x2, 64 numbers, but dense1" in refused["refused"] and refused["changes"] == found["changes"]
    assert refused["offer"] and not found["offer"]  # a network that averages its maps could have that stride
    too_wide = asked(operate.edited(here, "cnn-small", "stride", layer="pool2", stride=0))
    assert too_wide["refused"] and not too_wide["offer"]
    assert "nothing is called 'swap'" in asked(operate.edited(here, "cnn-small", "swap"))["refused"]
    too_large = asked(operate.edited(here, "cnn-small", "weight", layer="conv1", index=[0, 0, 1, 1], value=3e38))
    assert too_large["refused"] == "a weight from -10000 to 10000 is needed; got 3e+38"
    assert too_large["changes"] == mirror.changes
    empty = asked(operate.table(here, "cnn-small", blank=True))
    assert np.allclose(empty["before"], mirror.original.predict(np.zeros((1, 1, 28, 28), np.float32))[0], atol=1e-6)
    assert asked(operate.edited(here, "cnn-small", "undo"))["redo"] == mirror.changes[-1]
    assert asked(operate.edited(here, "cnn-small", "reset"))["changes"] == []
    here.model("cnn-small")._array("conv1.weight")[0] *= (
        1.1  # the model was taught: what lies on the table is out of date
    )
    assert asked(operate.edited(here, "cnn-small", "redo"))["changes"] == []


def test_measuring_is_cancelled_by_the_next_edit() -> None:
    here = session("cnn-small")

    async def work() -> tuple[dict[str, Any], dict[str, Any]]:
        await operate.edited(here, "cnn-small", "zero", layer="conv1", kernel=1)
        first = asyncio.ensure_future(operate.measured(here, "cnn-small", "samples/"))
        for _ in range(4):
            await asyncio.sleep(0)
        assert (await jobs.progress(here, "measured"))["running"]
        await operate.edited(here, "cnn-small", "zero", layer="conv1", kernel=5)
        second = await operate.measured(here, "cnn-small", "samples/")
        return await first, second

    first, second = asyncio.run(work())
    assert first == {"cancelled": True} and plain(second) and second["count"] == 150
    mirror, (images, labels) = Table(shipped("cnn-small")), (part[:150] for part in samples())
    mirror.zero_kernel("conv1", 1)
    mirror.zero_kernel("conv1", 5)
    expected = mirror.measure(images, labels)
    assert (second["accuracy"], second["original"]) == (expected.accuracy, expected.original)
    assert [entry["image"] for entry in second["flipped"]] == [flip.index for flip in expected.flipped]
    assert second["flipped"][0]["pixels"].shape == (28, 28)
    assert [entry["pixels"] is not None for entry in second["flipped"]].count(True) == second["drawn"]


def test_forty_pixels_are_refused_by_flatten_and_read_by_the_average() -> None:
    here = session("cnn-small", "ann")
    refused = asked(operate.sized(here, "cnn-small", 40))
    assert refused["probabilities"] is None and refused["image"].shape == (40, 40)
    assert "built for 28x28 images and met 40x40" in refused["refused"]
    assert refused["image"].max() > 0.5 and not asked(operate.sized(here, "cnn-small", 40, blank=True))["image"].any()

    async def made() -> list[dict[str, Any]]:
        first = await operate.any_size(here, "cnn-small", "samples/")
        return [
            first,
            await operate.any_size(here, "cnn-small", "samples/"),
            await operate.any_size(here, "ann", "samples/"),
        ]

    found, again, none = asyncio.run(made())
    assert plain(found) and again is found and found["count"] == 150 and found["refused"] == ""
    assert set(found["accuracy"]) == {"as it is", "framed", "enlarged"} and found["original"] > 0.97
    assert all(0.3 < share <= 1 for share in found["accuracy"].values())
    assert '"ann" has no convolutions before a Flatten' in none["refused"]
    for way in ("enlarged", "framed"):
        answer = asked(operate.sized(here, "cnn-small~", 40, way))
        assert answer["refused"] == "" and answer["probabilities"].sum() == pytest.approx(1.0, abs=1e-5)
        assert answer["share"] == answer["probabilities"][answer["best"]] == answer["probabilities"].max()
    strided = asked(operate.edited(here, "cnn-small~", "stride", layer="conv1", stride=2))
    assert strided["refused"] == "" and strided["changes"] == ["conv1: stride 1 to 2"] and strided["free"]
    shown = asked(operate.compared(here, "cnn-small~", "conv1", 2))
    assert shown["difference"] is None and "8 maps of 26x26 before, 8 maps of 13x13 now" in shown["words"]
    reach = {row["layer"]: row for row in shown["reach"]}
    assert (reach["conv1"]["size"], reach["conv1"]["moved"]) == (False, 0.0) and reach["dense1"]["size"]
    larger, largest = (asked(operate.any_size(here, "cnn-small", "samples/", side=side)) for side in (36, 48))
    assert [larger["name"], largest["name"]] == ["cnn-small~36", "cnn-small~48"] and "cnn-small~36" not in here.made
    assert asked(operate.table(here, "cnn-small~"))["changes"] == strided["changes"]  # on the table it is the same
    assert asked(operate.any_size(here, "cnn-small", "samples/")) is found


def test_the_changed_network_is_set_beside_the_original() -> None:
    here = session("cnn-small", "ann")
    same = asked(operate.compared(here, "cnn-small", "conv2"))
    assert plain(same) and not same["difference"].any() and not same["largest"].any()
    asked(operate.edited(here, "cnn-small", "zero", layer="conv1", kernel=5))
    found = asked(operate.compared(here, "cnn-small", "conv1"))
    assert plain(found) and found["number"] == 5 and [k for k in range(8) if found["largest"][k]] == [5]
    assert found["before"].max() == found["peak"] > 0 and not found["after"].any()
    np.testing.assert_array_equal(found["difference"], -found["before"])
    assert found["peaks"] == [found["peak"], 0.0, found["peak"]] and found["reach"][-1]["layer"] == "softmax1"
    assert all(row["size"] for row in found["reach"])
    other = asked(operate.compared(here, "cnn-small", "conv1", 2))
    assert other["number"] == 2 and not other["difference"].any()
    vector = asked(operate.compared(here, "ann", "dense1"))
    assert vector["before"].shape == (1, 100) and vector["words"] == ""


def test_an_address_lays_the_table_again() -> None:
    here, there = session("cnn-small"), session("cnn-small")
    for action, arguments in (
        ("weight", {"layer": "conv1", "index": [2, 0, 0, 1], "value": 0.3}),
        ("weight", {"layer": "conv1", "index": [2, 0, 0, 1], "value": -0.5, "joined": True}),
        ("pooling", {"layer": "pool1", "kind": "average"}),
        ("zero", {"layer": "conv2", "kernel": 1}),
    ):
        found = asked(operate.edited(here, "cnn-small", action, **arguments))
    assert len(found["changes"]) == 3 and found["edits"].startswith("weight:conv1:2.0.0.1:-0.5~pooling:")
    again = asked(operate.edited(there, "cnn-small", "again", edits=found["edits"]))
    assert (again["changes"], again["edits"]) == (found["changes"], found["edits"])
    np.testing.assert_array_equal(again["after"], found["after"])
    version = again["version"]
    assert asked(operate.edited(there, "cnn-small", "again", edits=found["edits"]))["version"] == version
    assert asked(operate.edited(there, "cnn-small", "undo"))["edits"] == found["edits"].rpartition("~")[0]
    assert asked(operate.edited(there, "cnn-small", "again", edits=""))["changes"] == []
    assert "is no edit" in asked(operate.edited(there, "cnn-small", "again", edits="burn:conv1"))["refused"]


def test_a_model_that_is_taught_keeps_the_changes_made_at_its_table() -> None:
    here = session("cnn-small")
    asked(operate.edited(here, "cnn-small", "weight", layer="conv1", index=[0, 0, 0, 0], value=0.25))
    asked(operate.edited(here, "cnn-small", "stride", layer="conv2", stride=2))  # refused: it is not to come back
    before = asked(operate.edited(here, "cnn-small", "zero", layer="conv1", kernel=5))
    here.models["cnn-small"].parameters[:] += 0.01
    after = asked(operate.table(here, "cnn-small"))
    assert after["edits"] == before["edits"] and len(after["changes"]) == 2
    assert here.model("cnn-small*").state_dict()["conv1.weight"][0, 0, 0, 0] == 0.25
    assert not np.array_equal(after["after"], before["after"])


def test_what_was_drawn_along_a_scale_is_not_kept_for_ever() -> None:
    here = session("cnn-small")
    for k in range(30):
        about = {"layer": "conv1", "index": [0, 0, 0, 0], "value": k / 30, "joined": True}
        asked(operate.edited(here, "cnn-small", "weight", **about))
    gc.collect()
    assert len(operate.calls_of(here)) <= 2


def test_each_kernel_is_worth_what_its_silence_costs_the_answer() -> None:
    here = session("cnn-small", "ann", "linear")
    found = asked(why.worth(here, "cnn-small", "conv1"))
    assert plain(found) and found["layers"] == ["conv1", "conv2"] and found["unit"] == "kernel"
    assert sorted(one["kernel"] for one in found["kernels"]) == list(range(8))
    drops = [one["drop"] for one in found["kernels"]]
    assert drops == sorted(drops, reverse=True) and found["peak"] == max(map(abs, drops)) > 0.5
    for one in found["kernels"][:2]:
        mirror = Table(shipped("cnn-small"))
        mirror.zero_kernel("conv1", one["kernel"])
        scores = mirror.model.predict(here.image()[None], logits=True)[0]
        assert one["score"] == pytest.approx(float(scores[found["target"]]), abs=1e-5)
        assert found["score"] - one["score"] == pytest.approx(one["drop"], abs=1e-5)
        assert one["answer"] == scores.argmax() and 0 < one["probability"] <= 1
    assert asked(why.worth(here, "cnn-small"))["layer"] == "conv2"
    neurons = asked(why.worth(here, "ann", target=3))
    assert neurons["unit"] == "neuron" and len(neurons["kernels"]) == 100 and neurons["target"] == 3
    assert "nothing between to silence" in asked(why.worth(here, "linear"))["refusal"]
    model = here.model("cnn-small")
    np.testing.assert_array_equal(model.parameters, shipped("cnn-small").parameters)  # it was a copy
    with pytest.raises(DataError, match="no kernels or neurons before the scores"):
        asked(Worths(model).of(here.image(), "dense1", 0))


def test_all_of_them_can_be_asked_by_name() -> None:
    names = {
        "why",
        "occluded",
        "excited",
        "hand_made",
        "table",
        "edited",
        "measured",
        "any_size",
        "sized",
        "times",
        "ablated",
        "matched",
        "worth",
        "compared",
    }
    assert names | {"progress", "stop"} <= set(QUESTIONS)
    here = session("cnn-small")
    told = asked(views.answer(here, "times", {"model": "cnn-small"}))
    assert (
        plain(told)
        and told["backend"] == "numpy"
        and told["layers"]["conv1"] > 0
        and told["inside"] == {"flatten1": ""}
    )
    asked(
        views.answer(here, "edited", {"model": "cnn-small", "action": "pooling", "layer": "pool1", "kind": "average"})
    )
    shown = asked(views.answer(here, "network", {"model": "cnn-small*"}))
    assert [row["kind"] for row in shown["rows"] if row["layer"] == "pool1"] == ["avg_pool"]
    worth = asked(
        views.answer(here, "ablated", {"model": "cnn-small", "layer": "conv1", "samples": "samples/", "count": 30})
    )
    assert plain(worth) and len(worth["kernels"]) == 8 and worth["count"] == 30
    match = asked(views.answer(here, "matched", {"model": "cnn-small", "layer": "conv2", "kernel": 3}))
    row, column = match["cell"]
    assert match["map"].shape == (11, 11) and match["map"][row, column] == match["map"].max() == np.float32(
        match["best"]
    )
    with pytest.raises(DataError, match="conv2 has 16 kernels"):
        asked(views.answer(here, "matched", {"model": "cnn-small", "layer": "conv2", "kernel": 16}))
    with pytest.raises(DataError, match="nobody to fetch"):
        asked(why.excited(Session({"cnn-small": shipped("cnn-small")}, {"image": None}), "cnn-small", "conv1", 0, "x"))
