"""The article: the text, fetched when the view is first opened, and its live figures, which follow the drawing.

A figure asks the core only while it is on the screen, one question at a time; the latest wish of each wins.
"""

import asyncio

from pyscript import document, fetch, window
from pyscript.ffi import create_proxy
from ui import dom, views
from ui.article import images, kernels, layers, neurons
from ui.worker import EngineError, EngineGoneError

PREFIX = "article-"  # of the sections' ids
WAITING = "Python is on its way. You can read already; the figures come alive when it is here."
FAMILIES = ("neurons", "counts", "maps")

KINDS: dict = {}
for _module in (neurons, images, kernels, layers):
    KINDS.update(_module.FIGURES)

_s: dict = {
    "host": None,
    "root": None,
    "figures": [],
    "at": "",
    "text": "none",  # "none", "coming", "here"
    "running": False,
    "watch": None,
}


def setup(host) -> None:
    """Make the view's frame, once; the text comes when it is opened."""
    root = dom.make("section", "", None, class_="view reading", id="article", aria_label="The article")
    root.hidden = True
    document.querySelector("main").append(root)
    _s["host"], _s["root"] = host, root
    _s["note"] = dom.make("p", "", root, class_="view-note", data_testid="article-note")
    _s["body"] = dom.make("div", "", root, class_="article-body", data_testid="article-body")


def open(said: dict) -> None:
    """Show the text, at the section that the address names."""
    back, _s["root"].hidden = bool(_s["root"].hidden), False
    wanted = said.get("at", "")
    moved = wanted != _s["at"]
    _s["at"] = wanted
    if _s["text"] == "here":
        follow()
        if moved or (back and wanted):  # the page stands at its beginning when a view is opened
            to_section()
    elif _s["text"] == "none":
        _s["text"] = "coming"
        dom.run(_fetch())


def close() -> None:
    """Another view is shown."""
    _s["root"].hidden = True


def state() -> dict:
    """What the address remembers: the section."""
    return {"at": _s["at"]}


def question():
    """Nothing along with a reading: each figure asks for itself while it is on the screen."""
    return


def changed(reading) -> None:
    """The drawing has been read anew: figures about it are out of date."""
    if reading is None:
        return
    for figure in _s["figures"]:
        if figure.follows:
            figure.stale = True
    follow()


def engine_changed() -> None:
    """Python is on its way, here, or gone."""
    _note()
    follow()


def repaint() -> None:
    """After a change of theme."""
    for figure in _s["figures"]:
        figure.repaint()


# -- the text ------------------------------------------------------------------------------------------------
async def _fetch() -> None:
    try:
        response = await fetch("article/index.html")
        if not response.ok:
            raise EngineError(f"the server answered {response.status}")
        page = window.DOMParser.new().parseFromString(await response.text(), "text/html")
        text = document.adoptNode(page.querySelector("article"))
        begun = await fetch("article/figures.json")
        examples = window.JSON.parse(await begun.text()) if begun.ok else None
    except Exception as error:  # of the promise: no network, or a server that refuses
        _s["text"] = "none"
        _s["note"].textContent = f"The text could not be fetched: {error}. Open the view again to try once more."
        _s["note"].hidden = False
        return
    _links(text)
    _s["body"].replaceChildren(text)
    _s["text"] = "here"
    for root in list(text.querySelectorAll("figure.live")):
        figure = KINDS[root.getAttribute("data-live")](root, follow)
        _s["figures"].append(figure)
        await dom.turn()  # strokes and clicks get through between any two
    _again(text)
    _watch(text)
    _note()
    follow()
    wanted = _s["at"]
    if wanted:
        to_section()
    start = window.scrollY
    for figure in _s["figures"]:
        if figure.data is None and examples is not None:
            figure.answered(getattr(examples, figure.name), False)
            await dom.turn()
    if wanted and window.scrollY == start:  # nobody has scrolled, and no browser has made up for what grew above
        _s["at"] = wanted
        to_section()


def _links(text) -> None:
    """Links within the text become addresses of this view, links back to the page lead to its views."""
    for link in list(text.querySelectorAll("a[href]")):
        address = link.getAttribute("href")
        if address.startswith("#" + PREFIX):
            link.setAttribute("href", "#article?at=" + address[len(PREFIX) + 1 :])
            dom.listen(link, "click", _follower(address[len(PREFIX) + 1 :]))
        elif address.startswith("../index.html#"):
            link.setAttribute("href", address[len("../index.html") :])
            dom.listen(link, "click", _follower(address[len("../index.html#") :], True))


def _follower(name: str, view: bool = False):
    """A click keeps model and drawing, which the plain link would not. `view`: another view is meant, no section."""

    def clicked(event) -> None:
        if event.ctrlKey or event.metaKey or event.shiftKey or event.button:
            return
        event.preventDefault()
        if view:
            views.navigate(name, {})
            return
        _s["at"] = name
        _s["host"].remember(True)
        to_section()

    return clicked


