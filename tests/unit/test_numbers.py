"""handlens.numbers and handlens.grouping: which strokes make which digit, and whole numbers read from them."""

from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import handlens
import numpy as np
import pytest
from handlens import grouping, numbers
from handlens.backends import NumpyBackend
from handlens.data import generator, unipen
from handlens.errors import DataError
from handlens.reading import Rules
from handlens.strokes import Stroke, prepare
from hypothesis import given, settings
from hypothesis import strategies as st

PAD = 280.0
MODELS = Path(__file__).resolve().parents[2] / "web" / "models"
OWN = generator.digits(400, 20260102)  # training uses other seeds


class Reader:
    """Stands for a network: a fixed share for every image, and how many images it was shown."""

    output_shape = (11,)
    loss = handlens.CrossEntropy()

    backend = NumpyBackend()

    def __init__(self, best: float = 0.97, none: float = 0.0) -> None:
        self.metadata: dict[str, Any] = {}
        self.row = np.full(11, (1 - best - none) / 9)
        self.row[3], self.row[10], self.seen = best, none, 0

    def predict(self, x: Any, batch_size: int = 0) -> Any:
        self.seen += len(x)
        return np.tile(self.row, (len(x), 1))


def stroke(*points: tuple[float, float], width: float = 8.0, erase: bool = False) -> Stroke:
    return Stroke(np.array(points, np.float64), width, erase)


def ring(cx: float, cy: float, rx: float, ry: float) -> Stroke:
    turn = np.linspace(0, 2 * np.pi, 30)
    return Stroke(np.stack([cx + rx * np.sin(turn), cy - ry * np.cos(turn)], axis=1), 8.0)


def layout(drawn: list[Stroke]) -> grouping.Layout:
    return grouping.lay_out(grouping.of_paths([s.points for s in drawn]))


def by_geometry(drawn: list[Stroke]) -> list[list[int]]:
    found = layout(drawn)
    row, _ = grouping.best_row(len(found.units), found.groups, [found.prior(g) for g in found.groups])
    return [found.parts(found.groups[k]) for k in row]


ONE_DIGIT = {
    "crossed seven": [stroke((100, 60), (180, 60), (130, 230)), stroke((110, 140), (175, 140))],
    "four of two": [stroke((120, 60), (90, 160), (190, 160)), stroke((160, 110), (150, 230))],
    "five, bar apart": [
        stroke((110, 75), (105, 140), (170, 160), (160, 220), (100, 225)),
        stroke((118, 62), (190, 60)),
    ],
    "dotted zero": [ring(140, 140, 55, 85), stroke((140, 140))],
    "slashed zero": [ring(140, 140, 55, 85), stroke((210, 50), (75, 235))],
    "based one": [stroke((110, 90), (140, 60), (140, 230)), stroke((100, 231), (180, 231))],
    "flag apart": [stroke((108, 92), (136, 64)), stroke((141, 60), (140, 230))],
}


@pytest.mark.parametrize("name", ONE_DIGIT)
def test_one_digit_of_several_strokes_stays_one(name: str) -> None:
    assert by_geometry(ONE_DIGIT[name]) == [list(range(len(ONE_DIGIT[name])))]


def test_a_drawing_that_cannot_be_several_digits_is_prepared_and_predicted_once() -> None:
    for drawn in (ONE_DIGIT["crossed seven"], ONE_DIGIT["slashed zero"], [ring(140, 140, 55, 85)], [stroke((9, 9))]):
        reader = Reader()
        (place,) = numbers.read(reader, drawn, PAD)  # type: ignore[arg-type]
        assert reader.seen == 1 and place.strokes == list(range(len(drawn)))
        whole = prepare(drawn, PAD)
        assert whole is not None and np.array_equal(place.prepared.image, whole.image) and place.box == whole.box


def test_a_blank_pad_has_no_place() -> None:
    gone = [stroke((50, 50), (60, 60)), stroke((40, 40), (70, 70), width=60, erase=True)]
    for drawn in ([], gone, [stroke((900, 900), (950, 950))]):
        assert numbers.read(Reader(), drawn, PAD) == []  # type: ignore[arg-type]


