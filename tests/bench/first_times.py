"""From navigation to the first answer, cold: our page, an exported one, and the smallest of the peers; prints Markdown.

Run by `make.py bench --first`. All answer the same drawing of a seven with the same weights of `digits`, from the same
kind of server on the same machine, which compresses what GitHub Pages compresses. Our page and those of the peers take
the drawing from their address, the exported one by pointer events as soon as it listens; all show it and make the 28x28
themselves. Every visit is a new context of one Chromium, nothing in its cache; the pages take turns. The first answer
is the moment in which the digit stands in the page; nobody asks the page for anything meanwhile. Bytes are those of all
responses begun until then. Every page is visited twice in a turn: as fast as this machine goes, and over a line that
Chromium makes as slow as a visitor's.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "build"), str(ROOT / "tests" / "bench")]
sys.dont_write_bytecode = True

import first_work  # noqa: E402
import handlens  # noqa: E402
import numpy as np  # noqa: E402
import page_times  # noqa: E402
import readme_tables  # noqa: E402
import step_browser  # noqa: E402
import step_peers  # noqa: E402
import step_serve  # noqa: E402
from buildkit import SITE, human  # noqa: E402
from handlens.io.page_export import export  # noqa: E402

WEIGHTS = ROOT / "web" / "models" / "digits.safetensors"
ROUNDS = 11
LINE = {"offline": False, "latency": 40, "downloadThroughput": 10e6 / 8, "uploadThroughput": 10e6 / 8}  # ms, bytes/s
# ms, before a visit and in it before it is asked: a new context opens a window of Chromium's, which loads pages of its
# own, and a page that is asked has to answer. Both would be timed, too.
REST = 500
PATIENCE = 120  # s; a guard against hanging, no expectation
CLOSE = 1e-5  # to the core's probabilities of the same 28x28
DIGIT = "7"
# Notes the moment in which a digit stands where the answer does.
CLOCK = """
new MutationObserver(() => {
  const answer = document.getElementById("answer");
  if (window.answeredAt === undefined && answer && /^[0-9]$/.test(answer.textContent.trim())) {
    window.answeredAt = performance.now();
    window.answeredBy = answer.dataset.early === "no" ? "Python" : "";
  }
}).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
"""
# Draws on the exported page once it listens: that is when it gives itself a name.
DRAW = """
Element.prototype.setPointerCapture = () => {}; // there is no such pointer
let page;
Object.defineProperty(window, "handlens", {
  get: () => page,
  set(value) {
    page = value;
    const pad = document.getElementById("pad"), box = pad.getBoundingClientRect();
    const send = (type, [x, y]) => pad.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1, button: 0,
      clientX: box.left + (x / EXTENT) * box.width, clientY: box.top + (y / EXTENT) * box.height }));
    POINTS.forEach((point, k) => send(k ? "pointermove" : "pointerdown", point));
    send("pointerup", POINTS.at(-1));
  },
});
"""
FETCHED = """() => performance.getEntries()
  .filter((entry) => entry.encodedBodySize !== undefined && entry.startTime <= answeredAt)
  .map((entry) => [entry.name, entry.transferSize])"""


@dataclass
class Contestant:
    """A page; `folder` is what is served, `path` what is opened in it."""

    title: str
    folder: Path
    path: str
    script: str = ""
    times: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})  # ms, by: over the line
    fetched: list[tuple[str, int]] = field(default_factory=list)  # of the last visit: path below the folder, and bytes

    def sizes(self) -> list[str]:
        """Responses, their bytes unpacked, and as they were sent."""
        whole = sum((self.folder / name).stat().st_size for name, _ in self.fetched)
        return [str(len(self.fetched)), human(whole), human(sum(size for _, size in self.fetched))]


class Pages(step_serve.Handler):
    """Compresses text and WebAssembly, as GitHub Pages does."""

    PACKED = (".css", ".html", ".js", ".json", ".mjs", ".svg", ".wasm")

    def send_head(self):  # type: ignore[no-untyped-def]
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if path.suffix not in self.PACKED or not path.is_file():
            return super().send_head()
        data = squeezed(path)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return io.BytesIO(data)


@functools.cache
def squeezed(path: Path) -> bytes:
    """A file's bytes, compressed once."""
    return gzip.compress(path.read_bytes(), 6)


