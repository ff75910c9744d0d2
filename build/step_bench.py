"""`bench`: measure the core and the page, and put the page's figures into the README."""

from __future__ import annotations

import subprocess

import readme_tables
import step_browser
import step_setup
import step_site
from buildkit import ROOT, BuildError, environment, run, say, venv_tool

PAGE_TIMES = ROOT / "tests" / "bench" / "page_times.py"


def main(*, page: bool) -> int:
    """Run `handlens bench`, then the page measurements in headless Chromium."""
    step_setup.python_environment()
    say("bench", "the core")
    if subprocess.run([str(venv_tool("handlens")), "bench"], cwd=ROOT, env=environment(), check=False).returncode != 0:
        raise BuildError("`handlens bench` failed (see above).")
    if page:
        env = environment(HANDLENS_CHROMIUM=str(step_browser.require_chromium()))
        step_site.ensure()
        say("bench", "the page, in headless Chromium")
        content = run([venv_tool("python"), PAGE_TIMES], env=env, why="the page could not be measured (see above).")
        print(content)
        changed = readme_tables.insert("bench", content)
        say("bench", f"README.md {'updated' if changed else 'was up to date'}")
    return 0
