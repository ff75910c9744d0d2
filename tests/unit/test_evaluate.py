"""``handlens evaluate --drawn``: whose digits, which file, the tables and the contact sheet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handlens import Dense, Flatten, Sequential, Softmax, drawn
from handlens.cli import main
from handlens.commands import contact_sheet, evaluate
from handlens.data import generator, unipen
from PIL import Image

WRITERS = (1, 2, 5, 10)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few drawings, and no pen strokes at hand."""
    monkeypatch.setattr(drawn, "REJECTS", 3)
    monkeypatch.setattr(evaluate, "GENERATED", 20)
    monkeypatch.setattr(unipen, "find_file", lambda: None)


@pytest.fixture
def strokes(tmp_path: Path) -> Path:
    """A UNIPEN file: 40 digits of the generator, by four writers."""
    lines = []
    for k, digit in enumerate(generator.digits(40, 3)):
        lines += [f'.SEGMENT DIGIT {k} ? "{digit.label}"', f".COMMENT {digit.label} {WRITERS[k % 4]} {k}"]
        for stroke in digit.strokes:
            lines += [".PEN_DOWN", *(f"{x:.1f} {-y:.1f}" for x, y in stroke), ".PEN_UP"]
    path = tmp_path / "some.txt"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A network of random weights with a reject class: it reads nearly all digits wrongly."""
    path = tmp_path / "random.safetensors"
    Sequential([Flatten(), Dense(11), Softmax()], (1, 28, 28), seed=2, name="random").save(path)
    return path


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(weights: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command, gives its JSON."""

    def call(*options: str) -> dict[str, Any]:
        assert main(["evaluate", str(weights), *options, "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return call


def test_a_file_is_split_by_writer_and_the_report_is_the_default(run: Run, strokes: Path) -> None:
    expected = {None: [5, 10], "report": [5, 10], "choose": [1], "train": [2], "all": [1, 2, 5, 10]}
    for split, writers in expected.items():
        found = run("--drawn", str(strokes), *(["--split", split] if split else []))
        assert found["drawn"]["writers"] == writers and found["drawn"]["digits"] == 10 * len(writers)
        assert found["source"] == {"file": str(strokes), "split": split or "report"}
    assert set(found["drawn"]["rejects"]["families"]) == set(generator.available(generator.HELD_OUT))
    assert np.shape(found["drawn"]["confusion"]) == (10, 11)


def test_the_sheet_shows_every_mistake(
    run: Run, strokes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = tmp_path / "mistakes.png"
    found = run("--drawn", str(strokes), "--split", "all", "--sheet", str(sheet))
    assert found["sheet"] == str(sheet) and found["mistakes"] > 20
    with Image.open(sheet) as picture:
        assert picture.format == "PNG" and picture.mode == "L"
        pixels = np.asarray(picture)
    cell = contact_sheet.SIDE + 2 * contact_sheet.LINE + contact_sheet.GAP
    rows = -(-found["mistakes"] // contact_sheet.COLUMNS)
    assert pixels.shape[0] == rows * cell + contact_sheet.HEAD + contact_sheet.GAP
    # Each mistake's two pictures hold ink, and no cell after the last one does.
    wide = 2 * contact_sheet.SIDE + 2 + contact_sheet.GAP
    for i in range(rows * contact_sheet.COLUMNS):
        x = contact_sheet.GAP + i % contact_sheet.COLUMNS * wide
        y = contact_sheet.HEAD + contact_sheet.GAP + i // contact_sheet.COLUMNS * cell
        for left in (x, x + contact_sheet.SIDE + 2):
            inside = pixels[y + 2 : y + contact_sheet.SIDE - 2, left + 2 : left + contact_sheet.SIDE - 2]
            assert (inside.min() < 60) == (i < found["mistakes"])
    monkeypatch.setattr(contact_sheet, "MOST", 7)
    run("--drawn", str(strokes), "--split", "all", "--sheet", str(sheet))
    with Image.open(sheet) as picture:
        assert picture.height == 2 * cell + contact_sheet.HEAD + contact_sheet.GAP


def test_a_sheet_without_mistakes_is_a_title() -> None:
    assert contact_sheet.draw([], 22, "none").size[0] > 100


def test_without_a_file_the_generator_draws_and_says_so(
    run: Run, weights: Path, strokes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run("--drawn")
    assert found["source"]["file"] is None and found["drawn"]["digits"] == 20 and not found["drawn"]["writers"]
    assert main(["evaluate", str(weights), "--drawn", "--sample", "5"]) == 0
    shown = capsys.readouterr().out
    assert "no pen strokes are at hand" in shown and "a sample of 5 of 20 digits" in shown and "unknown" in shown
    monkeypatch.setattr(unipen, "find_file", lambda: strokes)
    assert run("--drawn")["source"]["file"] == str(strokes)


def test_the_words_hold_what_the_numbers_say(
    run: Run, weights: Path, strokes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run("--drawn", str(strokes))["drawn"]
    assert main(["evaluate", str(weights), "--drawn", str(strokes)]) == 0
    shown = capsys.readouterr().out
    for row in found["conditions"]:
        (line,) = [text for text in shown.splitlines() if text.startswith(row["name"] + "  ")]
        assert f"{row['accuracy']:.2%}" in line and f"(writer {row['worst_writer']['writer']})" in line
    for name, share in found["stages"]["off"].items():
        assert f"without {name}" in shown and f"{share:.2%}" in shown
    for family, row in found["rejects"]["families"].items():
        (line,) = [text for text in shown.splitlines() if text.startswith(f"  {family} ")]
        assert f"{row['refused']:.2%}" in line
    assert "the last one: none" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sheet", "x.png"], "belong to --drawn"),
        (["--split", "all"], "belong to --drawn"),
        (["--sample", "5"], "belong to --drawn"),
        (["--drawn", "/nowhere/strokes"], "nowhere"),
        (["--drawn", "--sample", "-1"], "sample of -1"),
        (["--drawn", "--sheet", "/nowhere/sheet.png"], "does not exist"),
    ],
)
def test_mistakes_get_one_sentence(
    weights: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(weights), *options]) == 1
    shown = capsys.readouterr()
    assert message in shown.err and shown.err.count("\n") == 1


def test_a_model_that_reads_no_digits_is_refused(
    tmp_path: Path, strokes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.safetensors"
    Sequential([Flatten(), Dense(3)], (1, 28, 28)).save(path)
    assert main(["evaluate", str(path), "--drawn", str(strokes)]) == 1
    assert "other.safetensors" in capsys.readouterr().err


def test_writers_unknown_need_all(run: Run, weights: Path, strokes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(strokes, strokes.with_suffix(".plain"))
    plain = strokes.with_suffix(".plain")
    plain.write_text("\n".join(line for line in plain.read_text().splitlines() if not line.startswith(".COMMENT")))
    assert main(["evaluate", str(weights), "--drawn", str(plain)]) == 1
    assert "'report'" in capsys.readouterr().err
    assert run("--drawn", str(plain), "--split", "all")["drawn"]["digits"] == 40
