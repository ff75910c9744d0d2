"""UNIPEN: handwriting as pen strokes in a text file; here the digits of the UCI pen-digits collection.

What is read of the format: `.SEGMENT DIGIT <range> ? "<label>"` begins a digit; a `.COMMENT <label> <writer> <sample>`
after it says who wrote it; `.PEN_DOWN`, points as `x y` and `.PEN_UP` give its strokes. The rest is passed over.
The tablet counts y upwards; it is turned here, so that y grows downwards as on the pad (seen on rendered samples).

The collection is split by writer, so that nobody who is reported on has been seen before: numbers that leave 1 when
divided by 5 choose (epochs, thresholds, calibration), those divisible by 5 report, the others may be trained on. The
file is no part of the project; `find_file` says whether it is at hand.

Sources: I. Guyon et al., "UNIPEN project of on-line data exchange and recognizer benchmarks", ICPR 1994; E. Alpaydin
and F. Alimoglu, "Pen-Based Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, FormatError
from ..strokes import Stroke

__all__ = ["SPLITS", "Digit", "find_file", "parse", "part_of", "read", "split"]

FILE = "pendigits-orig.tra.gz"
VARIABLE = "HANDLENS_PENDIGITS"
SPLITS = ("choose", "report", "train", "all")
MAX_BYTES = 1 << 28  # of text; the whole collection has 8 MB
MAX_COORDINATE = 1e6

_LABEL = re.compile(r'"(\d)"\s*$')


@dataclass(frozen=True, eq=False)
class Digit:
    """One written digit.

    label: 0 to 9. writer, sample: as the file numbers them (-1 where it does not say).
    strokes: float64 (n, 2) points x, y in tablet units, x right, y down.
    """

    label: int
    writer: int
    sample: int
    strokes: list[NDArray[np.float64]]

    def drawn(
        self,
        extent: float = 280.0,
        size: float = 200.0,
        width: float = 18.0,
        centre: tuple[float, float] | None = None,
        rotation: float = 0.0,
    ) -> list[Stroke]:
        """Draw the digit on a pad: its larger side `size` (without the pen's width), its box centred.

        Args:
            extent: side of the pad, pad units. size, width: of the digit and of the brush, pad units.
            centre: x, y of the box's centre; the pad's centre when left out. rotation: degrees, clockwise as seen.
        Returns:
            one `Stroke` per pen stroke. A digit that is a single spot is put down as a dot.
        Raises:
            DataError: size or width is not above 0, or not finite.
        """
        if not (np.isfinite(size) and size > 0):
            raise DataError(f"size {size} of a digit: it must be above 0")
        turn = np.radians(rotation)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])  # rows x, y; y grows down
        turned = [s @ matrix for s in self.strokes] if rotation else self.strokes
        points = np.concatenate(turned)
        low, high = points.min(axis=0), points.max(axis=0)
        scale = size / max(float(np.max(high - low)), 1e-9)
        target = np.array(centre if centre is not None else (extent / 2, extent / 2))
        return [Stroke((s - (low + high) / 2) * scale + target, width) for s in turned]


def read(path: str | os.PathLike[str]) -> list[Digit]:
    """Read the digits of a UNIPEN file, plain or gzip.

    Raises:
        FormatError: not such a file; the message names the file and the line.
        OSError: the path cannot be opened.
    """
    name = os.fspath(path)
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as unpacked:
                data = unpacked.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise FormatError(f"{name}: damaged gzip data: {error}") from None
    if len(data) > MAX_BYTES:
        raise FormatError(f"{name}: more than {MAX_BYTES} bytes of text")
    return parse(data.decode("latin-1").splitlines(), name)


def find_file() -> Path | None:
    """The UCI pen digits where they are at hand: $HANDLENS_PENDIGITS, else `shared/data` beside the repository.

    Raises:
        DataError: the variable is set, but names no file.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise DataError(f"{VARIABLE} names no file: {named}")
        return Path(named)
    here = Path.cwd()
    for root in (here, *here.parents, *Path(__file__).resolve().parents):
        if (root / "shared" / "data" / FILE).is_file():
            return root / "shared" / "data" / FILE
    return None


def part_of(writer: int) -> str:
    """What a writer's digits are used for: "choose", "report", "train", or "unknown" for a negative number."""
    if writer < 0:
        return "unknown"
    return {1: "choose", 0: "report"}.get(writer % 5, "train")


def split(digits: Iterable[Digit], part: str) -> list[Digit]:
    """The digits of the writers who choose, report, or may be trained on, in their order; "all" keeps every digit.

    Raises:
        DataError: no such part, or none of the digits belongs to it.
    """
    if part not in SPLITS:
        raise DataError(f"no part of the writers is called {part!r}; there are: {', '.join(SPLITS)}")
    found = [d for d in digits if part in ("all", part_of(d.writer))]
    if not found:
        raise DataError(
            f"no digit is by a writer of the part {part!r} (writers by number: 1, 6, 11.. choose, 5, 10.. "
            "report, others train); take all of them"
        )
    return found


def parse(lines: Iterable[str], name: str = "text") -> list[Digit]:
    """Read the digits of UNIPEN text.

    Args:
        lines: the lines; `name` stands for the file in messages.
    Raises:
        FormatError: malformed text, or no digit in it; the message names the line.
    """
    reader = _Reader(name)
    for number, line in enumerate(lines, 1):
        reader.line(number, line.strip())
    return reader.finish()


@dataclass
class _Reader:
    """The state while reading: the digits so far, the one being read, and the stroke being read."""

    name: str
    digits: list[Digit] = field(default_factory=list)
    number: int = 0
    label: int | None = None
    started: int = 0
    source: tuple[int, int] = (-1, -1)
    strokes: list[NDArray[np.float64]] = field(default_factory=list)
    points: list[tuple[float, float]] | None = None

    def fail(self, problem: str) -> FormatError:
        return FormatError(f"{self.name}, line {self.number}: {problem}")

    def line(self, number: int, text: str) -> None:
        self.number = number
        if not text:
            return
        if not text.startswith("."):
            self.point(text)
            return
        directive, _, rest = text.partition(" ")
        if directive == ".SEGMENT":
            self.segment(rest)
        elif directive == ".COMMENT" and self.label is not None and not self.strokes and self.points is None:
            self.comment(rest)
        elif directive == ".PEN_DOWN":
            self.pen_down()
        elif directive == ".PEN_UP":
            self.pen_up()

    def segment(self, rest: str) -> None:
        self.close()
        kind = rest.split(None, 1)[0] if rest.split() else ""
        if kind != "DIGIT":
            return  # a word or a line of text: its strokes are passed over
        found = _LABEL.search(rest)
        if found is None:
            raise self.fail(f'a digit\'s segment ends with its label, such as "7"; got {rest[:80]!r}')
        self.label, self.started, self.source = int(found[1]), self.number, (-1, -1)

    def comment(self, rest: str) -> None:
        fields = rest.split()
        if len(fields) != 3 or not all(f.isascii() and f.isdigit() and len(f) < 10 for f in fields):
            return  # a remark, not the three numbers
        label, writer, sample = (int(f) for f in fields)
        if label != self.label:
            raise self.fail(f"the comment says {label}, the segment in line {self.started} says {self.label}")
        self.source = (writer, sample)

    def pen_down(self) -> None:
        if self.points is not None:
            raise self.fail("pen down twice without a pen up between")
        self.points = []

    def pen_up(self) -> None:
        if self.points is None:
            raise self.fail("pen up without a pen down before it")
        if self.label is not None and self.points:
            stroke = np.array(self.points, np.float64)
            stroke[:, 1] *= -1.0  # the tablet's y grows upwards
            self.strokes.append(stroke)
        self.points = None

    def point(self, text: str) -> None:
        if self.points is None:
            raise self.fail(f"{text[:80]!r} stands outside a stroke")
        fields = text.split()
        try:
            x, y = (float(f) for f in fields)
        except ValueError:
            raise self.fail(f"a point is two numbers x y; got {text[:80]!r}") from None
        if not (abs(x) <= MAX_COORDINATE and abs(y) <= MAX_COORDINATE):  # false for NaN too
            raise self.fail(f"point {text[:80]!r} is not on any tablet")
        self.points.append((x, y))

    def close(self) -> None:
        """End the digit being read, if any."""
        if self.points is not None:
            raise self.fail("pen down without a pen up after it")
        if self.label is not None:
            if not self.strokes:
                raise self.fail(f'the digit "{self.label}" begun in line {self.started} has no ink')
            self.digits.append(Digit(self.label, *self.source, self.strokes))
        self.label, self.strokes = None, []

    def finish(self) -> list[Digit]:
        self.close()
        if not self.digits:
            raise FormatError(f"{self.name}: no .SEGMENT DIGIT in {self.number} lines; is it UNIPEN text?")
        return self.digits
