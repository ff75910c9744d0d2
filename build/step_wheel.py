"""`wheel`: build the core into a wheel for Pyodide, and the `pyodide-lock.json` that the page loads it from.

`wheel --host` builds one for CPython on this machine instead. Each holds the compiled kernels of its own machine and is
tagged for them; without any, a wheel is `py3-none-any` and NumPy computes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import step_kernels
import step_setup
import step_vendor
from buildkit import (
    BUILD,
    CORE,
    DIST,
    ROOT,
    STAMPS,
    BuildError,
    Stamp,
    digest_of,
    exclusive,
    files_under,
    human,
    relative,
    replace_folder,
    run,
    say,
    scratch,
    sha256_file,
    venv_python_version,
    venv_tool,
    write_json,
)

OUT = DIST / "wheel"
HOST_OUT = DIST / "host-wheel"  # apart: what lies in OUT goes to the site
LOCK_NAME = "pyodide-lock.json"
# The one platform tag of Pyodide 0.27 that the lock-file tool accepts.
PLATFORM = "emscripten_3_1_58_wasm32"
TAGS = ("--python-tag", "cp312", "--abi-tag", "cp312", "--platform-tag", PLATFORM)
SHIPPED = ("numpy", "handlens")
ZIP_DATE = (2020, 1, 1, 0, 0, 0)


def read_members(wheel: Path) -> dict[str, bytes]:
    """Every file of a wheel by its name."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}


def write_members(wheel: Path, members: dict[str, bytes]) -> None:
    """Write a wheel with fixed dates, order and modes: the same sources give the same bytes on any day."""
    # By convention the .dist-info folder comes last, so that it can be read from the end of the file.
    ordered = sorted(members.items(), key=lambda member: (".dist-info/" in member[0], member[0]))
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in ordered:
            info = zipfile.ZipInfo(name, ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, also when built on Windows
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)


def normalise(wheel: Path) -> None:
    """Rewrite a wheel as write_members() does."""
    write_members(wheel, read_members(wheel))


def record_line(name: str, data: bytes) -> str:
    """One line of a wheel's RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def add_libraries(wheel: Path, libraries: Iterable[Path]) -> None:
    """Put compiled kernels into a wheel, where the package looks for them, and into its RECORD."""
    members = read_members(wheel)
    added = {path.relative_to(CORE).as_posix(): path.read_bytes() for path in libraries}
    record = next(name for name in members if name.endswith(".dist-info/RECORD"))
    members[record] += "".join(record_line(name, data) for name, data in sorted(added.items())).encode()
    write_members(wheel, {**members, **added})


def can_compile() -> bool:
    """True when `.venv` runs the Python whose bytecode Pyodide reads, and so holds pyodide-build."""
    return venv_python_version() == step_setup.WHEEL_PYTHON and venv_tool("pyodide").exists()


def build_pure(folder: Path) -> Path:
    """The plain `py3-none-any` wheel, built by hatchling into `folder`."""
    python = venv_tool("python")
    command = [python, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    run(command, why="hatchling could not build the wheel (see above).")
    wheel = next(folder.glob("handlens-*.whl"))
    normalise(wheel)
    return wheel


def compile_wheel(wheel: Path) -> Path:
    """The same wheel with bytecode in place of sources, tagged for Pyodide; the plain one is removed."""
    folder = wheel.parent
    run([venv_tool("wheel"), "tags", "--remove", *TAGS, wheel])
    wheel = next(folder.glob("handlens-*.whl"))
    run([venv_tool("pyodide"), "py-compile", "--silent", wheel])
    wheel = next(folder.glob("handlens-*.whl"))
    normalise(wheel)
    return wheel


def upstream_lock() -> tuple[Path, dict[str, Any]]:
    """Pyodide's own lock file, as vendored."""
    source = next(source for source in step_vendor.read_lock() if source.name == "pyodide-lock")
    path = source.path(source.files[0])
    return path, json.loads(path.read_text("utf-8"))


def lock_by_tool(wheel: Path) -> dict[str, Any]:
    """Enter the wheel into Pyodide's lock file with `pyodide lockfile add-wheels`."""
    upstream, _ = upstream_lock()
    new = wheel.parent / "new-lock.json"
    # The tool looks for the wheels beside the lock file.
    given = Path(shutil.copy(upstream, wheel.parent / "upstream-lock.json"))
    run([venv_tool("pyodide"), "lockfile", "add-wheels", "--input", given, "--output", new, wheel], cwd=wheel.parent)
    return json.loads(new.read_text("utf-8"))  # type: ignore[no-any-return]


def lock_by_hand(wheel: Path) -> dict[str, Any]:
    """Enter the wheel into Pyodide's lock file ourselves, for hosts without Python 3.12 and pyodide-build."""
    _, lock = upstream_lock()
    lock["packages"]["handlens"] = {
        "name": "handlens",
        "version": wheel.name.split("-")[1],
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": sha256_file(wheel),
        "package_type": "package",
        "imports": ["handlens"],
        "depends": ["numpy"],
        "unvendored_tests": False,
    }
    return lock  # type: ignore[no-any-return]


