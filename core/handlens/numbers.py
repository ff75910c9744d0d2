"""Numbers: several digits side by side, read left to right.

    strokes --group (handlens.grouping)--> candidate digits --prepare, predict--> shares --best row--> places

A number is answered when each of its digits is. Ink that no grouping makes a digit of, such as one stroke across two
digits, is refused with a reason. A drawing that cannot be several digits costs one prepare and one predict, as before.

Not done here: several lines of digits (they are refused), signs and decimal points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import grouping, images, strokes
from .backends import drive
from .data.unipen import Digit
from .errors import BackendError, DataError
from .reading import Reading, Rules, judge, rules_of
from .seeds import checked_seed
from .strokes import Box, Prepared, Stroke

if TYPE_CHECKING:
    from .model import Sequential

__all__ = ["Candidates", "Number", "Place", "answered", "candidates", "candidates_of_image", "compiled_candidates"]
__all__ += ["compose", "composed", "measure", "read", "read_image", "threshold"]


Float = NDArray[np.float32]

COST = 2.0  # of each further digit, as a logarithm: one digit is preferred where two explain the ink as well
TRUST = 0.8  # probability of a place from which its grouping is believed
FOURS = 4  # images predicted at a time: so two programs, for one image and for four, serve every drawing
BITS = 16  # pieces: more are a drawing made bit by bit
RASTER = 280  # pixels of the pad's side, to see what touches
WIDE = 0.85  # of its height: a refused place wider than this may be two digits


@dataclass(frozen=True, eq=False)
class Place:
    """One digit of a number, or ink that is refused as one.

    reading: what it was read as. Its sentence is the reason where ink cannot be told apart; then its verdict is
    "unsure" or "none" whatever the shares. found, number: the candidate that it is.
    """

    reading: Reading
    found: Candidates
    number: int

    @property
    def image(self) -> Float:
        """(28, 28), what the network read."""
        return self.found.images[self.number]

    @property
    def box(self) -> Box:
        """x0, y0, x1, y1 of the ink, pad units (pixels for an image)."""
        return self.found.boxes[self.number]

    @property
    def last(self) -> int:
        """The stroke of it that was drawn last; -1 for an image."""
        return self.found.last[self.number]

    @property
    def strokes(self) -> list[int]:
        """Which of the strokes given it is made of (empty for an image)."""
        return self.found.owners[self.number]

    @property
    def prepared(self) -> Prepared:
        """The image read, with its stages."""
        return self.found.made[self.number]


@dataclass(frozen=True, eq=False)
class Candidates:
    """What may be the digits of a drawing, before a network has seen it; one where it cannot be several, or is crowded.

    groups: for each the units of ink, from the left, that it takes, the last not included. priors: the logarithm of the
    probability that geometry gives it. crowded: the one candidate is all the ink of too many pieces. images: (28, 28)
    each. boxes: of their ink. last: their last strokes, -1 for an image. stages: gives each as `strokes.prepare` does,
    and the numbers of its strokes; asked for where somebody wants to see them.
    """

    groups: list[grouping.Group]
    priors: list[float]
    crowded: bool
    images: Sequence[Float]
    boxes: Sequence[Box]
    last: list[int]
    stages: Callable[[], tuple[list[Prepared], list[list[int]]]]

    @cached_property
    def _stages(self) -> tuple[list[Prepared], list[list[int]]]:
        return self.stages()

    @property
    def made(self) -> list[Prepared]:
        """Each candidate with its stages."""
        return self._stages[0]

    @property
    def owners(self) -> list[list[int]]:
        """The strokes of each candidate; none of an image's."""
        return self._stages[1]

    def batch(self) -> NDArray[Any]:
        """The images for a network: one, or a multiple of four."""
        batch = np.stack(list(self.images))
        if len(batch) == 1:
            return batch
        return np.concatenate((batch, np.zeros((-len(batch) % FOURS, *batch.shape[1:]), batch.dtype)))

    def places(self, shares: NDArray[np.float64], rules: Rules) -> list[Place]:
        """The places that a network's shares of :meth:`batch` make of them."""
        if len(self.groups) == 1:
            return [_alone(self, shares[0], rules)]
        return _places(self, shares[: len(self.groups)], rules)


