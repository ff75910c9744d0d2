"""``handlens explain``: one number of a network for one image, as a table, as JSON, as a program."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import handlens
import numpy as np
import pytest
from handlens.cli import main

MODELS = Path(__file__).resolve().parents[2] / "web" / "models"
SMALL = str(MODELS / "cnn-small.safetensors")


@pytest.fixture
def images(tmp_path: Path) -> str:
    """Two digits in an array file."""
    two = np.zeros((2, 28, 28), np.float32)
    two[0, 4:24, 14] = 1
    two[1, 14, 4:24] = 0.5
    np.save(tmp_path / "two.npy", two)
    return str(tmp_path / "two.npy")


def test_json_holds_what_the_library_says(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", SMALL, images, "conv2.linear", "3,4,5", "--digit", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = handlens.load(SMALL).explain(np.load(images)[1], "conv2.linear", (3, 4, 5))
    assert found["value"] == expected.value and found["total"] == expected.total and found["bias"] == expected.bias
    assert found["terms"]["products"] == expected.terms.products.tolist() and found["terms"]["source"] == "pool1"
    assert found["field"] == {"top": 8, "left": 10, "bottom": 16, "right": 18}
    assert found["details"]["channel_sums"] == expected.details["channel_sums"].tolist()


def test_the_table_says_what_counts_most(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = handlens.load(SMALL).explain(np.load(images)[0], "logits", 1)
    assert main(["explain", SMALL, images, "logits", "1"]) == 0
    first, rule, sees, top, *rest = capsys.readouterr().out.splitlines()
    assert first == f"cnn-small: logits[1] = {expected.value:.7g}  (dense)" and rule == expected.rule
    assert sees == "sees rows 0 to 25, columns 0 to 25 of the image"
    most = int(expected.terms.order[0])
    assert top.split()[0] == f"flatten1[{most}]" and top.split()[-1] == f"{expected.terms.products[most]:.7g}"
    assert rest[-3].split()[:3] == ["388", "more", "terms"] and rest[-2].split()[0] == "dense1.bias"
    assert float(rest[-1].split()[-1]) == pytest.approx(expected.value, rel=1e-5)

    assert main(["explain", SMALL, images, "pool1", "0.6.6"]) == 0
    rows = capsys.readouterr().out.splitlines()[3:7]
    assert rows[0].endswith("the largest") and sum("the largest" in row for row in rows) == 1
    assert main(["explain", SMALL, images, "probabilities", "1"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert sum("exp(x - max x) =" in row for row in rows) == 10 and rows[3].endswith("= 1")
    assert main(["explain", SMALL, images, "input", "0,5,14"]) == 0
    assert "sees row 5, column 14 of the image" in capsys.readouterr().out


def test_a_program_is_printed_alone(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", SMALL, images, "conv1", "2,10,12", "--program"]) == 0
    text, out = capsys.readouterr().out, io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, "program", "exec"), {})
    mine, theirs = (float(line.rsplit(" ", 1)[1]) for line in out.getvalue().splitlines())
    assert mine == pytest.approx(theirs, abs=1e-6)


def test_a_picture_of_several_digits_is_explained_digit_by_digit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.full((100, 200), 255, np.uint8)
    pixels[20:80, 45:55] = pixels[20:80, 145:155] = 0
    image.fromarray(pixels).save(tmp_path / "ones.png")
    model = str(MODELS / "digits.safetensors")
    for digit in ("0", "1"):
        assert main(["explain", model, str(tmp_path / "ones.png"), "probabilities", "1", "--digit", digit]) == 0
        assert "digits: probabilities[1] = " in capsys.readouterr().out
    assert main(["explain", model, str(tmp_path / "ones.png"), "probabilities", "1", "--digit", "2"]) == 1
    assert "has no digit number 2; it holds 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layer", "index", "says"),
    [
        ("conv9", "0", "no layer called 'conv9'; there are: conv"),
        ("conv1", "0,26,0", '"conv1" has no cell (0, 26, 0)'),
        ("conv1", "a", "'a' is no place in a layer"),
    ],
)
def test_a_mistake_gets_one_sentence(
    images: str, layer: str, index: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", SMALL, images, layer, index]) == 1
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
