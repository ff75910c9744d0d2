"""The wheel: compiled and uncompiled, reproducible, self-contained, and entered into the lock file the same way."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import numpy
import pytest
import step_wheel
from buildkit import CORE, sha256_file, venv_python_version
from step_kernels import package_sources, wasm_side

needs_312 = pytest.mark.skipif(not step_wheel.can_compile(), reason="bytecode for Pyodide needs Python 3.12 in .venv")

# The keys of a lock entry that Pyodide reads when it loads a package.
ESSENTIAL = ("name", "version", "install_dir", "package_type", "imports", "depends", "unvendored_tests")

ONLY_NUMPY = """
import importlib.abc, sys
class Deny(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("numpy", "handlens"):
            raise ImportError(f"the wheel asked for {top}")
sys.meta_path.insert(0, Deny())
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import handlens
assert handlens.__file__.startswith(sys.argv[1]), handlens.__file__
print(handlens.__version__)
"""


def members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


def lock_entry(folder: Path) -> dict[str, Any]:
    lock = json.loads((folder / "pyodide-lock.json").read_text("utf-8"))
    entry: dict[str, Any] = lock["packages"]["handlens"]
    return entry


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return step_wheel.build(tmp_path_factory.mktemp("pure"), compiled=False)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return step_wheel.build(tmp_path_factory.mktemp("compiled"), compiled=True)


def modules(names: dict[str, bytes], suffix: str) -> set[str]:
    return {name.removesuffix(suffix) for name in names if name.endswith(suffix) and name.startswith("handlens/")}


def test_uncompiled_wheel_holds_the_sources(pure: Path) -> None:
    libraries = [name for name in members(pure) if name.endswith(".wasm")]
    tag = "py3-none-emscripten_3_1_58_wasm32" if libraries else "py3-none-any"  # what it holds runs nowhere else
    assert pure.name.endswith(f"-{tag}.whl")
    (about,) = [data.decode() for name, data in members(pure).items() if name.endswith(".dist-info/WHEEL")]
    assert f"Tag: {tag}\n" in about and f"Root-Is-Purelib: {'false' if libraries else 'true'}\n" in about
    files = members(pure)
    expected = {path.relative_to(CORE).as_posix() for path in (*package_sources(), *wasm_side())}
    assert {name for name in files if ".dist-info/" not in name} == expected
    for name in expected:
        assert files[name] == (CORE / name).read_bytes()


@needs_312
def test_compiled_wheel_holds_the_same_modules_as_bytecode(pure: Path, compiled: Path) -> None:
    assert compiled.name.endswith("-cp312-cp312-emscripten_3_1_58_wasm32.whl")
    sources, bytecode = members(pure), members(compiled)
    assert modules(bytecode, ".pyc") == modules(sources, ".py") != set()
    assert not modules(bytecode, ".py")
    data = {name for name in sources if not name.endswith(".py") and ".dist-info/" not in name}
    assert {name for name in bytecode if not name.endswith(".pyc") and ".dist-info/" not in name} == data


@needs_312
def test_both_ways_give_the_same_lock_entry(pure: Path, compiled: Path) -> None:
    by_hand, by_tool = lock_entry(pure.parent), lock_entry(compiled.parent)
    assert {key: by_hand[key] for key in ESSENTIAL} == {key: by_tool[key] for key in ESSENTIAL}
    assert set(by_hand) == set(by_tool)


@pytest.mark.parametrize("way", ["pure", pytest.param("compiled", marks=needs_312)])
def test_lock_file(way: str, request: pytest.FixtureRequest) -> None:
    wheel: Path = request.getfixturevalue(way)
    lock = json.loads((wheel.parent / "pyodide-lock.json").read_text("utf-8"))
    assert set(lock) == {"info", "packages"}
    assert lock["info"]["version"] == "0.27.7"
    assert lock["info"]["python"].startswith("3.12.")
    assert set(lock["packages"]) == {"numpy", "handlens"}
    entry = lock["packages"]["handlens"]
    assert entry["file_name"] == wheel.name
    assert entry["sha256"] == sha256_file(wheel)
    assert entry["depends"] == ["numpy"]
    assert entry["imports"] == ["handlens"]
    for package in lock["packages"].values():
        assert "/" not in package["file_name"], "files lie beside the lock file, on the site itself"


@pytest.mark.parametrize("way", ["pure", pytest.param("compiled", marks=needs_312)])
def test_same_sources_give_the_same_bytes(way: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    first: Path = request.getfixturevalue(way)
    second = step_wheel.build(tmp_path, compiled=way == "compiled")
    assert sha256_file(first) == sha256_file(second)
    assert (first.parent / "pyodide-lock.json").read_bytes() == (second.parent / "pyodide-lock.json").read_bytes()


@pytest.mark.parametrize("way", ["pure", pytest.param("compiled", marks=needs_312)])
def test_wheel_imports_with_numpy_and_nothing_else(way: str, request: pytest.FixtureRequest) -> None:
    wheel: Path = request.getfixturevalue(way)
    beside = str(Path(numpy.__file__).parent.parent)
    command = [sys.executable, "-I", "-c", ONLY_NUMPY, str(wheel), beside]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == lock_entry(wheel.parent)["version"]


def test_metadata_asks_for_numpy_alone_and_carries_the_licence(pure: Path) -> None:
    files = members(pure)
    name = next(name for name in files if name.endswith(".dist-info/METADATA"))
    metadata = HeaderParser().parsestr(files[name].decode())
    needs = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert needs == ["numpy>=2.0"]
    assert metadata["License-Expression"] == "MIT"
    assert any(name.endswith("licenses/LICENSE") for name in files)


def test_shipped_wheel_is_of_the_present_sources(site_dir: Path) -> None:
    record = json.loads((site_dir / "build.json").read_text("utf-8"))
    wheel = site_dir / record["wheel"]["file"]
    entry = lock_entry(wheel.parent)
    assert entry["file_name"] == wheel.name
    assert entry["sha256"] == sha256_file(wheel)
    assert record["version"] == entry["version"]
    assert record["wheel"]["compiled"] is (venv_python_version() == (3, 12))