def read(model: Sequential, drawn: Sequence[Stroke], extent: float, rules: Rules | None = None) -> list[Place]:
    """Read the digits on a pad from left to right.

    Args:
        model: a network of 10 classes, or 11 with "none" last. drawn: the strokes in order. extent: side of the pad.
        rules: when to answer; the model's own (`reading.rules_of`) when left out.
    Returns:
        a place for each digit; one place for ink that is not several digits; none for a blank pad.
    Raises:
        DataError: as `strokes.prepare`; a network of other classes.
    """
    return drive(answered(model, candidates(drawn, extent), rules))


def read_image(model: Sequential, pixels: NDArray[Any], rules: Rules | None = None) -> list[Place]:
    """Read the digits in a photo, scan or screenshot from left to right.

    Args:
        model, rules: as `read`. pixels: as `images.prepare`.
    Returns:
        a place for each digit, `box` in pixels of the image, `strokes` empty; none for an empty sheet.
    Raises:
        DataError: as `images.prepare`; a network of other classes.
    """
    return drive(answered(model, candidates_of_image(pixels), rules))


async def answered(model: Sequential, found: Candidates | None, rules: Rules | None = None) -> list[Place]:
    """What a network makes of candidates; the coroutine waits only where the model's backend does."""
    if found is None:
        return []
    return found.places(await _shares(model, found.batch(), FOURS), rules or rules_of(model))


def candidates(drawn: Sequence[Stroke], extent: float) -> Candidates | None:
    """What may be digits on a pad; None for a blank one. Arguments and errors as `read`."""
    pieces = [(i, piece) for i in range(len(drawn)) for piece in _left_of(drawn, i, extent)]
    if not pieces:
        return None
    joined = _joined([p for _, p in pieces], extent)
    paths = [np.concatenate([pieces[k][1].points for k in some]) for some in joined]
    layout = grouping.lay_out(grouping.of_paths(paths)) if len(joined) > 1 else _ONE
    if len(layout.groups) == 1 or layout.crowded:
        whole = strokes.prepare(drawn, extent)
        return None if whole is None else _candidates(layout, [whole], [sorted({i for i, _ in pieces})])
    made, owners = [], []
    for group in layout.groups:
        part = sorted(k for i in layout.parts(group) for k in joined[i])
        ready = strokes.prepare([pieces[k][1] for k in part], extent)
        assert ready is not None  # every piece lies on the pad
        made.append(ready)
        owners.append(sorted({pieces[k][0] for k in part}))
    return _candidates(layout, made, owners)


def compiled_candidates(model: Sequential, flat: NDArray[np.float32], extent: float) -> Candidates | None:
    """`candidates` of packed strokes, by the compiled kernels where they compute the model and take the drawing.

    Args:
        model: the network that is to read. flat: packed strokes (`strokes.pack`). extent: side of the pad.
    Returns:
        as `candidates`; images differ by 1/255 at most, groups not at all. Stages are made when they are asked for.
    Raises:
        DataError: as `strokes.unpack` and `strokes.prepare`.
    """

    def by_python() -> Candidates | None:
        return candidates(strokes.unpack(flat), extent)

    if model.backend.name != "native":
        return by_python()
    from .backends.native import NativeBackend, ink

    assert isinstance(model.backend, NativeBackend)
    try:
        found = ink.ink(model.backend.library, flat, extent)
    except (
        BackendError
    ):  # a drawing that is damaged, or larger than a page's thread has time for: Python says what it is
        return by_python()
    if found is None:
        return None

    def stages() -> tuple[list[Prepared], list[list[int]]]:
        same = by_python()
        if same is None or same.groups != found.groups:
            raise DataError(
                "the compiled kernels and Python see other digits in this drawing; choose the numpy backend"
            )
        return same.made, same.owners

    return Candidates(found.groups, found.priors, found.crowded, list(found.images), found.boxes, found.last, stages)


def _candidates(layout: grouping.Layout, made: list[Prepared], owners: list[list[int]]) -> Candidates:
    """What a layout's groups were made of, or the one that all of it was."""
    groups = layout.groups if len(made) > 1 else [(0, 1)]
    priors = [layout.prior(group) for group in groups] if len(made) > 1 else [0.0]
    last = [max(own, default=-1) for own in owners]
    ready = [one.image for one in made], [one.box for one in made], last
    return Candidates(groups, priors, layout.crowded, *ready, lambda: (made, owners))


