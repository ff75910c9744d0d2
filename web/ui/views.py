"""The views beside the drawing: which there are, which one is open, and their files, fetched when first opened.

A view's module offers `setup(host)`, `open(said)` with what the address says, `close()`, `changed(reading)` at every
answer, `engine_changed()`, `repaint()` after a change of theme, `state()`, what the address is to remember, and
`question()`: what to ask about each new drawing in the same message as its reading, or None; `reading.inside` is the
answer.
"""

import asyncio
import json
import os
import sys

from pyscript import document, fetch, window
from ui import dom
from ui.worker import EngineError

# In the order of who needs whom.
INSIDE = ("figures", "parts", "plate", "cells", "arrow", "worth", "why", "kernels", "layer", "lens", "terms", "steps")
INSIDE += ("overview", "certificate", "compare", "sizes", "laid", "operate", "view")
ARTICLE = ("kit", "neurons", "images", "kernels", "layers", "view")

# For each: the name in the address is the key; its module, its files beside the page, and its style sheets.
VIEWS = {
    "inside": {
        "title": "Look inside",
        "module": "ui.inside.view",
        "files": ["ui/inside/" + name + ".py" for name in INSIDE],
        "styles": ["style/dock.css", "style/inside.css"],
        "keys": (
            ("Arrow keys", "choose a map, or move the lens"),
            ("Enter", "goes deeper: from a map to a number, from a number to how it was made"),
            ("Escape", "comes back"),
        ),
    },
    "article": {
        "title": "Article",
        "module": "ui.article.view",
        "files": ["ui/inside/figures.py"] + ["ui/article/" + name + ".py" for name in ARTICLE],
        "styles": ["style/dock.css", "style/article.css"],
    },
}

_links = dom.find("views")
_state: dict = {"open": "draw", "host": None, "wanted": "draw"}
_loaded: dict = {}  # by name: the module
_fetched: set = set()


class Host:
    """What a view may use: `engine`, `pad`, the `models` table, and the functions below."""

    def __init__(self, engine, models, reader, choose_model, remember, opened, look_at) -> None:
        self.engine, self.pad, self.models, self.reader = engine, window.pad, models, reader
        self.choose_model, self.remember, self.opened = choose_model, remember, opened
        self.look_at = look_at
        self.asked = False  # a number elsewhere on the page has led to the view: the keyboard follows
        self.reading = None  # the last answer; None where nobody has read the drawing yet

    def say(self, sentence: str, after_ms: int = 0) -> None:
        """Let a screen reader say this."""
        dom.speak(sentence, after_ms)

    def version(self) -> int:
        """That of the drawing which the engine has read: the pad's may be newer."""
        return self.pad.version() if self.reading is None else self.reading.version

    def ready(self) -> bool:
        """Whether the engine stands and has the chosen model."""
        return self.engine.state == "ready" and bool(self.reader.model)

    async def ask(self, question: str, seconds: int = 0, **arguments):
        """One question to the core. Raises EngineError with the core's own sentence, or EngineGoneError."""
        return await self.engine.call("inside", question, json.dumps(arguments), seconds=seconds)


def setup(host) -> None:
    """`host`: what the views may use. A click in the header keeps model and drawing, which its plain link would not."""
    _state["host"] = host

    def clicked(event) -> None:
        link = event.target.closest("a")
        if link and not (event.ctrlKey or event.metaKey or event.shiftKey or event.button):
            event.preventDefault()
            navigate(link.getAttribute("href")[1:], {})

    dom.listen(_links, "click", clicked)


def host():
    """What the views may use, for a part of one that asks for itself."""
    return _state["host"]


def current() -> str:
    """The name of the open view; "draw" for the drawing itself."""
    return _state["open"]


def known(name: str) -> bool:
    """Whether there is a view of this name."""
    return name == "draw" or name in VIEWS


def keys() -> list:
    """Title and keys of the open view, for the help."""
    view = VIEWS.get(current(), {})
    return [(view["title"], view["keys"])] if "keys" in view else []


