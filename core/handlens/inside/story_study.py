"""The small study behind the article's empirical rows: tuning (2), a tiny network (10), shuffled pixels (22), shifts
(56) and pooling (57).

It trains for minutes, so it is done once, by `handlens story --study`, and kept in story_study.json beside this file,
with everything that is needed to do it again. Small sets and small networks: it shows directions, not records.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import generator
from ..layers import AvgPool2D, Conv2D, Dense, Flatten, Layer, MaxPool2D
from ..model import Sequential
from ..optimizers import Adam
from ..strokes import prepare
from .ablation import ablation, silenceable
from .story_models import order_of, shuffled
from .story_record import record
from .story_shifts import KINDS, NEAR, REACH, accuracies, near
from .story_tools import costs

SEEDS = 5
EPOCHS = 20
RATE = 2e-3
BATCH = 50
TINY_EPOCHS = 5
TINY_BATCH = 128
SHIFTED = 300  # test images that are tried at every shift
TUNED = 200  # drawings of another hand
TUNE_EPOCHS = 5
TUNE_RATE = 1e-3
TUNE_TESTS = 500  # test images that say what a kernel is worth

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


def averaged() -> list[Layer]:
    """The same with average pooling."""
    return [AvgPool2D(2) if isinstance(layer, MaxPool2D) else layer for layer in pooled()]


def bare() -> list[Layer]:
    """The same two convolutions with neither pooling nor stride; the dense layer behind them is sixteen times as large
    and more."""
    return [layer for layer in pooled() if not isinstance(layer, MaxPool2D)]


def linear() -> list[Layer]:
    """Softmax regression, the baseline."""
    return [Flatten(), Dense(10)]


def fitted(
    layers: Callable[[], list[Layer]], train: Set, seed: int, epochs: int = EPOCHS, batch: int = BATCH
) -> Sequential:
    """A network after a training of its own."""
    model = Sequential(layers(), (1, 28, 28), seed)
    model.fit(*train, epochs=epochs, batch_size=batch, optimizer=Adam(RATE), progress=False)
    return model


def trained(
    layers: Callable[[], list[Layer]], train: Set, test: Set, seed: int, epochs: int = EPOCHS, batch: int = BATCH
) -> tuple[float, float]:
    """Share of right answers on the training and on the test images after a training of its own."""
    model = fitted(layers, train, seed, epochs, batch)
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
        "linear": [trained(linear, train, test, seed) for seed in range(seeds)],
        "linear_shuffled": [trained(linear, mixed[0], mixed[1], seed) for seed in range(seeds)],
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


def shift_study(train: Set, test: Set, seeds: int = SEEDS, images: int = SHIFTED) -> dict[str, Any]:
    """Row 56: networks that differ in what stands for pooling, trained on images that never moved; the share of the
    first ``images`` test images that each reads right at every shift, the mean over the seeds."""
    kinds = {"cnn": pooled, "averaged": averaged, "strided": strided, "bare": bare, "ann": dense, "linear": linear}
    assert list(kinds) == list(KINDS)
    some = test[0][:images], test[1][:images]
    maps = {
        name: np.mean([accuracies(fitted(layers, train, seed), *some) for seed in range(seeds)], axis=0)
        for name, layers in kinds.items()
    }
    return {"images": images, "reach": REACH, "accuracy": {name: map_.round(4).tolist() for name, map_ in maps.items()}}


def another_hand(count: int, seed: int) -> Set:
    """Digits by the project's own writer, prepared as drawings are: images uint8 and labels."""
    drawn = generator.digits(count, seed)
    made = [prepare(one.drawn(), 280.0) for one in drawn]
    images = np.stack([one.image for one in made if one is not None])
    return np.round(images * 255).astype(np.uint8), np.array([one.label for one in drawn], np.uint8)


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The place of each value in their order, from 0; equal ones share the mean of their places."""
    order = np.argsort(values, kind="stable")
    places = np.empty(len(values))
    places[order] = np.arange(len(values))
    return np.array([places[values == value].mean() for value in values])


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's: Pearson's correlation of the ranks, 1 for the same order, 0 for none, -1 for the reverse; 0 where all
    values of one side are equal."""
    x, y = ranks(a) - ranks(a).mean(), ranks(b) - ranks(b).mean()
    length = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / length if length else 0.0