def candidates_of_image(pixels: NDArray[Any]) -> Candidates | None:
    """What may be digits in an image; None for an empty sheet. Arguments and errors as `read_image`."""
    found = images.sheet(pixels)
    if found is None:
        return None
    layout = found.layout()
    if len(layout.groups) == 1 or layout.crowded:
        whole = found.prepared()
        return None if whole is None else _candidates(layout, [whole], [[]])
    made = []
    for group in layout.groups:
        ready = found.prepared(layout.parts(group))
        assert ready is not None  # every piece has ink
        made.append(ready)
    return _candidates(layout, made, [[] for _ in made])


_ONE = grouping.Layout([[0]], np.zeros(0), [(0, 1)])


def _left_of(drawn: Sequence[Stroke], index: int, extent: float) -> list[Stroke]:
    """What later erasers and the pad's edge leave of a stroke."""
    stroke = drawn[index]
    if stroke.erase or not len(stroke.points):
        return []
    return strokes.left_on_pad([stroke, *(s for s in drawn[index + 1 :] if s.erase and len(s.points))], extent)


def _joined(pieces: Sequence[Stroke], extent: float) -> list[list[int]]:
    """Pieces that are one line, or one filled shape, drawn bit by bit: with keys, or row by row.

    Those that begin where another ends belong together; of more than `BITS` pieces all whose ink touches.
    """
    if len(pieces) > BITS:
        label = images.components(strokes.rasterise(pieces, RASTER, extent) >= 0.5)
        first = np.stack([p.points[0] for p in pieces]) * RASTER / extent
        column, row = np.clip(first.astype(np.intp), 0, RASTER - 1).T
        names = [int(name) or -k for k, name in enumerate(label[row, column], 1)]  # 0: a line too thin for the raster
    else:
        ends = np.stack([p.points[[0, -1]] for p in pieces])
        meets = np.hypot(*(ends[:, None, :, None] - ends[None, :, None, :]).transpose(4, 0, 1, 2, 3)) <= 1e-6 * extent
        names = list(range(len(pieces)))
        for i, k in np.argwhere(meets.any(axis=(2, 3))):
            names = [names[i] if name == names[k] else name for name in names]
    return [[k for k, other in enumerate(names) if other == name] for name in dict.fromkeys(names)]


def _alone(found: Candidates, shares: NDArray[np.float64], rules: Rules) -> Place:
    """The one place of ink that is not several digits, or too many."""
    reading = judge(shares, rules)
    if found.crowded:
        reason = f"More than {grouping.MAX_CANDIDATES} pieces side by side. Write fewer digits."
        reading = replace(reading, verdict="none", digit=None, sentence=reason)
        return Place(reading, found, 0)
    return _explained(Place(reading, found, 0))


def checked_shares(model: Sequential, batch: NDArray[Any], batch_size: int = 256) -> NDArray[np.float64]:
    """The network's shares (N, 10) or (N, 11) for images (N, 28, 28).

    Raises:
        DataError: a network of other classes. ShapeError: images of another shape.
    """
    return drive(_shares(model, batch, batch_size))


async def _shares(model: Sequential, batch: NDArray[Any], batch_size: int) -> NDArray[np.float64]:
    """:func:`checked_shares`, waiting where the model's backend does."""
    if model.output_shape not in ((10,), (11,)) or not model.loss.classifies:
        raise DataError(f"a network with outputs {model.output_shape} reads no digits; give one of 10 or 11 classes")
    if model.backend.suspends:
        return np.asarray(await model.predict_async(batch, batch_size=batch_size), np.float64)
    return np.asarray(model.predict(batch, batch_size=batch_size), np.float64)


