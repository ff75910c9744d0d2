"""``handlens predict``: whole numbers from pictures, each digit with its own box and confidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handlens.cli import main
from handlens.strokes import Stroke, rasterise

MODEL = str(Path(__file__).resolve().parents[2] / "web" / "models" / "digits.safetensors")


def arc(cx: float, cy: float, rx: float, ry: float, begin: float, end: float) -> list[list[float]]:
    turn = np.radians(np.linspace(begin, end, 24))
    return np.stack([cx + rx * np.cos(turn), cy + ry * np.sin(turn)], axis=1).tolist()


DIGITS = {
    2: [[*arc(0, -20, 20, 20, -170, 40), [-22, 40], [24, 40]]],
    4: [[[0, -40], [-24, 12], [24, 12]], [[12, -12], [10, 40]]],
    0: [arc(0, 0, 22, 40, -90, 275)],
    7: [[[-22, -38], [24, -38], [-4, 40]]],
}
LABELS, CENTRES = (2, 4, 0, 7), (50, 110, 170, 230)


def page() -> Any:
    """A number of four digits, as a photo: paper 225 darkening to the right, ink a fifth of it."""
    drawn = [
        Stroke(np.array(path, np.float64) + np.array([x, 100]), 9.0)
        for label, x in zip(LABELS, CENTRES, strict=True)
        for path in DIGITS[label]
    ]
    ink = rasterise(drawn, 560, 280.0)[:400]
    return np.round((225 - np.linspace(0, 70, 560)) * (1 - 0.8 * ink)).astype(np.uint8)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """The page as a file."""
    image = pytest.importorskip("PIL.Image")
    image.fromarray(page()).save(tmp_path / "page.png")
    return str(tmp_path / "page.png")


def test_a_number_is_read_with_a_box_and_a_confidence_for_each_digit(
    picture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", MODEL, picture, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    assert answer["text"] == answer["answer"] == "2407" and answer["verdict"] in ("sure", "likely")
    assert [d["digit"] for d in answer["digits"]] == list(LABELS)
    for digit, x in zip(answer["digits"], CENTRES, strict=True):
        x0, y0, x1, y1 = digit["box"]
        assert abs((x0 + x1) / 2 - 2 * x) < 12 and abs((y0 + y1) / 2 - 200) < 12 and 150 < y1 - y0 < 190
        assert digit["confidence"] == max(digit["probabilities"]) >= 0.5
        assert sum(digit["probabilities"]) + digit["none"] == pytest.approx(1, abs=1e-4)

    assert main(["predict", MODEL, picture]) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{picture}: 2407 (") and len(rows) == 4
    for row, label in zip(rows, LABELS, strict=True):
        assert row.split()[0] == str(label) and "%" in row and " x " in row and ", y " in row


def test_arrays_hold_a_digit_each_and_what_is_not_answered_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "two.npy", np.zeros((2, 28, 28), np.float32))
    import handlens

    model = handlens.architectures.build("linear")
    model.parameters[:] = 0  # every digit has a share of one tenth
    model.save(tmp_path / "blind.safetensors")
    call = ["predict", str(tmp_path / "blind.safetensors"), str(tmp_path / "two.npy")]
    assert main([*call, "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert len(answers) == 2
    for answer in answers:
        assert answer["answer"] is None and answer["text"] == "?" and answer["verdict"] == "unsure"
        (digit,) = answer["digits"]
        assert digit["digit"] is None and digit["box"] is None and digit["confidence"] == pytest.approx(0.1)
    assert main(call) == 0
    assert capsys.readouterr().out.count(": ?  0 (10 %) or 1 (10 %).") == 2
