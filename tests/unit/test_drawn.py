"""handlens.drawn: the benchmark counts what a slow loop counts, and draws what its conditions say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import handlens
import numpy as np
import pytest
from handlens import Dense, Flatten, Sequential, Softmax
from handlens.data import generator, unipen
from handlens.data.unipen import Digit
from handlens.drawn import (
    ANYWHERE,
    CONDITIONS,
    EXTENT,
    USUAL,
    Condition,
    Mistake,
    held_out,
    measure,
    measure_mnist,
    shifted,
)
from handlens.errors import DataError
from handlens.reading import Rules, judge
from handlens.strokes import STAGES, Stroke, prepare

RULES = Rules(0.8, 0.95)
T = np.linspace(0, 2 * np.pi, 40)
SHAPES = {
    0: [np.stack([60 * np.cos(T), 100 * np.sin(T)], axis=1)],
    1: [np.array([[-25.0, -60], [0, -100], [0, 100]])],
    7: [np.array([[-60.0, -100], [60, -100], [-10, 100]])],
}


def some_digits(count: int = 30) -> list[Digit]:
    """Zeros, ones and sevens by three writers and an unknown one, in shaky hands."""
    generator = np.random.default_rng(5)
    digits = []
    for k in range(count):
        label = (0, 1, 7)[k % 3]
        shake = generator.normal(0, 1, (2, 2)) * 0.22 + np.eye(2)
        strokes = [s @ shake + generator.normal(0, 2, s.shape) for s in SHAPES[label]]
        digits.append(Digit(label, (5, 10, 15, -1)[k % 4], k, strokes))
    return digits


def nearest(classes: int) -> Sequential:
    """Shares by distance from the three shapes, drawn neatly: right on most shaky digits, wrong on some."""
    model = Sequential([Flatten(), Dense(classes), Softmax()], (1, 28, 28), name="nearest")
    weights = model.state_dict()
    weights["dense1.weight"][...], weights["dense1.bias"][...] = 0.0, -1e3
    for label, shape in SHAPES.items():
        ready = prepare(Digit(label, -1, -1, shape).drawn(), EXTENT)
        assert ready is not None
        flat = ready.image.reshape(-1)
        weights["dense1.weight"][label], weights["dense1.bias"][label] = flat / 3, -(flat @ flat) / 6
    if classes > 10:
        weights["dense1.bias"][10] = 1.5  # what is like none of them
    model.load_state_dict(weights)
    return model


def test_conditions_are_the_ones_asked_for() -> None:
    of = {g: [c for c in CONDITIONS if c.group == g] for g in ("usual", "brush", "size", "corner", "rotation")}
    assert min(c.width for c in of["brush"]) == 8 and max(c.width for c in of["brush"]) == 40
    assert {c.rotation for c in of["rotation"]} == {-15, -10, -5, 5, 10, 15}
    assert min(c.size for c in of["size"]) == USUAL.size / 4
    assert len({c.name for c in CONDITIONS}) == len(CONDITIONS) and CONDITIONS[0] == USUAL
    square = Digit(0, 5, 0, [np.array([[0.0, 0], [9, 0], [9, 9], [0, 9]])])
    touched = set()
    for condition in of["corner"]:
        (stroke,) = condition.draw([square])[0]
        low, high = stroke.points.min(axis=0) - stroke.width / 2, stroke.points.max(axis=0) + stroke.width / 2
        assert np.max(high - low) == pytest.approx(USUAL.size / 4 + stroke.width)
        touched |= {(bool(low[0] == 0), bool(low[1] == 0), bool(high[0] == EXTENT), bool(high[1] == EXTENT))}
    assert touched == {(x, y, not x, not y) for x in (True, False) for y in (True, False)}


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda c: c.name)
def test_every_digit_stays_on_the_pad_in_whole_units(condition: Condition) -> None:
    for strokes in condition.draw(some_digits(12), seed=3):
        points = np.concatenate([s.points for s in strokes])
        reach = strokes[0].width / 2
        assert points.min() - reach >= -0.5 and points.max() + reach <= EXTENT + 0.5
        assert np.array_equal(points, np.round(points)) and 8 <= strokes[0].width <= 40


def test_scattered_drawings_differ_and_follow_from_the_seed() -> None:
    digits = some_digits(40)
    one, same, other = (ANYWHERE.draw(digits, seed) for seed in (1, 1, 2))

    def boxes(drawings: list[list[Stroke]]) -> np.ndarray:
        return np.array([[*s[0].points.min(axis=0), *s[0].points.max(axis=0), s[0].width] for s in drawings])

    assert np.array_equal(boxes(one), boxes(same)) and not np.array_equal(boxes(one), boxes(other))
    sizes = np.ptp(boxes(one)[:, [1, 3]], axis=1)
    assert sizes.min() < 90 and sizes.max() > 180 and len(np.unique(boxes(one)[:, 4])) == 40


@pytest.mark.parametrize("classes", [10, 11])
def test_every_number_is_what_a_slow_loop_counts(classes: int) -> None:
    model, digits, mistakes = nearest(classes), some_digits(), list[Mistake]()
    conditions = (USUAL, CONDITIONS[-2], ANYWHERE)
    found = measure(model, digits, RULES, seed=4, conditions=conditions, mistakes=mistakes)
    assert json.loads(json.dumps(found)) == found
    wrong: dict[int, list[str]] = {}
    for condition, row in zip(conditions, found["conditions"], strict=True):
        right, refused, right_of_answered = [], [], []
        for digit, strokes in zip(digits, condition.draw(digits, 4), strict=True):
            ready = prepare(strokes, EXTENT)
            assert ready is not None
            shares = model.predict(ready.image[None])[0]
            reading = judge(shares, RULES)
            right.append(int(shares.argmax()) == digit.label)
            refused.append(reading.digit is None)
            right_of_answered += [reading.digit == digit.label] if reading.digit is not None else []
            if not right[-1]:
                wrong.setdefault(digit.sample, []).append(condition.name)
        assert row["name"] == condition.name and row["count"] == 30
        assert row["accuracy"] == pytest.approx(np.mean(right), abs=1e-5)
        assert row["refused"] == pytest.approx(np.mean(refused), abs=1e-5)
        assert row["right_of_answered"] == pytest.approx(np.mean(right_of_answered), abs=1e-5)
        by_writer = {w: np.mean([r for d, r in zip(digits, right, strict=True) if d.writer == w]) for w in (5, 10, 15)}
        assert row["worst_writer"]["accuracy"] == pytest.approx(min(by_writer.values()), abs=1e-5)
        if condition == USUAL:
            shown = {w["writer"]: w["accuracy"] for w in found["by_writer"]}
            assert shown == pytest.approx(by_writer, abs=1e-5)
    assert {m.digit.sample: m.conditions for m in mistakes} == wrong and wrong
    assert [len(m.conditions) for m in mistakes] == sorted((len(m.conditions) for m in mistakes), reverse=True)
    confusion = np.array(found["confusion"])
    assert confusion.shape == (10, classes) and confusion.sum(axis=1).tolist() == [10, 10, 0, 0, 0, 0, 0, 10, 0, 0]
    assert np.trace(confusion) / 30 == pytest.approx(found["accuracy"], abs=1e-5)
    assert sum(r["count"] for r in found["reliability"]) == 30 and found["writers"] == [5, 10, 15]
    assert found["lowest"]["rotation"]["accuracy"] == found["conditions"][1]["accuracy"]


def test_stages_are_left_out_one_at_a_time() -> None:
    model, digits = nearest(10), some_digits()
    found = measure(model, digits, RULES, conditions=(ANYWHERE,), seed=2)
    stages = found["stages"]
    assert stages["on"] == found["conditions"][1]["accuracy"] and set(stages["off"]) == set(STAGES)
    for stage in STAGES:
        ready = [prepare(strokes, EXTENT, (stage,)) for strokes in ANYWHERE.draw(digits, 2)]
        images = np.stack([p.image for p in ready if p is not None])
        right = model.predict(images).argmax(axis=1) == [d.label for d in digits]
        assert stages["off"][stage] == pytest.approx(right.mean(), abs=1e-5)
    assert stages["off"]["crop"] < stages["on"]
    assert "stages" not in measure(model, digits, RULES, conditions=(), stages=False)


@dataclass(frozen=True, eq=False)
class Junk:
    """A drawing that is no digit."""

    family: str
    strokes: list[Stroke]

    def drawn(self, extent: float = 280.0, size: float = 200.0, width: float = 18.0) -> list[Stroke]:
        """As they stand."""
        return self.strokes


def test_rejects_are_counted_by_family() -> None:
    flat = [Junk("lines", [Stroke(np.array([[20.0, 140 + k], [260, 140 - k]]), 18)]) for k in range(8)]
    sevens = [Junk("sevens", Digit(7, -1, -1, SHAPES[7]).drawn()) for _ in range(4)]
    off = [Junk("off the pad", [Stroke(np.array([[900.0, 900]]), 18)])]
    found = measure(nearest(11), some_digits(), RULES, conditions=(), stages=False, rejects=[*flat, *sevens, *off])
    families = {name: (f["count"], f["refused"]) for name, f in found["rejects"]["families"].items()}
    assert families == {"lines": (8, 1.0), "sevens": (4, 0.0), "off the pad": (1, 1.0)}
    assert set(found["rejects"]["missing"]) == set(generator.HELD_OUT)
    assert found["rejects"]["count"] == 13 and found["rejects"]["refused"] == pytest.approx(9 / 13, abs=1e-5)
    at = {row["answer"]: row for row in found["thresholds"]}
    assert at[0.8]["rejects_refused"] == found["rejects"]["refused"] and at[0.8]["digits_refused"] == found["refused"]
    for kind in ("digits_refused", "rejects_refused"):
        assert [row[kind] for row in found["thresholds"]] == sorted(row[kind] for row in found["thresholds"])


def test_held_out_drawings_are_of_every_family_that_training_may_not_use() -> None:
    found = held_out(3, seed=1)
    counts = {family: sum(r.family == family for r in found) for family in {r.family for r in found}}
    assert counts == dict.fromkeys(generator.available(generator.HELD_OUT), 3)
    assert not set(counts) & set(generator.TRAINED) and len(counts) >= 3
    again, other = held_out(3, seed=1), held_out(3, seed=2)
    flat = [np.concatenate([np.concatenate(r.strokes) for r in some]) for some in (found, again, other)]
    assert np.array_equal(flat[0], flat[1]) and not np.array_equal(flat[0], flat[2])
    measured = measure(nearest(11), some_digits(6), RULES, conditions=(), stages=False, rejects=found)["rejects"]
    assert set(measured["families"]) == set(counts)
    assert set(measured["missing"]) == set(generator.HELD_OUT) - set(counts)


def test_a_sample_is_the_same_digits_under_every_condition() -> None:
    model, digits = nearest(10), some_digits()
    one, two, other = (measure(model, digits, RULES, seed=s, sample=9, conditions=()) for s in (1, 1, 2))
    assert one == two and one["digits"] == 9 and one["of"] == 30
    assert one["confusion"] != other["confusion"] or one["by_writer"] != other["by_writer"]
    assert measure(model, digits, RULES, sample=99, conditions=(), stages=False)["digits"] == 30


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(DataError, match="no digits"):
        measure(nearest(10), [])
    with pytest.raises(DataError, match="sample of -1"):
        measure(nearest(10), some_digits(3), sample=-1)
    for model in (nearest(12), Sequential([Flatten(), Dense(10)], (1, 32, 32))):
        with pytest.raises(DataError, match="reads no digits"):
            measure(model, some_digits(3))
        with pytest.raises(DataError, match="reads no digits"):
            measure_mnist(model, np.zeros((1, 28, 28), np.uint8), np.zeros(1, int))


def test_moved_images_lose_what_leaves_them_and_nothing_else() -> None:
    images = np.arange(2 * 5 * 4, dtype=np.uint8).reshape(2, 5, 4) + 1
    down = shifted(images, 2, 0)
    assert np.array_equal(down[:, 2:], images[:, :3]) and not down[:, :2].any()
    for rows in (-2, -1, 0, 1, 2):
        for columns in (-2, 0, 2):
            slow = np.zeros_like(images)
            for y in range(5):
                for x in range(4):
                    if 0 <= y - rows < 5 and 0 <= x - columns < 4:
                        slow[:, y, x] = images[:, y - rows, x - columns]
            assert np.array_equal(shifted(images, rows, columns), slow)


@pytest.mark.parametrize("classes", [10, 11])
def test_mnist_is_measured_in_place_and_moved(classes: int) -> None:
    model, digits = nearest(classes), some_digits(24)
    ready = [prepare(d.drawn(), EXTENT) for d in digits]
    images = np.stack([np.round(p.image * 255) for p in ready if p is not None]).astype(np.uint8)
    labels = np.array([d.label for d in digits])
    found = measure_mnist(model, images, labels, RULES)
    assert json.loads(json.dumps(found)) == found
    assert found["accuracy"] == pytest.approx((model.predict(images).argmax(axis=1) == labels).mean(), abs=1e-5)
    assert np.sum(found["confusion"]) == 24 and np.trace(found["confusion"]) / 24 == pytest.approx(
        found["accuracy"], abs=1e-5
    )
    directions = found["shifted"]["by_direction"]
    assert set(directions) == {f"{y},{x}" for y in ("-2", "+0", "+2") for x in ("-2", "+0", "+2")} - {"+0,+0"}
    moved = np.zeros_like(images)
    moved[:, 2:, :-2] = images[:, :-2, 2:]
    assert directions["+2,-2"] == pytest.approx((model.predict(moved).argmax(axis=1) == labels).mean(), abs=1e-5)
    assert found["shifted"]["accuracy"] == pytest.approx(np.mean(list(directions.values())), abs=1e-5)
    assert "shifted" not in measure_mnist(model, images, labels, RULES, shift=0)


def test_real_strokes_are_read_by_the_shipped_network(root: Path) -> None:
    path = unipen.find_file()
    if path is None:
        pytest.skip("no pen strokes here; set HANDLENS_PENDIGITS to pendigits-orig.tra.gz")
    digits = unipen.split(unipen.read(path), "choose")
    model = handlens.load(root / "web" / "models" / "digits.safetensors")
    found = measure(model, digits, sample=120, conditions=(ANYWHERE,))
    assert found["accuracy"] > 0.92 and found["conditions"][1]["accuracy"] > 0.92
    assert found["stages"]["off"]["crop"] < found["stages"]["on"] - 0.05