def _places(found: Candidates, shares: NDArray[np.float64], rules: Rules) -> list[Place]:
    """Score the candidates and take the best row of them."""
    support = np.log(np.maximum(shares[:, :10].max(axis=1), 1e-3))
    scores = [float(support[k]) + prior - COST for k, prior in enumerate(found.priors)]
    row, trust = grouping.best_row(max(end for _, end in found.groups), found.groups, scores)
    places = []
    rules = rules.among_others() if len(row) > 1 else rules
    for k in row:
        reading = judge(shares[k], rules)
        if reading.digit is not None and trust[k] < TRUST:
            reading = replace(reading, verdict="unsure", digit=None, sentence="One digit or two? Leave a gap between.")
        places.append(_explained(Place(reading, found, k)))
    return places


def _explained(place: Place) -> Place:
    """Give a refused place the reason that its shape suggests."""
    x0, y0, x1, y1 = place.box
    if place.reading.verdict != "none" or x1 - x0 < WIDE * (y1 - y0):
        return place
    reason = "Not one digit. Two that touch? Leave a gap between."
    return replace(place, reading=replace(place.reading, sentence=reason))


@dataclass(frozen=True, eq=False)
class Number:
    """A number composed of written digits.

    digits: its labels. strokes: as drawn on the pad. owners: for each stroke the digits (0, 1, ..) it belongs to.
    """

    digits: tuple[int, ...]
    strokes: list[Stroke]
    owners: list[tuple[int, ...]]

    @property
    def text(self) -> str:
        """The number as one writes it."""
        return "".join(map(str, self.digits))


def compose(
    digits: Sequence[Digit], generator: np.random.Generator, *, extent: float = 280.0, touching: str = ""
) -> Number:
    """Write digits side by side, as large as the pad allows, with natural spacing.

    Each digit keeps its size beside the others. The paper left between the ink of neighbours, measured along the rows
    that both reach, is normally distributed, 0.20 +- 0.09 of the height, at least 0.07; each digit stands 0 +- 0.03 of
    the height off the line, and the line slopes by 0 +- 1.5 degrees. The brush is 0.06 to 0.14 of the height.

    Args:
        digits: one or more, best of one writer. generator: source of the spacing. extent: side of the pad.
        touching: "" for none; "ink": at one place, the ink of two neighbours touches or overlaps by up to 0.08 of the
            height; "pen": at one place the pen is not lifted between two neighbours.
    Raises:
        DataError: no digit, or fewer than two of which to touch; another word for `touching`.
    """
    if touching not in ("", "ink", "pen"):
        raise DataError(f'touching {touching!r}: give "", "ink" or "pen"')
    if len(digits) < (2 if touching else 1):
        raise DataError(f"{len(digits)} digits: too few for a number{' with a touching pair' if touching else ''}")
    heights = [float(np.ptp(np.concatenate(d.strokes)[:, 1])) for d in digits]
    height = max(float(np.median(heights)), 1e-9)
    brush = float(generator.uniform(0.06, 0.14))
    pair = int(generator.integers(0, len(digits) - 1)) if touching else -1
    placed: list[list[NDArray[np.float64]]] = []
    for i, digit in enumerate(digits):
        paths = [s / height for s in digit.strokes]
        points = np.concatenate(paths)
        shift = np.array([0.0, float(generator.normal(0, 0.03)) - points[:, 1].max()])
        paper = max(0.07, float(generator.normal(0.20, 0.09)))
        apart = float(generator.uniform(-0.08, brush)) if touching == "ink" and i - 1 == pair else brush + paper
        paths = [p + shift for p in paths]
        if placed:
            paths = [p + np.array([apart - _room(placed[-1], paths), 0.0]) for p in paths]
        placed.append(paths)
    slope = np.radians(float(generator.normal(0, 1.5)))
    turn = np.array([[np.cos(slope), np.sin(slope)], [-np.sin(slope), np.cos(slope)]])
    drawn: list[tuple[NDArray[np.float64], tuple[int, ...]]]
    drawn = [(p @ turn, (i,)) for i, paths in enumerate(placed) for p in paths]
    if touching == "pen":
        last = max(k for k, (_, owner) in enumerate(drawn) if owner == (pair,))
        joined = np.concatenate((drawn[last][0], drawn[last + 1][0]))
        drawn[last : last + 2] = [(joined, (pair, pair + 1))]
    points = np.concatenate([p for p, _ in drawn])
    low, high = points.min(axis=0) - brush / 2, points.max(axis=0) + brush / 2
    scale = float(generator.uniform(0.75, 0.95)) * extent / float(np.max(high - low))
    room = extent - (high - low) * scale
    corner = room * generator.uniform(0.1, 0.9, 2)
    return Number(
        tuple(d.label for d in digits),
        [Stroke((p - low) * scale + corner, brush * scale) for p, _ in drawn],
        [owner for _, owner in drawn],
    )


