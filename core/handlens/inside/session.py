"""What a view of the page looks at, and the table of the questions that views may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..graph import Array
from .anatomy import Step, steps

if TYPE_CHECKING:
    from ..model import Sequential

Answer = dict[str, Any]
Question = Callable[..., Awaitable[Answer]]

QUESTIONS: dict[str, Question] = {}


class Session:
    """What the page looks at.

    models: the loaded ones by name. last: what was read last: "image" (H, W) float32 or None, "prepared" (how the ink
    became that image, or None), "extent" (the pad's width in its units), "drawn" (the strokes).
    """

    def __init__(self, models: Mapping[str, Sequential], last: Mapping[str, Any]) -> None:
        self.models, self.last = models, last
        self._trace: tuple[tuple[Any, ...], dict[str, Array]] = ((), {})
        self._steps: tuple[Sequential | None, dict[str, Step]] = (None, {})
        self.kept: dict[str, Any] = {}  # what a question wants to find again at its next call, under its own name

    def model(self, name: str) -> Sequential:
        """A loaded model; DataError names those there are."""
        if name not in self.models:
            raise DataError(f"no model {name!r} is loaded; there are: {', '.join(self.models) or 'none yet'}")
        return self.models[name]

    def image(self, blank: bool = False) -> Array:
        """The 28 x 28 looked at; zeros for a blank pad."""
        image = None if blank else self.last["image"]
        return np.zeros((28, 28), np.float32) if image is None else image

    def steps(self, name: str) -> dict[str, Step]:
        """The network's steps, walked once a model."""
        model = self.model(name)
        if self._steps[0] is not model:
            self._steps = model, steps(model)
        return self._steps[1]

    async def trace(self, name: str, blank: bool = False) -> dict[str, Array]:
        """Every step's values for the image looked at, without the batch axis; computed once for each drawing."""
        model, image = self.model(name), self.image(blank)
        weights = hash(model.parameters.tobytes()), hash(model.state.tobytes())
        key = (model, model.backend.name, image.tobytes(), weights)
        if self._trace[0] != key:
            found = await model.trace_async(image[None, None])
            self._trace = key, {layer: values[0] for layer, values in found.items()}
        return self._trace[1]


def question(ask: Question) -> Question:
    """Make a function a question that views may ask, under its own name."""
    QUESTIONS[ask.__name__] = ask
    return ask