def test_digits_apart_are_places_from_left_to_right_whatever_the_order_drawn() -> None:
    drawn = [ring(220, 100, 20, 40), stroke((40, 60), (42, 140)), stroke((95, 62), (140, 60), (110, 142))]
    drawn.append(stroke((100, 100), (130, 100)))  # the seven crossed at the end
    places = numbers.read(Reader(), drawn, PAD)  # type: ignore[arg-type]
    assert [p.strokes for p in places] == [[1], [2, 3], [0]]
    assert all(a.box[0] < b.box[0] for a, b in pairwise(places)) and {p.reading.digit for p in places} == {3}
    assert np.allclose(places[0].box, (36, 56, 46, 144))


def test_an_eraser_parts_what_one_stroke_joined() -> None:
    joined = [stroke((60, 60), (60, 200), (180, 60), (180, 200)), stroke((84, 180), (156, 78), width=40, erase=True)]
    places = numbers.read(Reader(), joined, PAD)  # type: ignore[arg-type]
    assert [p.strokes for p in places] == [[0], [0]]


def test_ink_that_no_digit_is_made_of_is_refused_with_a_reason() -> None:
    wide = [stroke((40, 100), (80, 180), (120, 100), (160, 180), (200, 100))]
    (place,) = numbers.read(Reader(best=0.1, none=0.8), wide, PAD)  # type: ignore[arg-type]
    assert place.reading.digit is None and place.reading.verdict == "none"
    assert place.reading.sentence == "Not one digit. Two that touch? Leave a gap between."
    (tall,) = numbers.read(Reader(best=0.1, none=0.8), [stroke((100, 40), (120, 200))], PAD)  # type: ignore[arg-type]
    assert tall.reading.sentence == "Not one digit."


def test_too_many_pieces_are_refused_even_by_a_network_that_is_sure() -> None:
    fence = [stroke((10 + 16 * i, 100), (10 + 16 * i, 130)) for i in range(16)]
    reader = Reader()
    (place,) = numbers.read(reader, fence, PAD)  # type: ignore[arg-type]
    assert place.reading.digit is None and "12 pieces" in place.reading.sentence and reader.seen == 1


def test_a_network_of_other_classes_is_refused() -> None:
    with pytest.raises(DataError, match="10 or 11 classes"):
        numbers.read(handlens.Sequential([handlens.Flatten(), handlens.Dense(3)], (1, 28, 28)), [stroke((9, 9))], PAD)


# Grouping.

POINTS = st.lists(st.tuples(st.floats(0, 280), st.floats(0, 280)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=120)
@given(st.lists(POINTS, min_size=1, max_size=14))
def test_any_strokes_fall_into_few_candidates_that_cover_them(paths: list[list[tuple[float, float]]]) -> None:
    found = layout([stroke(*p) for p in paths])
    assert sorted(i for unit in found.units for i in unit) == list(range(len(paths)))
    assert len(found.groups) <= max(grouping.MAX_CANDIDATES, len(found.units)) and len(set(found.groups)) == len(
        found.groups
    )
    row, share = grouping.best_row(len(found.units), found.groups, [found.prior(g) for g in found.groups])
    assert sorted(i for k in row for i in found.parts(found.groups[k])) == list(range(len(paths)))
    assert ((share >= 0) & (share <= 1 + 1e-9)).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.floats(0.05, 20), st.floats(-500, 500), st.randoms())
def test_order_size_and_place_change_no_grouping(seed: int, scale: float, shift: float, random: Any) -> None:
    rng = np.random.default_rng(seed)
    drawn = numbers.compose([OWN[i] for i in rng.integers(0, 400, 3)], rng).strokes
    order = list(range(len(drawn)))
    random.shuffle(order)
    moved = [Stroke(drawn[i].points * scale + shift, 5.0) for i in order]
    assert [sorted(order[i] for i in group) for group in by_geometry(moved)] == by_geometry(drawn)


