"""Saliency and Grad-CAM against difference quotients in float64, occlusion against its definition; shipped models."""

from __future__ import annotations

import asyncio
import statistics

import numpy as np
import pytest
from handlens import backends
from handlens.errors import DataError, ShapeError
from handlens.inside import attribution, receptive
from handlens.inside.attribution import SEED, Sensitivity, grad_cam, gradient_graph, occlusion, saliency
from handlens.layers import AvgPool2D, BatchNorm, Conv2D, Dense, Flatten, MaxPool2D, Softmax
from handlens.model import Sequential
from unit.inside_tools import CNNS, SHIPPED, logits64, noisy, note_turns, runner, samples, shipped

STEP = 1e-6


def slope64(model: Sequential, x: np.ndarray, target: int, layer: str = "") -> dict[str, np.ndarray]:
    """The gradients in float64, through the package's own graph."""
    seed = np.zeros((1, *model.output_shape))
    seed[0, target] = 1.0
    return runner(model, gradient_graph(model, layer, dtype="float64"))(input=x, **{SEED: seed})


def hard() -> Sequential:
    """A network with what the shipped ones lack: colours, a norm that nothing can fold away, tanh, average pooling."""
    layers = [
        *(Conv2D(4, 3, padding="same", activation="tanh"), BatchNorm(), MaxPool2D(2)),
        *(Conv2D(5, 3, strides=2, activation="leaky_relu"), AvgPool2D(2), Flatten(), Dense(4), Softmax()),
    ]
    model = Sequential(layers, (3, 18, 14), seed=2, name="hard")
    drawn = np.random.default_rng(1)
    model.state[...] = 0.5 + drawn.random(model.state.shape)
    for name in ("bn1.weight", "bn1.bias", "conv1.bias"):
        model._array(name)[...] = drawn.standard_normal(4)
    return model


@pytest.mark.parametrize("name", [*SHIPPED, "hard"])
def test_slope_equals_difference_quotients(name: str) -> None:
    model = hard() if name == "hard" else shipped(name)
    drawn = np.random.default_rng(5)
    x = drawn.random((1, 3, 18, 14)) if name == "hard" else noisy(3)
    score = logits64(model)
    for target in (0, model.output_shape[0] - 1):
        found = slope64(model, x, target)
        np.testing.assert_allclose(found["logits"][0], score(x), rtol=1e-12, atol=1e-12)
        slope = found["slope"][0]
        for _ in range(25):
            at = tuple(int(drawn.integers(n)) for n in x.shape)
            near = x.copy()
            near[at] += STEP
            above = score(near)[target]
            near[at] -= 2 * STEP
            below = score(near)[target]
            assert slope[at[1:]] == pytest.approx(
                (above - below) / (2 * STEP), rel=2e-5, abs=2e-5 * np.abs(slope).max()
            )


@pytest.mark.parametrize("name", SHIPPED)
def test_saliency_is_the_largest_slope_of_a_pixel(name: str) -> None:
    model, x = shipped(name), noisy(8)
    exact = np.abs(slope64(model, x, 5)["slope"][0]).max(axis=0)
    found = saliency(model, x, 5)
    assert found.shape == (28, 28) and found.dtype == np.float32
    np.testing.assert_allclose(found, exact, atol=1e-5 * exact.max())


def test_saliency_of_colours_takes_the_strongest_channel() -> None:
    model, x = hard(), np.random.default_rng(3).random((3, 18, 14))
    slope = slope64(model, x[None], 2)["slope"][0]
    np.testing.assert_allclose(saliency(model, x, 2), np.abs(slope).max(axis=0), atol=1e-5 * np.abs(slope).max())
    found = backends.drive(Sensitivity(model).of(x, 2, cooperative=False))
    np.testing.assert_allclose(found.signed, slope.sum(axis=0), atol=1e-5 * np.abs(slope).max())


