"""Calibration: shares that mean what they say, and the threshold below which nothing is answered.

A network's shares are too sure of themselves, or, after label smoothing, not sure enough. One number, the temperature
T, mends most of it: ``p = softmax(z / T)``. It is fitted on writers who are neither trained on nor reported on, and
folded into the last dense layer, so that a model's probabilities are calibrated as they stand.

Sources: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017 (temperature, expected
calibration error); Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError
from .layers import Dense, Dropout, Softmax
from .metrics import log_softmax
from .reading import DIGITS

if TYPE_CHECKING:
    from .model import Sequential

__all__ = ["BINS", "expect", "expected_calibration_error", "fold", "reliability", "summary", "temperature", "threshold"]

BINS = 15
LARGEST = 20.0  # a temperature is looked for from 1/20 to 20
_STEPS = 60  # halvings of that range


def temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature of least mean negative log-likelihood, ``min_T mean -log softmax(z / T)[label]``.

    In b = 1/T that is convex, with the slope ``mean(sum_k p_k z_k - z_label)``, so halving the range finds its zero. It
    ends at the range's edge, 1/20, where every row's largest score is at its label and no temperature is too low.

    Args:
        logits: (N, classes) scores. labels: (N,) class numbers.
    Raises:
        DataError: no rows, shapes that do not fit, labels beyond the classes, or scores that are not finite.
    """
    scores, classes = _checked(logits, labels)
    scores = scores - scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(classes)), classes]
    low, high = 1 / LARGEST, LARGEST
    for _ in range(_STEPS):
        inverse = (low * high) ** 0.5
        slope = float(((np.exp(log_softmax(scores * inverse)) * scores).sum(axis=1) - own).mean())
        low, high = (low, inverse) if slope > 0 else (inverse, high)
    return float(1 / (low * high) ** 0.5)


def fold(model: Sequential, by: float) -> None:
    """Divide a model's scores by a temperature, in place: weight and bias of its last dense layer.

    No answer changes, only how sure it is. The metadata's "temperature" keeps the product of all that was folded in.

    Raises:
        DataError: a temperature that is not above 0 and finite, or a network that does not end in a dense layer
            without an activation (a softmax after it is fine).
    """
    if not (np.isfinite(by) and by > 0):
        raise DataError(f"temperature {by}: give a number above 0")
    last = _last_scores(model)
    weights = model.state_dict()
    for name in (f"{last.name}.weight", f"{last.name}.bias"):
        if name in weights:
            weights[name] = (weights[name].astype(np.float64) / by).astype(np.float32)
    model.load_state_dict(weights)
    model.metadata["temperature"] = float(model.metadata.get("temperature", 1.0)) * float(by)


def expect(model: Sequential, seen: float, expected: float) -> None:
    """Tell a network with a reject class how rare drawings that are no digit are where it is used.

    A network's shares hold for the mixture that it was trained on. Where the reject class made up another share of that
    than it will of what is drawn, its score is lowered by the logarithm of the ratio of the odds, folded into the bias:
    ``z_none -= log(seen / (1 - seen)) - log(expected / (1 - expected))``. Done once; a second call with the same
    numbers changes nothing, since the model's metadata ("expected") keeps what it was told.

    Args:
        model: of 11 classes, the last of them "none". seen: the share of rejects in training. expected: the new one.
    Raises:
        DataError: shares that are not between 0 and 1, no reject class, or no last dense layer with a bias.

    Source: Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities", 2002.
    """
    if not (0 < seen < 1 and 0 < expected < 1):
        raise DataError(f"shares of rejects {seen} and {expected}: give numbers between 0 and 1")
    last = _last_scores(model)
    weights, name = model.state_dict(), f"{last.name}.bias"
    if model.output_shape != (DIGITS + 1,) or name not in weights:
        raise DataError(f"{model.name} has no class for rejects with a bias of its own")
    known = float(model.metadata.get("expected", seen))
    lower = np.log(known / (1 - known)) - np.log(expected / (1 - expected))
    bias = weights[name].astype(np.float64)
    bias[DIGITS] -= lower / float(model.metadata.get("temperature", 1.0))  # what is folded in has scaled the scores
    model.load_state_dict(weights | {name: bias.astype(np.float32)})
    model.metadata["expected"] = expected


