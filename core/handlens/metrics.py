"""Metrics on host arrays."""

from __future__ import annotations

import numpy as np

from .graph import Array


def log_softmax(logits: Array) -> Array:
    """``x - max x - log sum exp(x - max x)`` along the last axis, in float64."""
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def accuracy(scores: Array, labels: Array) -> float:
    """Share of rows whose largest score is at the label. scores (N, classes), labels (N,)."""
    return float(np.mean(np.argmax(scores, axis=1) == labels))


def cross_entropy(logits: Array, labels: Array) -> float:
    """Mean of ``-log softmax(logits)[label]``, natural logarithm."""
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def mean_squared_error(outputs: Array, targets: Array) -> float:
    """Mean of ``(output - target)^2`` over all elements."""
    return float(np.mean(np.square(np.asarray(outputs, np.float64) - targets)))


def confusion_matrix(predicted: Array, labels: Array, classes: int) -> Array:
    """(classes, classes) counts: row = true class, column = predicted class."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (labels, predicted), 1)
    return table