@settings(deadline=None)
@given(st.integers(1, 6), st.data())
def test_the_best_row_is_the_best_of_all_rows(count: int, data: st.DataObject) -> None:
    every = [(a, b) for a in range(count) for b in range(a + 1, count + 1)]
    single = [(i, i + 1) for i in range(count)]
    groups = single + [g for g in every if g not in single and data.draw(st.booleans())]
    scores = [data.draw(st.floats(-8, 0)) for _ in groups]

    def rows(at: int) -> list[list[int]]:
        if at == count:
            return [[]]
        return [[k, *rest] for k, (a, b) in enumerate(groups) if a == at for rest in rows(b)]

    found, share = grouping.best_row(count, groups, scores)
    totals = {tuple(r): sum(scores[k] for k in r) for r in rows(0)}
    assert totals[tuple(found)] == pytest.approx(max(totals.values()))
    weight = {r: np.exp(t) for r, t in totals.items()}
    for k in range(len(groups)):
        assert share[k] == pytest.approx(sum(w for r, w in weight.items() if k in r) / sum(weight.values()))


def test_room_is_measured_along_rows() -> None:
    """Two slanted ones: their boxes overlap, along every row there is a gap."""
    drawn = [stroke((60, 200), (120, 40)), stroke((100, 200), (160, 40))]
    parts = grouping.of_paths([s.points for s in drawn])
    gap = float(grouping.room(parts.right[0], parts.left[1])) * 160
    assert 40 - 60 / 12 < gap <= 40 and by_geometry(drawn) == [[0], [1]]


# Composed numbers.


def test_compose_keeps_every_stroke_on_the_pad_and_paper_between_the_digits() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        chosen = [OWN[i] for i in rng.integers(0, 400, 2 + seed % 4)]
        number = numbers.compose(chosen, rng)
        assert number.digits == tuple(d.label for d in chosen) and number.text == "".join(str(d.label) for d in chosen)
        assert sorted({i for owner in number.owners for i in owner}) == list(range(len(chosen)))
        for s in number.strokes:
            assert (s.points >= s.width / 2 - 1e-6).all() and (s.points <= PAD - s.width / 2 + 1e-6).all()
        for left in range(len(chosen) - 1):
            two = [s for s, o in zip(number.strokes, number.owners, strict=True) if o in ((left,), (left + 1,))]
            n = number.owners.count((left,))
            parts = grouping.of_paths([s.points for s in two])
            height = float(np.ptp(np.concatenate([s.points for s in two])[:, 1]))
            gap = float(grouping.room(parts.right[:n].max(axis=0), parts.left[n:].min(axis=0))) * height
            assert gap > 0.8 * two[0].width


def test_compose_touches_where_asked() -> None:
    pen = numbers.compose(OWN[:3], np.random.default_rng(1), touching="pen")
    assert sum(len(o) == 2 for o in pen.owners) == 1
    assert len(pen.strokes) == sum(len(d.strokes) for d in OWN[:3]) - 1
    again = [numbers.compose(OWN[:3], np.random.default_rng(2), touching="ink") for _ in range(2)]
    assert all(np.array_equal(a.points, b.points) for a, b in zip(again[0].strokes, again[1].strokes, strict=True))
    for bad, words in (("glue", "give"), ("ink", "too few")):
        with pytest.raises(DataError, match=words):
            numbers.compose(OWN[:1], np.random.default_rng(0), touching=bad)
    with pytest.raises(DataError, match="0 digits"):
        numbers.compose([], np.random.default_rng(0))


def test_geometry_alone_parts_most_numbers() -> None:
    rng, right = np.random.default_rng(3), 0
    for _ in range(120):
        number = numbers.compose([OWN[i] for i in rng.integers(0, 400, rng.integers(2, 6))], rng)
        wanted = [[k for k, owner in enumerate(number.owners) if i in owner] for i in range(len(number.digits))]
        right += by_geometry(number.strokes) == wanted
    assert right >= 108


def test_measure_counts_what_read_gives() -> None:
    every = numbers.measure(Reader(), OWN, 5, count=6)  # type: ignore[arg-type]
    assert every["numbers"] == every["answered"] == 6 and every["right"] == 0 and every["refused_or_right_share"] == 0
    none = numbers.measure(Reader(best=0.3), OWN, 5, count=6)  # type: ignore[arg-type]
    assert none["answered"] == 0 and none["refused_share"] == 1 == none["refused_or_right_share"]
    assert none["digits"] == every["digits"] and 12 <= every["digits"] <= 30
    with pytest.raises(DataError, match="at least one"):
        numbers.measure(Reader(), [], 5)  # type: ignore[arg-type]


