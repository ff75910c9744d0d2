"""`handlens export`: what it writes, what it refuses, and that a good folder outlives a failure."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handlens import Sequential, cli
from handlens.backends.native import library, ops_table
from handlens.errors import BackendError, DataError, FormatError
from handlens.io import model_file, page_export, safetensors
from handlens.layers import Conv2D, Dense, Flatten
from handlens.reading import rules_of

pytestmark = pytest.mark.skipif(
    not (library.FOLDER / ops_table.FILE).is_file(), reason="no compiled kernels here; `make.py kernels` makes them"
)


@pytest.fixture
def digits(root: Path) -> Path:
    return root / "web/models/digits.safetensors"


def saved(folder: Path, layers: list[Any], shape: tuple[int, ...] = (1, 28, 28), **options: Any) -> Path:
    """The file of a small model."""
    path = folder / "small.safetensors"
    model_file.save(Sequential(layers, shape, name="small", **options), path)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_and_its_sizes(digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "deep" / "page"
    assert cli.main(["export", str(digits), str(target), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    there = contents(target)
    assert said["files"] == {name: len(data) for name, data in there.items()}
    assert said["bytes"] == sum(map(len, there.values()))
    assert said["fetched"] == said["bytes"] - min(len(there[name]) for name in page_export.KERNELS)
    assert there["model.safetensors"] == digits.read_bytes()
    for name, build in page_export.KERNELS.items():
        assert gzip.decompress(there[name]) == (library.FOLDER / build).read_bytes()
    assert not any(name.endswith(".py") for name in there)
    assert list(tmp_path.iterdir()) == [tmp_path / "deep"] and list(target.parent.iterdir()) == [target]
    assert cli.main(["export", str(digits), str(target)]) == 0  # again, over itself
    shown = capsys.readouterr().out
    assert contents(target) == there
    assert f"{said['bytes']:,} B" in shown and f"{said['fetched']:,} B" in shown and "lens.js" in shown


def test_the_model_is_described_as_the_core_has_it(digits: Path, tmp_path: Path) -> None:
    page_export.export(digits, tmp_path / "page")
    about = json.loads((tmp_path / "page" / "model.json").read_text())
    model = model_file.load(digits)
    rules = rules_of(model)
    assert about["classes"] == 11 and about["name"] == "digits"
    assert about["rules"] == {"answer": rules.answer, "sure": rules.sure, "beside": rules.beside}
    data, buffers = digits.read_bytes(), [np.zeros(size, np.uint8) for size in about["buffers"]]
    for begin, size, buffer, offset in about["arrays"]:
        buffers[buffer][offset : offset + size] = np.frombuffer(data[begin : begin + size], np.uint8)
    names = list(model.plan().buffers)
    parameters = buffers[names.index("parameters")].view(np.float32)[: model.layout.size]
    assert np.array_equal(parameters, model.parameters)
    state = buffers[names.index("state")].view(np.float32)[: model.state_layout.size]
    assert np.array_equal(state, model.state)
    assert base64.b64decode(about["plan"]).startswith(b"HLP1")


def test_the_script_in_the_page_is_the_one_that_its_policy_allows(root: Path) -> None:
    page = (root / "core/handlens/exported/index.html").read_text("utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'" in page, "put this hash into the page's policy"


def test_weights_of_another_type_are_written_as_float32(digits: Path, tmp_path: Path) -> None:
    tensors, metadata = safetensors.read(digits)
    half = tmp_path / "half.safetensors"
    safetensors.write(half, {name: array.astype(np.float16) for name, array in tensors.items()}, metadata)
    page_export.export(half, tmp_path / "page")
    written, _ = safetensors.read(tmp_path / "page" / "model.safetensors")
    assert {array.dtype for array in written.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("layers", "shape", "options", "phrase"),
    [
        ([Flatten(), Dense(10)], (1, 20, 20), {}, "takes 1x20x20"),
        ([Flatten(), Dense(7)], (1, 28, 28), {}, "gives 7"),
        ([Flatten(), Dense(10)], (1, 28, 28), {"loss": "mean_squared_error"}, "export a classifier"),
    ],
)
def test_a_model_that_reads_no_digits(
    tmp_path: Path, layers: list[Any], shape: tuple[int, ...], options: dict[str, Any], phrase: str
) -> None:
    path = saved(tmp_path, layers, shape, **options)
    with pytest.raises(DataError, match=phrase):
        page_export.export(path, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_files_that_are_no_models(tmp_path: Path, digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", str(tmp_path / "none.safetensors"), str(tmp_path / "page")]) == 1
    assert "no such file" in capsys.readouterr().err
    for name, data in {"text": b"not weights", "cut": digits.read_bytes()[:5000], "empty": b""}.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(data)
        with pytest.raises(FormatError):
            page_export.export(path, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_folders_that_hold_something_else(tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match=r"holds thesis\.tex that no export wrote"):
        page_export.export(digits, kept)
    (kept / "thesis.tex").rename(kept / "index.html")  # a name of ours, but not our page
    with pytest.raises(DataError, match="that no export wrote"):
        page_export.export(digits, kept)
    assert (kept / "index.html").read_text() == "years of work"
    with pytest.raises(DataError, match="is a file"):
        page_export.export(digits, kept / "index.html")
    monkeypatch.chdir(kept)
    for here in (".", ".."):
        with pytest.raises(DataError, match="where you are"):
            page_export.export(digits, here)
    (tmp_path / "empty").mkdir()
    assert page_export.export(digits, tmp_path / "empty")


def test_kernels_that_are_missing_or_of_another_version(tmp_path: Path, digits: Path) -> None:
    with pytest.raises(BackendError, match=r"make\.py kernels"):
        page_export.export(digits, tmp_path / "page", tmp_path)
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    (kernels / "ops.txt").write_bytes((library.FOLDER / "ops.txt").read_bytes())
    with pytest.raises(BackendError, match=r"handlens-inference\.wasm"):
        page_export.export(digits, tmp_path / "page", kernels)
    for name in page_export.KERNELS.values():
        (kernels / name).write_bytes((library.FOLDER / name).read_bytes().replace(b"softmax", b"hardmax"))
    with pytest.raises(BackendError, match="different versions"):
        page_export.export(digits, tmp_path / "page", kernels)
    (kernels / "ops.txt").write_text("no table\n")
    with pytest.raises(BackendError, match="damaged"):
        page_export.export(digits, tmp_path / "page", kernels)
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("moment", ["writing", "replacing"])
def test_a_good_folder_outlives_a_failure(
    tmp_path: Path, digits: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "page"
    page_export.export(digits, target)
    before = contents(target)
    other = saved(tmp_path, [Conv2D(2, 3, activation="relu"), Flatten(), Dense(10)])
    really = os.replace

    def full(*paths: Any) -> None:
        if moment == "writing" or Path(paths[0]).name == "new":
            raise OSError("no space left")
        really(*paths)

    monkeypatch.setattr(
        page_export.shutil if moment == "writing" else os, "copyfile" if moment == "writing" else "replace", full
    )
    with pytest.raises(OSError, match="no space left"):
        page_export.export(other, target)
    monkeypatch.undo()
    assert contents(target) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page", "small.safetensors"]
    page_export.export(other, target)
    assert contents(target)["model.safetensors"] == other.read_bytes()


def test_the_table_of_ops() -> None:
    table = ops_table.installed()
    try:
        opened = library.find()
    except BackendError:
        pytest.skip("no library of the kernels opens here")
    assert (table.ops, table.hash) == (opened.ops, opened.ops_hash)
    assert ops_table.fnv1a(b"a") == 0xE40C292C  # of the published test vectors
