"""`test`: style, types, then pytest over everything. Further arguments go to pytest, and then pytest runs alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import step_browser
import step_setup
import step_site
import step_vendor
from buildkit import ROOT, environment, say, venv_tool


def check(name: str, command: list[str | Path], env: dict[str, str]) -> bool:
    """Run one checker with its output shown."""
    say("test", name)
    return subprocess.run([str(word) for word in command], cwd=ROOT, env=env, check=False).returncode == 0


def main(arguments: list[str]) -> int:
    """Build what the tests need, then run them; non-zero when anything failed."""
    step_setup.python_environment()
    step_setup.node_packages()
    env = environment(HANDLENS_CHROMIUM=str(step_browser.require_chromium()), PYTHONDONTWRITEBYTECODE="1")
    step_vendor.ensure(step_vendor.read_lock())
    step_site.ensure()
    failed = []
    if not arguments:
        if not check("ruff: style", [venv_tool("ruff"), "check", "."], env):
            failed.append("style (ruff)")
        if not check("mypy --strict core", [venv_tool("mypy")], env):
            failed.append("types (mypy)")
    if not check("pytest", [venv_tool("python"), "-m", "pytest", *arguments], env):
        failed.append("tests (pytest)")
    if failed:
        say("test", f"failed: {', '.join(failed)}")
    return 1 if failed else 0
