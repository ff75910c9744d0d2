"""`bench`: measure the core and the page, and put the figures into the README."""

from __future__ import annotations

from pathlib import Path

import readme_tables
import step_browser
import step_setup
import step_site
from buildkit import ROOT, run, say, venv_tool

PAGE_TIMES = ROOT / "tests" / "bench" / "page_times.py"


def measure(name: str, title: str, command: list[str | Path]) -> None:
    """Run one measurement, print its Markdown and put it into the README between the markers of `name`."""
    say("bench", title)
    content = run(command, why=f"{title} could not be measured (see above).")
    print(content, flush=True)
    changed = readme_tables.insert(name, content)
    say("bench", f"README.md {'updated' if changed else 'was up to date'}")


def main(*, page: bool) -> int:
    """Run `handlens bench`, then the page measurements in headless Chromium."""
    step_setup.python_environment()
    measure("core", "the core", [venv_tool("handlens"), "bench"])
    if page:
        step_browser.require_chromium()
        step_site.ensure()
        measure("bench", "the page, in headless Chromium", [venv_tool("python"), PAGE_TIMES])
    return 0
