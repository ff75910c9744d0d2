"""Teaching: fit a shipped network to one person's hand, measure what that changed, and take it back exactly.

What is taught is the head: the last Dense layer. All layers before it stay, so what they make of an image (its
features) is computed once and kept, and a step of teaching costs a thousandth of a step of training. The person's own
few digits are mixed with many of MNIST, and with drawings that are no digit where the network has a class for those,
so that nothing is forgotten. Teaching begins at the shipped weights every time: what comes out depends on the digits
and the seed, not on how often it was done before. With ``whole=True`` all layers learn, at the full price.

The model itself changes only at the end, in one go. To stop a teaching, cancel its task, or raise in ``progress``.

Sources: Donahue et al., "DeCAF", 2014 (features of a trained network for a small new task); Robins, "Catastrophic
forgetting, rehearsal and pseudorehearsal", 1995 (mixing what is known with what is new).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from .backends import Backend
from .errors import DataError, FormatError
from .graph import Array
from .io import safetensors
from .layers import Dense, Dropout, Flatten, Layer, Softmax
from .model import Sequential
from .optimizers import Adam
from .schedules import Cosine
from .training import Event, Training

__all__ = ["Examples", "Lesson", "Moved", "Recipe", "Teacher", "moved"]

FORMAT = "handlens-taught/1"
SLICE = 8  # images at a time: 10 to 40 ms of the largest shipped network on NumPy in a browser
Progress = Callable[[str, float], None]  # what is being done, and how much of that, 0 to 1


@dataclass(frozen=True, eq=False)
class Examples:
    """Images (N, 28, 28), uint8 or float in 0..1, and the class of each (N,). DataError where the two do not fit."""

    images: Array
    labels: Array

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise DataError(f"{len(self.images)} images met {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Recipe:
    """How a teaching goes. Chosen on six writers of the pen digits who had no part in any training.

    share: of the person's own digits in what is seen, as long as none comes more than ``most`` times an epoch.
    rate: of Adam, falling to nothing along half a cosine; ``whole_rate`` and ``whole_epochs`` where all layers learn.
    """

    epochs: int = 6
    batch_size: int = 32
    rate: float = 2e-3
    whole_epochs: int = 2
    whole_rate: float = 3e-4
    share: float = 0.15
    most: int = 20
    seed: int = 0


@dataclass(frozen=True)
class Moved:
    """How far the kernels of one parameter moved: for each, ``|w - w_shipped|``, and the same over ``|w_shipped|``.

    A kernel is what one output has: a row of a Dense layer, one filter of a Conv2D, one number of a bias or a norm.
    Of a bias or a norm, the share is of the length of the whole vector, since a single number may be nought.
    """

    layer: str
    parameter: str
    distance: list[float]
    share: list[float]


@dataclass(frozen=True)
class Lesson:
    """What a teaching did: for each of the sets measured, how many images, and which share of them had the right
    class as the most probable one, before (at the shipped weights) and after. ``digits`` counts the person's own."""

    digits: int
    whole: bool
    seconds: float
    counts: dict[str, int]
    before: dict[str, float]
    after: dict[str, float]
    moved: list[Moved]


