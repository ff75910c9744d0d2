"""Milliseconds a layer: every layer has a time or says whose time holds it, and the times are those of its ops."""

from __future__ import annotations

import asyncio
import time

import pytest
from handlens import backends
from handlens.inside.anatomy import Anatomy
from handlens.inside.timing import Times, layer_times, layer_times_async, row_times
from unit.inside_tools import samples, shipped


@pytest.mark.parametrize("name", ["digits", "convnet", "linear"])
@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_every_layer_has_a_time_or_a_place(name: str, backend: str) -> None:
    if backends.why_not(backend):
        pytest.skip(backends.why_not(backend))
    model = shipped(name, backend)
    found = layer_times(model, samples()[0][0])
    assert found.backend == backend and not found.why and found.rounds >= 1
    assert list(found.layers) == [layer.name for layer in model.layers]
    assert set(found.inside) == {layer for layer, taken in found.layers.items() if taken is None}
    timed = {layer: taken for layer, taken in found.layers.items() if taken is not None}
    assert all(taken > 0 for taken in timed.values()) and {"dense1", "softmax1"} <= set(timed)
    assert found.total is not None and found.total > 0
    nothing = {layer for layer, holder in found.inside.items() if not holder}
    assert nothing == {layer for layer in found.layers if layer.startswith(("flatten", "dropout"))}
    if name == "digits":
        assert found.inside["bn1"] == found.inside["relu1"] == "conv1" and found.inside["relu4"] == "conv4"
        assert ("pool1" in timed) == (backend == "numpy")


def test_a_layer_of_two_rows_has_its_time_on_the_one_that_does_the_work() -> None:
    rows = Anatomy(shipped("cnn-small")).rows
    layers = {
        "conv1": 0.5,
        "pool1": None,
        "conv2": 0.0,
        "pool2": 0.25,
        "flatten1": None,
        "dense1": 0.1,
        "softmax1": 0.2,
    }
    taken, held = row_times(Times("native", layers, {"pool1": "conv1", "flatten1": ""}, 1.0, 3), rows)
    assert list(taken) == list(rows)
    assert (taken["conv1.linear"], taken["conv1"], held["conv1"]) == (0.5, None, "conv1.linear")
    assert (taken["pool1"], held["pool1"], taken["pool2"]) == (None, "conv1.linear", 0.25)
    assert (taken["conv2.linear"], taken["conv2"], held["conv2"]) == (0.0, None, "conv2.linear")  # 0 is a time
    assert (taken["flatten1"], held["flatten1"], held["input"]) == (None, "", "")
    assert set(held) == {key for key, ms in taken.items() if ms is None}
    unknown = Times("webgpu", dict.fromkeys(layers), {}, None, 0, "it does not tell")
    taken, held = row_times(unknown, rows)
    assert set(taken.values()) == {None} and set(held.values()) == {""}


def test_a_layer_that_is_slow_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op that waits 5 ms shows in its own layer, and in no other."""
    model, kernel = shipped("cnn-small"), backends.numpy_backend.find("max_pool2d").numpy

    def slow(binding):  # type: ignore[no-untyped-def]
        run = kernel(binding)

        def waiting() -> None:
            run()
            if binding.outs[0].shape[1] == 16:  # pool2
                time.sleep(0.005)

        return waiting

    monkeypatch.setattr(backends.numpy_backend.find("max_pool2d"), "numpy", slow)
    found = layer_times(model, samples()[0][0], budget=0.6)  # medians: a pause of the machine is no layer's
    assert found.layers["pool2"] > 5.0 > 2 * max(v for k, v in found.layers.items() if v is not None and k != "pool2")
    assert found.total > 5.0


def test_it_gives_the_loop_its_turns() -> None:
    model, turns = shipped("digits"), list[float]()

    async def watch() -> None:
        while True:
            turns.append(time.perf_counter())
            await asyncio.sleep(0)

    async def work() -> None:
        watching = asyncio.ensure_future(watch())
        found = await layer_times_async(model, samples()[0][0], budget=0.03)
        watching.cancel()
        assert len(turns) >= found.rounds > 0

    asyncio.run(work())


def test_a_gpu_says_why_it_cannot_tell() -> None:
    model = shipped("cnn-small")

    class Whole(backends.NumpyBackend):
        name = "webgpu"
        works_ahead = True

    model.use(Whole())
    found = layer_times(model, samples()[0][0])
    assert set(found.layers.values()) == {None} and found.total is None and found.rounds == 0
    assert found.why == "webgpu takes the whole network as one order: it does not tell how long a part of it took"
