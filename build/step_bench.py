"""`bench`: measure the core and the page, other libraries, ops or first answers; the figures go into the README."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import readme_tables
import step_browser
import step_kernels
import step_peers
import step_setup
import step_site
import step_vendor
from buildkit import CORE, DIST, ROOT, BuildError, environment, relative, say, venv_tool

FOLDER = ROOT / "tests" / "bench"
PEER_LINES = DIST / "bench" / "peers.jsonl"


def measure(name: str, title: str, command: list[str | Path], *, keep: bool = True, **variables: str) -> None:
    """Run one measurement, its progress shown on the way; print its Markdown and put it into the README between the
    markers of `name`, unless it was a smoke run, whose times are no figures for a reader."""
    say("bench", title)
    words, env = [str(word) for word in command], environment(**variables)
    result = subprocess.run(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise BuildError(f"{title} could not be measured (see above).")
    print(result.stdout, flush=True)
    if keep:
        changed = readme_tables.insert(name, result.stdout)
        say("bench", f"README.md {'updated' if changed else 'was up to date'}")


def in_browser(name: str, title: str, script: str, *options: str | Path, quick: bool) -> None:
    """Run a measurement of tests/bench/ that needs Chromium and the site."""
    step_setup.python_environment()
    chromium = step_browser.require_chromium()
    step_site.ensure()
    command = [venv_tool("python"), FOLDER / script, *options, *(["--quick"] if quick else [])]
    measure(name, title, command, keep=not quick, HANDLENS_CHROMIUM=str(chromium))


def core(*, quick: bool, torch: str) -> None:
    """`handlens bench`, in the Python that has PyTorch where one is named."""
    step_setup.python_environment()
    step_kernels.ensure()
    command = [torch or venv_tool("python"), "-m", "handlens", "bench", *(["--repeats=1"] if quick else [])]
    measure("core", "the core", command, keep=not quick, PYTHONPATH=str(CORE))


def ops(*, quick: bool) -> None:
    """Each op of the compiled kernels beside the peak of one core, on the host and in Chromium."""
    in_browser("ops", "each op, on the host and in Chromium", "op_times.py", quick=quick)


def first(*, quick: bool) -> None:
    """Our first answer and those of the smallest pages of the other libraries."""
    step_setup.python_environment()
    step_peers.ensure()
    in_browser("first-times", "first answers, in headless Chromium", "first_times.py", quick=quick)


def views(*, quick: bool) -> None:
    """From a stroke to what "Look inside" shows, and the longest tasks of the page's main thread."""
    in_browser("view-times", "the views, in headless Chromium", "view_times.py", quick=quick)


def peers(*, quick: bool, torch: str) -> None:
    """The other libraries at our work, in headless Chromium; minutes."""
    step_setup.python_environment()
    step_vendor.ensure(step_vendor.read_lock())
    step_peers.ensure()
    options: list[str | Path] = ["--json", PEER_LINES, *(["--torch", torch] if torch else [])]
    in_browser("peers", "the peers, in headless Chromium", "peer_times.py", *options, quick=quick)
    say("bench", f"every round is in {relative(PEER_LINES)}")


def main(parts: Sequence[str], *, page: bool, quick: bool, torch: str) -> int:
    """The parts that were asked for; without any, the core, its ops and the page."""
    if "peers" in parts:
        peers(quick=quick, torch=torch)
    if "first" in parts:
        first(quick=quick)
    if "views" in parts:
        views(quick=quick)
    if not parts:
        core(quick=quick, torch=torch)
    if "ops" in parts or (not parts and page):
        ops(quick=quick)
    if not parts and page:
        in_browser("bench", "the page, in headless Chromium", "page_times.py", quick=quick)
    return 0
