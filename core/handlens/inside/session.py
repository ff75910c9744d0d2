"""What a view of the page looks at, and the table of the questions that views may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from ..errors import DataError
from ..graph import Array
from .anatomy import Anatomy
from .certificate import footprint, strokes_of
from .explain import Lens
from .receptive import Box

if TYPE_CHECKING:
    from ..model import Sequential
    from ..teach import Examples

Answer = dict[str, Any]
Question = Callable[..., Awaitable[Answer]]
Sample = Callable[[str, str], Awaitable["Examples"]]

QUESTIONS: dict[str, Question] = {}


def weights_of(model: Sequential) -> tuple[int, int]:
    """What tells one state of a model's weights from another."""
    return crc32(model.parameters.data), crc32(model.state.data)


def classes(model: Sequential, count: int) -> list[str]:
    """What the outputs stand for: the file's classes, or numbers from 0."""
    named = model.metadata.get("classes")
    return [str(c) for c in named] if isinstance(named, list) and len(named) == count else [*map(str, range(count))]


class Session:
    """What the page looks at.

    models: the loaded ones by name. last: what was read last: "image" (H, W) float32 or None, "prepared" (a function
    that gives how the ink became that image, or None), "extent" (the pad's width in its units), "drawn" (the strokes),
    "own" (a function that gives the numbers of those of the digit), "window" (left, top and side of the square that the
    pad shows of a file, in its pixels; None where it shows strokes, or a 28 x 28 as it is). sample: fetches a sample of
    MNIST, by its name and its folder.
    """

    def __init__(self, models: Mapping[str, Sequential], last: Mapping[str, Any], sample: Sample | None = None) -> None:
        self.models, self.last = models, last
        self._sample = sample
        self.made: dict[str, Callable[[], Sequential]] = {}  # networks made of the loaded ones, by the names they have
        self._lens: tuple[tuple[Any, ...], Lens | None] = ((), None)
        self._anatomy: Anatomy | None = None
        self.kept: dict[str, Any] = {}  # what a question wants to find again at its next call, under its own name

    def model(self, name: str) -> Sequential:
        """A loaded model, or one made of such; DataError names those there are."""
        if name in self.made:
            return self.made[name]()
        if name not in self.models:
            raise DataError(f"no model {name!r} is loaded; there are: {', '.join(self.models) or 'none yet'}")
        return self.models[name]

    async def sample(self, name: str, folder: str) -> Examples:
        """A sample of MNIST that the page ships; DataError where nothing fetches them."""
        if self._sample is None:
            raise DataError(f"there is nobody to fetch the sample {name!r}")
        return await self._sample(name, folder)

    def image(self, blank: bool = False) -> Array:
        """The 28 x 28 looked at; zeros for a blank pad."""
        image = None if blank else self.last["image"]
        return np.zeros((28, 28), np.float32) if image is None else image

    def anatomy(self, name: str) -> Anatomy:
        """The network's steps, walked once a model."""
        model = self.model(name)
        if self._anatomy is None or self._anatomy.model is not model:
            self._anatomy = Anatomy(model)
        return self._anatomy

    async def lens(self, name: str, blank: bool = False) -> Lens:
        """A lens over the image looked at, which explains any of its numbers; traced once for each drawing."""
        model, image = self.model(name), self.image(blank)
        key = (model, model.backend.name, image.tobytes(), weights_of(model))
        if self._lens[0] != key or self._lens[1] is None:
            self._lens = key, Lens(model, await model.trace_async(image[None, None]))
        lens = self._lens[1]
        assert lens is not None
        return lens

    def _told(self, key: str) -> Any:
        """What a function of ``last`` gives; None where there is none."""
        tell = self.last.get(key)
        return tell() if tell else None

    def footprint(self, box: Box) -> list[list[float]]:
        """Where a box of the 28 x 28 lies on the pad: left, top, right, bottom in shares of its side; one box."""
        extent, window = self.last.get("extent"), self.last.get("window")
        window = window or (0.0, 0.0, float(extent or 0.0))
        prepared = self._told("prepared") if window[2] else None
        if prepared is None:  # the pad shows the 28 x 28 itself: its cells are the pad's
            return [[edge / 28 for edge in (box.left, box.top, box.right, box.bottom)]]
        left, top, side = window
        return [[float(edge) / side for edge in footprint(prepared, side, box, (left, top))]]

    def strokes_behind(self, index: Sequence[int]) -> list[dict[str, float]]:
        """The strokes of the drawing that inked a pixel, counted from 1, and the share of it that each brought."""
        prepared, extent, drawn = self._told("prepared"), self.last.get("extent"), self.last.get("drawn")
        if prepared is None or not extent or not drawn:
            return []
        found = strokes_of(drawn, prepared, extent, int(index[1]), int(index[2]), self._told("own"))
        return [{"number": one.stroke + 1, "share": float(one.share)} for one in found]

    async def trace(self, name: str, blank: bool = False) -> dict[str, Array]:
        """Every step's values for the image looked at, a batch of one."""
        return dict((await self.lens(name, blank)).trace)


def question(ask: Question) -> Question:
    """Make a function a question that views may ask, under its own name."""
    QUESTIONS[ask.__name__] = ask
    return ask
