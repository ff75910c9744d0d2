"""The named networks that Handlens ships, trains and compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .augment import Augment
from .errors import DataError
from .layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU, Softmax
from .model import Sequential
from .optimizers import Adam, AdamW
from .schedules import OneCycle

CLASSES = tuple("0123456789")
MNIST = ("mnist",)
WORLD = ("mnist", "writers", "generated", "rejects")  # every source there is (data/sources.py)


@dataclass(frozen=True)
class Recipe:
    """How a named network is trained: everything that ``handlens train NAME`` does unless told otherwise."""

    epochs: int
    batch_size: int
    optimizer: Adam
    augment: Augment | None = None
    sources: tuple[str, ...] = MNIST


@dataclass(frozen=True)
class Architecture:
    """A named network: one line about it, its layers, and its recipe."""

    name: str
    title: str
    family: str  # "CNN", "ANN" or "linear", as the page's comparison calls them
    layers: Callable[[], list[Layer]]
    recipe: Recipe
    classes: tuple[str, ...] = CLASSES


def convolved(filters: int, kernel: int = 3, padding: str = "valid") -> list[Layer]:
    """Convolution, batch norm, ReLU: the norm carries the bias."""
    return [Conv2D(filters, kernel, padding=padding, use_bias=False), BatchNorm(momentum=0.98), ReLU()]


def linear() -> list[Layer]:
    """784-10: softmax regression, the baseline of every comparison."""
    return [Flatten(), Dense(10), Softmax()]


def ann(hidden: int) -> Callable[[], list[Layer]]:
    """784-hidden-10: the article's feed-forward network."""
    return lambda: [Flatten(), Dense(hidden, activation="relu"), Dense(10), Softmax()]


def cnn_small() -> list[Layer]:
    """Two convolutions of 8 and 16 kernels: small enough to see whole."""
    return [
        *(Conv2D(8, 3, activation="relu"), MaxPool2D(2)),
        *(Conv2D(16, 3, activation="relu"), MaxPool2D(2)),
        *(Flatten(), Dense(10), Softmax()),
    ]


def convnet() -> list[Layer]:
    """The reference of the benchmarks: 32 and 64 kernels."""
    return [
        *(Conv2D(32, 3, activation="relu"), MaxPool2D(2)),
        *(Conv2D(64, 3, activation="relu"), MaxPool2D(2)),
        *(Flatten(), Dropout(0.25), Dense(10), Softmax()),
    ]


def digits() -> list[Layer]:
    """Ours: four convolutions with batch norm, dropout before the classes, and an eleventh class for no digit."""
    return [
        *(*convolved(16, 5), MaxPool2D(2)),
        *(*convolved(32), *convolved(48), *convolved(64, padding="same"), MaxPool2D(2)),
        *(Flatten(), Dropout(0.3), Dense(11), Softmax()),
    ]


def recipe(
    epochs: int,
    rate: float,
    weight_decay: float = 0.0,
    augment: Augment | None = None,
    sources: tuple[str, ...] = MNIST,
) -> Recipe:
    """One-cycle Adam in batches of 128; AdamW where weights decay."""
    schedule = OneCycle(rate)
    optimizer = AdamW(schedule, weight_decay=weight_decay) if weight_decay else Adam(schedule)
    return Recipe(epochs, 128, optimizer, augment, sources)


FULL = Augment()
WORLDLY = Augment(shift=2.5, elastic=0.6, smoothing=0.5, share=0.9)  # the sources vary a good deal themselves
MODERATE = Augment(shift=1.5, rotation=8.0, scale=0.08, shear=0.1, elastic=0.5, thickness=0.3, smoothing=0.3)
SLIGHT = Augment(shift=1.0, rotation=6.0, scale=0.06, shear=0.08, elastic=0.4, thickness=0.2, smoothing=0.2, share=0.5)

# The matched ANN's hidden layer makes its parameters come nearest to convnet's 34,826: 795 a hidden neuron, plus 10.
ARCHITECTURES = {
    a.name: a
    for a in (
        Architecture(
            *("digits", "our best reader of digits", "CNN", digits),
            recipe(20, 8e-3, 0.01, WORLDLY, WORLD),
            (*CLASSES, "none"),
        ),
        Architecture("convnet", "the reference CNN", "CNN", convnet, recipe(16, 4e-3, augment=FULL)),
        Architecture(
            "cnn-small", "a CNN small enough to see whole", "CNN", cnn_small, recipe(16, 8e-3, augment=MODERATE)
        ),
        Architecture("ann", "the article's feed-forward network", "ANN", ann(100), recipe(20, 3e-3, augment=SLIGHT)),
        Architecture(
            "ann-matched", "an ANN with as many parameters as convnet", "ANN", ann(44), recipe(20, 3e-3, augment=SLIGHT)
        ),
        Architecture("linear", "softmax regression, the baseline", "linear", linear, recipe(10, 3e-3, augment=SLIGHT)),
    )
}


def find(name: str) -> Architecture:
    """The architecture of that name; DataError lists the names otherwise."""
    if name not in ARCHITECTURES:
        raise DataError(f"no architecture is called {name!r}; there are: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build(name: str, seed: int = 0, **options: Any) -> Sequential:
    """A fresh network of that name for 28x28 images of digits."""
    return Sequential(find(name).layers(), (1, 28, 28), seed, name, **options)