def losses(model: Sequential, test: Set) -> NDArray[np.float64]:
    """What each kernel of all convolutions is worth: the share of test images lost when it is silenced."""
    found = [one for name in silenceable(model) for one in ablation(model, name, *test)]
    return np.array([one.original - one.accuracy for one in found])


def tune_study(model: Sequential, test: Set, seeds: int = SEEDS) -> dict[str, Any]:
    """Row 2: do the kernels keep their parts when a network is tuned further? The shipped small CNN learns drawings of
    another hand. Every run: how far its kernels moved, ``mean of |w - w_before| / |w_before|``; the rank correlation of
    what each kernel is worth before and after; the shares of new drawings of that hand read right before and after."""
    some = test[0][:TUNE_TESTS], test[1][:TUNE_TESTS]
    before, runs = losses(model, some), []
    fresh = another_hand(500, 10_000)
    for seed in range(seeds):
        twin = Sequential.from_config(model.config(), name=model.name, weights=model.state_dict())
        twin.fit(
            *another_hand(TUNED, seed), epochs=TUNE_EPOCHS, batch_size=BATCH, optimizer=Adam(TUNE_RATE), progress=False
        )
        drifts = []
        for name in silenceable(model):
            old, new = (one.parameter(f"{name}.weight") for one in (model, twin))
            apart = np.linalg.norm((np.asarray(new) - old).reshape(len(old), -1), axis=1)
            drifts.append(apart / np.linalg.norm(np.asarray(old).reshape(len(old), -1), axis=1))
        read = [float(one.evaluate(*fresh)["accuracy"]) for one in (model, twin)]
        runs.append(
            {
                "drift": float(np.concatenate(drifts).mean()),
                "rank": rank_correlation(before, losses(twin, some)),
                "before": read[0],
                "after": read[1],
            }
        )
    return {"images": TUNED, "epochs": TUNE_EPOCHS, "learning_rate": TUNE_RATE, "test_images": TUNE_TESTS, "runs": runs}


def recorded() -> dict[str, Any]:
    """The study's record as facts of the text: means over the seeds."""
    found = record()
    means = {name: np.mean(runs, axis=0) for name, runs in found["runs"].items()}
    facts: dict[str, Any] = {"study_images": found["images"], "study_seeds": found["seeds"]}
    read = ("ann", "ann_shuffled", "cnn", "cnn_shuffled", "linear", "linear_shuffled")
    facts |= {f"study_{name}": float(means[name][1]) for name in read}
    facts["study_gap_linear"] = float(means["linear"][0] - means["linear"][1])
    first, last = costs(tiny(), (1, 28, 28))[1:]
    facts |= {
        "tiny_hidden": first.shape[0],
        "tiny_parameters": first.parameters + last.parameters,
        "tiny_images": found["tiny"]["images"],
        "tiny_accuracy": float(np.mean(found["tiny"]["runs"], axis=0)[1]),
    }
    for name, kept in (("pool", "cnn"), ("stride", "strided")):
        facts[f"study_{name}"] = float(means[kept][1])
        facts[f"study_gap_{name}"] = float(means[kept][0] - means[kept][1])
    shifted, tuned = found["shifts"], found["tune"]
    facts |= {"shift_images": shifted["images"], "shift_reach": shifted["reach"], "shift_near": NEAR}
    facts |= {f"shift_{name}": near(np.array(shifted["accuracy"][name])) for name in KINDS}
    facts |= {"tune_images": tuned["images"], "tune_tests": tuned["test_images"]}
    means_of = ("drift", "rank", "before", "after")
    return facts | {f"tune_{name}": float(np.mean([run[name] for run in tuned["runs"]])) for name in means_of}