class Teacher:
    """Teaches one model, which stands at its shipped weights when the teacher is made.

    model: a classifier that ends in Dense (then at most Dropout and Softmax). recipe: see :class:`Recipe`.
    digest: of the file the model came from; what was taught is tied to it. Raises DataError where there is no head.

        >>> teacher = Teacher(handlens.load(path))
        >>> await teacher.keep("mix", mix)                    # the features, once
        >>> lesson = await teacher.teach(own, mix, {"MNIST": test})
        >>> teacher.back()                                    # the shipped weights, bit by bit
    """

    def __init__(self, model: Sequential, recipe: Recipe | None = None, digest: str = "") -> None:
        self.model, self.recipe, self.digest = model, recipe or Recipe(), digest
        self.shipped = model.state_dict()
        at = head_index(model.layers)
        self._head = named(model.layers[at:])
        self._body: Sequential | None = None
        if not all(isinstance(layer, Flatten | Dropout) for layer in model.layers[:at]):
            body = named(model.layers[:at])
            self._body = Sequential(
                body, model.input_shape, 0, "body", "mean_squared_error", model.backend.name, part(self.shipped, body)
            )
        # Chooses what trains; NumPy does where nobody is asked, whatever reads the digits.
        self.judge: Callable[[Sequential, Examples, int], Awaitable[Backend]] | None = None
        self.handed_over: list[str] = []  # why the last teaching left the backend that was chosen, if it did
        self._kept: dict[str, Array] = {}
        self.lesson: Lesson | None = None  # of what the model has been taught; None at the shipped weights

    # --- features

    async def features(self, images: Array, tell: Callable[[float], None] | None = None) -> Array:
        """What enters the head for ``images``, float32 (N, inputs), computed a slice at a time."""
        checked, parts = self.model.checked_images(images), []
        for start in range(0, len(checked), SLICE):
            some = checked[start : start + SLICE]
            flat = some.reshape(len(some), -1)
            parts.append(flat if self._body is None else await self._body.predict_async(some, batch_size=SLICE))
            if tell is not None:
                tell((start + len(some)) / len(checked))
            await asyncio.sleep(0)
        return np.concatenate(parts)

    async def keep(self, name: str, examples: Examples, tell: Callable[[float], None] | None = None) -> None:
        """Compute the features of a set under a name, once; a teaching that meets the same set uses them."""
        if name not in self._kept:
            self._kept[name] = await self.features(examples.images, tell)

    # --- teaching

    async def teach(
        self,
        own: Examples,
        mix: Examples,
        measured: Mapping[str, Examples] | None = None,
        *,
        whole: bool = False,
        progress: Progress | None = None,
    ) -> Lesson:
        """Teach the person's ``own`` digits, mixed with ``mix``; gives the event loop a turn every 50 ms or sooner.

        measured: further sets, by name, on which accuracy is taken before and after, beside "own".
        whole: all layers learn. progress: told "features", "before", "teaching" and "after", with the share done.
        Returns the lesson, which is also kept as ``self.lesson``. The kept features named "mix" and as the sets in
        ``measured`` must be of these very sets. Raises DataError for nothing to teach, DivergenceError.
        """
        if not len(own) or not len(mix):
            raise DataError("nothing to teach: there are no digits" if not len(own) else "nothing to mix in: no images")
        began, tell = time.perf_counter(), progress or (lambda stage, share: None)
        sets = {"own": own, **(measured or {})}
        pupil = self._pupil(whole)
        inputs = {
            name: some.images if whole else await self._features_of(name, some, tell)
            for name, some in {"mix": mix, **sets}.items()
        }
        try:
            before = await self._measure(pupil, inputs, sets, "before", tell)
            course = self._course(inputs, own, mix, whole)
            if self.judge is not None:
                pupil.use(await self.judge(pupil, course, self.recipe.batch_size))
            await self._train(pupil, course, whole, tell)
            after = await self._measure(pupil, inputs, sets, "after", tell)
        finally:
            pupil.forget_programs()
        self.handed_over = pupil.handed_over
        self.model.load_state_dict({**self.shipped, **pupil.state_dict()})
        counts = {name: len(some) for name, some in sets.items()}
        seconds = time.perf_counter() - began
        self.lesson = Lesson(len(own), whole, seconds, counts, before, after, self.moved())
        return self.lesson

    async def _features_of(self, name: str, some: Examples, tell: Progress) -> Array:
        if name == "own":  # these change with every digit the person adds
            return await self.features(some.images, lambda share: tell("features", share))
        await self.keep(name, some, lambda share: tell("features", share))
        return self._kept[name]

    def _pupil(self, whole: bool) -> Sequential:
        """The network that learns, at the shipped weights: the head alone, or a copy of the whole."""
        model = self.model
        layers = named(model.layers) if whole else self._head
        if whole:
            shape, weights = model.input_shape, self.shipped
        else:
            weights = part(self.shipped, layers)
            shape = (weights[f"{layers[0].name}.weight"].shape[1],)
        return Sequential(layers, shape, model.seed, model.name, model.loss, "numpy", weights)

    def _course(self, inputs: Mapping[str, Array], own: Examples, mix: Examples, whole: bool) -> Examples:
        """What one epoch shows: the mixed-in images, and the person's own as often as the recipe says."""
        share = self.recipe.share
        wanted = share / (1 - share) * len(mix) / len(own)
        times = int(min(max(round(wanted), 1), self.recipe.most))
        shown = [inputs["mix"], *[inputs["own"]] * times]
        if whole:
            shown = [self.model.checked_images(some) for some in shown]
        return Examples(np.concatenate(shown), np.concatenate([mix.labels, *[own.labels] * times]).astype(np.int32))

    async def _train(self, pupil: Sequential, course: Examples, whole: bool, tell: Progress) -> None:
        recipe = self.recipe

        def step(event: Event, training: Training) -> None:
            tell("teaching", training.step / (training.epochs * training.steps_per_epoch))

        training = Training(
            pupil,
            course.images,
            course.labels,
            epochs=recipe.whole_epochs if whole else recipe.epochs,
            batch_size=recipe.batch_size,
            optimizer=Adam(Cosine(recipe.whole_rate if whole else recipe.rate)),
            seed=recipe.seed,
            progress=False,
            callbacks=[step],
        )
        await training.run(cooperative=True)

    async def _measure(
        self, pupil: Sequential, inputs: Mapping[str, Array], sets: Mapping[str, Examples], stage: str, tell: Progress
    ) -> dict[str, float]:
        """Accuracy on every set."""
        found, done, total = {}, 0, sum(len(some) for some in sets.values())
        for name, some in sets.items():
            right = 0
            for start in range(0, len(some), SLICE):
                labels = some.labels[start : start + SLICE]
                scores = await pupil.predict_async(inputs[name][start : start + SLICE], batch_size=SLICE)
                right += int((scores.argmax(axis=1) == labels).sum())
                done += len(labels)
                tell(stage, done / total)
                await asyncio.sleep(0)
            found[name] = right / len(some)
        return found

    # --- what became of it

    def moved(self) -> list[Moved]:
        """How far every parameter stands from the shipped one; nothing for parameters that have not moved at all."""
        now = self.model.state_dict()
        return [m for name in self.model.layout.shapes if (m := moved(name, self.shipped[name], now[name])) is not None]

    def back(self) -> None:
        """Return to the shipped weights, exactly."""
        self.model.load_state_dict(self.shipped)
        self.lesson = None

    def to_bytes(self) -> bytes:
        """What was taught, as a safetensors file: the parameters that moved, and the lesson. DataError if nothing."""
        if self.lesson is None:
            raise DataError("nothing has been taught: there is nothing to write")
        now = self.model.state_dict()
        changed = {name: value for name, value in now.items() if not np.array_equal(value, self.shipped[name])}
        told = {"digest": self.digest, "lesson": json.dumps(asdict(self.lesson))}
        return safetensors.to_bytes(changed, {"format": FORMAT, **told})

    def apply(self, data: bytes) -> Lesson:
        """Put back what :meth:`to_bytes` wrote. Raises DataError where it was taught to another version of the model,
        FormatError where it is damaged; the model is then left as it is."""
        tensors, told = safetensors.read(data)
        if told.get("format") != FORMAT:
            raise FormatError(f"not a taught head (format {told.get('format', 'none')!r}, expected {FORMAT!r})")
        if told.get("digest") != self.digest:
            raise DataError(f"it was taught to another version of {self.model.name}; teach again")
        try:
            said = json.loads(told["lesson"])
            lesson = Lesson(**{**said, "moved": [Moved(**entry) for entry in said["moved"]]})
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise FormatError(f"what was taught is damaged: its lesson cannot be read ({error!r})") from None
        self.model.load_state_dict({**self.shipped, **tensors})
        self.lesson = replace(lesson, moved=self.moved())
        return self.lesson


