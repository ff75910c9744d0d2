"""From a stroke to the refreshed maps of "Look inside", and the longest task of the main thread; prints Markdown.

Run by `make.py bench --views`. The page is opened at a view, with a seven on the pad; then strokes are drawn by pointer
events, a frame apart, as a hand would. Each change of the ink has a version. Counted is, for each of them, the time
from the pointer's event until the view has painted this version or a newer one: so waiting for an answer in flight
counts too. "At rest" is a stroke's first touch, with nothing in flight; "drawing" is every change of a stroke. A task
is what keeps the main thread busy in one go; the browser itself reports those over 50 ms.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "build"), str(ROOT / "tests" / "bench")]
sys.dont_write_bytecode = True

import first_work  # noqa: E402
import page_times  # noqa: E402
import readme_tables  # noqa: E402
import step_browser  # noqa: E402
import step_serve  # noqa: E402
from buildkit import SITE  # noqa: E402

STROKES = 12
BACKENDS = {"native": "compiled", "numpy": "NumPy"}
FRAME = 16  # ms from one pointer event to the next
PATIENCE = 120_000  # ms; a guard against hanging, no expectation
# What is looked at while one draws: title and place in the address.
VIEWS = (
    ("the whole network", "model=digits"),
    ("a layer", "model=digits&layer=conv2&cell=3"),
    ("one number", "model=digits&layer=conv2&cell=3.4.5"),
    ("a neuron of the ANN", "model=ann&layer=dense1&cell=3"),
)
# Notes when each version of the ink was made and when it was shown, and every long task.
WATCH = """
window.made = [];
window.waits = [];
window.tasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.tasks.push([entry.startTime, entry.duration]);
}).observe({ type: "longtask", buffered: true });
for (const name of ["pointerdown", "pointermove", "pointerup"]) {
  let before = 0;
  addEventListener(name, () => { before = window.pad?.version() ?? 0; }, { capture: true });
  addEventListener(name, (event) => {
    const version = window.pad?.version() ?? 0;
    if (version !== before) window.made.push([version, event.timeStamp, name]);
  });
}
new MutationObserver((records) => {
  for (const record of records) {
    if (record.target.id !== "inside-view") continue;
    const shown = Number(record.target.dataset.version), now = performance.now();
    window.made = window.made.filter(([version, at, name]) => {
      if (version <= shown) window.waits.push([name, now - at]);
      return version > shown;
    });
  }
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-version"] });
"""
SHOWN = """() => {
  const view = document.getElementById("inside-view");
  return view && !view.hidden && view.dataset.version === String(pad.version());
}"""
INK = first_work.link(first_work.packed(first_work.SEVEN))
RESTED = 600  # ms after the last answer: other models and the address have followed


@dataclass
class Waits:
    """Milliseconds from ink to maps, and of the long tasks meanwhile."""

    rest: list[float] = field(default_factory=list)
    drawing: list[float] = field(default_factory=list)
    tasks: list[float] = field(default_factory=list)

    def take(self, page: Page) -> None:
        """Everything noted since the last time."""
        for name, wait in page.evaluate("waits.splice(0)"):
            (self.rest if name == "pointerdown" else self.drawing).append(wait)
        self.tasks += [duration for _, duration in page.evaluate("tasks.splice(0)")]

    def cells(self) -> list[str]:
        """Medians and the slowest of twenty, and the longest task."""
        return [*(f"{statistics.median(some):.0f} ms" for some in (self.rest, self.drawing)), longest(self.tasks)]


def longest(tasks: Sequence[float]) -> str:
    """How many tasks over 50 ms, and the longest of them."""
    return f"{len(tasks)}, up to {max(tasks):.0f} ms" if tasks else "none"


def stroke(page: Page, number: int) -> None:
    """A short stroke, never the same twice, an event a frame."""
    box: Any = page.get_by_test_id("pad").bounding_box()
    x, y = 0.3 + 0.03 * (number % 12), 0.35 + 0.04 * (number % 9)

    def at(k: int) -> tuple[float, float]:
        return box["x"] + (x + 0.012 * k) * box["width"], box["y"] + (y + 0.015 * k) * box["height"]

    page.mouse.move(*at(0))
    page.mouse.down()
    for k in range(1, 13):
        page.wait_for_timeout(FRAME)
        page.mouse.move(*at(k))
    page.mouse.up()


def settle(page: Page) -> None:
    """Until the view shows the drawing as it is, and all that follows has been asked for."""
    page.wait_for_function(SHOWN)
    page.wait_for_timeout(RESTED)


def opened(browser: Browser, address: str) -> Page:
    """A tab on this address, its engine there and every model loaded."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(address)
    page.wait_for_function("document.documentElement.dataset.engine === 'ready'")
    page.wait_for_function("document.querySelectorAll('[data-testid^=model-] .spinner, [aria-busy=true]').length === 0")
    page.wait_for_timeout(3000)  # the other models are loaded, the views' files fetched
    return page


def drawn(page: Page, place: str, strokes: int) -> Waits:
    """Strokes on one view."""
    page.evaluate("(place) => { location.hash = place; }", f"inside?{place}&ink={INK}")
    page.wait_for_timeout(RESTED)
    settle(page)
    waits = Waits()
    for number in range(strokes + 2):
        if number == 2:  # the first two are not counted: the browser has optimised what runs often by then
            page.evaluate("waits.length = tasks.length = 0")
        stroke(page, number)
        settle(page)
        page.get_by_test_id("undo").click()
        settle(page)
    waits.take(page)
    return waits


def all_drawn(browser: Browser, address: str, only: str, strokes: int) -> dict[tuple[str, str], Waits]:
    """Strokes on every view with each backend."""
    found = {}
    for backend in BACKENDS:
        page = opened(browser, f"{address}?backend={backend}#inside?{VIEWS[0][1]}&ink={INK}")
        settle(page)
        computes = page.evaluate("document.documentElement.dataset.backend")
        if computes != backend:
            raise SystemExit(f"view_times: {backend} was asked for, {computes} computes")
        for title, place in VIEWS:
            if only in title:
                found[title, backend] = drawn(page, place, strokes)
        page.context.close()
    return {(title, backend): found[title, backend] for title, _ in VIEWS for backend in BACKENDS if only in title}


def walk(browser: Browser, address: str) -> list[tuple[str, list[float]]]:
    """A visit from the first byte on, and the long tasks of each part of it."""
    parts: list[tuple[str, list[float]]] = []
    page = opened(browser, f"{address}#draw?ink={INK}")

    def took(title: str, act: Callable[[], object], until: str = "true") -> None:
        act()
        page.wait_for_function(until)
        page.wait_for_timeout(RESTED)
        parts.append((title, [duration for _, duration in page.evaluate("tasks.splice(0)")]))

    def at(kind: str) -> str:
        return f"document.getElementById('inside-view')?.dataset.shown?.startsWith('{kind}')"

    def go(place: str) -> Callable[[], object]:
        return lambda: page.evaluate("(place) => { location.hash = place; }", f"inside?model=digits&{place}&ink={INK}")

    def play() -> None:
        page.get_by_test_id("lens-speed").select_option("8.0")
        page.get_by_test_id("lens-play").click()
        page.wait_for_timeout(3000)
        page.get_by_test_id("lens-play").click()

    def read() -> None:
        for _ in range(60):
            page.mouse.wheel(0, 400)
            page.wait_for_timeout(60)

    took("from the first byte until Python is here", lambda: None)
    took("drawing", lambda: stroke(page, 1))
    took("the whole network opens", lambda: page.get_by_test_id("view-inside").click(), at("whole"))
    took("a layer opens", go("layer=conv2&cell=3"), at("conv2 layer"))
    took("the lens opens", go("layer=conv2&cell=3.4.5"), at("conv2 cell"))
    took("the lens plays", play)
    took("a number's making unfolds", go("layer=conv2&cell=3.4.5&of=conv2:3.4.5"), at("conv2 cell"))
    took("why opens", go("tab=why"), at("why"))
    took("the operating table opens", go("tab=table"), at("table"))
    took("the article opens", lambda: page.get_by_test_id("view-article").click())
    took("the article is read", read)
    page.context.close()
    return parts


def report(waits: dict[tuple[str, str], Waits], parts: Sequence[tuple[str, list[float]]], where: str) -> str:
    """Both tables, and the machine they come from."""
    head = ["shown while drawing", "backend", "at rest", "drawing", "tasks over 50 ms"]
    rows = [[title, BACKENDS[backend], *found.cells()] for (title, backend), found in waits.items()]
    walked = [[title, longest(tasks)] for title, tasks in parts]
    drawing = readme_tables.table(head, rows, 2)
    return f"{drawing}\n{readme_tables.table(['part of a visit', 'tasks over 50 ms'], walked)}\nMedians; {where}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one stroke each")
    parser.add_argument("--only", default="", help="only views whose title has this, and no walk")
    given = parser.parse_args()
    executable = str(step_browser.require_chromium(install=False))
    with step_serve.running(SITE) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        waits = all_drawn(browser, address, given.only, 1 if given.quick else STROKES)
        parts = [] if given.only else walk(browser, address)
        load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
        print(report(waits, parts, f"{page_times.machine(browser)}; load average {load}"))
        browser.close()


if __name__ == "__main__":
    main()
