"""Rules of the repository that a grep can hold: no addresses, no machine paths, no shadowing names, honest tables."""

from __future__ import annotations

import getpass
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import readme_tables
import step_models
import step_serve

# Put together here, so that this file does not hold what it forbids.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("registry", "npmjs", "org"),
        ("files", "pythonhosted", "org"),
        ("pypi", "org"),
        ("deb", "debian", "org"),
    )
]
CODE = (".py", ".js", ".mjs", ".css", ".c", ".h", ".wgsl")


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()]


def texts(paths: list[Path]) -> dict[Path, str]:
    found = {}
    for path in paths:
        data = path.read_bytes()
        if b"\0" not in data[:8000]:
            found[path] = data.decode("utf-8", "replace")
    return found


def test_no_registry_addresses(tracked: list[Path], root: Path) -> None:
    hits = [
        f"{path.relative_to(root)}: {host}"
        for path, text in texts(tracked).items()
        for host in REGISTRIES
        if host in text
    ]
    assert hits == []


def test_no_paths_of_this_machine(tracked: list[Path], root: Path) -> None:
    home = str(Path.home())
    forbidden = [f"{root.parent}/", *([f"{home}/"] if len(home) > 1 else []), f"/home/{getpass.getuser()}/"]
    forbidden = [text for text in forbidden if text != "//"]
    hits = [
        f"{path.relative_to(root)}: {text}"
        for path, body in texts(tracked).items()
        for text in forbidden
        if text in body
    ]
    assert hits == []


def test_lock_files_hold_versions_and_hashes_but_no_addresses(root: Path) -> None:
    packages = json.loads((root / "package-lock.json").read_text("utf-8"))["packages"]
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert name == "" or entry["integrity"].startswith("sha512-"), name
    lines = (root / "build/requirements.lock").read_text("utf-8").splitlines()
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line


def test_every_development_package_is_pinned(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    named = [
        *project["project"]["dependencies"],
        *(name for group in project["dependency-groups"].values() for name in group),
    ]
    plain = {re.split(r"[<>=!~\[; ]", name)[0].lower().replace("_", "-") for name in named}
    lines = (root / "build/requirements.lock").read_text("utf-8").splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert plain - pinned == set()


def test_run_time_needs_numpy_and_nothing_else(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert [re.split(r"[<>=]", name)[0] for name in project["dependencies"]] == ["numpy"]
    assert project["scripts"] == {"handlens": "handlens.cli:main"}


def test_no_build_script_shadows_a_module(root: Path) -> None:
    names = {path.stem for path in (root / "build").glob("*.py")}
    assert "__init__" not in names
    assert names & set(sys.stdlib_module_names) == set()
    installed = {re.split(r"[<>=]", line)[0] for line in (root / "build/requirements.lock").read_text("utf-8").split()}
    assert names & (installed | {"pip", "setuptools", "wheel", "build", "site", "types"}) == set()


def test_build_folder_is_not_taken_for_rubbish(root: Path) -> None:
    result = subprocess.run(
        ["git", "check-ignore", "build/make.py", "build/new.py"], cwd=root, capture_output=True, check=False
    )
    assert result.stdout == b""
    shown = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--show-files", "."],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    seen = {Path(line).relative_to(root).as_posix() for line in shown.stdout.splitlines()}
    assert {"build/make.py", "core/handlens/__init__.py", "tests/conftest.py"} <= seen
    assert not any(name.startswith((".venv", ".cache", "dist", "node_modules")) for name in seen)


def test_files_stay_small(tracked: list[Path], root: Path) -> None:
    long = {
        path.relative_to(root).as_posix(): lines
        for path in tracked
        if path.suffix in CODE and (lines := path.read_text("utf-8").count("\n")) > 600
    }
    assert long == {}


def test_workflows_use_the_one_entry(root: Path) -> None:
    pages = (root / ".github/workflows/pages.yml").read_text("utf-8")
    assert pages.index("make.py test") < pages.index("make.py site") < pages.index("deploy-pages")
    assert "path: dist/site" in pages
    assert "make.py test" in (root / ".github/workflows/ci.yml").read_text("utf-8")
    ci = (root / ".ci/run").read_text("utf-8")
    assert ci.rstrip().splitlines()[-1].endswith("build/make.py test")
    assert (root / ".ci/run").stat().st_mode & 0o111


def test_server_address_is_the_one_in_the_help(root: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "build/make.py", "--help"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    assert f"http://127.0.0.1:8000{step_serve.PREFIX}" in shown


def test_tables_are_put_between_their_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- models:start -->\nold\n<!-- models:end -->\nafter\n")
    content = readme_tables.table(["a", "b"], [["x", "1"]])
    assert readme_tables.insert("models", content, readme)
    assert not readme_tables.insert("models", content, readme)
    assert readme_tables.between("models", readme) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    text = readme.read_text()
    assert text.startswith("before\n<!-- models:start -->\n")
    assert text.endswith("\n<!-- models:end -->\nafter\n")


def test_index_says_what_the_weights_say(root: Path) -> None:
    assert json.loads((root / "web/models/index.json").read_text("utf-8")) == step_models.read_index()