def shipped() -> tuple[Any, list[unipen.Digit]]:
    """The model of the page, and the choosing writers' digits (the report's are read once, elsewhere)."""
    model = handlens.load(MODELS / "digits.safetensors")
    if model.output_shape != (11,):
        pytest.skip("the shipped digits network has no reject class")
    file = unipen.find_file()
    return model, OWN if file is None else unipen.split(unipen.read(file), "choose")


def test_numbers_of_written_digits_are_read() -> None:
    model, digits = shipped()
    found = numbers.measure(model, digits, 1, count=150)
    assert found["right_share"] >= 0.95 and found["refused_share"] <= 0.08
    assert found["places_right"] >= 0.98 * found["digits"]


@pytest.mark.parametrize("touching", ["ink", "pen"])
def test_numbers_with_a_touching_pair_are_refused_or_right(touching: str) -> None:
    model, digits = shipped()
    assert numbers.measure(model, digits, 2, count=100, touching=touching)["refused_or_right_share"] >= 0.9


def test_single_written_digits_are_not_split() -> None:
    model, digits = shipped()
    if digits is OWN:  # a few of its styles write a 5 in two parts far from each other: 100 digits would be too few
        digits = generator.digits(1600, 20260102)
    several = [d for d in digits if len(d.strokes) > 1][:300]
    split = [d for d in several if len(numbers.read(model, d.drawn(), PAD, Rules())) > 1]
    assert len(split) <= 0.03 * len(several), [(d.label, d.writer, d.sample) for d in split]


def test_permutations_of_a_number_read_the_same() -> None:
    drawn = [stroke((40, 60), (42, 140)), stroke((95, 62), (140, 60), (110, 142)), stroke((100, 100), (130, 100))]
    boxes = set()
    for order in permutations(range(3)):
        places = numbers.read(Reader(), [drawn[i] for i in order], PAD)  # type: ignore[arg-type]
        boxes.add(tuple(p.box for p in places))
    assert len(boxes) == 1


def test_a_digit_drawn_by_keys_is_one_digit() -> None:
    # a 7 of lines from cell to cell, as the pad's keys draw them, and beside it a second one
    cells = [(8 + k, 6) for k in range(8)] + [(15 - k // 3, 6 + k) for k in range(1, 12)]
    lines = [Stroke((np.array(pair) + 0.5) * 10.0, 22.0) for pair in pairwise(cells)]
    assert [p.strokes for p in numbers.read(Reader(), lines, 280.0)] == [list(range(len(lines)))]  # type: ignore[arg-type]
    halves = [Stroke(line.points * 0.5 + (dx, 60.0), 12.0) for dx in (0.0, 120.0) for line in lines]
    n = len(lines)
    found = numbers.read(Reader(), halves, 280.0)  # type: ignore[arg-type]
    assert [p.strokes for p in found] == [list(range(n)), list(range(n, 2 * n))]
    few = [*lines[:3], Stroke(np.array([[95.0, 30.0], [95.0, 100.0]]), 22.0)]
    assert len(few) < numbers.BITS and len(numbers.read(Reader(), few, 280.0)) == 1  # type: ignore[arg-type]


def test_a_digit_filled_row_by_row_is_one_digit() -> None:
    rows, columns = np.mgrid[:20, :14]
    ring = np.abs(np.hypot((rows - 9.5) / 10, (columns - 6.5) / 7) - 0.8) < 0.2  # a 0, two runs in most rows
    runs = []
    for row, inked in enumerate(ring):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], inked, [False])).astype(np.int8)))
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            runs.append(Stroke(np.array([[a + 0.5, row + 0.5], [b - 0.5, row + 0.5]]) * 10 + 40, 10.0))
    assert len(runs) > numbers.BITS
    assert [p.strokes for p in numbers.read(Reader(), runs, 280.0)] == [list(range(len(runs)))]  # type: ignore[arg-type]
