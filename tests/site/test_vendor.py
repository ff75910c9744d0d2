"""The vendored files: pinned by hash, all or nothing, fetched from whichever origin answers."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import buildkit
import pytest
import step_vendor
from handlens.data import fonts

GOOD = {"a.js": b"alpha", "b.wasm": b"beta" * 1000}


def make_source(folder: Path, files: dict[str, bytes], *more: str) -> step_vendor.Source:
    """A source whose pins are GOOD and whose origin is a folder holding `files`."""
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    pins = tuple(
        step_vendor.Pinned(name, hashlib.sha256(data).hexdigest(), len(data), f"vendor/x/{name}")
        for name, data in GOOD.items()
    )
    addresses = (*more, folder.as_uri() + "/")
    origins = tuple({"url": address} for address in addresses)
    return step_vendor.Source("x", "Example", "1.2.3", "MIT", "", origins, "vendor/x", pins)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(step_vendor, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(buildkit, "CACHE", tmp_path / "cache")
    monkeypatch.delenv("HANDLENS_OFFLINE", raising=False)
    return tmp_path / "cache"


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_good_files_are_kept_and_not_fetched_twice(tmp_path: Path, cache: Path) -> None:
    source = make_source(tmp_path / "origin", GOOD)
    assert step_vendor.ensure([source]) == sum(map(len, GOOD.values()))
    assert kept(cache) == ["a.js", "b.wasm"]
    assert step_vendor.ensure([source]) == 0


@pytest.mark.parametrize("wrong", sorted(GOOD))
def test_wrong_hash_stops_names_the_file_and_keeps_nothing(tmp_path: Path, cache: Path, wrong: str) -> None:
    # One byte differs and the size is the same: only the hash can tell.
    bad = GOOD[wrong][:-1] + b"!"
    source = make_source(tmp_path / "origin", {**GOOD, wrong: bad})
    with pytest.raises(buildkit.BuildError) as error:
        step_vendor.ensure([source])
    text = str(error.value)
    assert wrong in text
    assert "Example 1.2.3" in text
    assert "nothing of it was kept" in text
    assert hashlib.sha256(bad).hexdigest()[:16] in text
    assert kept(cache) == []


def test_wrong_hash_is_not_excused_by_a_second_origin(tmp_path: Path, cache: Path) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in GOOD:
        (evil / name).write_bytes(b"other")
    source = make_source(tmp_path / "origin", GOOD, evil.as_uri() + "/")
    with pytest.raises(buildkit.BuildError, match="sha256"):
        step_vendor.ensure([source])
    assert kept(cache) == []


def test_origin_that_does_not_answer_gives_way_to_the_next(tmp_path: Path, cache: Path) -> None:
    source = make_source(tmp_path / "origin", GOOD, (tmp_path / "nowhere").as_uri() + "/")
    step_vendor.ensure([source])
    assert kept(cache) == ["a.js", "b.wasm"]


def test_damaged_cached_file_is_fetched_again(tmp_path: Path, cache: Path) -> None:
    source = make_source(tmp_path / "origin", GOOD)
    step_vendor.ensure([source])
    (cache / "vendor/x/a.js").write_bytes(b"alphA")
    assert step_vendor.ensure([source]) == len(GOOD["a.js"])
    assert (cache / "vendor/x/a.js").read_bytes() == GOOD["a.js"]


def test_no_origin_answers(tmp_path: Path, cache: Path) -> None:
    source = make_source(tmp_path / "origin", {})
    with pytest.raises(buildkit.BuildError, match=r"Example 1\.2\.3 is not in \.cache/ .* connect to a network once"):
        step_vendor.ensure([source])


def test_offline_is_said(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_source(tmp_path / "origin", GOOD)
    monkeypatch.setenv("HANDLENS_OFFLINE", "1")
    with pytest.raises(buildkit.BuildError, match="HANDLENS_OFFLINE"):
        step_vendor.ensure([source])


def test_interrupted_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(buildkit.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        buildkit.write_bytes(tmp_path / "file", b"data")
    assert list(tmp_path.iterdir()) == []


def test_every_vendored_file_is_in_the_one_lock_file() -> None:
    sources = {source.name: source for source in step_vendor.read_lock()}
    versions = {name: source.version for name, source in sources.items()}
    assert versions["pyscript"] == "0.6.66"
    assert versions["pyodide"] == versions["pyodide-lock"] == "0.27.7"
    assert versions["micropython"] == "1.27.0"
    assert versions["numpy"] == "2.0.2"
    assert versions["mnist"] == "1.2.6"
    assert versions["fonts"] == "2.0.0"
    assert {file.name for file in sources["fonts"].files} == {f"{name}.svg" for name in fonts.FONTS}
    assert not any(file.ship for file in sources["fonts"].files)
    for source in sources.values():
        assert source.origins
        for origin in source.origins:
            # A package without a version would be whatever the index holds today.
            spec = origin.get("npm") or origin.get("pypi") or origin["url"]
            assert re.search(r"(@|==|/v)\d+\.\d+\.\d+", spec), spec
        for file in source.files:
            assert len(file.sha256) == 64
            assert file.bytes > 0


def test_numpy_pin_is_the_one_pyodide_names() -> None:
    sources = {source.name: source for source in step_vendor.read_lock()}
    upstream = json.loads(sources["pyodide-lock"].path(sources["pyodide-lock"].files[0]).read_text("utf-8"))
    entry = upstream["packages"]["numpy"]
    (wheel,) = sources["numpy"].files
    assert (wheel.name, wheel.sha256) == (entry["file_name"], entry["sha256"])


def test_the_site_ships_the_pinned_bytes_and_nothing_else_in_vendor(site_dir: Path) -> None:
    pinned = {file.ship: file.sha256 for source in step_vendor.read_lock() for file in source.files if file.ship}
    shipped = {
        path.relative_to(site_dir).as_posix(): buildkit.sha256_file(path)
        for path in buildkit.files_under(site_dir / "vendor")
    }
    ours = {name for name in shipped if "/handlens-" in name or name.endswith("/pyodide-lock.json")}
    assert len(ours) == 2
    assert {name: sha for name, sha in shipped.items() if name not in ours} == pinned
