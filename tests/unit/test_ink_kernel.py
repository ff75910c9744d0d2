"""core/kernels/ink*.c against handlens.strokes, grouping, numbers and reading: same images, same groups, same answers.

Every build for this host and the standalone module (in Node) are held to Python on the same packed strokes.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import handlens
import numpy as np
import pytest
from handlens import numbers, reading
from handlens.backends import drive
from handlens.backends.native import library
from handlens.data import generator, unipen
from handlens.strokes import Stroke, pack, unpack
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
INSIDE = ROOT / "tests" / "ink_inside.mjs"
PAD, PIXELS = 280.0, 784
CANDIDATES, FOUND, PLACE, CROWDED = 12, 8, 8, 256  # of core/kernels/ink.h
LENGTH, BUFFER, MEMORY, RANGE = -2, -3, -11, -13  # of enum hl_error
VERDICTS = ("sure", "likely", "unsure", "none")
ROUNDING = 1 / 255  # what is asked; found: none, or 2e-6 where the compiler fuses products with sums

Drawing = list[Stroke]


@dataclass
class Made:
    """What hl_ink returned, and wrote."""

    count: int
    found: NDArray[np.float64]
    images: NDArray[np.float32]

    @property
    def images_made(self) -> int:
        return self.count & ~CROWDED if self.count > 0 else 0


class Ink:
    """The functions of one build for this host."""

    def __init__(self, path: Path) -> None:
        self.c: Any = ctypes.CDLL(str(path))
        pointer, i32, size, real = ctypes.c_void_p, ctypes.c_int32, ctypes.c_ssize_t, ctypes.c_double
        self.c.hl_ink_scratch.argtypes, self.c.hl_ink_scratch.restype = [i32], size
        self.c.hl_ink.argtypes = [pointer, i32, real, pointer, pointer, pointer, size]
        self.c.hl_ink_answer.argtypes = [pointer, i32, pointer, i32, real, real, real, pointer]

    def ink(self, flat: Any, extent: float = PAD, lacking: int = 0) -> Made:
        values = np.ascontiguousarray(flat, np.float32)
        found = np.full((CANDIDATES, FOUND), np.nan)
        images = np.full((CANDIDATES, 28, 28), np.nan, np.float32)
        needed = max(self.c.hl_ink_scratch(len(values)), 64)
        scratch = np.empty(needed + 64, np.uint8)
        at = scratch.ctypes.data + -scratch.ctypes.data % 64
        to = (images.ctypes.data, found.ctypes.data, at, needed - lacking)
        count = self.c.hl_ink(values.ctypes.data, len(values), extent, *to)
        return Made(count, found, images)

    def answer(self, found: Any, count: int, shares: Any, rules: reading.Rules) -> NDArray[np.float64] | int:
        table, row = np.ascontiguousarray(found, np.float64), np.ascontiguousarray(shares, np.float32)
        places = np.zeros((CANDIDATES, PLACE))
        beside = -1.0 if rules.beside is None else rules.beside
        limits = (rules.answer, rules.sure, beside)
        length = self.c.hl_ink_answer(
            table.ctypes.data, count, row.ctypes.data, row.shape[-1], *limits, places.ctypes.data
        )
        return int(length) if length < 0 else places[:length]


def builds() -> list[str]:
    """The builds for this host, up to what its processor can run."""
    there = [name for name in library.candidates() if (library.FOLDER / name).is_file()]
    try:
        return there[there.index(library.find().path.name) :]
    except handlens.errors.BackendError:
        return []


@pytest.fixture(scope="module", params=builds() or ["none"])
def kernel(request: pytest.FixtureRequest) -> Ink:
    if request.param == "none":
        pytest.fail("no compiled kernels for this host: python3 build/make.py kernels")
    return Ink(library.FOLDER / request.param)


# The drawings.


@cache
def people() -> tuple[list[unipen.Digit], str]:
    """Digits, and where they come from: people's, or those of the project's own writer."""
    file = unipen.find_file()
    if file is None:
        return generator.digits(1000, 20260105), "the project's own writer (the stroke file is not here)"
    digits = unipen.read(file)
    chosen = np.random.default_rng(5).choice(len(digits), 1000, replace=False)
    return [digits[i] for i in chosen], "people"


@cache
def singles() -> list[Drawing]:
    """1,000 digits: of any size, anywhere, with the slider's brushes, from its thinnest to its broadest."""
    rng, made = np.random.default_rng(6), []
    for digit in people()[0]:
        size, width = float(rng.uniform(40, 230)), float(rng.choice([8, 12, 18, 22, 32, 40]))
        free = (size + width) / 2
        spot = rng.uniform(free, PAD - free, 2) if free < PAD / 2 else (PAD / 2, PAD / 2)
        made.append(digit.drawn(PAD, size, width, (float(spot[0]), float(spot[1]))))
    return made


