"""The small study behind the article's empirical rows: a tiny network (10), shuffled pixels (22) and pooling (57).

It trains for minutes, so it is done once, by `handlens story --study`, and kept in story_study.json beside this file,
with everything that is needed to do it again. Small sets and small networks: it shows directions, not records.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layers import Conv2D, Dense, Flatten, Layer, MaxPool2D
from ..model import Sequential
from ..optimizers import Adam
from .story_models import order_of, shuffled
from .story_tools import costs

RECORD = Path(__file__).with_name("story_study.json")
SEEDS = 5
EPOCHS = 20
RATE = 2e-3
BATCH = 50
TINY_EPOCHS = 5
TINY_BATCH = 128

Set = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def dense() -> list[Layer]:
    """The article's feed-forward network."""
    return [Flatten(), Dense(100, activation="relu"), Dense(10)]


def tiny() -> list[Layer]:
    """A feed-forward network of less than 5,000 parameters."""
    return [Flatten(), Dense(6, activation="relu"), Dense(10)]


def pooled() -> list[Layer]:
    """Two convolutions, each followed by 2x2 max pooling."""
    return [
        *(Conv2D(8, 3, activation="relu"), MaxPool2D(2)),
        *(Conv2D(16, 3, activation="relu"), MaxPool2D(2)),
        *(Flatten(), Dense(10)),
    ]


def strided() -> list[Layer]:
    """The same with a stride of 2 in place of the pooling: as many parameters but for the maps' last row."""
    return [
        Conv2D(8, 3, strides=2, activation="relu"),
        Conv2D(16, 3, strides=2, activation="relu"),
        *(Flatten(), Dense(10)),
    ]


def trained(
    layers: Callable[[], list[Layer]], train: Set, test: Set, seed: int, epochs: int = EPOCHS, batch: int = BATCH
) -> tuple[float, float]:
    """Share of right answers on the training and on the test images after a training of its own."""
    model = Sequential(layers(), (1, 28, 28), seed)
    model.fit(*train, epochs=epochs, batch_size=batch, optimizer=Adam(RATE), progress=False)
    return tuple(float(model.evaluate(*one)["accuracy"]) for one in (train, test))  # type: ignore[return-value]


def study(train: Set, test: Set, seeds: int = SEEDS) -> dict[str, Any]:
    """Train each network with each seed; every run's two shares, and the settings."""
    order = order_of()
    mixed = [(shuffled(x, order), y) for x, y in (train, test)]
    runs = {
        "ann": [trained(dense, train, test, seed) for seed in range(seeds)],
        "ann_shuffled": [trained(dense, mixed[0], mixed[1], seed) for seed in range(seeds)],
        "cnn": [trained(pooled, train, test, seed) for seed in range(seeds)],
        "cnn_shuffled": [trained(pooled, mixed[0], mixed[1], seed) for seed in range(seeds)],
        "strided": [trained(strided, train, test, seed) for seed in range(seeds)],
    }
    return {
        "command": "handlens story --study",
        "images": len(train[0]),
        "test_images": len(test[0]),
        "seeds": seeds,
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "learning_rate": RATE,
        "runs": runs,
    }


def tiny_study(train: Set, test: Set, seeds: int = SEEDS) -> dict[str, Any]:
    """The tiny network, trained on all of MNIST: every run's two shares, and the settings."""
    return {
        "images": len(train[0]),
        "test_images": len(test[0]),
        "epochs": TINY_EPOCHS,
        "batch_size": TINY_BATCH,
        "learning_rate": RATE,
        "runs": [trained(tiny, train, test, seed, TINY_EPOCHS, TINY_BATCH) for seed in range(seeds)],
    }


def recorded() -> dict[str, Any]:
    """The study's record as facts of the text: means over the seeds."""
    record = json.loads(RECORD.read_text("utf-8"))
    means = {name: np.mean(runs, axis=0) for name, runs in record["runs"].items()}
    facts: dict[str, Any] = {"study_images": record["images"], "study_seeds": record["seeds"]}
    facts |= {f"study_{name}": float(means[name][1]) for name in ("ann", "ann_shuffled", "cnn", "cnn_shuffled")}
    first, last = costs(tiny(), (1, 28, 28))[1:]
    facts |= {
        "tiny_hidden": first.shape[0],
        "tiny_parameters": first.parameters + last.parameters,
        "tiny_images": record["tiny"]["images"],
        "tiny_accuracy": float(np.mean(record["tiny"]["runs"], axis=0)[1]),
    }
    for name, kept in (("pool", "cnn"), ("stride", "strided")):
        facts[f"study_{name}"] = float(means[kept][1])
        facts[f"study_gap_{name}"] = float(means[kept][0] - means[kept][1])
    return facts
