"""Other libraries of the browser, and ours, at the same work: `convnet`'s weights, one Chromium, one run.

Run by `make.py bench --peers`. Prints a Markdown table; `--json FILE` keeps one line a measurement with every round.

Each engine gets a tab of its own. Before it is timed it has to agree with the core: probabilities of eight images, and
the losses of two Adam steps (the second follows the first update); one that disagrees is reported, not timed. Times are
from a typed array in JavaScript to one, uploads and read-back included. After a warm-up the rounds of all engines take
turns, so that other work on the machine falls on all of them; the table has the medians. No peer drops out while it
trains (the masks are nobody else's), which spares it a little.

Handlens itself is `our_engine.py`: the built site's wheel in a worker, counted from Python to Python. `--torch PYTHON`
adds PyTorch on the host (`torch_engine.py`). On a processor all of them have one thread: onnxruntime-web, tfjs and
PyTorch are told so, and a page that is not isolated from other origins has no shared memory. Another engine is a class
with the methods of `Engine` below, appended to what `engines()` returns; `Unable(reason)` may be raised by all but
`close`, and becomes a dash with its reason.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PageError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "build"))
sys.dont_write_bytecode = True

import our_engine  # noqa: E402
import page_times  # noqa: E402
import peer_workload  # noqa: E402
import step_browser  # noqa: E402
import step_peers  # noqa: E402
import step_serve  # noqa: E402
import torch_engine  # noqa: E402
from buildkit import SITE  # noqa: E402
from handlens.data import mnist  # noqa: E402
from peer_report import Job, Kind, Record, duration, table  # noqa: E402
from peer_workload import CHECKED, STEPS, TRAIN_BATCH, Workload  # noqa: E402

# Tried with Chromium 156 as root on a machine without a GPU: --enable-unsafe-webgpu is all that WebGPU needs to give
# SwiftShader's adapter (without it requestAdapter() gives null); --use-webgpu-adapter=swiftshader and --use-angle
# change nothing there, and would keep a real GPU away. WebGL finds SwiftShader by itself. A tab that waits for its turn
# must not be slowed down when it comes.
FLAGS = (
    *("--no-sandbox", "--enable-unsafe-webgpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-default-apps", "--disable-sync", "--disable-domain-reliability", "--no-first-run", "--no-pings"),
    *("--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows"),
    "--disable-renderer-backgrounding",
)
PEERS = (
    *(("onnxruntime-web", "wasm"), ("onnxruntime-web", "webgpu")),
    *(("tfjs", "wasm"), ("tfjs", "cpu"), ("tfjs", "webgl"), ("tfjs", "webgpu")),
    *(("jax-js", "wasm"), ("jax-js", "webgpu")),
)
JOBS = (Job("infer", 1), Job("infer", 256), Job("train", TRAIN_BATCH))
WITHIN = 1e-3  # of the core's probabilities
WITHIN_LOSS = 1e-2  # of the core's losses, relatively


class Unable(Exception):
    """An engine cannot do this, or does it wrong; the text says why."""


class Engine(Protocol):
    """What the bench asks of an engine; it raises Unable(reason) where it cannot."""

    library: str
    backend: str

    def open(self, browser: Browser) -> str:
        """Start it; gives one line about it: version, adapter."""
        ...

    def probabilities(self, batch: int) -> list[float]:
        """Run the first `batch` images; gives the first CHECKED rows of ten, or as many as there are, flat."""
        ...

    def losses(self, batch: int, steps: int) -> list[float]:
        """Train that many steps from the given weights on the first `batch` images: Adam, 1e-3, no dropout."""
        ...

    def sample(self, job: Job, least: float) -> float:
        """Milliseconds a run, over as many runs as fill `least` milliseconds, one at least."""
        ...

    def close(self) -> None:
        """Free what it holds; called once, also after a failure."""
        ...


def plain(error: PageError) -> str:
    """The first line of an error in the page, without Playwright's part."""
    lines = error.message.strip().splitlines() or ["no reason given"]
    return lines[0].removeprefix("Page.evaluate: ").removeprefix("Error: ").strip()[:200]


