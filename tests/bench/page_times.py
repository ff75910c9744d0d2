"""Weight of the page, and times to its first frame, engine and answer, in headless Chromium; prints Markdown.

Run by `make.py bench`. A first visit is a new browser context: nothing in the HTTP cache. The stroke is drawn as soon
as the pad is there: what a visitor waits who draws at once. Its answer comes from the compiled kernels, before Python.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "build"))
sys.dont_write_bytecode = True

import readme_tables  # noqa: E402
import step_browser  # noqa: E402
import step_serve  # noqa: E402
from buildkit import SITE, human  # noqa: E402

# Runs in the page before anything of it: notes the moment of each change, on the page's own clock.
WATCH = """
window.moments = {};
const note = (name) => { if (!(name in window.moments)) window.moments[name] = performance.now(); };
new MutationObserver(() => {
  const root = document.documentElement;
  if (root.dataset.engine === "ready") note("ready");
  if (root.dataset.engine === "failed") note("failed");
  const answer = document.querySelector('[data-testid="answer"]');
  if (answer && /^[0-9]+$/.test(answer.textContent.trim())) note("answer");
  if (document.querySelector('[data-testid="pad"]')) note("pad");
  if (document.querySelector('[data-testid="clear"]')) note("views");
}).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
"""
ALL = "moments.failed || ['answer', 'views', 'ready'].every((name) => name in moments)"
# A seven, in parts of the pad's width and height.
SEVEN = ((0.32, 0.27), (0.50, 0.27), (0.68, 0.28), (0.60, 0.45), (0.52, 0.62), (0.46, 0.78))

TIMES = (
    ("paint", "first frame"),
    ("answer", "the answer to a 7 drawn at once"),
    ("views", "the views stand (MicroPython runs)"),
    ("ready", "the engine is ready (Pyodide, NumPy, handlens)"),
)
GROUPS = (
    ("Pyodide and NumPy", ("vendor/pyodide/",)),
    ("PyScript and MicroPython", ("vendor/pyscript/", "vendor/micropython/")),
    ("weights", ("models/",)),
    ("the page itself", ("",)),
)


@dataclass
class Visit:
    """What one visit took: milliseconds by moment, and the files fetched, in order."""

    times: dict[str, float] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


def draw(page: Page) -> None:
    """Draw the seven with the mouse."""
    pad = page.get_by_test_id("pad")
    pad.wait_for(state="visible")
    box = pad.bounding_box()
    if box is None:
        raise SystemExit("page_times: the pad has no place on the page")
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def visit(context: BrowserContext, address: str) -> Visit:
    """Open the page, draw at once, wait for the answer and for Python."""
    result = Visit()
    context.set_default_timeout(120_000)  # ms; a guard against hanging, no expectation
    page = context.new_page()
    page.add_init_script(WATCH)
    prefix = urlsplit(address).path

    def fetched(request: object) -> None:
        parts = urlsplit(request.url)  # type: ignore[attr-defined]
        if parts.scheme.startswith("http"):
            result.files.append(unquote(parts.path).removeprefix(prefix) or "index.html")

    page.on("requestfinished", fetched)
    page.goto(address, wait_until="domcontentloaded")
    draw(page)
    page.wait_for_function(ALL)  # the answer comes first, long before Python
    result.times = page.evaluate("window.moments")
    if "failed" in result.times:
        raise SystemExit(f"page_times: the engine failed: {page.get_by_test_id('answer-note').inner_text()}")
    result.times["paint"] = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    page.close()
    return result


def measure(browser: Browser, address: str, runs: int) -> tuple[list[Visit], list[Visit]]:
    """Cold visits, each in a new context, and for each a second one with what the first left in the cache."""
    cold, warm = [], []
    for _ in range(runs):
        context = browser.new_context()
        cold.append(visit(context, address))
        warm.append(visit(context, address))
        context.close()
    return cold, warm


def weight(files: list[str]) -> list[tuple[str, int, int, int]]:
    """Files, bytes and gzipped bytes by group, and their sum. Compressed as GitHub Pages does before it sends."""
    rows = []
    left = list(files)
    for title, prefixes in GROUPS:
        mine = [name for name in left if name.startswith(prefixes)]
        left = [name for name in left if name not in mine]
        data = [(SITE / name).read_bytes() for name in mine]
        rows.append((title, len(mine), sum(map(len, data)), sum(len(gzip.compress(item, 6)) for item in data)))
    sums = [sum(row[column] for row in rows) for column in (1, 2, 3)]  # type: ignore[misc]
    return [*rows, ("together", sums[0], sums[1], sums[2])]


def machine(browser: Browser) -> str:
    """Processor, cores, system and browser, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Chromium {browser.version} headless"


def report(cold: list[Visit], warm: list[Visit], where: str) -> str:
    """Both tables and the machine they come from."""

    def median(visits: list[Visit], name: str) -> str:
        return f"{statistics.median(each.times[name] for each in visits) / 1000:.1f} s"

    times = [[title, median(cold, name), median(warm, name)] for name, title in TIMES]
    sizes = [[title, str(count), human(plain), human(packed)] for title, count, plain, packed in weight(cold[0].files)]
    note = f"Median of {len(cold)} visits to a server on the same machine: {where}."
    return "\n".join(
        (
            readme_tables.table(["from opening the page until", "first visit", "second visit"], times),
            readme_tables.table(["fetched on the first visit", "files", "bytes", "gzipped"], sizes),
            note,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="first visits to measure (default 5)")
    parser.add_argument("--quick", action="store_true", help="one")
    given = parser.parse_args()
    runs = 1 if given.quick else given.runs
    executable = str(step_browser.require_chromium(install=False))
    with step_serve.running(SITE) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        cold, warm = measure(browser, address, runs)
        print(report(cold, warm, machine(browser)))
        browser.close()


if __name__ == "__main__":
    main()