def to_section() -> None:
    """Scroll to the section of the address, and let the keyboard go on from there."""
    section = document.getElementById(PREFIX + _s["at"]) if _s["at"] else None
    if section is None:
        window.scrollTo(0, 0)
        return
    heading = section.querySelector("h3")
    heading.setAttribute("tabindex", "-1")
    section.scrollIntoView()
    window.early.focus(heading)


def _watch(text) -> None:
    """Know which figures are on the screen, and which section is being read."""
    by_name = {figure.name: figure for figure in _s["figures"]}

    def seen(entries, *_) -> None:
        for entry in list(entries):
            figure = by_name.get(entry.target.getAttribute("data-live"))
            if figure:
                figure.visible = bool(entry.isIntersecting)
        follow()

    def read(entries, *_) -> None:
        if _s["root"].hidden:
            return
        for entry in list(entries):
            if entry.isIntersecting:
                name = entry.target.id[len(PREFIX) :]
                if name != _s["at"]:
                    _s["at"] = name
                    _s["host"].remember()

    near = window.IntersectionObserver.new(create_proxy(seen), window.JSON.parse('{"rootMargin": "120px 0px"}'))
    line = window.JSON.parse('{"rootMargin": "-20% 0px -75% 0px"}')
    reading = window.IntersectionObserver.new(create_proxy(read), line)
    for figure in _s["figures"]:
        near.observe(figure.root)
    for section in list(text.querySelectorAll("section[id]")):
        reading.observe(section)
    _s["watch"] = (near, reading)


def _note() -> None:
    state = _s["host"].engine.state
    sentence = {
        "loading": WAITING,
        "failed": "The engine has stopped. The text stays; the figures keep what they show.",
    }
    _s["note"].textContent = sentence.get(state, "")
    _s["note"].hidden = state not in sentence
    if _s.get("button"):
        _s["button"].setAttribute("aria-disabled", "false" if state == "ready" else "true")


# -- the figures ---------------------------------------------------------------------------------------------
def follow() -> None:
    """Ask for what is on the screen and out of date."""
    if not _s["running"]:
        _s["running"] = True
        dom.run(_follow())


def _next():
    for figure in _s["figures"]:
        if figure.visible and figure.stale:
            return figure
    return None


async def _follow() -> None:
    host = _s["host"]
    try:
        while not _s["root"].hidden and host.engine.state == "ready" and host.reader.model:
            figure = _next()
            if figure is None:
                return
            figure.stale = False
            blank = host.reading is None or host.reading.blank
            try:
                data = await host.ask("article", figure=figure.name, arguments=figure.args, blank=blank)
            except EngineError as error:
                figure.refused(str(error).split("Error: ", 1)[-1])
                continue
            figure.answered(data, True)
            if figure.follows and blank:
                figure.say("Nothing is drawn: this is an example. Draw, and it follows.")
            figure.root.setAttribute("data-version", str(host.pad.version()))
    except EngineGoneError:
        return
    finally:
        _s["running"] = False


# -- the numbers of the text, once more ----------------------------------------------------------------------
def _again(text) -> None:
    """A button that lets this tab compute the text's numbers itself and compare."""
    box = dom.make("p", "", None, class_="again")
    button = dom.make("button", "Compute the numbers here, too", box, type="button", class_="button")
    button.setAttribute("data-testid", "facts-again")
    said = dom.make("span", "", box, role="status", data_testid="facts-said")
    dom.listen(button, "click", lambda event: dom.run(_compute(text, said)))
    text.insertBefore(box, text.querySelector("nav"))
    _s["button"] = button


async def _compute(text, said) -> None:
    host = _s["host"]
    if host.engine.state != "ready":
        return
    facts: dict = {}
    try:
        for family in FAMILIES:
            said.textContent = f"Computing: {family} …"
            answer = await host.ask("article_facts", family=family)
            for name in list(window.Object.keys(answer.facts)):
                facts[name] = getattr(answer.facts, name)
    except (EngineError, EngineGoneError) as error:
        said.textContent = f"It could not be done: {error}"
        return
    same, other = 0, []
    for place in list(text.querySelectorAll("data.fact")):
        name = place.getAttribute("data-fact")
        if name not in facts:
            continue
        if _agree(facts[name], place.getAttribute("value")):
            same += 1
            place.setAttribute("data-computed", "here")
        else:
            other.append(name)
    rest = f" Others: {', '.join(other)}." if other else " All agree."
    said.textContent = f"{same} numbers computed again in this tab.{rest} The others need {_heavy(text, facts)}."


def _heavy(text, facts) -> str:
    left = len([1 for one in list(text.querySelectorAll("data.fact")) if one.getAttribute("data-fact") not in facts])
    return f"the test images, or long trainings: {left} of them"


def _agree(value, written: str) -> bool:
    """Whether two machines mean the same number: the last bits of an exp may differ."""
    if isinstance(value, str):
        return value == written
    return abs(float(value) - float(written)) <= 1e-5 * max(1.0, abs(float(value)))