@cache
def composed() -> list[Drawing]:
    """600 numbers of 2 to 5 digits: apart, with ink that touches, and with a pen that was not lifted."""
    return [n.strokes for t in ("", "ink", "pen") for n in numbers.composed(people()[0], 7, 200, t)]


def stroke(*points: tuple[float, float], width: float = 22.0, erase: bool = False) -> Stroke:
    return Stroke(np.array(points, np.float64).reshape(-1, 2), width, erase)


def bits(rng: np.random.Generator, most: int) -> Drawing:
    """Short strokes all over the pad, with several brushes."""
    count, step = int(rng.integers(17, most)), rng.uniform(1, 9)
    spots = rng.uniform(0, PAD, (count, 2))
    widths = rng.choice([2.0, 8.0, 22.0, 40.0], count)
    walks = (np.cumsum(np.vstack([spot, rng.normal(0, step, (5, 2))]), axis=0) for spot in spots)
    return [Stroke(walk, float(width)) for walk, width in zip(walks, widths, strict=True)]


def scrawl(rng: np.random.Generator) -> Drawing:
    """Strokes on, across and off the pad, some of them an eraser's, some empty."""
    walks = [
        np.cumsum(np.vstack([rng.uniform(-40, 320, (1, 2)), rng.normal(0, 25, (int(rng.integers(0, 12)), 2))]), axis=0)
        for _ in range(int(rng.integers(1, 9)))
    ]
    erase = rng.random(len(walks)) < 0.3
    return [
        Stroke(w[rng.random() < 0.05 :], float(rng.choice([8, 22, 40])), bool(e))
        for w, e in zip(walks, erase, strict=True)
    ]


def hatched() -> Drawing:
    return [stroke((60 + k * 4, 80), (60 + k * 4, 200), width=6) for k in range(12)]


EXTREMES: dict[str, Drawing] = {
    "dot": [stroke((140, 140))],
    "dot in the corner": [stroke((279.5, 279.5), width=8)],
    "dot beyond the edge": [stroke((-5, 140))],
    "dot too far beyond": [stroke((-50, 140))],
    "points on one spot": [stroke(*[(100, 120)] * 40)],
    "the whole pad": [stroke((0, 0), (280, 0), (280, 280), (0, 280), (0, 0), width=40)],
    "far larger than the pad": [stroke((-9000, 140), (9000, 150)), stroke((140, -1e6), (139, 1e6))],
    "along the border": [stroke((-3, 40), (-3, 240), width=20)],
    "out and in again": [stroke((100, 100), (100, 300), (150, 300), (150, 100))],
    "flat": [stroke((20, 140), (260, 140))],
    "hatched": hatched(),
    "hatched, two brushes": [*hatched(), stroke((50, 140), (120, 141), width=12)],
    "joined ends": [stroke((100, 50), (100, 140)), stroke((100, 140), (180, 230)), stroke((60, 230), (100, 50))],
    "crowded": [stroke((20.0 * k + 5, 100), (20.0 * k + 5, 180), width=4) for k in range(14)],
    "three equal, one dash": [stroke((40.0 * k, 100), (40.0 * k, 180)) for k in range(1, 4)]
    + [stroke((30, 90), (60, 90))],
    "erased whole": [stroke((100, 100), (150, 150)), stroke((90, 90), (160, 160), width=60, erase=True)],
    "erased before": [stroke((0, 140), (280, 140), width=40, erase=True), stroke((140, 60), (140, 220))],
    "cut in two": [stroke((40, 140), (240, 150)), stroke((140, 60), (140, 220), width=40, erase=True)],
    "empty": [],
    "strokes without points": [stroke(), stroke(erase=True), stroke((90, 90), (120, 200)), stroke()],
    "20,000 points": [
        Stroke(140 + 80 * np.stack([np.cos(np.linspace(0, 9, 20_000)), np.sin(np.linspace(0, 9, 20_000))], 1), 8.0)
    ],
}