def _room(left: Sequence[NDArray[np.float64]], right: Sequence[NDArray[np.float64]]) -> float:
    """The smallest way along a row from the ink of `left` to that of `right`, bands of rows taken three together."""
    parts = grouping.of_paths([*left, *right])
    n = len(left)
    points = np.concatenate([*left, *right])
    free = float(grouping.room(parts.right[:n].max(axis=0), parts.left[n:].min(axis=0)))
    if not np.isfinite(free):  # no row in common: side by side all the same
        return float(np.concatenate(right)[:, 0].min() - np.concatenate(left)[:, 0].max())
    return free * grouping.height_of(points)


def composed(digits: Sequence[Digit], seed: int, count: int, touching: str = "") -> Iterator[Number]:
    """Numbers of 2 to 5 digits, each of one writer. Arguments and errors as `measure`."""
    generator = np.random.Generator(np.random.PCG64(checked_seed(seed)))
    writers: dict[int, list[Digit]] = {}
    for digit in digits:
        writers.setdefault(digit.writer, []).append(digit)
    if not writers or count < 1:
        raise DataError("numbers are composed of at least one digit, at least once")
    names = sorted(writers)
    for _ in range(count):
        own = writers[names[int(generator.integers(len(names)))]]
        chosen = [own[int(i)] for i in generator.integers(0, len(own), int(generator.integers(2, 6)))]
        yield compose(chosen, generator, touching=touching)


def threshold(model: Sequential, digits: Sequence[Digit], seed: int, cost: float, count: int = 300) -> float:
    """The smallest ``Rules.beside`` from 0.5 up, in steps of 0.05, at which the answered of ``count`` composed numbers
    are right as often as at the model's own ``answer``, but for ``cost``. Arguments and errors as `measure`."""
    rules = rules_of(model)
    seen = []
    for number in composed(digits, seed, count):
        found = candidates(number.strokes, 280.0)
        assert found is not None  # a number has ink
        seen.append((found, checked_shares(model, found.batch(), FOURS), list(number.digits)))

    def right(beside: float) -> float:
        milder = replace(rules, beside=beside)
        rows = [([p.reading.digit for p in found.places(shares, milder)], said) for found, shares, said in seen]
        answered = [row == said for row, said in rows if None not in row]
        return sum(answered) / max(len(answered), 1)

    least = right(rules.answer) - cost
    milder = (float(b) for b in np.arange(0.5, rules.answer, 0.05).round(2))
    return next((beside for beside in milder if right(beside) >= least), rules.answer)


def measure(
    model: Sequential,
    digits: Sequence[Digit],
    seed: int,
    *,
    count: int = 500,
    touching: str = "",
    rules: Rules | None = None,
) -> dict[str, float | int]:
    """How well numbers composed of these digits are read, each of 2 to 5 digits of one writer.

    Args:
        digits: written ones. seed: of the choice and the spacing. count: numbers. touching: as `compose`.
    Returns:
        numbers; answered, all digits given; right, of these; refused_share, right_share (of the answered),
        refused_or_right_share; digits in all; places_right, with the same ink as a digit written.
    """
    answered = right = total = placed = 0
    for number in composed(digits, seed, count, touching):
        places = read(model, number.strokes, 280.0, rules)
        found = [p.reading.digit for p in places]
        total += len(number.digits)
        inks = [[k for k, owner in enumerate(number.owners) if i in owner] for i in range(len(number.digits))]
        placed += sum(p.strokes in inks for p in places)
        if None not in found:
            answered += 1
            right += found == list(number.digits)
    return {
        "numbers": count,
        "answered": answered,
        "right": right,
        "refused_share": 1 - answered / count,
        "right_share": right / answered if answered else 0.0,
        "refused_or_right_share": (count - answered + right) / count,
        "digits": total,
        "places_right": placed,
    }
