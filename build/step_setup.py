"""`setup`: make `.venv` and `node_modules`, find or install Chromium. All downloads are kept in `.cache/`."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import step_browser
from buildkit import (
    BUILD,
    CACHE,
    NODE_MODULES,
    ROOT,
    VENV,
    BuildError,
    Stamp,
    digest_of,
    environment,
    exclusive,
    files_under,
    human,
    relative,
    run,
    say,
    total_bytes,
    venv_python_version,
    venv_tool,
)

WHEEL_PYTHON = (3, 12)  # Pyodide 0.27 runs CPython 3.12: bytecode for it can only be made by 3.12
WHEELS = CACHE / "wheels"
CONSTRAINTS = BUILD / "requirements.lock"
STAMP = VENV / "handlens-setup.json"
OPTIONAL = ("ziglang",)  # the C compiler, which not every platform has a wheel of
WITHOUT_COMPILER = (
    "the package ziglang is not in .venv (no wheel of it for this platform, or none could be fetched): no kernels are "
    "compiled, NumPy takes over; `python3 build/make.py setup` tries again."
)


def offline() -> bool:
    """True when the caller forbids every download."""
    return os.environ.get("HANDLENS_OFFLINE", "") not in ("", "0")


def python_version(python: Path) -> tuple[int, int] | None:
    """Version of an interpreter, asked of the interpreter itself: a pyenv shim may exist and still not run."""
    try:
        result = subprocess.run(
            [str(python), "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2])"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = result.stdout.split()
    return (int(words[0]), int(words[1])) if result.returncode == 0 and len(words) == 2 else None


def python_candidates() -> Iterator[Path]:
    """Interpreters to make `.venv` from, best first: Python 3.12 wherever it may be, then the running one."""
    named = os.environ.get("HANDLENS_PYTHON")
    if named:
        yield Path(named)
        return
    wanted = ".".join(map(str, WHEEL_PYTHON))
    if sys.version_info[:2] == WHEEL_PYTHON:
        yield Path(sys.executable)
    found = shutil.which(f"python{wanted}")
    if found:
        yield Path(found)
    for home in (os.environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")):
        if home:
            yield from sorted(Path(home).glob(f"versions/{wanted}.*/bin/python{wanted}"), reverse=True)
    if found := shutil.which("uv"):
        result = subprocess.run([found, "python", "find", wanted], capture_output=True, text=True, check=False)
        if result.returncode == 0 and result.stdout.strip():
            yield Path(result.stdout.strip())
    yield Path(sys.executable)


def find_python() -> tuple[Path, tuple[int, int]]:
    """The interpreter for `.venv` and its version; BuildError when none is 3.11 or newer with `venv`."""
    for candidate in python_candidates():
        version = python_version(candidate)
        if version is not None and version >= (3, 11):
            return candidate, version
    raise BuildError(
        "no usable Python was found: Handlens needs Python 3.11 or newer with the venv module (Debian: `apt install "
        "python3-venv`); HANDLENS_PYTHON may name one."
    )


def project_tables() -> dict[str, Any]:
    """The part of pyproject.toml that says what is installed and packed; the rest configures tools."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    kept = {name: tables[name] for name in ("build-system", "project", "dependency-groups")}
    return {**kept, "hatch": tables["tool"]["hatch"]}


def requirements(version: tuple[int, int]) -> list[str]:
    """Development requirements of this Python; their versions are pinned by the lock file."""
    tables = project_tables()
    groups = tables["dependency-groups"]
    wanted = [*tables["project"]["dependencies"], *groups["dev"]]
    if version == WHEEL_PYTHON:
        wanted += groups["pyodide"]
    return wanted


def pip(*arguments: str | Path, why: str = "") -> str:
    env = environment(PIP_NO_INPUT="1")
    return run([venv_tool("python"), "-m", "pip", *arguments], env=env, why=why)


def pip_quiet(*arguments: str | Path) -> bool:
    """Run pip where a failure is an expected answer, not an error."""
    command = [str(venv_tool("python")), "-m", "pip", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, check=False).returncode == 0