KNOWN: dict[tuple[int, float], tuple[Drawing, Any]] = {}  # the drawing is kept, so that its id stays its own


def candidates(drawing: Drawing, extent: float = PAD) -> numbers.Candidates | None:
    """What Python makes of the packed strokes; made once for all builds."""
    key = (id(drawing), extent)
    if key not in KNOWN:
        KNOWN[key] = drawing, numbers.candidates(unpack(pack(drawing)), extent)
    return KNOWN[key][1]


def held(drawing: Drawing, made: Made, extent: float = PAD) -> numbers.Candidates | None:
    """Hold what C made against what Python makes of the same packed strokes."""
    found = candidates(drawing, extent)
    assert made.count >= 0
    if found is None:
        assert made.count == 0
        return None
    assert made.images_made == len(found.made)
    assert bool(made.count & CROWDED) == found.crowded
    for k, (prepared, group) in enumerate(zip(found.made, found.groups, strict=True)):
        assert np.abs(made.images[k] - prepared.image).max() <= ROUNDING
        first, end, prior, last, *box = made.found[k]
        assert (first, end) == group and last == max(found.owners[k]) == found.last[k]
        assert np.allclose(box, prepared.box, atol=1e-9 * extent)
        assert prior == pytest.approx(found.priors[k], abs=1e-12)
    return found


def test_a_thousand_digits_have_pythons_images_and_groups(kernel: Ink, capsys: pytest.CaptureFixture[str]) -> None:
    several = 0
    for drawing in singles():
        found = held(drawing, kernel.ink(pack(drawing)))
        several += found is not None and len(found.made) > 1
    with capsys.disabled():
        print(f" [{len(singles())} digits by {people()[1]}; {several} left to the network to group]", end="")
    assert 0 < several < 250  # else this tests no grouping, or a layout that decides nothing


@cache
def odd() -> list[Drawing]:
    """Drawings made bit by bit, strokes off the pad and under erasers, and what is no digit."""
    rng = np.random.default_rng(8)
    drawings = [*(bits(rng, 90) for _ in range(15)), *(scrawl(rng) for _ in range(300))]
    return drawings + [r.drawn(PAD) for r in generator.rejects(100, 9, generator.available(generator.TRAINED))]


def test_numbers_rejects_and_odd_drawings_have_too(kernel: Ink) -> None:
    for drawing in (*composed(), *odd()):
        held(drawing, kernel.ink(pack(drawing)))


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_drawings_have_too(name: str, kernel: Ink) -> None:
    held(EXTREMES[name], kernel.ink(pack(EXTREMES[name])))


def test_the_pads_size_and_a_drawing_of_hundreds_of_strokes(kernel: Ink) -> None:
    for extent in (1.0, 28.0, 320.0, 4000.0):
        for drawing in (*singles()[:20], EXTREMES["hatched"], EXTREMES["cut in two"]):
            scaled = [Stroke(s.points * (extent / PAD), s.width * (extent / PAD), s.erase) for s in drawing]
            held(scaled, kernel.ink(pack(scaled), extent), extent)
    many = bits(np.random.default_rng(3), 400) + bits(np.random.default_rng(4), 300)
    assert len(many) > 200
    held(many, kernel.ink(pack(many)))


# The answers.


@cache
def network() -> tuple[Any, reading.Rules]:
    model = handlens.load(ROOT / "web" / "models" / "digits.safetensors")
    return model, reading.rules_of(model)


def differs(kernel: Ink, drawing: Drawing) -> str:
    """How the answer by C differs from Python's; "" where it does not."""
    model, rules = network()
    made, found = kernel.ink(pack(drawing)), candidates(drawing)
    wanted = drive(numbers.answered(model, found, rules))
    if made.count & CROWDED:
        return "" if [p.reading.verdict for p in wanted] == ["none"] else "crowded"
    count = made.images_made
    shares = model.predict(made.images[:count, None])
    places = kernel.answer(made.found, count, shares, rules)
    assert not isinstance(places, int)
    if len(places) != len(wanted):
        return f"{len(places)} places, {len(wanted)} in Python"
    for (_, best, second, verdict, reason, _, share, none), place in zip(places, wanted, strict=True):
        said = place.reading
        if (best, second, VERDICTS[int(verdict)]) != (said.best, said.second, said.verdict):
            return f"{best} {VERDICTS[int(verdict)]}, {said.best} {said.verdict} in Python"
        start = ("", "One digit or two?", "Not one digit. Two that touch?")[int(reason)]
        if not said.sentence.startswith(start) or (not start and "Leave a gap" in said.sentence):
            return f"reason {reason} for {said.sentence!r}"
        assert abs(share - said.probabilities[said.best]) + abs(none - said.none) < 1e-5
    return ""