class Peer:
    """One library on one backend in a tab of its own, behind tests/bench/peers/page.js."""

    def __init__(self, library: str, backend: str, address: str) -> None:
        self.library, self.backend, self.address = library, backend, address
        self.page: Page | None = None

    def call(self, method: str, *arguments: object) -> object:
        """Call a method of `window.peer` and wait for what it gives."""
        if self.page is None:
            raise Unable("its page is not open")
        try:
            return self.page.evaluate("([name, values]) => window.peer[name](...values)", [method, arguments])
        except PageError as error:
            raise Unable(plain(error)) from error

    def open(self, browser: Browser) -> str:
        """Load the page and start the library; no request may leave the server."""
        self.page = browser.new_context().new_page()
        own = urlsplit(self.address).netloc

        def watch(url: str) -> None:
            if url.startswith("http") and urlsplit(url).netloc != own:
                raise SystemExit(f"peer_times: {self.library} asks for {url}")

        self.page.on("request", lambda request: watch(request.url))
        try:
            self.page.goto(self.address + "page.html")
            self.page.wait_for_function("window.peer")
            if self.page.evaluate("crossOriginIsolated"):
                raise SystemExit("peer_times: the page is isolated, so that libraries may start threads")
        except PageError as error:
            raise Unable(plain(error)) from error
        return str(self.call("open", self.library, self.backend))

    def probabilities(self, batch: int) -> list[float]:
        """See Engine."""
        return self.call("probabilities", batch, CHECKED)  # type: ignore[return-value]

    def losses(self, batch: int, steps: int) -> list[float]:
        """See Engine."""
        return self.call("losses", batch, steps)  # type: ignore[return-value]

    def sample(self, job: Job, least: float) -> float:
        """See Engine."""
        if self.page is not None:
            self.page.bring_to_front()
        return float(self.call("sample", job.kind, job.batch, least))  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the tab."""
        if self.page is not None:
            self.page.context.close()


@dataclass(frozen=True)
class Pace:
    """How long to measure, in milliseconds."""

    rounds: int
    warm: float  # runs before the first round: WebAssembly starts in baseline code, JavaScript interpreted
    least: float  # a round, where a run is shorter
    cap: float  # an engine's rounds of one job; two are made in any case

    def done(self, record: Record, spent: float) -> bool:
        """True when this engine needs no further round."""
        count = len(record.samples)
        return count >= self.rounds or (count >= min(2, self.rounds) and spent >= self.cap)


THOROUGH = Pace(rounds=11, warm=1000, least=150, cap=20_000)
QUICK = Pace(rounds=1, warm=0, least=0, cap=0)


@dataclass
class Lane:
    """An engine and what became of it."""

    engine: Engine
    note: str = ""
    failed: str = ""
    records: dict[Job, Record] = field(default_factory=dict)


def say(text: str) -> None:
    """Progress goes to stderr: stdout is the table."""
    print(f"  {text}", file=sys.stderr, flush=True)


def check(engine: Engine, work: Workload, job: Job) -> None:
    """Hold an engine to the core at this job; raises Unable where they differ."""
    if job.kind == "infer":
        for batch in dict.fromkeys((CHECKED, job.batch)):
            apart = peer_workload.disagreement(work, engine.probabilities(batch))
            if apart > WITHIN:
                raise Unable(f"disagrees with the core by {apart:.2g} in a probability (batch {batch}); not timed")
        return
    found = engine.losses(job.batch, STEPS)
    apart = max(abs(a - b) / abs(b) for a, b in zip(found, work.losses, strict=True))
    if not apart <= WITHIN_LOSS:
        shown = ", ".join(f"{loss:.4f}" for loss in found)
        wanted = ", ".join(f"{loss:.4f}" for loss in work.losses)
        raise Unable(f"its losses are {shown}, the core's {wanted}; not timed")


def prepare(lane: Lane, work: Workload, job: Job, pace: Pace) -> None:
    """Check and warm up; a warm-up that took longer than the warm-up time is the first sample."""
    engine = lane.engine
    record = lane.records[job] = Record(engine.library, engine.backend, job, reason=lane.failed)
    if lane.failed:
        return
    try:
        check(engine, work, job)
        if pace.warm:
            took = engine.sample(job, pace.warm)
            if took > pace.warm:
                record.samples.append(took)
    except Unable as reason:
        record.reason = str(reason)
        say(f"{job.title}: {engine.library} {engine.backend}: {reason}")


def measure(lanes: Sequence[Lane], work: Workload, job: Job, pace: Pace) -> None:
    """One job on all engines: prepare each, then let their rounds take turns."""
    for lane in lanes:
        prepare(lane, work, job, pace)
    spent = {id(lane): sum(lane.records[job].samples) for lane in lanes}
    for _ in range(pace.rounds):
        for lane in lanes:
            record = lane.records[job]
            if record.reason or pace.done(record, spent[id(lane)]):
                continue
            try:
                record.samples.append(lane.engine.sample(job, pace.least))
                spent[id(lane)] += max(record.samples[-1], pace.least)
            except Unable as reason:
                record.reason, record.samples = str(reason), []
    for lane in lanes:
        record = lane.records[job]
        if record.median is not None:
            count = len(record.samples)
            say(f"{job.title}: {record.library} {record.backend}: {duration(record.median)}, {count} rounds")


@contextmanager
def opened(engines: Sequence[Engine], browser: Browser) -> Iterator[list[Lane]]:
    """All engines, started; closed afterwards whatever happens."""
    lanes = [Lane(engine) for engine in engines]
    try:
        for lane in lanes:
            try:
                lane.note = lane.engine.open(browser)
                say(f"started: {lane.note}")
            except Unable as reason:
                lane.failed = f"does not start: {reason}"
                say(f"{lane.engine.library} {lane.engine.backend} {lane.failed}")
        yield lanes
    finally:
        for lane in lanes:
            lane.engine.close()


def engines(address: str, site: str, work: Workload, torch: str, wanted: Callable[[str], bool]) -> list[Engine]:
    """Every engine of the bench, in the table's order: ours first. torch: a Python that has PyTorch, or ""."""
    found: list[Engine] = [*our_engine.all_of(site, work, Unable)]
    found += [Peer(library, backend, address) for library, backend in PEERS]
    found += [torch_engine.Torch(torch, step_peers.SITE / "work", Unable)] if torch else []
    return [engine for engine in found if wanted(f"{engine.library} {engine.backend}")]


