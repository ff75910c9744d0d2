"""`test`: style, types, then pytest over everything. Further arguments go to pytest, and then pytest runs alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import step_browser
import step_setup
import step_site
import step_vendor
from buildkit import ROOT, environment, say, venv_tool

MOST = 4  # processes of the whole suite: each holds a browser with a page


def check(name: str, command: list[str | Path], env: dict[str, str]) -> bool:
    """Run one checker with its output shown."""
    say("test", name)
    return subprocess.run([str(word) for word in command], cwd=ROOT, env=env, check=False).returncode == 0


def side_by_side() -> list[str]:
    """Options of pytest for the whole suite: a process a core, each with whole files, in their order.

    Pages and training leave a core idle half of the time. Browser tests come last in every process (tests/conftest.py
    says why), so the order of the files is kept.
    """
    return ["-n", str(min(os.cpu_count() or 1, MOST)), "--dist", "loadfile", "--no-loadscope-reorder"]


def main(arguments: list[str]) -> int:
    """Build what the tests need, then run them; non-zero when anything failed."""
    step_setup.python_environment()
    step_setup.node_packages()
    env = environment(HANDLENS_CHROMIUM=str(step_browser.require_chromium()), PYTHONDONTWRITEBYTECODE="1")
    if not arguments:  # a process a core: threads of NumPy's on top would only wait for each other, busily
        env.setdefault("OPENBLAS_NUM_THREADS", "1")
    step_vendor.ensure(step_vendor.read_lock())
    step_site.ensure()
    failed = []
    if not arguments:
        if not check("ruff: style", [venv_tool("ruff"), "check", "."], env):
            failed.append("style (ruff)")
        if not check("mypy --strict core", [venv_tool("mypy")], env):
            failed.append("types (mypy)")
    if not check("pytest", [venv_tool("python"), "-m", "pytest", *(arguments or side_by_side())], env):
        failed.append("tests (pytest)")
    if failed:
        say("test", f"failed: {', '.join(failed)}")
    return 1 if failed else 0