@pytest.mark.parametrize(
    ("name", "layer"), [("cnn-small", "conv1"), ("convnet", "conv2"), ("digits", "conv3"), ("hard", "conv1")]
)
def test_map_slopes_equal_difference_quotients(name: str, layer: str) -> None:
    """The gradient of a layer's maps, against a network that begins with these maps."""
    model = hard() if name == "hard" else shipped(name)
    drawn = np.random.default_rng(6)
    x = drawn.random((1, 3, 18, 14)) if name == "hard" else noisy(4)
    response = attribution.response_of(model, layer)
    assert response == {"digits": "relu3", "hard": "bn1"}.get(name, layer)
    found = slope64(model, x, 1, response)
    maps, slopes = found["maps"], found["map_slopes"]
    at = [other.name for other in model.layers].index(response) + 1
    rest = [type(other)(**other.config()) for other in model.layers[at:]]
    weights = {k: v for k, v in model.state_dict().items() if k.split(".")[0] in {other.name for other in rest}}
    score = logits64(Sequential(rest, maps.shape[1:], name="rest", weights=weights))
    np.testing.assert_allclose(score(maps), found["logits"][0], rtol=1e-9, atol=1e-9)
    for cell in map(tuple, drawn.permutation(np.argwhere(np.abs(maps) > 1e-3))[:25]):  # at 0 a ReLU's map has its ties
        above, below = maps.copy(), maps.copy()
        above[cell] += STEP
        below[cell] -= STEP
        quotient = (score(above)[1] - score(below)[1]) / (2 * STEP)
        assert slopes[cell] == pytest.approx(quotient, rel=2e-5, abs=2e-5 * np.abs(slopes).max())


@pytest.mark.parametrize("name", CNNS)
def test_grad_cam_is_what_the_paper_says(name: str) -> None:
    """Equations 1 and 2, written as loops over the maps of the last convolution."""
    model, x = shipped(name), noisy(11)
    response = attribution.response_of(model, attribution.last_convolution(model))
    exact = slope64(model, x, 6, response)
    maps, slopes = exact["maps"][0], exact["map_slopes"][0]
    weights = [slopes[f].sum() / slopes[f].size for f in range(len(maps))]
    total = np.zeros(maps.shape[1:])
    for weight, values in zip(weights, maps, strict=True):
        total += weight * values
    found = backends.drive(Sensitivity(model, response).of(x, 6, cooperative=False))
    np.testing.assert_allclose(found.weights, weights, atol=1e-5 * np.abs(weights).max())
    np.testing.assert_allclose(found.coarse, np.maximum(total, 0), atol=1e-4 * np.abs(total).max())
    np.testing.assert_array_equal(grad_cam(model, x, 6), found.cam)
    assert found.cam.shape == (28, 28) and found.cam.min() >= 0 and found.cam.max() <= found.coarse.max() * (1 + 1e-6)
    assert not np.allclose(grad_cam(model, x, 6, "conv1"), found.cam)


@pytest.mark.parametrize("name", ["ann", "linear"])
def test_grad_cam_refuses_a_network_without_convolutions(name: str) -> None:
    with pytest.raises(DataError, match=f'"{name}" has none; see its saliency'):
        grad_cam(shipped(name), noisy(), 0)


def test_what_does_not_exist_is_named() -> None:
    model = shipped("cnn-small")
    for target in (-1, 10, True, "3"):
        with pytest.raises(DataError, match="classes 0 to 9"):
            saliency(model, noisy(), target)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"dense1.*no maps"):
        grad_cam(model, noisy(), 0, "dense1")
    with pytest.raises(DataError, match="no layer is called 'conv9'"):
        grad_cam(model, noisy(), 0, "conv9")
    with pytest.raises(ShapeError, match="one image is explained at a time"):
        saliency(model, samples()[0][:2, None], 0)
    with pytest.raises(ShapeError):
        saliency(model, np.zeros((1, 1, 20, 20)), 0)
    with pytest.raises(DataError, match="larger than the image"):
        occlusion(model, noisy(), 0, patch=29)
    with pytest.raises(DataError, match="leaves pixels between"):
        occlusion(model, noisy(), 0, patch=3, stride=4)
    regression = Sequential([Flatten(), Dense(3)], loss="mean_squared_error")
    with pytest.raises(DataError, match="no classes"):
        saliency(regression, noisy(), 0)


@pytest.mark.parametrize(
    ("name", "patch", "stride", "fill"), [("cnn-small", 4, 3, 0.0), ("linear", (3, 6), (2, 5), 0.5)]
)
def test_occlusion_is_its_definition(name: str, patch: object, stride: object, fill: float) -> None:
    model, x = shipped(name), samples()[0][20].astype(np.float32) / 255
    found = occlusion(model, x, 4, patch, stride, fill)  # type: ignore[arg-type]
    ph, pw = found.patch
    assert found.rows[-1] == 28 - ph and found.columns[-1] == 28 - pw  # every pixel is covered
    logit, probability = (model.predict(x[None], logits=flag)[0, 4] for flag in (True, False))
    assert found.probability == pytest.approx(probability, abs=1e-6) and found.logit == pytest.approx(logit, abs=1e-4)
    sums, counts = np.zeros((28, 28)), np.zeros((28, 28))
    for r, row in enumerate(found.rows):
        for s, column in enumerate(found.columns):
            covered = x.copy()
            covered[row : row + ph, column : column + pw] = fill
            drop = probability - model.predict(covered[None])[0, 4]
            assert found.probability_drop[r, s] == pytest.approx(drop, abs=2e-6)
            left = model.predict(covered[None], logits=True)[0, 4]
            assert found.logit_drop[r, s] == pytest.approx(logit - left, abs=1e-4)
            sums[row : row + ph, column : column + pw] += drop
            counts[row : row + ph, column : column + pw] += 1
    np.testing.assert_allclose(found.map, sums / counts, atol=1e-5)
    assert found.logit_map.shape == (28, 28) and np.abs(found.logit_map).max() > 0.1