def adapter(browser: Browser, address: str) -> str:
    """What answers to WebGPU here, in a few words."""
    page = browser.new_page()
    page.goto(address + "page.html")
    found = page.evaluate(
        """async () => {
          const info = (await navigator.gpu?.requestAdapter())?.info;
          if (!info) return "no adapter";
          const words = [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(" ");
          return words + (info.isFallbackAdapter ? " (software)" : "");
        }"""
    )
    page.close()
    return str(found)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one round, no warm-up: does everything still run?")
    parser.add_argument("--only", default="", help='engines whose "library backend" contains one of these words (a,b)')
    parser.add_argument("--kind", choices=["infer", "train"], help="only these jobs")
    parser.add_argument("--torch", default="", metavar="PYTHON", help="measure PyTorch, too, in this Python")
    parser.add_argument("--json", type=Path, help="write one line of JSON a measurement here")
    return parser.parse_args()


def main() -> None:
    args = options()
    words = [word for word in args.only.split(",") if word]
    kind: Kind | None = args.kind
    jobs = [job for job in JOBS if kind in (None, job.kind)]
    executable = str(step_browser.require_chromium(install=False))
    data = mnist.load()
    work = peer_workload.make(ROOT / "web" / "models" / "convnet.safetensors", data.test_images, data.test_labels)
    peer_workload.write(work, step_peers.SITE / "work")
    serving = step_serve.running
    with serving(step_peers.SITE) as address, serving(SITE) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        where = f"{page_times.machine(browser)}; WebGPU: {adapter(browser, address)}"
        chosen = engines(address, site, work, args.torch, lambda name: not words or any(word in name for word in words))
        with opened(chosen, browser) as lanes:
            for job in jobs:
                measure(lanes, work, job, QUICK if args.quick else THOROUGH)
        browser.close()
    records = [lane.records[job] for lane in lanes for job in jobs]
    print(table(records, jobs))
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"Medians; {where}; load average at the end {load}. Versions: {', '.join(lane.note for lane in lanes)}.")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        lines = [record.line(machine=where, quick=args.quick) for record in records]
        args.json.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
