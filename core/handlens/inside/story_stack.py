"""The article's builder: up to three rounds of convolution, ReLU and pooling, flatten and a dense head, counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DataError, ShapeError
from ..layers import AvgPool2D, Conv2D, Dense, Flatten, Layer, MaxPool2D, Softmax
from .story_counts import whole
from .story_tools import costs

ROUNDS = 3
POOLS = {"none": None, "max": MaxPool2D, "average": AvgPool2D}
SMALL = ((8, 3, "max"), (16, 3, "max"), (0, 3, "none"))  # the shipped small CNN; no third round


def described(layer: Layer) -> str:
    """A layer in words: "16 kernels 3 × 3, ReLU"."""
    if isinstance(layer, Conv2D):
        return f"{layer.filters} {'kernel' if layer.filters == 1 else 'kernels'} {size(layer.kernel_size)}, ReLU"
    if isinstance(layer, MaxPool2D | AvgPool2D):
        return f"{'max' if isinstance(layer, MaxPool2D) else 'average'} pooling {size(layer.pool_size)}"
    if isinstance(layer, Dense):
        neurons = f"dense, {layer.units} {'neuron' if layer.units == 1 else 'neurons'}"
        return f"{neurons}, ReLU" if layer.activation else neurons
    return type(layer).__name__.lower()


def size(sides: Sequence[int]) -> str:
    """ "3 × 3"."""
    return " × ".join(str(side) for side in sides)


def layers_of(rounds: Sequence[Sequence[Any]], hidden: int) -> list[Layer]:
    """The layers of a row of rounds (kernels, kernel size, pooling) and of its head; DataError for anything else."""
    if not 1 <= len(rounds) <= ROUNDS:
        raise DataError(f"1 to {ROUNDS} rounds of convolution and pooling; got {len(rounds)}")
    made: list[Layer] = []
    for kernels, kernel, pooling in rounds:
        if pooling not in POOLS:
            raise DataError(f"no pooling is called {pooling!r}; there are: {', '.join(POOLS)}")
        if not whole(kernels, 0, 64, "kernels"):
            continue
        made.append(Conv2D(int(kernels), whole(kernel, 1, 15, "kernel size"), activation="relu"))
        pool = POOLS[pooling]
        made += [pool(2)] if pool else []
    made.append(Flatten())
    if whole(hidden, 0, 1000, "neurons"):
        made.append(Dense(int(hidden), activation="relu"))
    return [*made, Dense(10), Softmax()]


def builder(rounds: Sequence[Sequence[Any]] = SMALL, hidden: int = 0, side: int = 28) -> dict[str, Any]:
    """A network of one's own for an image of side x side and ten classes: what each layer makes and costs.

    rounds: (kernels, kernel size, "none" | "max" | "average") each; one of 0 kernels is left out. hidden: neurons of
    a dense layer before the last, 0 for none. rows: layer, words, shape, parameters, multiply-adds, share of all
    parameters. refused: the core's one sentence where the sizes do not fit, "" otherwise; then there are no rows.
    """
    layers = layers_of(rounds, hidden)
    try:
        found = costs(layers, (1, whole(side, 1, 64, "side"), side))
    except ShapeError as error:
        return {"refused": f"{error}.", "rows": [], "parameters": 0, "multiply_adds": 0, "side": int(side)}
    total = sum(cost.parameters for cost in found)
    rows = [
        {
            "layer": cost.layer,
            "words": described(layer),
            "shape": list(cost.shape),
            "parameters": cost.parameters,
            "multiply_adds": cost.multiply_adds,
            "share": cost.parameters / total,
        }
        for layer, cost in zip(layers, found, strict=True)
    ]
    work = sum(cost.multiply_adds for cost in found)
    return {"refused": "", "rows": rows, "parameters": total, "multiply_adds": work, "side": int(side)}
