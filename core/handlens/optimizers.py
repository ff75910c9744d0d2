"""Optimizers as objects: the op they emit, its constants, and the buffers it moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .errors import DataError
from .graph import Op
from .ops import optimizer as ops
from .schedules import Schedule


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: ``v = momentum v + g; w = w - rate v`` (Nesterov: ``w - rate (g + momentum v)``).

    learning_rate: a number, or a schedule. weight_decay adds ``weight_decay * w`` to the gradient.
    """

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    op: ClassVar[Op] = ops.sgd
    moments: ClassVar[tuple[str, ...]] = ("velocity",)

    def attrs(self) -> Mapping[str, Any]:
        """Constants of the op."""
        return {"momentum": self.momentum, "nesterov": self.nesterov, "weight_decay": self.weight_decay}


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba, 2015); weight_decay adds ``weight_decay * w`` to the gradient."""

    learning_rate: float | Schedule = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    op: ClassVar[Op] = ops.adam
    moments: ClassVar[tuple[str, ...]] = ("moment_1", "moment_2")
    decoupled: ClassVar[bool] = False

    def attrs(self) -> Mapping[str, Any]:
        """Constants of the op."""
        return {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "weight_decay": self.weight_decay,
            "decoupled": self.decoupled,
        }


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019): ``w = w - rate weight_decay w`` beside the step."""

    weight_decay: float = 0.01
    decoupled: ClassVar[bool] = True


Optimizer = SGD | Adam


def get(optimizer: str | Optimizer) -> Optimizer:
    """An optimizer by name ("sgd", "adam", "adamw") with its defaults, or itself."""
    if not isinstance(optimizer, str):
        return optimizer
    table: dict[str, type[SGD] | type[Adam]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
    if optimizer.lower() not in table:
        raise DataError(f"no optimizer is called {optimizer!r}; there are: {', '.join(table)}")
    return table[optimizer.lower()]()
