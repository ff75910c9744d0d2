"""The built site in headless Chromium: one browser, one desk that most tests share, and watchers on every page."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from looks import at
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, sync_playwright

# Nothing of the browser's own may go to the network while a test watches what the page asks for.
QUIET = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-domain-reliability",
    "--no-first-run",
    "--no-pings",
)
READY = 120_000  # ms; Pyodide starts in seconds, but a laden machine may take its time
CELLS = 28
A_SEVEN = [(8, 7), (13, 7), (19.5, 7), (17, 12), (15, 17), (13.5, 21.5)]

Points = Sequence[tuple[float, float]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


class Watch:
    """Everything a page asked for and complained about."""

    def __init__(self, page: Page, origin: str) -> None:
        self.origin, self.requests, self.errors = origin, [], []
        self.allowed: tuple[str, ...] = ()  # parts of messages that a test provokes
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))
        page.on("console", self._console)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def foreign(self) -> list[str]:
        """Requests that left the site; blob: and data: never leave the tab."""
        own = urlsplit(self.origin).netloc
        parts = [(url, urlsplit(url)) for url in self.requests]
        return [url for url, part in parts if part.scheme not in ("blob", "data") and part.netloc != own]

    def unexpected(self) -> list[str]:
        """Errors that no test has asked for."""
        return [text for text in self.errors if not any(part in text for part in self.allowed)]

    def check(self) -> None:
        """No request elsewhere, no error."""
        assert self.foreign() == []
        assert self.unexpected() == []


class Desk:
    """The page as a visitor uses it. Points are in cells of the 28 x 28 grid, (0, 0) the pad's top left corner."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page, self.origin = page, origin
        self.session: Any = None  # to the browser's input
        self.watch = Watch(page, origin)

    def open(self, address: str = "", ready: bool = True) -> Desk:
        """Load the page; `address` is what comes after the folder, e.g. "?backend=webgpu#draw"."""
        self.page.goto(self.origin + address)
        if ready:
            self.ready()
        return self

    def ready(self) -> None:
        """Wait for the engine."""
        self.page.wait_for_selector("html[data-engine=ready]", timeout=READY)
        self.page.wait_for_function("document.querySelectorAll('#models tbody tr').length > 0")

    def get(self, name: str) -> Locator:
        """An element by its test id."""
        return self.page.get_by_test_id(name)

    def box(self) -> dict[str, float]:
        """The pad's place on the screen; scrolled into sight if need be."""
        self.get("pad").scroll_into_view_if_needed()
        box = self.get("pad").bounding_box()
        assert box is not None
        return {**box}

    def stroke(self, points: Points, lift: bool = True) -> None:
        """Draw with the mouse through these points."""
        self.strokes([points], lift)

    def strokes(
        self, strokes: Sequence[Sequence[tuple[float, float]]], lift: bool = True, pointer: str = "mouse"
    ) -> None:
        """Draw several strokes with the mouse or a pen: the browser's own input, as fast as it takes it."""
        box = self.box()
        events: list[dict[str, Any]] = []
        for stroke in strokes:
            places = [(box["x"] + x * box["width"] / CELLS, box["y"] + y * box["height"] / CELLS) for x, y in stroke]
            steps = [("mouseMoved", places[0], 0), ("mousePressed", places[0], 1)]
            steps += [("mouseMoved", place, 1) for place in places[1:]]
            steps += [("mouseReleased", places[-1], 0)] if lift else []
            for kind, (x, y), buttons in steps:
                button = "none" if kind == "mouseMoved" and not buttons else "left"
                event = {"type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "pointerType": pointer}
                events.append({**event, "clickCount": int(kind != "mouseMoved")})
        self.input("Input.dispatchMouseEvent", events)

    def lift(self) -> None:
        """Take the mouse button up."""
        event = {"type": "mouseReleased", "x": 0, "y": 0, "button": "left", "buttons": 0, "clickCount": 1}
        self.input("Input.dispatchMouseEvent", [event])

    def input(self, method: str, events: Sequence[dict[str, Any]]) -> None:
        """Send input events in one go: waiting for each of a digit's 200 takes longer than reading the digit.

        Playwright's synchronous interface has no such call; where the step behind it has changed, they go one by one.
        """
        if self.session is None:
            self.session = self.page.context.new_cdp_session(self.page)
        session = getattr(self.session, "_impl_obj", None)
        if session is None or list(inspect.signature(session.send).parameters) != ["method", "params", "timeout"]:
            for event in events:
                self.session.send(method, event)
        else:

            async def send() -> None:
                await asyncio.gather(*(session.send(method, event, None) for event in events))

            self.page._sync(send())
        # The browser hands moves to the page frame by frame: two frames later it has them all.
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def width(self, units: int) -> None:
        """Set the brush; a cell is ten units wide."""
        self.get("width").fill(str(units))

    def blank(self) -> None:
        """Start at the drawing, with an empty pad, the pen and its usual width."""
        if self.page.get_attribute("html", "data-view") not in (None, "draw"):  # where a test that failed has left it
            self.get("view-draw").click()
            self.page.wait_for_function("document.documentElement.dataset.view === 'draw'")
        if self.page.evaluate("pad.busy()"):
            self.lift()
        self.page.evaluate("pad.clear()")
        if self.get("eraser").get_attribute("aria-pressed") == "true":
            self.get("eraser").click()
        if self.get("samples").get_attribute("aria-pressed") == "true":
            self.get("samples").click()
        self.page.evaluate("document.getElementById('numbers').open = false")
        self.width(22)
        self.settled()

    def settled(self) -> str:
        """Wait until the answer is that of the drawing as it stands, and the engine's once that is ready; gives it."""
        self.page.wait_for_function(
            """() => {
              const { version, early } = document.getElementById("answer").dataset;
              const ready = document.documentElement.dataset.engine === "ready";
              return version === String(pad.version()) && !(ready && early === "yes");
            }""",
            timeout=60_000,
        )
        return self.answer()

    def rested(self) -> None:
        """Wait until also the steps, the models and the maps have followed."""
        self.settled()
        self.page.wait_for_function(
            "document.getElementById('strip').dataset.version === String(pad.version())", timeout=60_000
        )

    def answer(self) -> str:
        return self.get("answer").inner_text()

    def note(self) -> str:
        return self.get("answer-note").inner_text()

    def digit(self) -> int:
        """The most probable digit, of a number each of them, also where the page does not call it the answer."""
        return int(self.get("answer").get_attribute("data-digit") or -1)

    def shares(self) -> list[float]:
        """The ten digits' meters, in percent, of the digit that is looked at."""
        return [float(self.get(f"prob-{digit}").get_attribute("aria-valuenow") or "nan") for digit in range(10)]

    def none(self) -> float:
        """The meter of "not one digit", in percent."""
        return float(self.get("prob-none").get_attribute("aria-valuenow") or "nan")

    def look_at(self, place: int) -> None:
        """Choose a digit of a number, from 0, for bars, steps and maps."""
        self.get(f"place-{place}").click()
        self.page.wait_for_function(
            f"document.querySelector('[data-testid=place-{place}]').getAttribute('aria-pressed') === 'true'"
        )

    def flat(self) -> list[float]:
        """The drawing as the pad packs it for the engine."""
        return self.page.evaluate("Array.from(pad.flat())")

    def seven(self) -> None:
        """A plain 7."""
        self.stroke([(8, 7), (13, 7), (19.5, 7), (17, 12), (15, 17), (13.5, 21.5)])


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    """One Chromium for the session."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def gpu_browser(browser: Browser, chromium_path: str) -> Iterator[Browser]:
    """A Chromium that offers WebGPU: on SwiftShader, where the machine has no GPU."""
    args = [*QUIET, "--enable-unsafe-webgpu"]
    found = browser.browser_type.launch(executable_path=chromium_path, args=args)
    yield found
    found.close()


@pytest.fixture(scope="session")
def open_desk(browser: Browser, site_url: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., Desk]]:
    """Make a desk in a context of its own: no storage shared, and options such as `has_touch`; with `gpu`, in a
    Chromium that offers WebGPU."""
    contexts: list[BrowserContext] = []

    def make(gpu: bool = False, **options: Any) -> Desk:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = (request.getfixturevalue("gpu_browser") if gpu else browser).new_context(**options)
        contexts.append(context)
        return Desk(context.new_page(), site_url)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def new_desk(open_desk: Callable[..., Desk]) -> Iterator[Callable[..., Desk]]:
    """Desks for one test: closed and checked at its end."""
    made: list[Desk] = []

    def make(**options: Any) -> Desk:
        made.append(open_desk(**options))
        return made[-1]

    yield make
    for desk in made:
        desk.watch.check()
        desk.page.context.close()


@pytest.fixture(scope="session")
def shared_desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk().open()


@pytest.fixture
def desk(shared_desk: Desk) -> Iterator[Desk]:
    """The desk that tests share, with an empty pad; afterwards nothing may have gone wrong on it."""
    shared_desk.blank()
    yield shared_desk
    shared_desk.watch.check()


@pytest.fixture(scope="session")
def shared_phone(open_desk: Callable[..., Desk]) -> Desk:
    phone = {"width": 390, "height": 844}
    return open_desk(viewport=phone, has_touch=True, is_mobile=True, device_scale_factor=3).open()


@pytest.fixture
def phone(shared_phone: Desk) -> Iterator[Desk]:
    """The page on a telephone with a touch screen."""
    shared_phone.page.set_viewport_size({"width": 390, "height": 844})
    shared_phone.blank()
    shared_phone.page.evaluate("window.scrollTo(0, 0)")
    yield shared_phone
    shared_phone.watch.check()


@pytest.fixture(scope="session")
def gallery(root: Any) -> list[dict[str, Any]]:
    """The entries of the gallery of test images."""
    return json.loads((root / "web" / "gallery" / "index.json").read_text("utf-8"))["images"]


@pytest.fixture(scope="session")
def mnist_test(mnist_dir: Any) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's test images and labels, read here by hand so that the page is held to the files, not to our reader."""
    images = np.frombuffer((mnist_dir / "t10k-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    labels = np.frombuffer((mnist_dir / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    return images.reshape(-1, CELLS, CELLS), labels


@pytest.fixture(scope="session")
def axe(root: Any) -> str:
    """The rules of axe-core."""
    file = root / "node_modules" / "axe-core" / "axe.min.js"
    if not file.is_file():
        pytest.fail("axe-core is not installed; run `python3 build/make.py setup`")
    return file.read_text("utf-8")


@pytest.fixture
def inside(desk: Any) -> Iterator[Any]:
    """The shared desk with a seven, the view open; afterwards back at the drawing."""
    desk.stroke(A_SEVEN)
    desk.rested()
    desk.get("view-inside").click()
    at(desk, "whole")
    yield desk
    if desk.get("inside-model").input_value() != "digits":
        desk.get("inside-model").select_option("digits")
    desk.get("view-draw").click()
    desk.page.wait_for_function("document.documentElement.dataset.view === 'draw'")
