"""The benchmark of drawn digits: real pen strokes, drawn on a pad in many ways, and read as the page reads them.

Every drawing goes through the production path (`handlens.strokes.prepare`) and is judged by the production rule
(`handlens.reading`). Each digit is drawn under every condition, so conditions differ in nothing but themselves. Beside
the digits stand drawings that are no digit, which should be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import calibration
from .data import generator
from .data.unipen import Digit
from .errors import DataError
from .metrics import confusion_matrix
from .reading import DIGITS, Rules, rules_of
from .seeds import checked_seed
from .strokes import SIDE, STAGES, Prepared, Stroke, prepare

if TYPE_CHECKING:
    from .model import Sequential

__all__ = [
    *("ANYWHERE", "CONDITIONS", "EXTENT", "SEED", "USUAL", "Condition", "Mistake"),
    *("check_reads_digits", "held_out", "measure", "measure_mnist", "shifted"),
]

Float = NDArray[np.float32]

EXTENT = 280.0  # pad units, the side of the pad
SIZE, WIDTH = 200.0, 18.0  # a digit and a brush as they usually are, pad units
QUARTER = SIZE / 4
ANSWERS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # thresholds that are compared
SHIFT = 2  # pixels by which MNIST is moved
SEED = 2_000_003  # of what is drawn for the report; no training uses it
REJECTS = 1000  # drawings of each held-out family


@dataclass(frozen=True)
class Condition:
    """One way to draw a digit: its larger side and the brush in pad units, the place of its box's centre, degrees.

    scattered: size, brush and place are drawn at random for each digit: sizes from 1/5 to 9/10 of the pad, even in
    their logarithm, brushes from 8 to 40, anywhere the ink stays on the pad.
    """

    name: str
    group: str
    size: float = SIZE
    width: float = WIDTH
    centre: tuple[float, float] | None = None
    rotation: float = 0.0
    scattered: bool = False

    def draw(self, digits: Sequence[Digit], seed: int = 0) -> list[list[Stroke]]:
        """The digits' strokes on the pad, in whole pad units; ``seed`` matters to scattered ones only."""
        if not self.scattered:
            return [_in_pixels(d.drawn(EXTENT, self.size, self.width, self.centre, self.rotation)) for d in digits]
        generator = np.random.Generator(np.random.PCG64(checked_seed(seed)))
        drawings = []
        for digit in digits:
            size = float(np.exp(generator.uniform(np.log(0.2 * EXTENT), np.log(0.9 * EXTENT))))
            width = float(generator.uniform(8.0, min(40.0, EXTENT - size)))
            reach = (size + width) / 2
            x, y = generator.uniform(reach, EXTENT - reach, 2)
            drawings.append(_in_pixels(digit.drawn(EXTENT, size, width, (float(x), float(y)), self.rotation)))
        return drawings


def _in_pixels(strokes: list[Stroke]) -> list[Stroke]:
    """A tablet is finer than a page's pointer, which may report whole pixels only: small digits become coarse."""
    return [Stroke(np.round(s.points), s.width) for s in strokes]


def _corner(name: str, right: bool, low: bool) -> Condition:
    """A quarter of the usual size, the ink's box touching both edges of a corner where the digit is as wide as high."""
    near = (QUARTER + WIDTH) / 2
    centre = (EXTENT - near if right else near, EXTENT - near if low else near)
    return Condition(f"quarter size, {name}", "corner", QUARTER, WIDTH, centre)


USUAL = Condition("usual", "usual")
ANYWHERE = Condition("any size, place and brush", "anywhere", scattered=True)
CONDITIONS = (
    USUAL,
    *(Condition(f"brush {width}", "brush", width=float(width)) for width in (8, 12, 24, 32, 40)),
    Condition("full size", "size", EXTENT - WIDTH),
    Condition("3/4 size", "size", SIZE * 3 / 4),
    Condition("half size", "size", SIZE / 2),
    Condition("quarter size", "size", QUARTER),
    Condition("quarter size, brush 40", "size", QUARTER, 40.0),
    _corner("upper left", False, False),
    _corner("upper right", True, False),
    _corner("lower left", False, True),
    _corner("lower right", True, True),
    *(Condition(f"turned {angle:+d}", "rotation", rotation=float(angle)) for angle in (-15, -10, -5, 5, 10, 15)),
    ANYWHERE,
)