def install_requirements(wanted: list[str]) -> None:
    """Install from `.cache/wheels`; what is missing there is downloaded first, once. OPTIONAL may stay missing."""
    pinned: list[str | Path] = ["--quiet", "--constraint", CONSTRAINTS]
    local = ["install", "--no-compile", "--no-index", "--find-links", WHEELS, *pinned]
    download = ["download", "--no-cache-dir", "--only-binary", ":all:", "--dest", WHEELS, *pinned]
    WHEELS.mkdir(parents=True, exist_ok=True)
    if pip_quiet(*local, *wanted):
        return
    before = total_bytes(files_under(WHEELS))
    if offline() or not pip_quiet(*download, *wanted):
        wanted = [name for name in wanted if name not in OPTIONAL]
        if pip_quiet(*local, *wanted):
            return
        if offline():
            raise BuildError(
                "the Python packages are not in .cache/wheels and HANDLENS_OFFLINE forbids fetching them: run "
                "`python3 build/make.py setup` once with a network."
            )
        pip(
            *download,
            *wanted,
            why="the Python packages could not be downloaded: no package index answered or it lacks a pinned version "
            "(see above); connect to a network once, after that .cache/ is enough.",
        )
    fetched = total_bytes(files_under(WHEELS)) - before
    say("setup", f"downloaded {human(fetched)} of Python packages into .cache/wheels")
    pip(*local, *wanted)


def compiler() -> Path | None:
    """The `zig` of the package `ziglang` in `.venv`, or None where there is none."""
    places = [*VENV.glob("lib/python3*/site-packages/ziglang/zig"), VENV / "Lib/site-packages/ziglang/zig.exe"]
    return next((path for path in places if path.is_file()), None)


@functools.cache
def python_environment() -> None:
    """Make `.venv`, with the pinned development packages and the core in editable form; once a process."""
    with exclusive:
        make_environment()


def make_environment() -> None:
    """Bring `.venv` to what pyproject.toml and the lock file say."""
    base, version = find_python()
    wanted = requirements(version)
    digest = digest_of("venv 2", version, wanted, project_tables(), CONSTRAINTS)
    stamp = Stamp(STAMP)
    if stamp.fresh(digest, VENV) and venv_tool("handlens").exists() and python_version(venv_tool("python")) == version:
        return
    if venv_python_version() != version or not venv_tool("python").exists():
        shutil.rmtree(VENV, ignore_errors=True)
        run([base, "-m", "venv", VENV], why=f"Python {version[0]}.{version[1]} could not make .venv (see above).")
    install_requirements(wanted)
    # The backend is in the environment already, so that no build isolation has to fetch it again.
    pip("install", "--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--editable", ROOT)
    stamp.write(digest, VENV, [])
    note = "" if version == WHEEL_PYTHON else "; no Python 3.12 here, so the wheel will be shipped uncompiled"
    say("setup", f".venv with Python {version[0]}.{version[1]}, {human(total_bytes(files_under(VENV)))}{note}")


def require_npm() -> str:
    """The npm command, or one sentence when Node is missing or too old to run."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise BuildError(
            "Node.js with npm was not found on PATH; install Node 20 or newer (Debian: `apt install nodejs npm`)."
        )
    return npm


def node_packages() -> None:
    """Install the npm packages of the tests from package-lock.json, which names versions and hashes, no addresses."""
    inputs = [ROOT / "package.json", ROOT / "package-lock.json", ROOT / ".npmrc"]
    digest = digest_of("npm 1", *inputs)
    stamp = Stamp(NODE_MODULES / ".handlens-setup.json")
    if stamp.fresh(digest, NODE_MODULES):
        return
    npm = require_npm()
    with exclusive:
        install_node_packages(npm)
    installed = files_under(NODE_MODULES)
    stamp.write(digest, NODE_MODULES, [path for path in installed if path.name == "package.json"])
    say("setup", f"node_modules, {len(installed)} files, {human(total_bytes(installed))}")


def install_node_packages(npm: str, folder: Path = ROOT) -> None:
    """Run `npm ci` for the lock file in `folder`, from `.cache/npm` where it can."""
    mode = "--offline" if offline() else "--prefer-offline"
    env = environment()
    run(
        [npm, "ci", mode, "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        env=env,
        why="the npm packages could not be installed: no registry answered and .cache/npm lacks them (see above); "
        "connect to a network once, after that .cache/ is enough.",
    )


def main() -> int:
    """Make everything that building and testing need; prints what is there."""
    if compiler() is None:
        STAMP.unlink(missing_ok=True)  # asked for by hand, so it is tried again
    python_environment()
    if compiler() is None:
        say("setup", WITHOUT_COMPILER)
    node_packages()
    chromium = step_browser.require_chromium()
    python = ".".join(map(str, venv_python_version() or ()))
    say("setup", f"ready: .venv (Python {python}), node_modules, {step_browser.version(chromium)}")
    say("setup", f"caches: {relative(CACHE)}, {human(total_bytes(files_under(CACHE)))}")
    return 0
