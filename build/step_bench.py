"""`bench`: measure the core and the page, and put the figures into the README; with --peers, other libraries."""

from __future__ import annotations

import subprocess
from pathlib import Path

import readme_tables
import step_browser
import step_peers
import step_setup
import step_site
import step_vendor
from buildkit import DIST, ROOT, BuildError, environment, relative, run, say, venv_tool

PAGE_TIMES = ROOT / "tests" / "bench" / "page_times.py"
PEER_TIMES = ROOT / "tests" / "bench" / "peer_times.py"
PEER_LINES = DIST / "bench" / "peers.jsonl"


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


def peers(*, quick: bool) -> int:
    """Measure the other libraries in headless Chromium; minutes, so their progress is shown on the way."""
    step_setup.python_environment()
    chromium = step_browser.require_chromium()
    step_vendor.ensure(step_vendor.read_lock())
    step_peers.ensure()
    step_site.ensure()
    say("bench", "the peers, in headless Chromium")
    command = [venv_tool("python"), PEER_TIMES, "--json", PEER_LINES, *(["--quick"] if quick else [])]
    result = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment(HANDLENS_CHROMIUM=str(chromium)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise BuildError("the peers could not be measured (see above).")
    print(result.stdout, flush=True)
    say("bench", f"every round is in {relative(PEER_LINES)}")
    # A smoke run's times are no figures for a reader.
    if not quick and readme_tables.between("peers") is not None:
        changed = readme_tables.insert("peers", result.stdout)
        say("bench", f"README.md {'updated' if changed else 'was up to date'}")
    return 0