def head_index(layers: Sequence[Layer]) -> int:
    """The place of the last Dense layer; DataError unless only Dropout and Softmax follow it."""
    at = max((i for i, layer in enumerate(layers) if isinstance(layer, Dense)), default=-1)
    after = [layer.name for layer in layers[at + 1 :] if not isinstance(layer, Dropout | Softmax)]
    if at < 0 or after:
        found = f"{after[0]!r} comes after the last Dense" if after and at >= 0 else "it has no Dense layer"
        raise DataError(f"this network has no head to teach: {found}; train the whole of it with fit()")
    return at


def named(layers: Sequence[Layer]) -> list[Layer]:
    """The same layers again, for a network of their own in which they keep the names they have in this one."""
    return [type(layer)(**layer.config()) for layer in layers]


def part(weights: Mapping[str, Array], layers: Sequence[Layer]) -> dict[str, Array]:
    """The weights of some layers."""
    names = {layer.name for layer in layers}
    return {name: value for name, value in weights.items() if name.split(".")[0] in names}


def moved(name: str, shipped: Array, now: Array) -> Moved | None:
    """How far a parameter, called ``layer.parameter``, moved; None where not a bit of it did."""
    if np.array_equal(shipped, now):
        return None
    layer, parameter = name.split(".")
    rows, base = (now - shipped).reshape(len(now), -1), shipped.reshape(len(now), -1)
    distance = np.linalg.norm(rows, axis=1)
    length = np.linalg.norm(base, axis=1) if shipped.ndim > 1 else np.full(len(now), np.linalg.norm(base))
    share = np.divide(distance, length, out=np.zeros_like(distance), where=length > 0)
    return Moved(layer, parameter, [float(d) for d in distance], [float(s) for s in share])
