"""What a layer is: it declares its parameters and emits ops. No layer computes anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import DataError, ShapeError
from ..graph import Graph, Shape
from ..ops import activation as activation_ops

KINDS: dict[str, type[Layer]] = {}
ACTIVATIONS = {
    "relu": activation_ops.relu,
    "leaky_relu": activation_ops.leaky_relu,
    "sigmoid": activation_ops.sigmoid,
    "tanh": activation_ops.tanh,
    "softmax": activation_ops.softmax,
}


@dataclass(frozen=True)
class Parameter:
    """A named array a layer owns; ``trainable`` ones are moved by the optimizer, the others are running statistics."""

    name: str
    shape: Shape
    initializer: str
    trainable: bool = True


class Layer(ABC):
    """Base of all layers. ``name`` is given, or made from the kind and a count: ``conv1``, ``conv2``, ``pool1``."""

    stem: ClassVar[str] = "layer"

    def __init__(self, name: str = "") -> None:
        if not isinstance(name, str) or "." in name:
            raise DataError(f"a layer's name is text without a dot; got {name!r}")
        self.name = self.given_name = name  # a network names the nameless; the given name stays what it was

    def __init_subclass__(cls) -> None:
        KINDS[cls.__name__] = cls

    @property
    def label(self) -> str:
        """How errors call this layer."""
        return f'{type(self).__name__} "{self.name}"'

    def parameters(self, input_shape: Shape) -> list[Parameter]:
        """Parameters for an input of that shape (without the batch), weight before bias."""
        return []

    @abstractmethod
    def emit(self, graph: Graph, x: str, training: bool) -> str:
        """Emit this layer's ops on tensor ``x``; returns the output tensor, which bears the layer's name."""

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON values."""
        return {"name": self.name}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"


def count(value: Any, what: str) -> int:
    """A whole number of at least 1; ShapeError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ShapeError(f"{what} must be a whole number of at least 1; got {value!r}")
    return int(value)


def checked_activation(name: str | None) -> str | None:
    """An activation's name, None for none; DataError for an unknown one."""
    if name in (None, "linear"):
        return None
    if name not in ACTIVATIONS:
        raise DataError(f"no activation is called {name!r}; there are: linear, {', '.join(ACTIVATIONS)}")
    return name


def with_activation(graph: Graph, layer: Layer, linear: str, activation: str | None) -> str:
    """Emit the activation after a tensor named ``<layer>.linear``; nothing for none."""
    return graph.one(ACTIVATIONS[activation], (linear,), name=layer.name) if activation else linear


def need_image(layer: Layer, shape: Shape) -> None:
    """ShapeError unless ``shape`` is (C, H, W)."""
    if len(shape) != 3:
        raise ShapeError(f"{layer.label}: needs images (C, H, W), got {shape}; put it before Flatten")


def from_config(kind: str, config: dict[str, Any]) -> Layer:
    """The layer of a class name with these arguments; DataError for an unknown one."""
    if kind not in KINDS:
        raise DataError(f"no layer is called {kind!r}; there are: {', '.join(sorted(KINDS))}")
    try:
        return KINDS[kind](**config)
    except TypeError as error:
        raise DataError(f"{kind}: {error}") from None