def state() -> dict:
    """What the open view wants the address to remember."""
    module = _loaded.get(current())
    return module.state() if module else {}


def question() -> str:
    """What the open view asks about every new drawing, as JSON; "" for nothing."""
    module = _loaded.get(current())
    found = module.question() if module else None
    return json.dumps(found) if found else ""


def changed(reading) -> None:
    """A new answer; the open view follows."""
    _state["host"].reading = reading
    module = _loaded.get(current())
    if module:
        module.changed(reading)


def engine_changed() -> None:
    """Loading, ready or failed."""
    module = _loaded.get(current())
    if module:
        module.engine_changed()


def repaint() -> None:
    """After a change of theme."""
    module = _loaded.get(current())
    if module:
        module.repaint()


async def go(name: str, said: dict) -> None:
    """Open a view with what the address says of it; the one before is closed."""
    _state["wanted"] = name
    if name != "draw" and name not in _loaded:
        dom.root.setAttribute("data-opening", name)
        try:
            await _load(name)
        except Exception as error:  # a file that does not come: the promise says why
            dom.find("notice").textContent = f"{VIEWS[name]['title']} could not be fetched: {error}. Try again."
            dom.find("notice").hidden = False
            return
        finally:
            dom.root.removeAttribute("data-opening")
        if _state["wanted"] != name:  # the visitor has gone elsewhere meanwhile
            return
    before = current()
    if before not in (name, "draw"):
        _loaded[before].close()
    _state["open"] = name
    dom.root.setAttribute("data-view", name)
    if name == "draw":
        dom.root.removeAttribute("data-docked")
    else:
        dom.root.setAttribute("data-docked", "yes")
    for k in range(_links.children.length):
        link = _links.children[k]
        if link.getAttribute("href") == "#" + name:
            link.setAttribute("aria-current", "page")
        else:
            link.removeAttribute("aria-current")
    if before != name:
        window.scrollTo(0, 0)  # before the view opens: it may lead on to a place of its own
    if name in _loaded:
        _loaded[name].open(said)
    if before != name:
        _state["host"].opened()


def navigate(name: str, said: dict, asked: bool = False) -> None:
    """Open a view from the page; Back returns to where one was. `asked`: for how a number was made."""
    dom.run(_navigate(name, said, asked))


async def _navigate(name: str, said: dict, asked: bool) -> None:
    _state["host"].asked = asked
    await go(name, said)
    _state["host"].asked = False
    if current() == name:
        _state["host"].remember(True)


async def _load(name: str) -> None:
    view = VIEWS[name]
    await _import(view)
    module = sys.modules[view["module"]]
    if name not in _loaded:
        module.setup(_state["host"])
        _loaded[name] = module


async def _import(view) -> None:
    """Its modules, one a turn of the event loop: pen and keys get through between any two."""
    await _fetch(view)
    for file in view["files"]:
        module = file[: -len(".py")].replace("/", ".")
        if module not in sys.modules:
            __import__(module)
            await dom.turn()


async def _fetch(view) -> None:
    """Put the view's files where Python finds them, and its style sheets into the page."""
    for sheet in view["styles"]:
        if sheet not in _fetched:
            _fetched.add(sheet)
            link = dom.make("link", "", None, rel="stylesheet", href=sheet)
            document.head.append(link)
            for _ in range(300):  # until it is here: the view is not shown without it
                if link.sheet:
                    break
                await asyncio.sleep_ms(10)
    for file in view["files"]:
        if file in _fetched:
            continue
        response = await fetch(file)
        if not response.ok:
            raise EngineError(f"{file}: the server answered {response.status}")
        text = await response.text()
        folder = file.rsplit("/", 1)[0]
        if folder.split("/")[-1] not in os.listdir(folder.rsplit("/", 1)[0]):
            os.mkdir(folder)
        with open(file, "w") as out:
            out.write(text)
        _fetched.add(file)


async def fetch_ahead() -> None:
    """In idle time: the modules of all views, so that they open at once."""
    for view in VIEWS.values():
        try:
            await _import(view)
        except Exception as error:
            print("a view's files:", error)
            return