def test_occlusion_keeps_the_event_loop_free_and_can_be_stopped() -> None:
    model, x = shipped("digits"), samples()[0][2]
    gaps, told = [], []

    async def both() -> None:
        watching = asyncio.ensure_future(note_turns(gaps))
        found = await attribution.occlusion_async(model, x, 1, progress=told.append)
        watching.cancel()
        np.testing.assert_allclose(found.map, occlusion(model, x, 1).map, atol=1e-5)
        stopped = asyncio.ensure_future(attribution.occlusion_async(model, x, 1, stride=1, progress=told.append))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped

    asyncio.run(both())
    finished = told.index(1.0) + 1
    assert told[:finished] == sorted(told[:finished]) and finished > 4 and max(told[finished:], default=0) < 0.5
    assert statistics.median(gaps) < 0.05 and len(gaps) > 4  # s of this thread's own work; one turn may be a pause


def test_maps_follow_the_weights_at_once() -> None:
    """A weight that is set in the model's own memory counts in the very next map, without a new program."""
    model, x = shipped("cnn-small"), noisy(9)
    why = Sensitivity(model, "conv2")
    before = backends.drive(why.of(x, 3, cooperative=False))
    held = why._loaded[(1, 28, 28)]._spare
    model._array("conv1.weight")[2] = 0.0
    after = backends.drive(why.of(x, 3, cooperative=False))
    assert why._loaded[(1, 28, 28)]._spare == held
    exact = slope64(model, x, 3, "conv2")
    np.testing.assert_allclose(after.slope, exact["slope"][0], atol=1e-5 * np.abs(exact["slope"]).max())
    assert np.abs(after.slope - before.slope).max() > 1e-3


@pytest.mark.parametrize("name", ["digits", "ann"])
def test_compiled_kernels_give_the_same_maps(name: str) -> None:
    if backends.why_not("native"):
        pytest.skip(backends.why_not("native"))
    x = noisy(7)
    layer = "conv2" if name == "digits" else ""
    one, other = (
        backends.drive(Sensitivity(shipped(name, b), layer).of(x, 2, cooperative=False)) for b in ("numpy", "native")
    )
    np.testing.assert_allclose(one.slope, other.slope, atol=1e-4 * np.abs(one.slope).max())
    if layer:
        np.testing.assert_allclose(one.coarse, other.coarse, atol=1e-4 * one.coarse.max())


def test_a_cell_of_the_map_stands_at_the_middle_of_its_receptive_field() -> None:
    """conv 3, pool 2, conv 3 without padding: fields of 8 pixels, 2 apart, from pixel 0 on; middles at 3.5, 5.5, ..."""
    model = shipped("cnn-small")
    sizes = receptive.sizes(model)["conv2"]
    assert (sizes.height, sizes.strides, sizes.offset) == (8, (2, 2), (0, 0))
    coarse = np.zeros((11, 11), np.float32)
    coarse[4, 0] = 1.0
    laid = attribution.laid_over(coarse, 28, 28, sizes)
    middle = 3.5 + 2 * 4
    expected = np.maximum(0, 1 - np.abs(np.arange(28) - middle) / 2)
    np.testing.assert_allclose(laid[:, 3], 0.75 * expected, atol=1e-6)
    across = np.maximum(0, 1 - np.abs(np.arange(28) - 3.5) / 2)  # the outermost cell fades out towards the edge
    np.testing.assert_allclose(laid[11], expected[11] * across, atol=1e-6)
    whole = attribution.laid_over(np.full((1, 1), 2.5), 28, 28, receptive.Sizes(28, 28, (0, 0), (0, 0)))
    np.testing.assert_array_equal(whole, np.full((28, 28), 2.5))  # a cell that sees everything speaks for everything
