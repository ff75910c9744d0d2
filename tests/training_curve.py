"""A short training on any backend, its losses step by step, and how they compare with NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from handlens import architectures, training
from handlens.backends import Backend
from handlens.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool2D
from handlens.model import Sequential
from handlens.optimizers import Adam

BAND = 0.05  # of the loss, averaged over ten steps: float32 sums in another order drift apart this far at most


class Curve:
    """Collects the loss of every step, the last report of a step counting."""

    def __init__(self) -> None:
        self.losses: dict[int, float] = {}  # by step: the sum of the losses so far

    def __call__(self, event: training.Event, run: Any) -> None:
        if event.kind == "step":
            self.losses[(event.epoch - 1) * event.steps + event.step] = event.loss * event.step

    def smooth(self) -> np.ndarray:
        """Losses averaged over ten steps, from the running sums of one epoch."""
        sums = np.array([0.0, *(self.losses[k] for k in sorted(self.losses))])
        return np.diff(sums[::10]) / 10


def small(seed: int = 3) -> Sequential:
    """A network with everything that keeps a state: batch norm, dropout, both kinds of weights."""
    layers = [Conv2D(4, 3, use_bias=False), BatchNorm(), MaxPool2D(2), Flatten(), Dropout(0.2), Dense(10)]
    return Sequential(layers, (1, 28, 28), seed=seed)


def trained(model: Sequential, x: np.ndarray, y: np.ndarray, **options: Any) -> tuple[Curve, Any]:
    """Train for an epoch; the curve and the history."""
    curve = Curve()
    settings = {"epochs": 1, "batch_size": 32, "optimizer": Adam(1e-3), "progress": False, **options}
    history = model.fit(x, y, callbacks=[curve], **settings)
    return curve, history


def same_curve(backend: Backend, x: np.ndarray, y: np.ndarray) -> None:
    """200 steps of `cnn-small` at batch 32 on a backend and with NumPy: losses within the band, the same answers."""
    curves, ends = [], []
    for side in ("numpy", backend):
        model = architectures.build("cnn-small")
        model.use(side)
        curve, history = trained(model, x, y)
        assert not history.handed_over
        assert len(curve.losses) == 200
        curves.append(curve.smooth())
        ends.append(model.predict(x[:512]))
    np.testing.assert_allclose(curves[1], curves[0], rtol=BAND, atol=BAND / 5)
    assert (ends[0].argmax(1) == ends[1].argmax(1)).mean() > 0.97