def contestants(work: Path) -> list[Contestant]:
    """Every page; `work` takes the export and the peers' models."""
    export(str(WEIGHTS), str(work / "export"))
    peers = step_peers.SITE / "first"
    for name, data in first_work.files(handlens.load(WEIGHTS)):
        (peers / name).write_bytes(data)
    points = json.dumps(first_work.SEVEN)
    draw = DRAW.replace("POINTS", points).replace("EXTENT", str(first_work.EXTENT))
    address = f"#draw?ink={first_work.link(first_work.packed(first_work.SEVEN))}"
    versions = step_peers.versions()
    return [
        Contestant("Handlens, this site", SITE, address),
        Contestant("Handlens, `handlens export`", work / "export", "", draw),
        Contestant(f"tfjs {versions['@tensorflow/tfjs-core']}, wasm", peers / "tfjs", address),
        Contestant(f"onnxruntime-web {versions['onnxruntime-web']}, wasm", peers / "ort", address),
    ]


def visit(browser: Browser, page: Contestant, address: str, model: handlens.Sequential, line: bool) -> None:
    """One cold visit; SystemExit where the page gives another answer, or one by Python."""
    context = browser.new_context()
    try:
        tab = context.new_page()
        if line:
            session = context.new_cdp_session(tab)
            session.send("Network.enable")
            session.send("Network.emulateNetworkConditions", LINE)
        tab.add_init_script(CLOCK + page.script)
        tab.wait_for_timeout(REST)
        tab.goto(address + page.path, wait_until="commit")
        tab.wait_for_timeout(REST)
        until = time.monotonic() + PATIENCE
        while not tab.evaluate("window.answeredAt !== undefined"):  # an exported page refuses to wait_for_function
            if time.monotonic() > until:
                raise SystemExit(f"first_times: {page.title} gives no answer")
            tab.wait_for_timeout(50)
        said = tab.evaluate("[document.getElementById('answer').textContent.trim(), answeredBy, answeredAt]")
        if said[:2] != [DIGIT, ""]:
            raise SystemExit(f"first_times: {page.title} answers {said[0]!r} {said[1]}, not {DIGIT!r}")
        shares: Any = tab.evaluate("window.probabilities ?? null")
        if shares is not None:
            image = np.array(tab.evaluate("Array.from(drawing)"), np.float32).reshape(1, 28, 28)
            if not np.abs(np.array(shares) - model.predict(image)[0]).max() <= CLOSE:
                raise SystemExit(f"first_times: {page.title} disagrees with the core: {shares}")
        tab.wait_for_timeout(300)  # what was begun before the answer ends, and is listed
        prefix = urlsplit(address).path
        found = [(urlsplit(name).path.removeprefix(prefix), size) for name, size in tab.evaluate(FETCHED)]
        if any(not size for _, size in found):
            raise SystemExit(f"first_times: {page.title}: a response came from a cache")
        page.times[line].append(float(said[2]))
        page.fetched = [(name or "index.html", size) for name, size in found]
    finally:
        context.close()


def report(pages: Sequence[Contestant], where: str) -> str:
    """The table, and what was measured on."""
    rows = [
        [page.title, *(f"{statistics.median(page.times[line]) / 1000:.2f} s" for line in (False, True)), *page.sizes()]
        for page in pages
    ]
    slow = f"over {8 * LINE['downloadThroughput'] / 1e6:.0f} Mbit/s, {LINE['latency']} ms"
    table = readme_tables.table(["page", "first answer", slow, "responses", "bytes", "as sent"], rows)
    return f"{table}\nMedians of {len(pages[0].times[False])} visits to a server on the same machine: {where}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one visit each")
    rounds = 1 if parser.parse_args().quick else ROUNDS
    executable = str(step_browser.require_chromium(install=False))
    model = handlens.load(WEIGHTS)
    with ExitStack() as stack, sync_playwright() as playwright:
        pages = contestants(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        addresses = [stack.enter_context(step_serve.running(page.folder, handler=Pages)) for page in pages]
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for turn in range(rounds + 1):
            for line in (False, True):
                for page, address in zip(pages, addresses, strict=True):
                    visit(browser, page, address, model, line)
                    if not turn:
                        page.times[line].clear()  # the first one starts the browser's own processes
        load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
        print(report(pages, f"{page_times.machine(browser)}; load average {load}"))
        browser.close()


if __name__ == "__main__":
    main()
