"""handlens.data.unipen: digits as pen strokes, from a text of our own and from the collection where it is at hand."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from handlens.data import unipen
from handlens.errors import DataError, FormatError
from handlens.strokes import prepare
from hypothesis import given, settings
from hypothesis import strategies as st

TEXT = """.INCLUDE something.doc
.LEXICON "0" "1"
.HIERARCHY DIGIT

.SEGMENT DIGIT    0 ? "7"
.COMMENT 7 12  224
.PEN_DOWN
 100  300
 200  300
 130  100
.PEN_UP
.DT 100
.PEN_DOWN
 120  200
 180  200
.PEN_UP
.SEGMENT DIGIT    1-2 ? "1"
.COMMENT 1 5 9
.PEN_DOWN
 50 -60.5
.PEN_UP
"""


def test_labels_writers_samples_and_strokes_with_y_downwards() -> None:
    seven, one = unipen.parse(TEXT.splitlines())
    assert (seven.label, seven.writer, seven.sample) == (7, 12, 224)
    assert [s.tolist() for s in seven.strokes] == [[[100, -300], [200, -300], [130, -100]], [[120, -200], [180, -200]]]
    assert (one.label, one.writer, one.sample) == (1, 5, 9)
    assert one.strokes[0].tolist() == [[50, 60.5]]


def test_plain_gzip_and_dos_line_ends(tmp_path: Path) -> None:
    for name, data in (
        ("a", TEXT.encode()),
        ("b.gz", gzip.compress(TEXT.encode())),
        ("c", TEXT.replace("\n", "\r\n").encode()),
    ):
        (tmp_path / name).write_bytes(data)
        assert [d.label for d in unipen.read(tmp_path / name)] == [7, 1]


def test_drawn_puts_the_digit_where_and_as_large_as_asked() -> None:
    seven, one = unipen.parse(TEXT.splitlines())
    strokes = seven.drawn(extent=280, size=100, width=12, centre=(60, 70))
    points = np.concatenate([s.points for s in strokes])
    assert points.min(axis=0).tolist() == [35, 20] and points.max(axis=0).tolist() == [85, 120]
    assert {s.width for s in strokes} == {12} and not any(s.erase for s in strokes)
    assert strokes[0].points[0].tolist() == [35, 20]  # the seven's bar is at the top
    (dot,) = one.drawn()
    assert dot.points.tolist() == [[140, 140]]
    with pytest.raises(DataError, match="size 0"):
        seven.drawn(size=0)


def test_no_comment_or_a_remark_leaves_writer_and_sample_unknown() -> None:
    for remark in ("", ".COMMENT written in a hurry\n"):
        text = f'.SEGMENT DIGIT 0 ? "3"\n{remark}.PEN_DOWN\n1 2\n.PEN_UP\n'
        (digit,) = unipen.parse(text.splitlines())
        assert (digit.label, digit.writer, digit.sample) == (3, -1, -1)


def test_words_are_passed_over_and_so_is_their_ink() -> None:
    text = '.SEGMENT WORD 0 ? "ten"\n.PEN_DOWN\n1 1\n.PEN_UP\n' + TEXT
    assert [len(d.strokes) for d in unipen.parse(text.splitlines())] == [2, 1]


BAD = {
    "no digit": ("hello" * 0, "no .SEGMENT DIGIT"),
    "stray point": ("12 13", "line 1: '12 13' stands outside a stroke"),
    "no label": (".SEGMENT DIGIT 0 ?", "line 1: a digit's segment ends with its label"),
    "label of two": ('.SEGMENT DIGIT 0 ? "12"', "line 1: a digit's segment"),
    "comment differs": ('.SEGMENT DIGIT 0 ? "1"\n.COMMENT 2 3 4', "line 2: the comment says 2"),
    "down twice": (".PEN_DOWN\n.PEN_DOWN", "line 2: pen down twice"),
    "up first": (".PEN_UP", "line 1: pen up without"),
    "one number": (".PEN_DOWN\n1", "line 2: a point is two numbers"),
    "three numbers": (".PEN_DOWN\n1 2 3", "line 2: a point is two numbers"),
    "words": (".PEN_DOWN\na b", "line 2: a point is two numbers"),
    "NaN": (".PEN_DOWN\nnan 1", "line 2: point 'nan 1' is not on any tablet"),
    "huge": (".PEN_DOWN\n1e300 1", "is not on any tablet"),
    "never up": ('.SEGMENT DIGIT 0 ? "1"\n.PEN_DOWN\n1 1', "line 3: pen down without a pen up after it"),
    "no ink": ('.SEGMENT DIGIT 0 ? "1"\n.PEN_DOWN\n.PEN_UP\n.SEGMENT DIGIT 1 ? "2"', "begun in line 1 has no ink"),
}


@pytest.mark.parametrize("case", BAD)
def test_malformed_text_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    text, reason = BAD[case]
    path = tmp_path / "strokes.txt"
    path.write_text(text)
    with pytest.raises(FormatError) as error:
        unipen.read(path)
    assert reason in str(error.value) and str(path) in str(error.value)


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "strokes.gz"
    path.write_bytes(gzip.compress(TEXT.encode())[:-12])
    with pytest.raises(FormatError, match="damaged gzip"):
        unipen.read(path)


LINES = st.sampled_from([*TEXT.splitlines(), ".PEN_UP", ".SEGMENT", ".", "1 2", "x", '.SEGMENT DIGIT "4"'])


@settings(deadline=None)
@given(st.lists(LINES | st.text(max_size=12), max_size=40))
def test_shuffled_and_arbitrary_lines_give_whole_digits_or_a_format_error(lines: list[str]) -> None:
    try:
        digits = unipen.parse(lines)
    except FormatError:
        return
    for digit in digits:
        assert 0 <= digit.label <= 9 and digit.strokes
        assert all(len(s) and s.shape[1] == 2 and np.isfinite(s).all() for s in digit.strokes)


def test_writers_are_split_by_number() -> None:
    assert [unipen.part_of(w) for w in (-1, 1, 2, 3, 4, 5, 6, 10, 29, 30)] == [
        *("unknown", "choose", "train", "train", "train", "report", "choose", "report", "train", "report")
    ]
    digits = [unipen.Digit(0, writer, k, [np.zeros((1, 2))]) for k, writer in enumerate((5, 6, 7, -1, 10, 7))]
    parts = {part: [d.sample for d in unipen.split(digits, part)] for part in unipen.SPLITS}
    assert parts == {"choose": [1], "report": [0, 4], "train": [2, 5], "all": [0, 1, 2, 3, 4, 5]}
    with pytest.raises(DataError, match="no part of the writers is called 'test'"):
        unipen.split(digits, "test")
    with pytest.raises(DataError, match="take all"):
        unipen.split(digits[3:4], "train")


def test_the_file_is_found_by_variable_or_beside_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "strokes.txt"
    named.write_text(TEXT)
    monkeypatch.setenv("HANDLENS_PENDIGITS", str(named))
    assert unipen.find_file() == named
    monkeypatch.setenv("HANDLENS_PENDIGITS", str(tmp_path / "none"))
    with pytest.raises(DataError, match="HANDLENS_PENDIGITS names no file"):
        unipen.find_file()
    monkeypatch.delenv("HANDLENS_PENDIGITS")
    beside = tmp_path / "shared" / "data" / unipen.FILE
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b"")
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    assert unipen.find_file() == beside


def collection() -> Path:
    """The UCI pen digits. Not part of the project."""
    path = unipen.find_file()
    if path is None:
        pytest.skip("no pen strokes here; set HANDLENS_PENDIGITS to pendigits-orig.tra.gz")
    return path


def test_the_collection_is_whole_and_stands_upright() -> None:
    digits = unipen.read(collection())
    assert len(digits) == 7494 and sum(len(d.strokes) for d in digits) == 9433
    assert np.bincount([d.label for d in digits]).tolist() == [780, 779, 780, 719, 780, 720, 720, 778, 719, 719]
    assert {d.writer for d in digits} == set(range(1, 31))
    parts = {part: {d.writer for d in unipen.split(digits, part)} for part in unipen.SPLITS}
    assert parts["report"] == {5, 10, 15, 20, 25, 30} and parts["choose"] == {1, 6, 11, 16, 21, 26}
    assert parts["train"] == set(range(1, 31)) - parts["report"] - parts["choose"]
    # Upright: the loop, and with it the ink, is low in a 6 and high in a 9; a 7 is widest at the top.
    share = {label: [] for label in (6, 7, 9)}  # type: dict[int, list[float]]
    for digit in digits[:1500]:
        if digit.label in share:
            ready = prepare(digit.drawn(), 280)
            assert ready is not None
            share[digit.label].append(float(ready.fitted[:10].sum() / ready.fitted.sum()))
    assert np.mean(share[6]) < 0.45 < 0.55 < np.mean(share[9])
    assert np.mean(share[7]) > 0.5