def test_answers_are_pythons(kernel: Ink) -> None:
    """Never one digit where Python says several, nor the other way round."""
    wrong = [found for d in (*singles(), *composed()[::3]) if (found := differs(kernel, d))]
    assert not wrong


def test_answers_of_any_shares_are_pythons(kernel: Ink) -> None:
    """Shares that no network is so unsure as to give reach every verdict and reason, and rows that are hard to tell."""
    rng, reached = np.random.default_rng(10), set()
    for drawing in composed()[:300:3]:
        made, found = kernel.ink(pack(drawing)), candidates(drawing)
        assert found is not None and made.images_made == len(found.made)
        for rules in (reading.Rules(0.3, 0.5, 0.2), reading.Rules(0.8, 0.95)):
            shares = rng.dirichlet([float(rng.choice([0.03, 0.3]))] * 11, len(found.made)).astype(np.float32)
            places = kernel.answer(made.found, len(found.made), shares, rules)
            padded = np.concatenate((shares, np.zeros((len(found.batch()) - len(shares), 11), np.float32)))
            wanted = found.places(padded.astype(np.float64), rules)
            assert not isinstance(places, int) and len(places) == len(wanted)
            for place, other in zip(places, wanted, strict=True):
                assert found.made[int(place[0])] is other.prepared
                assert (place[1], VERDICTS[int(place[3])]) == (other.reading.best, other.reading.verdict)
                assert (place[4] > 0) == ("Leave a gap" in other.reading.sentence)
                reached.add((VERDICTS[int(place[3])], int(place[4])))
    assert {("sure", 0), ("likely", 0), ("unsure", 0), ("unsure", 1), ("none", 0)} <= reached


def test_the_engine_reads_by_the_kernels_what_python_reads() -> None:
    """`numbers.compiled_candidates`: the same places, and their stages when somebody asks."""
    model = handlens.load(ROOT / "web" / "models" / "digits.safetensors", "native")
    for drawing in (*singles()[:150], *composed()[:60], *EXTREMES.values()):
        flat, wanted = pack(drawing), candidates(drawing)
        found = numbers.compiled_candidates(model, flat, PAD)
        assert (found is None) == (wanted is None)
        if found is None or wanted is None:
            continue
        places, others = (drive(numbers.answered(model, some)) for some in (found, wanted))
        assert [(p.reading.sentence, p.last) for p in places] == [(p.reading.sentence, p.last) for p in others]
        for place, other in zip(places, others, strict=True):
            assert np.abs(place.image - other.image).max() <= ROUNDING
            assert place.box == pytest.approx(other.box, abs=1e-9 * PAD)
        if places[0].number == len(places) - 1:  # a few are enough: stages are what Python makes
            assert places[0].strokes == others[0].strokes
            assert np.array_equal(places[0].prepared.crop, others[0].prepared.crop)
    assert numbers.compiled_candidates(model, np.zeros(0, np.float32), PAD) is None
    with pytest.raises(handlens.errors.DataError, match="points announced"):
        numbers.compiled_candidates(model, np.array([3, 22, 0, 1], np.float32), PAD)


# What is refused.


@pytest.mark.parametrize(
    ("flat", "error"),
    [
        ([1, 18], LENGTH),
        ([2, 18, 0, 1, 1], LENGTH),
        ([-1, 18, 0], LENGTH),
        ([1.5, 18, 0, 1, 1], LENGTH),
        ([np.nan, 18, 0], LENGTH),
        ([np.inf, 18, 0], LENGTH),
        ([3e9, 18, 0], LENGTH),
        ([1, 18, 0, 1, 1, 7], LENGTH),
        ([1, 18, 2, 1, 1], RANGE),
        ([1, 0, 0, 1, 1], RANGE),
        ([1, np.nan, 0, 1, 1], RANGE),
        ([1, 18, 0, 1, np.nan], RANGE),
        ([1, 18, 0, -np.inf, 1], RANGE),
        ([1, 18, 0, 1, 2e6], RANGE),
    ],
)
def test_damaged_strokes_are_refused_where_python_refuses_them(kernel: Ink, flat: list[float], error: int) -> None:
    assert kernel.ink(flat).count == error
    with pytest.raises(handlens.errors.DataError):
        unpack(flat)


