"""handlens.data.generator: digits in all styles, drawings that are not digits, the fonts and templates under them."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import handlens
import numpy as np
import pytest
from handlens.data import fonts, generator, human, scribbles, templates, unipen
from handlens.errors import DataError, FormatError
from handlens.strokes import prepare
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
EXTENT = 280.0


@pytest.fixture(scope="module", autouse=True)
def _fonts() -> None:
    if fonts.find_folder() is None:
        pytest.fail("the fonts are not in .cache/fonts; run `python3 build/make.py vendor`")


def image(drawing: unipen.Digit | generator.Reject) -> NDArray[np.float32]:
    prepared = prepare(drawing.drawn(EXTENT), EXTENT)
    assert prepared is not None
    return prepared.image


def same(a: list[NDArray[np.float64]], b: list[NDArray[np.float64]]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# Digits.


def test_the_seed_gives_the_digits_and_nothing_else_does() -> None:
    np.random.seed(1)
    one = generator.digits(200, 5)
    np.random.seed(2)
    again = generator.digits(200, 5)
    other = generator.digits(200, 6)
    assert all(a.label == b.label and same(a.strokes, b.strokes) for a, b in zip(one, again, strict=True))
    assert not any(same(a.strokes, b.strokes) for a, b in zip(one, other, strict=True))


def test_classes_come_equally_often_and_every_style_comes() -> None:
    digits = generator.digits(3000, 0)
    assert np.bincount([d.label for d in digits]).tolist() == [300] * 10
    names = list(generator.STYLES)
    drawn = {names[d.sample] for d in digits}
    assert drawn == set(names)
    assert all(generator.STYLES[names[d.sample]] == d.label and d.writer == -1 for d in digits)
    # Not sorted by class: a batch holds all of them.
    assert len({d.label for d in digits[:60]}) == 10


def test_styles_can_be_chosen() -> None:
    digits = generator.digits(50, 0, ["seven-crossed", "four-cup"])
    assert {d.label for d in digits} == {4, 7}
    with pytest.raises(DataError, match="style 'eleven'"):
        generator.digits(1, 0, ["eleven"])
    with pytest.raises(DataError, match="no style"):
        generator.digits(1, 0, [])


@pytest.mark.parametrize("style", list(templates.STYLES))
def test_no_two_of_a_style_are_alike(style: str) -> None:
    digits = generator.digits(40, 3, [style])
    for a, b in pairwise(digits):
        assert np.isfinite(np.concatenate(a.strokes)).all()
        assert not same(a.strokes, b.strokes)
    spans = np.array([np.ptp(np.concatenate(d.strokes), axis=0) for d in digits])
    assert np.std(spans[:, 0]) > 0.05 * spans[:, 1].mean()  # some are wide, some narrow


def crossing(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    """Whether two polylines cut each other."""
    p, r = a[:-1, None], np.diff(a, axis=0)[:, None]
    q, s = b[None, :-1], np.diff(b, axis=0)[None]
    with np.errstate(divide="ignore", invalid="ignore"):
        det = r[..., 0] * s[..., 1] - r[..., 1] * s[..., 0]
        way = q - p
        t = (way[..., 0] * s[..., 1] - way[..., 1] * s[..., 0]) / det
        u = (way[..., 0] * r[..., 1] - way[..., 1] * r[..., 0]) / det
    return bool(((t >= 0) & (t <= 1) & (u >= 0) & (u <= 1)).any())


@pytest.mark.parametrize(
    "style", ["seven-crossed", "seven-hooked-crossed", "zero-slashed", "zero-slashed-long", "four-open", "four-closed"]
)
def test_what_is_crossed_stays_crossed(style: str) -> None:
    digits = generator.digits(200, 1, [style])
    assert all(len(d.strokes) == 2 for d in digits)
    assert sum(crossing(*d.strokes) for d in digits) >= 185


@pytest.mark.parametrize("style", ["one-flagged", "one-flagged-long", "seven", "nine-curled"])
def test_what_is_written_in_one_stroke_is_one_stroke(style: str) -> None:
    assert all(len(d.strokes) == 1 for d in generator.digits(20, 1, [style]))


def test_the_shipped_network_reads_them() -> None:
    """Most of them, whatever it was trained on: 94 % by the one that had seen MNIST alone, and of the 9s 80 %."""
    digits = generator.digits(400, 9)
    model = handlens.load(ROOT / "web" / "models" / "digits.safetensors")
    read = model.predict(np.stack([image(d) for d in digits]))[:, :10].argmax(axis=1)
    assert np.mean(read == [d.label for d in digits]) >= 0.85


def blurred(drawings: list[unipen.Digit]) -> NDArray[np.float64]:
    images = np.pad(np.stack([image(d) for d in drawings]).astype(float), ((0, 0), (2, 2), (2, 2)))
    for axis in (1, 2):
        images = sum(w * np.roll(images, i, axis) for i, w in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True))
    flat = images.reshape(len(images), -1)
    return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def test_real_digits_have_a_generated_one_of_their_kind_nearby() -> None:
    """Of writers that may be looked at, 9 of 10 digits lie nearest to a generated one of the same class."""
    path = unipen.find_file()
    if path is None:
        pytest.skip("the pen strokes are not at hand")
    allowed = [d for d in unipen.read(path) if d.writer % 5 not in (0, 1)]
    real = [allowed[i] for i in np.random.Generator(np.random.PCG64(0)).permutation(len(allowed))[:200]]
    written = generator.digits(1000, 4)
    nearest = (blurred(real) @ blurred(written).T).argmax(axis=1)
    right = np.mean([written[j].label == d.label for j, d in zip(nearest, real, strict=True)])
    assert right >= 0.85


@pytest.mark.parametrize(("count", "seed"), [(-1, 0), (1.5, 0), (True, 0), (1, -1), (1, 0.5)])
def test_wrong_counts_and_seeds(count: int, seed: int) -> None:
    for draw in (generator.digits, generator.rejects):
        with pytest.raises(DataError, match="whole number"):
            draw(count, seed)


def test_none_is_none() -> None:
    assert generator.digits(0, 0) == []
    assert generator.rejects(0, 0) == []


def test_fast_enough() -> None:
    """2,000 drawings a second at least, fonts read before; the time of this process, so that others do not count."""
    generator.rejects(200, 0)
    for draw in (generator.digits, generator.rejects):
        start = time.process_time()
        draw(3000, 1)
        assert 3000 / (time.process_time() - start) >= 2000


# What is not a digit.


def test_the_seed_gives_the_rejects() -> None:
    one, again, other = generator.rejects(300, 5), generator.rejects(300, 5), generator.rejects(300, 6)
    assert all(a.family == b.family and same(a.strokes, b.strokes) for a, b in zip(one, again, strict=True))
    assert not any(same(a.strokes, b.strokes) for a, b in zip(one, other, strict=True))


def test_held_out_families_and_fonts_are_no_trained_ones() -> None:
    trained, held_out = set(generator.TRAINED), set(generator.HELD_OUT)
    assert not trained & held_out
    assert trained | held_out == set(generator.FAMILIES)
    assert len([f for f in held_out if not f.startswith("font:")]) >= 3
    assert {r.family for r in generator.rejects(len(trained), 0)} == trained


def test_a_font_and_its_variants_stand_on_one_side() -> None:
    def design(name: str) -> str:
        for ending in ("Italic", "Bold", "Med", "1"):
            name = name.removesuffix(ending)
        return name.removesuffix("Bold").removesuffix("Med")

    held_out, trained = {design(f) for f in fonts.HELD_OUT}, {design(f) for f in fonts.TRAINED}
    assert len(held_out) >= 3
    assert not held_out & trained


def test_nothing_trained_holds_a_letter_of_a_held_out_font(monkeypatch: pytest.MonkeyPatch) -> None:
    read = fonts.glyphs
    asked = set()

    def watched(name: str) -> dict[str, list[NDArray[np.float64]]]:
        asked.add(name)
        return read(name)

    monkeypatch.setattr(fonts, "glyphs", watched)
    generator.rejects(1000, 0)
    assert asked == set(fonts.TRAINED)


@pytest.mark.parametrize("family", list(generator.FAMILIES))
def test_every_family_draws_a_thousand_different_drawings(family: str) -> None:
    drawings = generator.rejects(1000, 2, (family,))
    assert len(drawings) == 1000
    assert {r.family for r in drawings} == {family}
    for r in drawings:
        assert np.isfinite(np.concatenate(r.strokes)).all()
    assert len({np.concatenate(r.strokes).tobytes() for r in drawings}) == 1000
    images = [image(r) for r in drawings[:4]]
    assert all(i.sum() > 0 for i in images)
    if family != "tap":
        assert len({i.tobytes() for i in images}) == 4


def test_letters_that_look_like_digits_are_left_out() -> None:
    assert not set("OoIliSsZzBgqb") & set(fonts.LETTERS)
    assert set(fonts.LETTERS) | set(fonts.LIKE_DIGITS) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    assert not set(fonts.LETTERS) & set(fonts.LIKE_DIGITS)
    for name in fonts.FONTS:
        assert set(fonts.LETTERS) <= fonts.glyphs(name).keys()


def columns(reject: generator.Reject) -> list[tuple[float, float]]:
    """The stretches of x that the strokes take, merged where they overlap."""
    merged: list[tuple[float, float]] = []
    for low, high in sorted((float(s[:, 0].min()), float(s[:, 0].max())) for s in reject.strokes):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def test_two_digits_stand_apart_and_touching_ones_do_not() -> None:
    apart = generator.rejects(300, 0, ("two digits",))
    assert all(len(columns(r)) >= 2 for r in apart)
    touching = generator.rejects(300, 0, ("touching digits",))
    assert sum(len(columns(r)) == 1 for r in touching) > 150
    assert all(len(r.strokes) >= 2 for r in touching)


def test_without_fonts_the_other_families_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANDLENS_FONTS", str(tmp_path))
    with pytest.warns(UserWarning, match=r"left out, since the fonts are not here: .*font:HersheySans1.*vendor"):
        drawings = generator.rejects(500, 0)
    drawn = {r.family for r in drawings}
    assert drawn == set(generator.available(generator.TRAINED))
    assert {"walk", "square", "two digits"} <= drawn
    assert not [f for f in drawn if f.startswith("font:")]
    with pytest.warns(UserWarning, match="left out"), pytest.raises(DataError, match=r"make\.py vendor"):
        generator.rejects(10, 0, ("font:EMSTech",))
    with pytest.raises(DataError, match=r"make\.py vendor"):
        fonts.glyphs("EMSTech")


def test_unknown_families_and_fonts() -> None:
    with pytest.raises(DataError, match="family 'cat'"):
        generator.rejects(1, 0, ("cat",))
    with pytest.raises(DataError, match="font 'Arial'"):
        fonts.glyphs("Arial")


# Fonts, templates, hands.


def test_an_svg_font_is_read() -> None:
    text = """<font><glyph unicode="A" horiz-adv-x="9" d="M 0 0 L 50 100 100 0 M 2.5e1 50 L 75 50" />
    <glyph unicode="&#x22;" d="M 0 0 C 0 100 100 100 100 0 Z"/><glyph unicode=" " horiz-adv-x="3" /></font>"""
    found = fonts.parse(text)
    assert set(found) == {"A", '"'}
    legs, bar = found["A"]
    assert np.allclose(legs[[0, -1]], [[0, 1], [1, 1]])  # y turned down, the larger side 1
    assert legs[:, 1].min() == pytest.approx(0.0, abs=0.05)
    assert np.allclose(bar[[0, -1]], [[0.25, 0.5], [0.75, 0.5]])
    steps = np.hypot(*np.diff(legs, axis=0).T)
    assert steps.max() <= fonts.SPACING + 1e-9
    (bow,) = found['"']
    assert np.allclose(bow[0], bow[-1])  # closed
    assert bow[:, 1].max() - bow[:, 1].min() == pytest.approx(0.75, abs=0.02)  # a cubic's crown: 3/4 of its handles


@pytest.mark.parametrize("path", ["M 0 0 Q 1 1 2 2", "L 0 0", "M 0", "M 0 0 L 1 x"])
def test_a_path_that_cannot_be_read(path: str) -> None:
    with pytest.raises(FormatError, match="glyph 'A'"):
        fonts.parse(f'<glyph unicode="A" d="{path}"/>')


def test_a_text_that_is_no_font() -> None:
    with pytest.raises(FormatError, match="no glyph"):
        fonts.parse("<html></html>", "page")


def test_a_template_runs_through_its_points() -> None:
    shape = templates.parse("0,0 50,20 40,60! 90,100 | 10,10 20,10")
    points = shape.basis @ shape.controls
    assert shape.ends[-1] == len(points)
    first, second = np.split(points, shape.ends[:-1])
    for control in ([0, 0], [0.5, 0.2], [0.4, 0.6], [0.9, 1.0]):
        assert np.hypot(*(first - control).T).min() < 1e-9
    assert np.allclose(second[[0, -1]], [[0.1, 0.1], [0.2, 0.1]])
    # The piece after the corner is straight, since nothing bends it: all in one direction.
    corner = int(np.argmin(np.hypot(*(first - [0.4, 0.6]).T)))
    way = np.diff(first[corner:], axis=0)
    assert np.allclose(way[:, 0] * 0.4 - way[:, 1] * 0.5, 0.0, atol=1e-9)


@pytest.mark.parametrize("text", ["", "0,0", "0,0 1,1 | 2,2", "0,0 1", "0,0 a,b"])
def test_wrong_templates(text: str) -> None:
    with pytest.raises(DataError, match="template"):
        templates.parse(text)


def test_a_hand_that_does_not_vary_copies() -> None:
    still = human.Hand(*[0.0] * 13)
    shape = templates.template("two-loop")
    rng = np.random.Generator(np.random.PCG64(0))
    drawn = human.write(human.sample(shape, 3, rng, still), shape.ends, rng, still)
    expected = shape.basis @ shape.controls
    assert np.allclose(drawn - drawn[:, :1], expected - expected[0], atol=1e-12)


def test_rounding_keeps_ends_and_cuts_corners() -> None:
    round_off = human.Hand(*[0.0] * 12, rounding=1.0)
    shape = templates.parse("0,0 100,0! 100,100 | 20,20 20,80")
    rng = np.random.Generator(np.random.PCG64(0))
    before = human.sample(shape, 50, rng, human.Hand(*[0.0] * 13))
    after = human.write(before, shape.ends, rng, round_off)
    shift = after[:, 0] - before[:, 0]
    moved = after - shift[:, None] - before
    ends = [0, shape.ends[0] - 1, shape.ends[0], shape.ends[1] - 1]
    assert np.allclose(moved[:, ends], 0.0, atol=1e-12)
    assert np.allclose(moved[:, shape.ends[0] :], 0.0, atol=1e-12)  # a straight stroke stays straight
    assert np.hypot(*moved.reshape(-1, 2).T).max() > 0.02


def test_signs_are_all_readable_templates() -> None:
    for texts in scribbles.SIGNS.values():
        for text in texts:
            assert len(templates.parse(text).ends) == text.count("|") + 1