def trim(lock: dict[str, Any], wheel: Path) -> dict[str, Any]:
    """Keep what we ship, with every file beside the lock file, and the version field that the tool drops."""
    _, upstream = upstream_lock()
    lock = dict(lock, info=dict(lock["info"], version=upstream["info"]["version"]))
    # The tool adds empty `tool` tables, which this Pyodide does not know.
    lock.pop("tool", None)
    lock["packages"] = {
        name: {key: value for key, value in lock["packages"][name].items() if key != "tool"} for name in SHIPPED
    }
    lock["packages"]["handlens"].update(file_name=wheel.name, imports=["handlens"])
    return lock


def build(folder: Path, *, compiled: bool) -> Path:
    """Build wheel and lock file into `folder`; returns the wheel."""
    folder.mkdir(parents=True, exist_ok=True)
    with scratch("wheel") as work:
        wheel = build_pure(work)
        libraries = list(step_kernels.wasm_side())
        add_libraries(wheel, libraries)
        if compiled:
            wheel = compile_wheel(wheel)
        elif libraries:
            wheel = retag(wheel, [PLATFORM])
        lock = lock_by_tool(wheel) if compiled else lock_by_hand(wheel)
        made = Path(shutil.copy(wheel, folder / wheel.name))
    write_json(folder / LOCK_NAME, trim(lock, made))
    return made


def host_tags(system: str, machine: str) -> list[str]:
    """Platform tags of a wheel with this machine's kernels, which need no libc and so run with any."""
    if system == "linux":
        return [f"manylinux2014_{machine}", f"manylinux_2_17_{machine}", f"musllinux_1_1_{machine}"]
    if system == "macos":
        return [f"macosx_11_0_{'arm64' if machine == 'aarch64' else machine}"]
    return ["win_amd64"]


def retag(wheel: Path, tags: list[str]) -> Path:
    """Make a `py3-none-any` wheel one for these platforms; returns it under its new name."""
    members = read_members(wheel)
    info = next(name for name in members if name.endswith(".dist-info/WHEEL"))
    record = next(name for name in members if name.endswith(".dist-info/RECORD"))
    text = members[info].decode().replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
    members[info] = re.sub(r"(?m)^Tag: .*\n", "", text).rstrip("\n").encode()
    members[info] += "".join(f"\nTag: py3-none-{tag}" for tag in tags).encode() + b"\n"
    lines = members[record].decode().splitlines(keepends=True)
    members[record] = "".join(
        record_line(info, members[info]) if line.startswith(f"{info},") else line for line in lines
    ).encode()
    wheel.unlink()
    tagged = wheel.with_name(wheel.name.replace("-any.whl", f"-{'.'.join(tags)}.whl"))
    write_members(tagged, members)
    return tagged


def build_host(folder: Path) -> Path:
    """The wheel for CPython on this machine into `folder`: its libraries, and the page's modules for `export`."""
    system, machine = step_kernels.this_machine()
    libraries = [step_kernels.LIBRARIES / target.file for target in step_kernels.host_targets(system, machine)]
    if not libraries or not all(path.is_file() for path in libraries):
        raise BuildError(
            f"no kernels are compiled for {system} on {machine}; `python3 build/make.py doctor` says why, and "
            "`pip install .` gives Handlens without them."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with scratch("wheel") as work:
        wheel = build_pure(work)
        add_libraries(wheel, [*libraries, *step_kernels.wasm_inference()])
        wheel = retag(wheel, host_tags(system, machine))
        return Path(shutil.copy(wheel, folder / wheel.name))


def digest() -> str:
    """Everything that the wheel depends on."""
    parts = [*step_kernels.package_sources(), *step_kernels.wasm_side(), ROOT / "LICENSE"]
    tools = [BUILD / "step_wheel.py", step_setup.CONSTRAINTS, step_vendor.LOCK]
    return digest_of("wheel 2", venv_python_version(), can_compile(), step_setup.project_tables(), *parts, *tools)


def ensure() -> Path:
    """The wheel of the present sources; built when stale."""
    step_kernels.ensure()
    step_vendor.ensure(step_vendor.for_site())
    with exclusive:
        ensure_alone()
    return next(OUT.glob("handlens-*.whl"))


def ensure_alone() -> None:
    """Build the wheel when stale; the caller holds the lock."""
    stamp = Stamp(STAMPS / "wheel.json")
    now = digest()
    if not stamp.fresh(now, OUT):
        compiled = can_compile()
        if not compiled:
            say("wheel", "no Python 3.12 here: the wheel is shipped uncompiled, its lock entry written by ourselves")
        with scratch("wheel-out") as work:
            new = work / "wheel"
            wheel = build(new, compiled=compiled)
            replace_folder(new, OUT)
        stamp.write(now, OUT, files_under(OUT))
        kind = "bytecode" if compiled else "sources"
        say("wheel", f"{wheel.name}, {human((OUT / wheel.name).stat().st_size)} of {kind}")


def main() -> int:
    """Build the wheel when stale and say what is there."""
    wheel = ensure()
    say("wheel", f"up to date: {wheel.name}, {human(wheel.stat().st_size)}")
    return 0


def host() -> int:
    """Build the wheel for this machine and say where it is."""
    step_kernels.ensure()
    with exclusive, scratch("host-wheel") as work:
        wheel = build_host(work / "host-wheel")
        replace_folder(work / "host-wheel", HOST_OUT)
    made = HOST_OUT / wheel.name
    say("wheel", f"{relative(made)}, {human(made.stat().st_size)}")
    return 0