def test_other_arguments_are_refused(kernel: Ink) -> None:
    flat = pack([stroke((1, 2), (3, 4))])
    for extent in (0.0, -1.0, np.nan, np.inf, 1e7):
        assert kernel.ink(flat, extent).count == RANGE
    assert kernel.ink(flat, lacking=1).count == MEMORY
    assert kernel.ink(np.zeros((1 << 18) + 1)).count == LENGTH
    assert kernel.c.hl_ink_scratch(-1) == kernel.c.hl_ink_scratch((1 << 18) + 1) == LENGTH
    assert kernel.c.hl_ink(None, 5, PAD, None, None, None, 0) == BUFFER
    row, rules = np.full((1, 11), 1 / 11, np.float32), reading.Rules()
    one = [[0, 1, 0, 0, 0, 0, 9, 9]]
    assert not isinstance(kernel.answer(one, 1, row, rules), int)
    for found, count, shares in (
        (one, 0, row),
        (one, 13, row),
        ([[0, 0, 0, 0, 0, 0, 9, 9]], 1, row),
        ([[0, 0.5, 0, 0, 0, 0, 9, 9]], 1, row),
        ([[np.nan] * 8], 1, row),
        ([[0, 500, 0, 0, 0, 0, 9, 9]], 1, row),
        (one, 1, row * 2),
        (one, 1, row * np.nan),
        (one, 1, row[:, :9]),
        ([one[0], [5, 6, 0, 0, 0, 0, 9, 9]], 2, np.tile(row, (2, 1))),
    ):
        assert isinstance(kernel.answer(found, count, shares, rules), int)


def test_an_eraser_that_takes_too_long_is_left_to_python(kernel: Ink) -> None:
    """The page's own thread is not held up: 200,000 points looked at under an eraser of 2,000."""
    walk = np.random.default_rng(0).uniform(0, PAD, (2000, 2))
    assert kernel.ink(pack([Stroke(walk, 8.0), Stroke(walk, 0.01, True)])).count == MEMORY


def test_damage_of_any_kind_is_refused_or_read_as_python_does(kernel: Ink) -> None:
    rng, refused = np.random.default_rng(11), 0
    for drawing in (scrawl(rng) for _ in range(300)):
        flat = pack(drawing)
        flat[rng.integers(len(flat))] = rng.choice([np.nan, np.inf, -1.0, 0.0, 1.0, 2.0, 1e9, 0.5])
        made = kernel.ink(flat)
        try:
            strokes = unpack(flat)
        except handlens.errors.DataError:
            assert made.count in (LENGTH, RANGE)
            refused += 1
        else:
            held(strokes, made)
    assert refused > 50


# WebAssembly.


def in_node(module: Path, drawings: Sequence[Drawing], folder: Path, rounds: int = 1) -> tuple[list[Made], float]:
    """What the standalone module makes of drawings, and its median time in microseconds."""
    packed = [pack(d) for d in drawings]
    np.concatenate([np.concatenate(([len(p)], p)) for p in packed]).astype(np.float32).tofile(folder / "in")
    command = ["node", "--experimental-wasm-relaxed-simd", INSIDE, module, folder / "in", folder / "out", str(rounds)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    numbers_out, at, made = np.fromfile(folder / "out", np.float64), 0, []
    for _ in drawings:
        one = Made(int(numbers_out[at]), np.zeros(0), np.zeros(0, np.float32))
        count = one.images_made
        middle, end = at + 1 + FOUND * count, at + 1 + (FOUND + PIXELS) * count
        one.found = numbers_out[at + 1 : middle].reshape(count, FOUND)
        one.images = numbers_out[middle:end].astype(np.float32).reshape(count, 28, 28)
        made.append(one)
        at = end
    return made, float(done.stdout)


@pytest.mark.parametrize("name", ["handlens.wasm", "handlens-relaxed.wasm"])
def test_the_standalone_module_makes_pythons_images(name: str, tmp_path: Path) -> None:
    module = library.FOLDER / name
    if not module.is_file():
        pytest.fail(f"{name} is not there: python3 build/make.py kernels")
    drawings = [*singles(), *composed()[::6], *odd(), *(d for d in EXTREMES.values() if d)]
    made, _ = in_node(module, drawings, tmp_path)
    for drawing, one in zip(drawings, made, strict=True):
        held(drawing, one)
