"""What was done at the table as text for an address: it reads back the same, and nonsense is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from handlens.errors import DataError
from handlens.inside import edits

DONE: list[edits.Edit] = [
    ("weight", {"layer": "conv1", "index": [2, 0, 0, 1], "value": -0.5}),
    ("weight", {"layer": "dense1", "index": [3], "value": 1.5e-7, "parameter": "bias"}),
    ("zero", {"layer": "conv2", "kernel": 1}),
    ("kernel", {"layer": "conv1", "kernel": 4, "name": "Sobel x", "channel": 0}),
    ("kernel", {"layer": "conv1", "kernel": 4, "name": "blur"}),
    ("pooling", {"layer": "pool1", "kind": "average"}),
    ("stride", {"layer": "conv1", "stride": 2}),
    ("padding", {"layer": "conv1", "padding": "same"}),
    ("activation", {"layer": "relu1", "kind": "leaky_relu"}),
]


def test_edits_read_back_the_same_and_need_no_quoting() -> None:
    text = edits.written(DONE)
    assert text.startswith("weight:conv1:2.0.0.1:-0.5~weight:dense1:3:") and "kernel:conv1:4:Sobel_x:0" in text
    assert re.fullmatch(r"[A-Za-z0-9_.+:~-]+", text)
    back = edits.read(text)
    assert back == DONE
    third = [("weight", {"layer": "conv1", "index": [0, 0, 0, 0], "value": float(np.float32(1 / 3))})]
    assert np.float32(edits.read(edits.written(third))[0][1]["value"]) == np.float32(1 / 3)  # bit by bit
    joined = [("weight", {**DONE[0][1], "joined": True})]
    assert edits.read(edits.written(joined)) == DONE[:1]
    assert edits.written([]) == "" and edits.read("") == []


def test_what_has_no_such_form_is_not_written() -> None:
    assert edits.written([("burn", {})]) == ""
    assert edits.written([("zero", {"layer": "a&b", "kernel": 1})]) == ""
    assert edits.written([*DONE] * 50) == ""  # longer than an address should be


@pytest.mark.parametrize(
    "text", ["burn:conv1", "zero:conv1", "zero:conv1:x", "stride:conv1:2:3", "padding:conv1", "~", "weight:c:a:1"]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is no edit"):
        edits.read(text)
