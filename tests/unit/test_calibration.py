"""handlens.calibration: temperature, calibration error and threshold, against what is known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from handlens import BatchNorm, Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, Sequential, Softmax
from handlens.calibration import (
    expect,
    expected_calibration_error,
    fold,
    reliability,
    summary,
    temperature,
    threshold,
)
from handlens.errors import DataError
from handlens.metrics import cross_entropy, log_softmax


def drawn(count: int, scale: float, classes: int = 11, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose labels are drawn from softmax(scores), then made `scale` times as sure."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(0, 3, (count, classes))
    shares = np.exp(log_softmax(scores))
    labels = (generator.random((count, 1)) > np.cumsum(shares, axis=1)).sum(axis=1).clip(max=classes - 1)
    return scores * scale, labels


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_the_temperature_undoes_a_known_one(scale: float) -> None:
    scores, labels = drawn(20_000, scale)
    found = temperature(scores, labels)
    assert found == pytest.approx(scale, rel=0.03)
    losses = [cross_entropy(scores / t, labels) for t in (found, found * 0.97, found * 1.03)]
    assert losses[0] < min(losses[1:])


def test_the_temperature_of_a_faultless_network_ends_at_the_edge_and_of_a_hopeless_one_too() -> None:
    scores = np.eye(4)[[0, 1, 2, 3]] * 2.0
    assert temperature(scores, np.arange(4)) == pytest.approx(1 / 20)
    assert temperature(scores, np.roll(np.arange(4), 1)) == pytest.approx(20)
    assert temperature(scores + 1e4, np.arange(4)) == pytest.approx(1 / 20)


def test_the_calibration_error_is_the_sum_written_out() -> None:
    shares = np.array([[0.9, 0.1], [0.95, 0.05], [0.3, 0.7], [0.6, 0.4]])
    labels = np.array([0, 1, 1, 1])
    # Four bins of width 1/4: 0.9 and 0.95 in the last (half right), 0.7 and 0.6 in the third (half right).
    expected = 2 / 4 * abs(0.5 - 0.925) + 2 / 4 * abs(0.5 - 0.65)
    assert expected_calibration_error(shares, labels, bins=4) == pytest.approx(expected)
    rows = reliability(shares, labels, bins=4)
    assert [r["count"] for r in rows] == [0, 0, 2, 2] and "accuracy" not in rows[0]
    assert rows[2]["confidence"] == pytest.approx(0.65) and rows[2]["accuracy"] == 0.5
    assert (rows[3]["low"], rows[3]["high"]) == (0.75, 1.0)


def test_bins_hold_their_upper_edge_and_cover_everything() -> None:
    edges = np.arange(8, 16) / 15
    shares = np.stack([edges, 1 - edges], axis=1)
    rows = reliability(shares, np.zeros(8, int))
    assert [r["count"] for r in rows] == [0] * 7 + [1] * 8


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_calibrated_shares_have_a_small_error_and_others_a_large_one(scale: float) -> None:
    scores, labels = drawn(20_000, scale)

    def error(t: float) -> float:
        return expected_calibration_error(np.exp(log_softmax(scores / t)), labels)

    assert error(scale) < 0.012 and error(1.0) > 0.05


NETWORKS = {
    "dense and softmax": [Flatten(), Dense(7, activation="relu"), Dense(11), Softmax()],
    "softmax inside": [Flatten(), Dense(11, activation="softmax")],
    "no softmax, no bias": [Flatten(), Dense(11, use_bias=False)],
    "like digits": [Conv2D(3, 3), BatchNorm(), Flatten(), Dropout(0.3), Dense(11), Softmax()],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_divides_the_scores_and_nothing_else(name: str) -> None:
    generator = np.random.default_rng(1)
    model = Sequential(NETWORKS[name], (1, 6, 6), seed=3)
    model.parameters[...] = generator.normal(0, 0.5, model.parameters.shape)
    images = generator.random((9, 1, 6, 6), np.float32)
    before, kept = model.predict(images, logits=True), model.state_dict()
    fold(model, 2.5)
    np.testing.assert_allclose(model.predict(images, logits=True), before / 2.5, rtol=1e-5, atol=1e-6)
    after = np.exp(log_softmax(before / 2.5))
    np.testing.assert_allclose(model.predict(images), after, rtol=1e-4, atol=1e-6)
    changed = {n for n, value in model.state_dict().items() if value.tobytes() != kept[n].tobytes()}
    last = [layer.name for layer in model.layers if isinstance(layer, Dense)][-1]
    assert changed and changed <= {f"{last}.weight", f"{last}.bias"}
    fold(model, 2.0)
    assert model.metadata["temperature"] == 5.0


def test_what_cannot_be_folded_is_refused() -> None:
    pooled = Sequential([Dense(3), Softmax()], (4,))
    for by in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DataError, match="temperature"):
            fold(pooled, by)
    for layers in ([Conv2D(3, 3), GlobalAvgPool2D()], [Flatten(), Dense(3, activation="relu")]):
        model = Sequential(layers, (1, 6, 6))
        kept = model.parameters.copy()
        with pytest.raises(DataError, match="last Dense layer"):
            fold(model, 2.0)
        assert model.parameters.tobytes() == kept.tobytes() and "temperature" not in model.metadata


def eleven() -> Sequential:
    return Sequential([Flatten(), Dense(11), Softmax()], (1, 4, 4), seed=3)


@pytest.mark.parametrize("by", [1.0, 0.5, 3.0])
def test_expecting_fewer_rejects_scales_their_odds_by_the_ratio(by: float) -> None:
    """Against Bayes' rule written out: each class' share times its new prior over its old one, divided by their sum."""
    model, images = eleven(), np.random.default_rng(0).random((20, 1, 4, 4), np.float32)
    old = model.predict(images).astype(np.float64)
    seen, expected = 0.2, 0.01
    prior = np.r_[np.full(10, (1 - expected) / (1 - seen)), expected / seen]
    wanted = old * prior / (old * prior).sum(axis=1, keepdims=True)
    fold(model, by)  # a temperature that was folded in before scales what is taken away
    expect(model, seen, expected)
    fold(model, 1 / by)
    assert model.predict(images) == pytest.approx(wanted, abs=1e-5)
    kept = model.predict(images)
    expect(model, seen, expected)  # once is enough
    assert np.array_equal(model.predict(images), kept) and model.metadata["expected"] == expected


def test_expecting_what_cannot_be_is_refused() -> None:
    for seen, expected in ((0.0, 0.1), (0.1, 1.0), (float("nan"), 0.1)):
        with pytest.raises(DataError, match="between 0 and 1"):
            expect(eleven(), seen, expected)
    with pytest.raises(DataError, match="no class for rejects"):
        expect(Sequential([Flatten(), Dense(10), Softmax()], (1, 4, 4)), 0.2, 0.01)


def shares_of(best: np.ndarray, none: float = 0.0) -> np.ndarray:
    """Rows (N, 11) whose best digit has the given share."""
    found = np.zeros((len(best), 11))
    found[:, 3], found[:, 10] = best, none
    found[:, 5] = 1 - best - none
    return found


def test_the_threshold_is_the_largest_that_leaves_few_enough_unanswered() -> None:
    best = np.linspace(0.55, 0.949, 400)
    for refused in (0.0, 0.01, 0.015, 0.5):
        found = threshold(shares_of(best), refused)
        assert np.mean(best < found) <= refused
        assert np.mean(best < found + 0.0021) > refused  # rounded down by less than a thousandth, steps of a thousandth
    assert threshold(shares_of(np.full(10, 0.99))) == 0.95
    assert threshold(shares_of(np.full(10, 0.3), none=0.6)) == 0.5
    assert threshold(shares_of(best)[:, :10], 0.01) == threshold(shares_of(best), 0.01)
    # A digit that the reject class takes is unanswered too: the share that counts is the digit's, not the largest.
    stolen = shares_of(np.concatenate([np.full(5, 0.04), np.full(95, 0.9)]), none=0.0)
    stolen[:5, 5], stolen[:5, 10] = 0.0, 0.96
    assert threshold(stolen, 0.05) == 0.9 and threshold(stolen, 0.04) == 0.5


def test_the_summary_counts_rejects_against_the_network() -> None:
    shares = np.array(
        [
            [*[0] * 7, 0.9, 0, 0, 0.1],
            [*[0] * 7, 0.3, 0, 0, 0.7],
            [*[0] * 7, 0.7, 0, 0.3, 0],
            [0.85, *[0] * 6, 0.15, 0, 0, 0],
        ]
    )
    found = summary(shares, np.full(4, 7), 0.8)
    assert found == {
        "count": 4,
        "accuracy": 0.5,
        "refused": 0.5,
        "right_of_answered": 0.5,
        "ece": pytest.approx(expected_calibration_error(shares, np.full(4, 7))),
    }
    assert summary(shares, np.full(4, 7), 0.95)["right_of_answered"] is None


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (np.zeros((0, 3)), np.zeros(0, int)),
        (np.zeros((2, 3)), np.zeros(3, int)),
        (np.zeros((2, 3)), np.array([0, 3])),
        (np.zeros((2, 3)), np.array([0, -1])),
        (np.zeros((2, 3)), np.array([0.0, 1.0])),
        (np.full((2, 3), np.nan), np.array([0, 1])),
    ],
)
def test_what_does_not_fit_is_refused(values: np.ndarray, labels: np.ndarray) -> None:
    for function in (temperature, reliability, expected_calibration_error):
        with pytest.raises(DataError):
            function(values, labels)
    with pytest.raises(DataError):
        threshold(values)
    with pytest.raises(DataError):
        reliability(np.ones((1, 1)), np.zeros(1, int), bins=0)
