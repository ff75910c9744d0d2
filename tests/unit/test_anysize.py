"""Any size: the same convolutions under global average pooling, and the head fitted in closed form, measured."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from handlens.errors import DataError, ShapeError
from handlens.inside.anysize import enlarged, fit_head, framed, with_global_average, with_global_average_async
from handlens.inside.table import Table
from unit.inside_tools import samples, shipped


@pytest.fixture(scope="module")
def averaging() -> object:
    return with_global_average(shipped("digits"), *samples("mix"))


def test_ridge_regression_is_its_equation() -> None:
    """The head solves the normal equations of a ridge, up to the scores' scale."""
    drawn = np.random.default_rng(3)
    labels = drawn.integers(0, 4, 80)
    features = drawn.standard_normal((80, 6)) + 2.0 * np.eye(6)[labels]
    weight, bias = fit_head(features, labels)
    scores = features @ weight.T + bias
    assert (scores.argmax(axis=1) == labels).mean() > 0.75
    x, y = features - features.mean(axis=0), np.eye(4)[labels] - np.eye(4)[labels].mean(axis=0)
    # W (X'X + r) = k Y'X for one r and one scale k: both come out of a small system, and nothing is left over.
    moment, target = weight.astype(np.float64) @ (x.T @ x), y.T @ x
    system = np.stack([weight.astype(np.float64).ravel(), -target.ravel()], axis=1)
    (r, k), left, *_ = np.linalg.lstsq(system, -moment.ravel(), rcond=None)
    assert r > 0 and k > 0 and left[0] < 1e-6 * (moment**2).sum()


def test_left_out_answers_are_those_of_a_fit_without_the_row() -> None:
    from handlens.inside.anysize import left_out

    drawn = np.random.default_rng(4)
    x, y, r = drawn.standard_normal((20, 3)), drawn.standard_normal((20, 2)), 0.7
    u, s, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    found = left_out(u, s, y - y.mean(axis=0), r) + y.mean(axis=0)
    for n in (0, 7, 19):
        rest = np.delete(np.arange(20), n)
        # The same ridge with the mean as an unpenalised column, as in the closed form.
        a = np.column_stack([x[rest] - x.mean(axis=0), np.ones(19)])
        solved = np.linalg.solve(a.T @ a + np.diag([r, r, r, 0.0]), a.T @ y[rest])
        np.testing.assert_allclose(found[n], np.append(x[n] - x.mean(axis=0), 1.0) @ solved, atol=1e-9)


def test_the_convolutions_are_the_shipped_ones(averaging) -> None:  # type: ignore[no-untyped-def]
    source = shipped("digits")
    kept = averaging.state_dict()
    for name, value in source.state_dict().items():
        if not name.startswith("dense"):
            np.testing.assert_array_equal(kept[name], value)
    assert [type(layer).__name__ for layer in averaging.layers[-3:]] == ["GlobalAvgPool2D", "Dense", "Softmax"]
    image = samples()[0][:1]
    np.testing.assert_allclose(averaging.trace(image)["relu4"], source.trace(image)["relu4"], atol=1e-6)


def test_it_reads_digits_of_other_sizes(averaging) -> None:  # type: ignore[no-untyped-def]
    """What was measured when this was written: 98 %, 98 % and 94 % of the 1,000 test images."""
    images, labels = (part[:300] for part in samples())
    plain = averaging.checked_images(images)
    for shown, at_least in ((plain, 0.96), (framed(plain, 40), 0.95), (enlarged(plain, 40), 0.87)):
        answers = averaging.predict(shown)
        assert (answers.argmax(axis=1) == labels).mean() >= at_least
        np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-5)
    assert averaging.evaluate(images, labels)["loss"] < 0.2  # its shares mean something
    assert averaging.predict(np.zeros((1, 33, 61))).shape == (1, 10)


def test_every_stride_fits_it(averaging) -> None:  # type: ignore[no-untyped-def]
    table, drawing = Table(averaging), np.random.default_rng(0).random((1, 1, 40, 40))
    assert table.set_stride("conv2", 2) == "conv2: stride 1 to 2"
    assert table.model.trace(drawing)["conv2"].shape == (1, 32, 8, 8)
    assert table.original.predict(drawing).shape == table.model.predict(drawing).shape == (1, 10)


def test_images_are_framed_and_enlarged() -> None:
    image = np.zeros((1, 1, 4, 4), np.float32)
    image[0, 0, 1, 2] = 1.0
    sheet = framed(image, 8)
    assert sheet.shape == (1, 1, 8, 8) and sheet[0, 0, 3, 4] == 1.0 == sheet.sum()
    large = enlarged(image, 8)
    assert large.shape == (1, 1, 8, 8) and large.sum() == pytest.approx(4.0)
    np.testing.assert_allclose(large[0, 0, 2:4, 4:6], 0.75**2)
    np.testing.assert_allclose(enlarged(np.ones((1, 1, 4, 4)), 9), 1.0, atol=1e-6)


def test_only_a_flattened_cnn_can_be_changed_so() -> None:
    images, labels = (part[:20] for part in samples("mix"))
    with pytest.raises(DataError, match='"ann" has no convolutions before a Flatten'):
        with_global_average(shipped("ann"), images, labels)
    with pytest.raises(DataError, match="20 images met 3 labels"):
        with_global_average(shipped("cnn-small"), images, labels[:3])
    with pytest.raises(ShapeError, match="40x40"):
        shipped("cnn-small").predict(np.zeros((1, 40, 40)))


def test_it_is_made_in_slices() -> None:
    images, labels = (part[:60] for part in samples("mix"))
    told = list[float]()

    async def work() -> object:
        made = await with_global_average_async(shipped("cnn-small"), images, labels, progress=told.append)
        stopped = asyncio.ensure_future(with_global_average_async(shipped("cnn-small"), images, labels))
        await asyncio.sleep(0)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        return made

    made = asyncio.run(work())
    assert told == sorted(told) and told[-1] == pytest.approx(1.0) and len(told) > 6
    same = with_global_average(shipped("cnn-small"), images, labels)
    np.testing.assert_allclose(made.predict(images), same.predict(images), atol=1e-3)  # type: ignore[attr-defined]
