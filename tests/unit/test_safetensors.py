"""handlens.io.safetensors: round trips, agreement with the `safetensors` package, and files from strangers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handlens.errors import DataError, FormatError
from handlens.io import safetensors as ours
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

theirs = pytest.importorskip("safetensors.numpy", reason="the safetensors package is not installed")

DTYPES = ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "i1", "u1", "?"]
ARRAYS = hnp.arrays(
    st.sampled_from([np.dtype(d) for d in DTYPES]), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
)
TENSORS = st.dictionaries(st.text(max_size=8).filter(lambda n: n != "__metadata__"), ARRAYS, max_size=5)
METADATA = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return set(a) == set(b) and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and a[k].tobytes() == b[k].tobytes() for k in a
    )


def blob(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: str = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


SAMPLE = ours.to_bytes(
    {
        "conv1.weight": np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3),
        "steps": np.array(7, np.int64),
        "on": np.array([True]),
    },
    {"architecture": "{}", "seed": "0"},
)


@settings(deadline=None)
@given(TENSORS, METADATA)
def test_round_trip_keeps_every_bit_the_order_and_the_metadata(
    tensors: dict[str, Any], metadata: dict[str, str]
) -> None:
    data = ours.to_bytes(tensors, metadata)
    read, about = ours.read(data)
    assert same(read, tensors) and list(read) == list(tensors) and about == metadata
    assert ours.to_bytes(read, about) == data
    assert all(a.flags.writeable and a.dtype.isnative for a in read.values())


@settings(deadline=None)
@given(TENSORS, METADATA)
def test_the_package_reads_ours_and_we_read_the_packages(tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    assert same(theirs.load(ours.to_bytes(tensors, metadata)), tensors)
    read, about = ours.read(theirs.save(tensors, metadata or None))  # it writes bad JSON for {}
    assert same(read, tensors) and about == metadata


def test_layout_header_padded_with_spaces_to_8_and_data_aligned() -> None:
    length = int.from_bytes(SAMPLE[:8], "little")
    header = SAMPLE[8 : 8 + length]
    assert length % 8 == 0 and header.rstrip(b" ").endswith(b"}")
    entries = json.loads(header)
    assert list(entries) == ["__metadata__", "conv1.weight", "steps", "on"]
    assert entries["steps"]["data_offsets"] == [0, 8]  # the largest items first
    assert entries["conv1.weight"]["data_offsets"] == [8, 80]


def test_order_of_metadata_and_memory_layout_do_not_change_the_bytes() -> None:
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    other = {"w": np.asfortranarray(a.astype(">f4"))}
    assert ours.to_bytes({"w": a}, {"a": "1", "b": "2"}) == ours.to_bytes(other, {"b": "2", "a": "1"})


def test_bfloat16_becomes_float32() -> None:
    values = np.array([0.0, -1.5, 3.140625, np.inf], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    read, _ = ours.read(blob({"w": entry("BF16", [2, 2], [0, 8])}, upper))
    assert read["w"].dtype == np.float32 and np.array_equal(read["w"], values.reshape(2, 2))


def test_no_tensor_at_all() -> None:
    assert ours.read(ours.to_bytes({})) == ({}, {})


BAD = {
    "nothing": (b"", "too short"),
    "seven bytes": (b"\0" * 7, "too short"),
    "header beyond the file": ((100).to_bytes(8, "little") + b"{}", "truncated"),
    "huge header": ((1 << 62).to_bytes(8, "little") + b"{}", "over the limit"),
    "a PNG": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "over the limit"),
    "not an object": (blob(b"[1]     "), "does not start"),
    "spaces first": (blob(b"  {}    "), "does not start"),
    "bad JSON": (blob(b'{"w": '), "bad JSON"),
    "not UTF-8": (blob(b'{"\xff": 1}'), "bad JSON"),
    "deep JSON": (blob(b'{"w":' + b"[" * 200_000), "bad JSON"),
    "NaN": (blob(b'{"w": NaN}'), "bad JSON"),
    "long number": (blob(b'{"w": ' + b"9" * 10_000 + b"}"), "bad JSON"),
    "duplicate": (blob(b'{"w": 1, "w": 2}'), "'w' stands twice"),
    "duplicate inside": (blob(b'{"w": {"dtype": "F32", "dtype": "F64"}}'), "'dtype' stands twice"),
    "entry a number": (blob({"w": 1}), "not exactly dtype"),
    "entry short": (blob({"w": {"dtype": "F32", "shape": [1]}}, b"1234"), "not exactly dtype"),
    "entry long": (blob({"w": {**entry(), "more": 1}}, b"1234"), "not exactly dtype"),
    "dtype": (blob({"w": entry("C64", [1], [0, 8])}, b"12345678"), "dtype 'C64'"),
    "dtype list": (blob({"w": {**entry(), "dtype": ["F32"]}}, b"1234"), "dtype"),
    "shape text": (blob({"w": {**entry(), "shape": "1"}}, b"1234"), "shape"),
    "shape negative": (blob({"w": entry(shape=[-1])}, b"1234"), "shape"),
    "shape true": (blob({"w": entry(shape=[True])}, b"1234"), "shape"),
    "shape float": (blob({"w": entry(shape=[1.0])}, b"1234"), "shape"),
    "rank": (blob({"w": entry(shape=[1] * 33)}, b"1234"), "at most 32"),
    "shape huge": (blob({"w": entry(shape=[1 << 40, 1 << 40])}, b"1234"), "larger than any memory"),
    "shape huge, empty": (blob({"w": entry(shape=[0, 1 << 62, 1 << 62], offsets=[0, 0])}), "larger than any memory"),
    "size": (blob({"w": entry(shape=[2])}, b"1234"), "needs 8 bytes, data_offsets give 4"),
    "offsets one": (blob({"w": entry(offsets=[0])}, b"1234"), "data_offsets"),
    "offsets backwards": (blob({"w": entry(offsets=[4, 0])}, b"1234"), "data_offsets"),
    "offsets negative": (blob({"w": entry(offsets=[-4, 0])}, b"1234"), "data_offsets"),
    "data missing": (blob({"w": entry()}, b"123"), "truncated"),
    "data left": (blob({"w": entry()}, b"12345"), "1 bytes after the last tensor"),
    "overlap": (blob({"a": entry(), "b": entry(offsets=[2, 6])}, b"123456"), "overlaps"),
    "same place": (blob({"a": entry(), "b": entry()}, b"1234"), "overlaps"),
    "hole": (blob({"a": entry(), "b": entry(offsets=[6, 10])}, b"1234567890"), "a hole of 2 bytes"),
    "hole first": (blob({"a": entry(offsets=[4, 8])}, b"12345678"), "a hole of 4 bytes"),
    "bool of 2": (blob({"a": entry("BOOL", [2], [0, 2])}, b"\1\2"), "BOOL holds a byte 2"),
    "metadata number": (blob({"__metadata__": {"seed": 0}}), "not an object of strings"),
    "metadata list": (blob({"__metadata__": []}), "not an object of strings"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_with_their_reason(case: str, tmp_path: Path) -> None:
    data, reason = BAD[case]
    with pytest.raises(FormatError, match="bytes: ") as of_bytes:
        ours.read(data)
    assert reason in str(of_bytes.value)
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(FormatError) as of_path:
        ours.read(path)
    assert str(path) in str(of_path.value) and reason in str(of_path.value)


def test_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(SAMPLE)
    for source in (SAMPLE, path):
        with pytest.raises(FormatError, match="limit"):
            ours.read(source, max_bytes=len(SAMPLE) - 1)
        assert len(ours.read(source, max_bytes=len(SAMPLE))[0]) == 3


@settings(deadline=None)
@given(st.integers(0, len(SAMPLE) - 1))
def test_every_truncation_is_refused(length: int) -> None:
    with pytest.raises(FormatError):
        ours.read(SAMPLE[:length])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(1, 255)), min_size=1, max_size=4),
    st.binary(max_size=9),
)
def test_flipped_bytes_give_a_whole_model_or_a_format_error(flips: list[tuple[int, int]], tail: bytes) -> None:
    data = bytearray(SAMPLE + tail)
    for place, mask in flips:
        data[place] ^= mask
    try:
        tensors, metadata = ours.read(bytes(data))
    except FormatError:
        return
    assert not tail
    assert sum(t.nbytes for t in tensors.values()) == len(SAMPLE) - 8 - int.from_bytes(data[:8], "little")
    assert all(isinstance(v, str) for v in metadata.values())


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_headers_never_crash(text: bytes) -> None:
    for data in (text, blob(text), blob(b"{" + text)):
        try:
            ours.read(data)
        except FormatError as error:
            assert "bytes: " in str(error)


def test_what_the_format_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"tensor 'z' is complex64"):
        ours.to_bytes({"z": np.zeros(2, np.complex64)})
    with pytest.raises(DataError, match="'seed': 0 is not text"):
        ours.to_bytes({}, {"seed": 0})  # type: ignore[dict-item]
    with pytest.raises(DataError, match="__metadata__"):
        ours.to_bytes({"__metadata__": np.zeros(1)})


def test_write_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    ours.write(path, {"w": np.zeros(3, np.float32)})
    path.chmod(0o640)
    ours.write(path, {"w": np.ones(3, np.float32)}, {"seed": "0"})
    tensors, metadata = ours.read(path)
    assert tensors["w"].tolist() == [1, 1, 1] and metadata == {"seed": "0"}
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    ours.write(path, {"w": np.zeros(3, np.float32)})
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(ours.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        ours.write(path, {"w": np.ones(3, np.float32)})
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_missing_file_or_folder_is_the_systems_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ours.read(tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError):
        ours.write(tmp_path / "none" / "model.safetensors", {})