@dataclass(frozen=True, eq=False)
class Mistake:
    """A digit that was read wrongly, under one condition or more.

    prepared, probabilities: of the first of these conditions. conditions: their names.
    """

    digit: Digit
    strokes: list[Stroke]
    prepared: Prepared
    probabilities: NDArray[np.float32]
    conditions: list[str]


class Drawing(Protocol):
    """A drawing that is no digit, as `generator.Reject`."""

    @property
    def family(self) -> str:
        """What kind of drawing it is."""

    def drawn(self, extent: float = EXTENT, size: float = SIZE, width: float = WIDTH) -> list[Stroke]:
        """Its strokes on a pad."""


def held_out(count: int = REJECTS, seed: int = SEED) -> list[generator.Reject]:
    """Drawings that are no digit, ``count`` of each family that no training may use and that can be drawn here."""
    families = generator.available(generator.HELD_OUT)
    return [r for k, family in enumerate(families) for r in generator.rejects(count, seed + k, [family])]


def measure(
    model: Sequential,
    digits: Sequence[Digit],
    rules: Rules | None = None,
    *,
    seed: int = SEED,
    sample: int = 0,
    conditions: Sequence[Condition] = CONDITIONS,
    stages: bool = True,
    rejects: Iterable[Drawing] = (),
    mistakes: list[Mistake] | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Read drawn digits under every condition.

    Args:
        model: reads 28x28 images as ten digits, or ten and a reject class. digits: with their writers.
        rules: when to answer; the model's own if left out. seed: of the sample and of scattered drawings.
        sample: at most so many of the digits, the same ones under every condition; 0 for all.
        stages: also leave each stage of `strokes.prepare` out. rejects: drawings that are no digit, see `held_out`.
        mistakes: is filled with the digits read wrongly, most often wrong first. progress: is told what comes next.
    Returns:
        JSON values: "digits", "writers", "pad", "rules"; "accuracy", "refused", "right_of_answered", "ece",
        "reliability", "confusion" (row: true digit, column: class read) and "by_writer" of the usual condition;
        "conditions", a row each with these shares and the worst writer; "lowest", the worst row of each group; "stages"
        (accuracy with all of them on, and with each off, on scattered drawings); "thresholds"; "rejects" by family.
    Raises:
        DataError: no digits, or a model that does not read digits.
    """
    check_reads_digits(model)
    if not digits:
        raise DataError("no digits to read")
    rules = rules or rules_of(model)
    say = progress or (lambda _: None)
    chosen = _sample(digits, sample, seed)
    labels = np.array([d.label for d in chosen])
    shares, rows, wrong = _every_condition(
        model, chosen, (USUAL, *(c for c in conditions if c != USUAL)), rules, seed, say
    )
    if mistakes is not None:
        mistakes += sorted(wrong, key=lambda m: (-len(m.conditions), m.digit.label))
    usual = shares[USUAL.name]
    result: dict[str, Any] = {
        "digits": len(chosen),
        "of": len(digits),
        "writers": sorted({d.writer for d in chosen if d.writer >= 0}),
        "pad": EXTENT,
        "seed": seed,
        "rules": {"answer": rules.answer, "sure": rules.sure},
        **{k: rows[0][k] for k in ("accuracy", "refused", "right_of_answered", "ece")},
        "conditions": rows,
        "lowest": _lowest(rows),
        "by_writer": _by_writer(usual, chosen, labels),
        "reliability": _rounded(calibration.reliability(usual, labels)),
        "confusion": confusion_matrix(usual.argmax(axis=1), labels, usual.shape[1])[:DIGITS].tolist(),
    }
    if stages:
        result["stages"] = _stages(model, chosen, labels, seed, shares.get(ANYWHERE.name), say)
    return result | _rejects(model, usual, rejects, rules, say)


def measure_mnist(
    model: Sequential, images: NDArray[np.uint8], labels: NDArray[Any], rules: Rules | None = None, shift: int = SHIFT
) -> dict[str, Any]:
    """Read MNIST's images as they are, and moved by whole pixels in eight directions without being centred again.

    Args:
        images: uint8 (N, 28, 28). labels: (N,). shift: pixels; 0 leaves the moved images out.
    Returns:
        JSON values: "count", "accuracy", "refused", "right_of_answered", "ece", "reliability", "confusion" (row: true
        digit, column: class read), and "shifted": "pixels", "accuracy" (all directions), "by_direction" (rows down,
        columns right).
    """
    check_reads_digits(model)
    rules = rules or rules_of(model)
    found = model.predict(images)
    result: dict[str, Any] = _rounded(calibration.summary(found, labels, rules.answer))
    result["reliability"] = _rounded(calibration.reliability(found, labels))
    result["confusion"] = confusion_matrix(found.argmax(axis=1), labels, found.shape[1])[:DIGITS].tolist()
    if shift:
        ways = [(y * shift, x * shift) for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y]
        right = {way: model.predict(shifted(images, *way)).argmax(axis=1) == labels for way in ways}
        result["shifted"] = {
            "pixels": shift,
            "accuracy": _short(np.mean([r.mean() for r in right.values()])),
            "by_direction": {f"{y:+d},{x:+d}": _short(r.mean()) for (y, x), r in right.items()},
        }
    return result


def shifted(images: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Images (N, H, W) moved down and right by whole pixels; what leaves the image is lost, what enters is blank."""
    moved = np.zeros_like(images)
    height, width = images.shape[1:]
    to = slice(max(0, rows), height + min(0, rows)), slice(max(0, columns), width + min(0, columns))
    source = slice(max(0, -rows), height - max(0, rows)), slice(max(0, -columns), width - max(0, columns))
    moved[:, *to] = images[:, *source]
    return moved


def check_reads_digits(model: Sequential) -> None:
    """DataError unless the model reads 28x28 images as ten digits, or as ten digits and a reject class."""
    classes = ((DIGITS,), (DIGITS + 1,))
    if not model.loss.classifies or model.output_shape not in classes or model.input_shape != (1, SIDE, SIDE):
        raise DataError(
            f"{model.name}: reads no digits (inputs {model.input_shape}, outputs {model.output_shape}, "
            f"loss {model.loss.name})"
        )


def _sample(digits: Sequence[Digit], count: int, seed: int) -> list[Digit]:
    if count < 0:
        raise DataError(f"a sample of {count} digits; give at least 0 (0 for all)")
    if not count or count >= len(digits):
        return list(digits)
    generator = np.random.Generator(np.random.PCG64(checked_seed(seed)))
    return [digits[i] for i in np.sort(generator.choice(len(digits), count, replace=False))]


def _read(
    model: Sequential, drawings: Sequence[Sequence[Stroke]], without: Collection[str] = ()
) -> tuple[Float, list[Prepared]]:
    """Shares (N, classes) of drawings on the pad, and what was made of them."""
    ready = [prepare(strokes, EXTENT, without) for strokes in drawings]
    blank = [i for i, p in enumerate(ready) if p is None]
    if blank:
        raise DataError(f"digit {blank[0]} leaves no ink on the pad")
    prepared = [p for p in ready if p is not None]
    return model.predict(np.stack([p.image for p in prepared])), prepared


def _every_condition(
    model: Sequential,
    digits: list[Digit],
    conditions: Iterable[Condition],
    rules: Rules,
    seed: int,
    say: Callable[[str], None],
) -> tuple[dict[str, Float], list[dict[str, Any]], list[Mistake]]:
    """The shares and the row of each condition, and the digits read wrongly."""
    labels = np.array([d.label for d in digits])
    shares: dict[str, Float] = {}
    rows: list[dict[str, Any]] = []
    wrong: dict[int, Mistake] = {}
    for condition in conditions:
        say(condition.name)
        drawings = condition.draw(digits, seed)
        found, ready = _read(model, drawings)
        shares[condition.name] = found
        rows.append(_row(condition, found, digits, labels, rules))
        for i in np.flatnonzero(found.argmax(axis=1) != labels):
            known = wrong.setdefault(int(i), Mistake(digits[i], drawings[i], ready[i], found[i], []))
            known.conditions.append(condition.name)
    return shares, rows, list(wrong.values())


def _row(
    condition: Condition, shares: Float, digits: list[Digit], labels: NDArray[Any], rules: Rules
) -> dict[str, Any]:
    found = calibration.summary(shares, labels, rules.answer)
    row: dict[str, Any] = {"name": condition.name, "group": condition.group, **_rounded(found)}
    writers = _by_writer(shares, digits, labels)
    if writers:
        row["worst_writer"] = min(writers, key=lambda w: float(w["accuracy"]))
    return row


def _by_writer(shares: Float, digits: list[Digit], labels: NDArray[Any]) -> list[dict[str, Any]]:
    """Accuracy of every known writer."""
    writers, right = np.array([d.writer for d in digits]), shares.argmax(axis=1) == labels
    return [
        {"writer": int(w), "count": int((writers == w).sum()), "accuracy": _short(right[writers == w].mean())}
        for w in np.unique(writers[writers >= 0])
    ]


def _lowest(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each group of conditions the one with the lowest accuracy, and the lowest accuracy of a writer in it."""
    found: dict[str, dict[str, Any]] = {}
    for group in dict.fromkeys(row["group"] for row in rows):
        of_group = [row for row in rows if row["group"] == group]
        worst = min(of_group, key=lambda row: float(row["accuracy"]))
        writers = [row["worst_writer"]["accuracy"] for row in of_group if "worst_writer" in row]
        found[group] = {"name": worst["name"], "accuracy": worst["accuracy"]}
        if writers:
            found[group]["writer_accuracy"] = min(writers)
    return found


def _stages(
    model: Sequential,
    digits: list[Digit],
    labels: NDArray[Any],
    seed: int,
    all_on: Float | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What each stage is worth where people draw at any size and place, with any brush."""
    drawings = ANYWHERE.draw(digits, seed)
    on = all_on if all_on is not None else _read(model, drawings)[0]
    off = {}
    for stage in STAGES:
        say(f"without {stage}")
        off[stage] = _short((_read(model, drawings, (stage,))[0].argmax(axis=1) == labels).mean())
    return {
        "drawn": ANYWHERE.name,
        "count": len(digits),
        "on": _short((on.argmax(axis=1) == labels).mean()),
        "off": off,
    }


def _rejects(
    model: Sequential, usual: Float, rejects: Iterable[Drawing], rules: Rules, say: Callable[[str], None]
) -> dict[str, Any]:
    """Refusals of drawings that are no digit, by family, and what other thresholds would refuse."""
    families: dict[str, list[Drawing]] = {}
    for reject in rejects:
        families.setdefault(reject.family, []).append(reject)
    best: dict[str, NDArray[Any]] = {}
    for family, drawings in families.items():
        say(family)
        ready = [prepare(d.drawn(EXTENT), EXTENT) for d in drawings]
        images = [p.image for p in ready if p is not None]
        shares = model.predict(np.stack(images)) if images else np.zeros((0, DIGITS), np.float32)
        # Nothing left on the pad: the page shows "?", with no share for any digit.
        best[family] = np.concatenate([shares[:, :DIGITS].max(axis=1), np.zeros(len(ready) - len(images))])
    everything = np.concatenate(list(best.values())) if best else np.zeros(0)
    digits = usual[:, :DIGITS].max(axis=1)
    result: dict[str, Any] = {
        "thresholds": [
            {
                "answer": answer,
                "digits_refused": _short((digits < answer).mean()),
                **({"rejects_refused": _short((everything < answer).mean())} if best else {}),
            }
            for answer in sorted({*ANSWERS, rules.answer})
        ]
    }
    if best:
        result["rejects"] = {
            "count": len(everything),
            "refused": _short((everything < rules.answer).mean()),
            "families": {
                family: {"count": len(found), "refused": _short((found < rules.answer).mean())}
                for family, found in best.items()
            },
            "missing": [family for family in generator.HELD_OUT if family not in best],
        }
    return result


def _short(value: Any) -> float:
    """A share as it is kept in metadata: five decimals are finer than any sample here."""
    return round(float(value), 5)


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return _short(value) if isinstance(value, float) else value
