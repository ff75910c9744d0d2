"""The patches that excite a kernel most, dead and redundant kernels: against a plain search over the traced maps."""

from __future__ import annotations

import asyncio
import statistics

import numpy as np
import pytest
from handlens import backends
from handlens.errors import DataError
from handlens.inside import receptive
from handlens.inside.patches import FAINT, Excitement, excitement, excitement_async, matching
from handlens.inside.steps import steps
from handlens.model import Sequential
from unit.inside_tools import note_turns, samples, shipped

RESPONSES = [("cnn-small", "conv2", "conv2"), ("digits", "conv1", "relu1"), ("digits", "conv4", "relu4")]


def few(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    return samples()[0][:count], samples()[1][:count]


def searched(model: Sequential, response: str, images: np.ndarray, kernel: int) -> list[tuple[float, int, int, int]]:
    """(value, image, row, column) of each image's strongest cell, the strongest image first: as plain as can be."""
    found = []
    for n, image in enumerate(images):
        best = model.trace(image[None])[response][0, kernel]
        row, column = max(
            ((p, q) for p in range(best.shape[0]) for q in range(best.shape[1])), key=lambda cell: best[cell]
        )
        found.append((float(best[row, column]), n, row, column))
    return sorted(found, key=lambda entry: -entry[0])


@pytest.mark.parametrize(("name", "layer", "response"), RESPONSES)
def test_patches_are_the_strongest_cells_of_all_images(name: str, layer: str, response: str) -> None:
    model, (images, labels) = shipped(name), few(25)
    found = excitement(model, layer, images, labels)
    assert found.response == response and found.peaks.shape == (25, found.products.shape[0])
    for kernel in (0, 3):
        expected = [entry for entry in searched(model, response, images, kernel) if entry[0] > 0][:9]
        patches = found.patches(kernel)
        assert len(patches) == len(expected) > 0
        for patch, (value, image, row, column) in zip(patches, expected, strict=True):
            assert patch.value == pytest.approx(value, abs=1e-5)
            assert (patch.image, patch.cell) == (image, (row, column))
            assert patch.label == labels[image]
            assert patch.box == receptive.field(model, layer, (kernel, row, column))


def test_a_patch_is_all_that_its_cell_sees() -> None:
    """The box holds the pixels that the value hangs on: outside of it the image may be anything."""
    model, (images, labels) = shipped("cnn-small"), few()
    for patch in excitement(model, "conv2", images, labels).patches(5, 4):
        top, left, bottom, right = patch.box
        assert (bottom - top, right - left) == (8, 8)
        alone = np.zeros((28, 28), np.float32)
        alone[top:bottom, left:right] = images[patch.image][top:bottom, left:right].astype(np.float32) / 255
        assert model.trace(alone[None])["conv2"][0, 5][patch.cell] == pytest.approx(patch.value, abs=1e-5)


def test_a_kernel_counts_as_dead_only_if_it_is_nowhere_heard() -> None:
    model, (images, labels) = shipped("cnn-small"), few()
    model._array("conv1.weight")[2] = 0.0
    model._array("conv1.bias")[2] = -0.5
    model._array("conv1.weight")[6] = 3.0 * model._array("conv1.weight")[4]  # the same map, three times as strong
    model._array("conv1.bias")[6] = 3.0 * model._array("conv1.bias")[4]
    found = excitement(model, "conv1", images, labels)
    maps = model.trace(images)["conv1"]
    assert found.dead == [k for k in range(8) if not maps[:, k].any()] == [2]
    assert found.patches(2) == []
    flat = maps.transpose(1, 0, 2, 3).reshape(8, -1).astype(np.float64)
    for a in range(8):
        for b in range(8):
            lengths = np.linalg.norm(flat[a]) * np.linalg.norm(flat[b])
            expected = flat[a] @ flat[b] / lengths if lengths else 0.0
            assert found.cosines()[a, b] == pytest.approx(expected, abs=1e-5)
    twins = found.redundant()
    assert [(pair.first, pair.second) for pair in twins] == [(4, 6)] and twins[0].cosine == pytest.approx(1.0, abs=1e-5)
    assert found.sentences == [
        "Dead: conv1 kernel 3, 0 everywhere on these 60 images.",
        "Redundant: conv1 kernels 5 and 7 make nearly the same map on these 60 images (cosine 1.000).",
    ]
    sound = excitement(shipped("cnn-small"), "conv1", images, labels)
    assert sound.dead == [] and sound.redundant() == []
    assert sound.sentences[0].startswith("None of the 8 kernels of conv1 is dead, and no two make the same map")
    assert len(sound.redundant(0.5)) > 1 and sound.redundant(0.5)[0].cosine >= sound.redundant(0.5)[1].cosine


def test_what_has_no_patches_is_named() -> None:
    images, labels = few(3)
    with pytest.raises(DataError, match="makes a vector of 10 numbers, no maps"):
        excitement(shipped("cnn-small"), "dense1", images, labels)
    with pytest.raises(DataError, match="there are: flatten1"):
        excitement(shipped("ann"), "conv1", images, labels)
    with pytest.raises(DataError, match="3 images met 2 labels"):
        excitement(shipped("cnn-small"), "conv1", images, labels[:2])
    with pytest.raises(DataError, match="8 kernels"):
        excitement(shipped("cnn-small"), "conv1", images, labels).patches(8)


def test_the_search_keeps_the_event_loop_free_and_can_be_stopped() -> None:
    model, (images, labels) = shipped("digits"), samples()
    gaps, told = list[float](), list[float]()

    async def work() -> Excitement:
        watching = asyncio.ensure_future(note_turns(gaps))
        found = await excitement_async(model, "conv2", images, labels, progress=told.append)
        watching.cancel()
        stopped = asyncio.ensure_future(excitement_async(model, "conv2", images, labels))
        for _ in range(3):
            await asyncio.sleep(0)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        return found

    found = asyncio.run(work())
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 10
    assert statistics.median(gaps) < 0.05 and len(gaps) > 4  # s of this thread's own work; one turn may be a pause
    same = excitement(model, "conv2", images[:200], labels[:200])
    np.testing.assert_allclose(found.peaks[:200], same.peaks, atol=1e-5)


def test_compiled_kernels_find_the_same() -> None:
    if backends.why_not("native"):
        pytest.skip(backends.why_not("native"))
    images, labels = few()
    one, other = (excitement(shipped("digits", name), "conv3", images, labels) for name in ("numpy", "native"))
    np.testing.assert_allclose(one.peaks, other.peaks, atol=1e-4)
    assert [p.image for p in one.patches(7, 3)] == [p.image for p in other.patches(7, 3)]


@pytest.mark.parametrize(("name", "layer"), [("cnn-small", "conv2"), ("digits", "conv4"), ("digits", "conv1")])
def test_matching_is_the_cosine_of_patch_and_kernel(name: str, layer: str) -> None:
    """Against the definition at random places, padding and faint patches included; whatever the image's strength."""
    model, image = shipped(name), samples()[0][12].astype(np.float32) / 255
    step = next(s for s in steps(model).values() if s.layer == layer and s.kind == "conv2d")
    source = model.trace(image[None])[step.source][0].astype(np.float64)
    top, left, bottom, right = step.window.pads
    padded = np.pad(source, ((0, 0), (top, bottom), (left, right)))
    weights = model._array(f"{layer}.weight").astype(np.float64)
    kh, kw = step.kernel
    found = matching(model, image, layer)
    assert found.shape == step.shape and np.abs(found).max() <= 1 and found.max() > 0.2
    patches = {(p, q): padded[:, p : p + kh, q : q + kw] for p in range(found.shape[1]) for q in range(found.shape[2])}
    strongest = max(np.linalg.norm(patch) for patch in patches.values())
    for (p, q), patch in patches.items():
        length = np.linalg.norm(patch)
        for f in (0, len(weights) - 1):
            expected = (
                (patch * weights[f]).sum() / length / np.linalg.norm(weights[f]) if length > FAINT * strongest else 0
            )
            assert found[f, p, q] == pytest.approx(expected, abs=2e-4)
    if layer == "conv1":
        np.testing.assert_allclose(matching(model, 0.5 * image, layer), found, atol=2e-4)


def test_the_best_matching_patches_need_not_be_the_strongest() -> None:
    model, (images, labels) = shipped("cnn-small"), few()
    found, strong = (excitement(model, "conv1", images, labels, m) for m in ("cosine", "response"))
    maps = np.stack([matching(model, image, "conv1") for image in images])
    np.testing.assert_allclose(found.peaks, maps.max(axis=(2, 3)), atol=1e-5)
    best = found.patches(3, 5)
    assert found.measure == "cosine" and all(0 < patch.value <= 1 for patch in best)
    assert [patch.image for patch in best] != [patch.image for patch in strong.patches(3, 5)]
    with pytest.raises(DataError, match='"pool1" is no convolution'):
        excitement(model, "pool1", images, labels, "cosine")
    with pytest.raises(DataError, match="response or cosine"):
        excitement(model, "conv1", images, labels, "angle")
