"""`doctor`: what is there, what is missing, and how to get it. Changes nothing and needs no network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import step_browser
import step_kernels
import step_serve
import step_setup
import step_vendor
import step_wheel
from buildkit import (
    CACHE,
    NODE_MODULES,
    SITE,
    BuildError,
    files_under,
    human,
    relative,
    sha256_file,
    total_bytes,
    venv_python_version,
    venv_tool,
)


@dataclass(frozen=True)
class Finding:
    """One line of the report. `good` None is a note: worth knowing, nothing to repair."""

    name: str
    good: bool | None
    text: str


def python() -> Iterator[Finding]:
    """The running Python, the one for `.venv`, and whether the wheel can be compiled."""
    yield Finding("Python", True, f"{sys.version.split()[0]} runs make.py")
    try:
        _, version = step_setup.find_python()
    except BuildError as error:
        yield Finding("Python for .venv", False, str(error))
        return
    good = True if version == step_setup.WHEEL_PYTHON else None
    note = "" if good else "; without 3.12 the wheel is shipped uncompiled, which works and loads a little slower"
    yield Finding("Python for .venv", good, f"{version[0]}.{version[1]}{note}")
    made = venv_python_version()
    if made is None or not venv_tool("handlens").exists():
        yield Finding(".venv", False, "not made yet: `python3 build/make.py setup`")
    else:
        kind = "compiled" if step_wheel.can_compile() else "uncompiled"
        yield Finding(".venv", True, f"Python {made[0]}.{made[1]}; the wheel will be {kind}")


def node() -> Iterator[Finding]:
    """Node, npm and the installed npm packages."""
    try:
        npm = step_setup.require_npm()
    except BuildError as error:
        yield Finding("Node", False, str(error))
        return
    words = [
        subprocess.run([tool, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        for tool in (shutil.which("node") or "node", npm)
    ]
    text = f"node {words[0]}, npm {words[1]}" if all(words) else "is on PATH but does not run"
    yield Finding("Node", all(words), text)
    if (NODE_MODULES / "axe-core" / "package.json").is_file():
        yield Finding("node_modules", True, human(total_bytes(files_under(NODE_MODULES))))
    else:
        yield Finding("node_modules", False, "not installed yet: `python3 build/make.py setup`")


def browser() -> Iterator[Finding]:
    """Chromium, for the tests and the page measurements."""
    try:
        found = step_browser.require_chromium(install=False)
        yield Finding("Chromium", True, step_browser.version(found))
    except BuildError as error:
        yield Finding("Chromium", False, str(error))


def vendored() -> Iterator[Finding]:
    """The pinned third-party files in `.cache/`."""
    for source in step_vendor.read_lock():
        wanted = [(source.path(file), file) for file in source.files]
        missing = [file.name for path, file in wanted if not path.is_file()]
        wrong = [file.name for path, file in wanted if path.is_file() and sha256_file(path) != file.sha256]
        size = human(sum(file.bytes for file in source.files))
        if wrong:
            text = f"{', '.join(wrong)} is not as pinned: `python3 build/make.py vendor` fetches it again"
            yield Finding(source.title, False, text)
        elif missing:
            yield Finding(source.title, False, f"{size} to fetch, once, with a network: `python3 build/make.py vendor`")
        else:
            yield Finding(source.title, True, f"{source.version}, {size}, as pinned")


def kernels() -> Iterator[Finding]:
    """The C compiler and what it has made."""
    zig = step_setup.compiler()
    if zig is None:
        yield Finding("ziglang", False, step_setup.WITHOUT_COMPILER)
        return
    wanted = step_kernels.targets()
    try:
        yield Finding("ziglang", True, f"zig {step_kernels.version(zig)}, compiles the kernels")
        fresh = step_kernels.fresh(zig, wanted)
    except BuildError as error:
        yield Finding("ziglang", False, str(error))
        return
    if not step_kernels.host_targets(*step_kernels.this_machine()):
        system, machine = step_kernels.this_machine()
        yield Finding("kernels", None, f"none for {system} on {machine}, where NumPy computes; those of the page are")
    made = step_kernels.made()
    text = f"{len(made)} libraries, {human(total_bytes(made))}, of the present sources"
    if not fresh:
        text = ("of older sources" if made else "not compiled yet") + ": `python3 build/make.py kernels`"
    yield Finding("kernels", True if fresh else None, text)


def outcome() -> Iterator[Finding]:
    """The caches, the site and the port."""
    yield Finding("caches", None, f"{relative(CACHE)}, {human(total_bytes(files_under(CACHE)))}")
    built = (SITE / "index.html").is_file()
    yield Finding("site", None, "built" if built else "not built yet: `python3 build/make.py site`")
    try:
        step_serve.make_server(SITE, 8000).server_close()
        yield Finding("port 8000", True, "free")
    except BuildError as error:
        yield Finding("port 8000", None, str(error))


def main() -> int:
    """Print the report; 1 when something is missing."""
    marks = {True: "ok", False: "MISSING", None: "note"}
    missing = 0
    for part in (python, node, browser, kernels, vendored, outcome):
        for finding in part():
            missing += finding.good is False
            print(f"{marks[finding.good]:>7}  {finding.name}: {finding.text}", flush=True)
    if missing:
        print(f"\n{missing} missing; `python3 build/make.py setup` and `vendor` get what can be got.", file=sys.stderr)
    return 1 if missing else 0