def _last_scores(model: Sequential) -> Dense:
    """The dense layer that makes the scores."""
    layers = [layer for layer in model.layers if not isinstance(layer, Softmax | Dropout)]
    last = layers[-1] if layers else None
    if not isinstance(last, Dense) or last.activation not in (None, "softmax") or not model.loss.classifies:
        raise DataError(f"what calibrates is folded into a last Dense layer of scores; {model.name} has none")
    return last


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> list[dict[str, float]]:
    """How often the answer is right, by how sure it is: one row for each bin of the largest share.

    Bins are (k/bins, (k+1)/bins], as in the source. A row holds "low", "high", "count", and for bins that hold any,
    "confidence" (the mean largest share) and "accuracy".
    """
    shares, classes = _checked(probabilities, labels)
    if bins < 1:
        raise DataError(f"{bins} bins; give at least 1")
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == classes
    at = np.clip(np.ceil(confidence * bins).astype(np.intp) - 1, 0, bins - 1)
    rows: list[dict[str, float]] = []
    for k in range(bins):
        inside = at == k
        row: dict[str, float] = {
            "low": round(k / bins, 4),
            "high": round((k + 1) / bins, 4),
            "count": int(inside.sum()),
        }
        if row["count"]:
            row |= {"confidence": float(confidence[inside].mean()), "accuracy": float(right[inside].mean())}
        rows.append(row)
    return rows


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> float:
    """``sum over bins of count/N |accuracy - confidence|``, bins of equal width, confidence = the largest share."""
    rows = [row for row in reliability(probabilities, labels, bins) if row["count"]]
    total = sum(row["count"] for row in rows)
    return float(sum(row["count"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / total)


def threshold(probabilities: ArrayLike, refused: float = 0.015, low: float = 0.5, high: float = 0.95) -> float:
    """The largest share to ask for before a digit is answered that leaves at most ``refused`` of them unanswered.

    A digit is unanswered where its best digit's share is below the threshold, as in `handlens.reading.judge`.

    Args:
        probabilities: (N, 10) or (N, 11), of digits by writers who choose. refused: the share that may stay unanswered.
        low, high: the threshold is kept within these, even where more digits than ``refused`` stay below ``low``.
    Returns:
        the threshold, rounded down to three decimals.
    Raises:
        DataError: no rows, another shape, or numbers out of range.
    """
    shares = np.asarray(probabilities, np.float64)
    if shares.ndim != 2 or not len(shares) or shares.shape[1] not in (DIGITS, DIGITS + 1):
        raise DataError(f"shares of shape {shares.shape}; give (N, 10) or (N, 11), at least one row")
    if not (0 <= refused < 1 and 0 <= low <= high <= 1):
        raise DataError(f"threshold: refused {refused}, from {low} to {high}; give shares, low to high")
    best = np.sort(shares[:, :DIGITS].max(axis=1))
    # As many as `spared` lie below the next one, at which the threshold may stand; the margin is for 0.01 * 100 < 1.
    spared = int(refused * len(best) + 1e-9)
    return float(np.floor(np.clip(best[spared], low, high) * 1000 + 1e-9) / 1000)


def summary(probabilities: ArrayLike, labels: ArrayLike, answer: float) -> dict[str, Any]:
    """What every benchmark says of a set of digits, JSON-ready.

    "count"; "accuracy" (largest share of all classes at the label); "refused" (share of digits whose best share is
    below ``answer``); "right_of_answered" (None where none is); "ece", the expected calibration error.
    """
    shares, classes = _checked(probabilities, labels)
    answered = shares[:, :DIGITS].max(axis=1) >= answer
    right = shares[:, :DIGITS].argmax(axis=1) == classes
    return {
        "count": len(classes),
        "accuracy": float((shares.argmax(axis=1) == classes).mean()),
        "refused": float(1 - answered.mean()),
        "right_of_answered": float(right[answered].mean()) if answered.any() else None,
        "ece": expected_calibration_error(shares, classes),
    }


def _checked(values: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Rows of scores or shares, and their labels, that fit each other."""
    rows, classes = np.asarray(values, np.float64), np.asarray(labels)
    if rows.ndim != 2 or classes.shape != rows.shape[:1] or not len(rows):
        raise DataError(f"{rows.shape} scores met labels of shape {classes.shape}; give (N, classes) and (N,)")
    if not np.isfinite(rows).all():
        raise DataError("scores hold values that are not finite")
    if classes.dtype.kind not in "iu" or classes.min() < 0 or classes.max() >= rows.shape[1]:
        raise DataError(f"labels must be whole numbers from 0 to {rows.shape[1] - 1}")
    return rows, classes.astype(np.intp)
