"""The sources of training images: MNIST, pen strokes of the permitted writers, the project's own generator.

Every drawing takes the production path, `handlens.strokes.prepare`, so that a network learns from what the page will
show it. What is drawn follows from the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..seeds import checked_seed
from ..strokes import SIDE, Stroke, prepare
from . import generator, mnist, unipen

__all__ = ["SOURCES", "Mixture", "gather", "rendered"]

NONE = 10  # the reject class
COPIES = 4  # how often each permitted writer's digit is drawn, each time a little differently
GENERATED = 16_000  # digits of the generator
REJECTS = 16_000  # of the generator: what is no digit
PAIRS = 2_000  # of real digits side by side, which are no digit either
PAD = 280.0

CREDITS = {
    "mnist": {"name": "MNIST", "by": "Y. LeCun, C. Cortes, C. J. C. Burges", "licence": "CC BY-SA 3.0"},
    "writers": {
        "name": "Pen-Based Recognition of Handwritten Digits",
        "by": "E. Alpaydin and F. Alimoglu, UCI Machine Learning Repository",
        "licence": "CC BY 4.0",
        "used": "writers whose number leaves 2, 3 or 4 when divided by 5",
    },
    "generated": {"name": "Handlens generator: digits", "by": "Handlens", "licence": "MIT"},
    "rejects": {
        "name": "Handlens generator: what is no digit",
        "by": "Handlens; letters from single-stroke fonts",
        "licence": "MIT; fonts as their own licences say",
    },
}
SOURCES = tuple(CREDITS)


@dataclass(frozen=True, eq=False)
class Mixture:
    """A training set of several sources: images uint8 (N, 28, 28), labels (N,), and what came from where."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    parts: list[dict[str, Any]]


Part = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def gather(
    names: Sequence[str], data: mnist.Mnist, seed: int, classes: int, say: Callable[[str], None] = lambda _: None
) -> Mixture:
    """Collect the sources in the order named.

    Args:
        names: of `SOURCES`. data: MNIST. seed: of everything drawn. classes: of the network, 10 or 11.
        say: is told what is being drawn.
    Raises:
        DataError: an unknown or missing source, or rejects for a network without a class for them.
    """
    for name in names:
        if name not in SOURCES:
            raise DataError(f"no source is called {name!r}; there are: {', '.join(SOURCES)}")
    if "rejects" in names and classes <= NONE:
        raise DataError(f"rejects need a network of {NONE + 1} classes; this one has {classes}")
    checked_seed(seed)
    found: list[Part] = []
    parts = []
    for name in names:
        if name != "mnist":
            say(f"drawing {name}")
        images, labels = (data.train_images, data.train_labels) if name == "mnist" else _drawn(name, names, seed)
        found.append((images, labels))
        parts.append({"source": name, "images": len(images), **CREDITS[name]})
    if not found:
        raise DataError(f"no source to train on; name some of: {', '.join(SOURCES)}")
    return Mixture(np.concatenate([i for i, _ in found]), np.concatenate([n for _, n in found]), parts)


def _drawn(name: str, names: Sequence[str], seed: int) -> Part:
    random = np.random.Generator(np.random.PCG64([seed, 7, SOURCES.index(name)]))
    if name == "writers":
        return rendered([(d.label, _varied(d, random)) for d in permitted() for _ in range(COPIES)])
    own = int(random.integers(1 << 31))
    if name == "generated":
        return rendered([(d.label, d.drawn()) for d in generator.digits(GENERATED, own)])
    drawings = [(NONE, r.drawn()) for r in generator.rejects(REJECTS, own)]
    if "writers" in names:
        drawings += [(NONE, pair) for pair in _pairs(permitted(), PAIRS, random)]
    return rendered(drawings)


def permitted() -> list[unipen.Digit]:
    """The digits of the writers that may be trained on. DataError where the file of strokes is not here."""
    path = unipen.find_file()
    if path is None:
        raise DataError(
            "the pen strokes (pendigits-orig.tra.gz, UCI) are not here: name the file in HANDLENS_PENDIGITS, or train "
            "without the source 'writers'; 'generated' stands in for it"
        )
    return unipen.split(unipen.read(path), "train")


def _varied(digit: unipen.Digit, random: np.random.Generator) -> list[Stroke]:
    """The digit turned, slanted and squeezed a little, before it is drawn."""
    slant, squeeze = random.uniform(-0.2, 0.2), np.exp(random.uniform(-0.15, 0.15))
    matrix = np.array([[squeeze, 0.0], [slant, 1.0 / squeeze]])  # x, y @ matrix
    other = unipen.Digit(digit.label, digit.writer, digit.sample, [s @ matrix for s in digit.strokes])
    return other.drawn(PAD, size=float(random.uniform(60, 240)), rotation=float(random.uniform(-12, 12)))


def _pairs(digits: list[unipen.Digit], count: int, random: np.random.Generator) -> list[list[Stroke]]:
    """Two real digits beside each other, from touching to a digit's width apart, as one drawing."""
    pairs = []
    for _ in range(count):
        left, right = (digits[i].drawn(PAD, size=100.0) for i in random.integers(len(digits), size=2))
        end = max(float(s.points[:, 0].max()) for s in left)
        begin = min(float(s.points[:, 0].min()) for s in right)
        move = np.array([end - begin + random.uniform(-8, 60), random.uniform(-25, 25)])
        both = [*left, *(Stroke(s.points + move, s.width) for s in right)]
        middle = (np.concatenate([s.points for s in both]).min(0) + np.concatenate([s.points for s in both]).max(0)) / 2
        pairs.append([Stroke(s.points - middle + PAD / 2, s.width) for s in both])
    return pairs


def rendered(drawings: Sequence[tuple[int, list[Stroke]]]) -> Part:
    """Labels and drawings on a pad of 280 as images uint8 (N, 28, 28) and labels; drawings without ink are left out."""
    images, labels = [], []
    for label, strokes in drawings:
        ready = prepare(strokes, PAD)
        if ready is not None:
            images.append(np.round(ready.image * 255).astype(np.uint8))
            labels.append(label)
    return np.array(images, np.uint8).reshape(-1, SIDE, SIDE), np.array(labels, np.uint8)
