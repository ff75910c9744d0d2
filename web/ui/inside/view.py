"""Look inside: the network as a whole, one layer of it, one number; always of the drawing as it stands."""

import json

from pyscript import document, window
from ui import dom, views
from ui.inside import cells, laid, parts
from ui.inside.certificate import Certificate
from ui.inside.layer import Layer
from ui.inside.lens import Lens
from ui.inside.operate import Operate
from ui.inside.overview import Overview
from ui.inside.steps import Steps
from ui.inside.why import Why
from ui.worker import EngineError, EngineGoneError

WINDOWS = ("conv2d", "max_pool", "avg_pool")
TABS = (("", "The network"), ("why", "Why this answer"), ("table", "Operating table"))
LATER = 400  # ms after the last step of the lens until it is said and the address follows

_s: dict = {
    "host": None,
    "root": None,
    "network": None,  # what the core says of the chosen model
    "tab": "",
    "star": False,  # the copy on the operating table is looked at
    "laid": laid.fresh(),  # what lies there
    "pick": "",  # what is chosen on the page of a tab, as the address says it
    "layer": "",
    "cell": [],
    "channel": -1,
    "page": None,
    "built": "",  # what the page was built for
    "from": "",  # the layer one comes from
    "fresh": False,  # a place one has just gone to: the keyboard follows
    "wanted": 0,
    "done": 0,
    "running": False,
    "refused": "",
    "whole": False,
    "slid": False,  # the lens has moved on from the cell that the address says
}


def setup(host) -> None:
    """Make the view's frame, once."""
    root = dom.make("section", "", None, class_="view inside", id="inside-view", aria_labelledby="inside-title")
    root.hidden = True
    document.querySelector("main").append(root)
    _s["host"], _s["root"] = host, root
    head = dom.make("div", "", root, class_="view-head")
    dom.make("h2", "Look inside", head, id="inside-title", class_="visually-hidden")
    tabs = dom.make("nav", "", head, class_="tabs", aria_label="Ways to look inside")
    _s["tabs"] = {}
    for name, title in TABS:
        button = dom.make("button", title, tabs, type="button", class_="tab", data_testid="tab-" + (name or "network"))
        dom.listen(button, "click", _tab_chooser(name))
        _s["tabs"][name] = button
    _s["places"] = dom.make("div", "", head, class_="place-row", role="group", aria_label="The digits, each to look at")
    copy = dom.make("button", "Changed copy", head, type="button", class_="button outlined copy")
    copy.setAttribute("data-testid", "changed-copy")
    dom.listen(copy, "click", lambda event: _look(not _s["star"]))
    copy.hidden = True
    label = dom.make("label", "", head, class_="choose-model")
    dom.make("span", "Model ", label)
    _s["model"] = dom.make("select", "", label, data_testid="inside-model")
    dom.listen(_s["model"], "change", lambda event: host.choose_model(_s["model"].value))
    _s["copy"] = copy
    parts.legend(root, want)
    _s["crumbs"] = dom.make("nav", "", root, class_="crumbs", aria_label="Where you are", data_testid="crumbs")
    dom.listen(_s["crumbs"], "click", _crumb)
    _s["note"] = dom.make("p", "", root, class_="view-note", data_testid="inside-note", hidden="")
    _s["body"] = dom.make("div", "", root, class_="view-body", data_testid="inside-body")
    _s["certificate"] = Certificate(root, host, _path_changed)
    _s["field"] = dom.make(
        "div", "", dom.find("pad-frame"), class_="pad-field", aria_hidden="true", data_testid="field"
    )
    _s["field"].hidden = True
    dom.listen(root, "click", lambda event: _asked(cells.asked(event)))
    dom.listen(root, "keydown", lambda event: _asked(cells.key(event)))
    dom.listen(document, "keydown", _escape)


def open(said: dict) -> None:
    """Show what the address says."""
    _s["root"].hidden = _s["slid"] = False
    _s["layer"], _s["cell"] = said.get("layer", ""), parts.parsed(said.get("cell", ""))
    channel = said.get("channel", "")
    _s["channel"] = int(channel) if channel.isdigit() else -1
    _s["certificate"].read(said.get("of", ""))
    tab = said.get("tab", "")
    _s["tab"], _s["star"] = tab if tab in _s["tabs"] else "", said.get("on", "") == "table"
    _s["pick"] = said.get("pick", "") if _s["tab"] else ""
    if _s["tab"] == "table" or _s["star"]:
        laid.called_up(_s["laid"], said, _s["tab"])
    if _s["tab"] and _s["built"].endswith(" " + _s["tab"]):
        _s["page"].pick(_s["pick"])
    want()


def close() -> None:
    """Another view is shown."""
    _address_follows()
    _s["root"].hidden = _s["field"].hidden = True
    _places(None)
    _leave()


def state() -> dict:
    """What the address remembers."""
    said = {"layer": _s["layer"], "cell": ".".join([str(k) for k in _s["cell"]]), "of": _s["certificate"].written()}
    said["tab"], said["on"] = _s["tab"], "table" if _s["star"] else ""
    said["channel"] = str(_s["channel"]) if _s["channel"] >= 0 else ""
    if _s["tab"]:  # before the page stands, what the address said of it
        said["pick"] = _s["page"].picked() if _s["built"].endswith(" " + _s["tab"]) else _s["pick"]
    if _s["tab"] == "table" or _s["star"]:
        there = laid.address(_s["laid"])
        there["pick"] = said["pick"] if _s["tab"] == "why" else there["pick"]
        said.update(there)
    return said


def changed(reading) -> None:
    """The drawing has been read anew."""
    if reading is not None:
        want()


def question():
    """What to ask along with every reading: that of the page as it stands."""
    if not _s["built"] or _s["tab"] or _s["star"] or _s["page"] is None or not _s["host"].ready():
        return None
    if _s["network"] is None or _s["network"].model != _s["host"].reader.model:
        return None
    name, arguments = _wanted(_row(), _s["whole"])
    arguments["model"], arguments["blank"] = _s["host"].reader.model, False
    return [name, arguments]


def engine_changed() -> None:
    """Python is on its way, here, or gone."""
    want()


def repaint() -> None:
    """After a change of theme."""
    want()


# -- going about ---------------------------------------------------------------------------------------------
def go(layer: str, index) -> None:
    """Another place, which Back leads away from again."""
    _address_follows()
    _s["tab"] = ""
    _s["from"] = _s["layer"]
    _s["layer"], _s["cell"], _s["channel"], _s["fresh"] = layer, [int(k) for k in index], -1, True
    _s["host"].remember(True)
    want()


def _tab_chooser(name: str):
    def chosen(event) -> None:
        _address_follows()
        _s["certificate"].path = []
        _s["tab"], _s["layer"], _s["cell"], _s["pick"] = name, "", [], ""
        _s["host"].remember(True)
        want()

    return chosen


def _look(star: bool) -> None:
    """The copy on the operating table, or the network itself."""
    _address_follows()
    _s["star"], _s["network"] = star, None
    if _s["tab"] == "table":
        _s["tab"] = ""
    _s["host"].remember(True)
    want()


def slide(index, playing: bool) -> None:
    """The lens moves within its layer: the same entry of the history, and not said while it plays."""
    _s["cell"] = list(index)
    _s["channel"] = _s["page"].channel
    _s["slid"] = True
    want()
    if not playing:
        dom.later("slide", LATER, _slid)


def _address_follows() -> None:
    """The cell where the lens stands, in the entry of the history that is about to be left, so that Back leads there.

    Where Back itself has called up another view, the entry is that one's already.
    """
    if _s["slid"] and window.location.hash.startswith("#inside"):
        _s["host"].remember()
    _s["slid"] = False


def _slid() -> None:
    if views.current() != "inside":
        return
    _address_follows()
    answer = _s["page"].answer if _s["page"] else None
    if answer is not None and hasattr(answer, "spoken"):
        _s["host"].say(answer.spoken)


def ask(layer: str, index) -> None:
    """Unfold how a number was made."""
    _address_follows()
    _s["certificate"].open(layer, index)


def _path_changed() -> None:
    if _s["certificate"].lost:
        _s["certificate"].lost, _s["fresh"] = False, True
    _s["host"].remember(True)
    want()


def _asked(about) -> None:
    """A number has been asked about; one of the changed network is unfolded there, under its own layer."""
    if about is None:
        return
    layer, index, changed = about
    if changed and not _s["star"]:
        _s["star"], _s["network"], _s["tab"] = True, None, ""
        _s["layer"], _s["cell"], _s["channel"] = layer, list(index), -1
    ask(layer, index)


def _escape(event) -> None:
    """Back up: from the certificate, from a number to its layer, from a layer to the whole."""
    if event.key != "Escape" or views.current() != "inside" or event.defaultPrevented:
        return
    if document.querySelector("dialog[open]") or event.target.tagName in ("SELECT", "TEXTAREA"):
        return
    event.preventDefault()
    if _s["certificate"].back():
        return
    if len(_s["cell"]) > 1 or (_s["cell"] and _short()):
        go(_s["layer"], _s["cell"][:1] if not _short() else [])
    elif _s["layer"] or _s["tab"]:
        go("", [])


def _short() -> bool:
    """Whether the layer is a vector: one number is all there is to choose."""
    row = _row()
    return row is not None and row.shape.length == 1


def _row():
    """What the network says of the layer looked at."""
    network = _s["network"]
    if network is None:
        return None
    return next((row for row in network.rows if row.name == _s["layer"]), None)


# -- following the drawing -----------------------------------------------------------------------------------
def want() -> None:
    """Bring the view up to date: at once, or when the question in flight is answered; the latest wish wins."""
    _s["wanted"] += 1
    if not _s["running"] and views.current() == "inside":
        _s["running"] = True
        dom.run(_follow())


async def _follow() -> None:
    try:
        while _s["done"] != _s["wanted"] and views.current() == "inside":
            _s["done"] = _s["wanted"]
            await _show()
    except EngineGoneError:
        _say("The engine has stopped. Your drawing is kept.")
    except EngineError as error:
        _say(parts.reason(error))
    finally:
        _s["running"] = False


def _say(sentence: str) -> None:
    if _s["note"].textContent != sentence:
        _s["note"].textContent = sentence
    _s["note"].hidden = not sentence


async def _show() -> None:
    host = _s["host"]
    if not host.ready():
        _say("Python is on its way. You can draw already." if host.engine.state == "loading" else "")
        return
    model, reading = host.reader.model, host.reading
    blank = host.pad.kind() == "blank"
    version = host.pad.version() if blank or reading is None else reading.version
    if not blank and (reading is None or reading.blank or reading.early):
        return  # the engine has not read this drawing yet; its answer comes back here
    _places(reading)
    if not blank and reading.chosen != reading.latest:
        await host.engine.call("look_at", reading.chosen)
    if _s["tab"] == "table":
        _s["star"] = False
    if _s["star"]:  # after a reload the table is laid again
        told = await laid.lay(host, _s["laid"], model)
        if _s["done"] != _s["wanted"]:  # one has gone elsewhere while it was made
            return
        if told.free or list(told.changes):
            model = told.name
        else:  # another model lies there unchanged
            _s["star"] = False
            host.remember()
    if _s["network"] is None or _s["network"].model != model:
        _s["network"] = await host.ask("network", model=model)
        _s["built"] = ""
        _models(host.reader.model)
    _say(_placed(model) or ("Nothing is drawn: the network sees zeros." if blank else ""))
    row = _row()
    whole = row is not None and len(_s["cell"]) == row.shape.length
    kind = _s["tab"] or ("whole" if row is None else f"{_s['layer']} {'cell' if whole else 'layer'}")
    key = f"{model} {kind}"
    if blank and _s["tab"] == "why":
        _nothing()
        return
    if key != _s["built"]:
        _s["built"] = key
        _build(row, whole)
        await dom.turn()  # strokes and clicks get through between a page and what fills it
        if _s["done"] != _s["wanted"]:  # one of them has led elsewhere
            return
    _marks()
    _s["whole"] = whole
    if _s["tab"] == "table":
        await _s["page"].prepare()
        if _s["done"] != _s["wanted"]:
            return
    name, arguments = _wanted(row, whole)
    if not _s["tab"]:  # the table sees to it itself
        arguments["blank"] = blank
    answer = _given(name, arguments, model)
    if answer is None:
        arguments["model"] = arguments.get("model", model)  # the table may hold another
        answer = await host.ask(name, **arguments)
    await _fill(answer)
    deepest = await _s["certificate"].update(model, blank)
    if _s["certificate"].refused:
        _say(_s["certificate"].refused)
    shown = deepest if deepest is not None else answer if whole else None
    _outline(shown)
    _s["root"].setAttribute("data-version", str(version))
    place = ".".join([str(k) for k in _s["cell"]])
    _s["root"].setAttribute("data-shown", f"{kind} {place}" if place else kind)
    if _s["fresh"] and _s["done"] == _s["wanted"]:  # else one has gone on meanwhile: the keyboard follows there
        _s["fresh"] = False
        if deepest is None and (row is not None or _s["tab"]):
            _s["page"].focus()
        elif deepest is None and _s["from"]:
            _s["page"].focus(_s["from"])
        if whole:
            host.say(answer.spoken, LATER)


async def _fill(answer) -> None:
    """Show the answer on the page: what stands below a turn later, if there was nothing before."""
    page, keyboard = _s["page"], cells.Place(_s["body"])
    split = hasattr(page, "below")
    empty = split and page.answer is None
    page.update(answer, False)
    if empty:
        await dom.turn()
    if split:
        page.below(answer)
    keyboard.regain()


def _nothing() -> None:
    """Why without a drawing: what was said of an earlier one goes with it."""
    _say("Draw a digit first: there is nothing to explain yet.")
    _marks()
    if _s["built"]:
        if _s["built"].endswith(" why"):
            _s["pick"] = _s["page"].picked()
        _leave()
        _s["body"].replaceChildren()
        _s["built"] = ""


def _given(name: str, arguments: dict, model: str):
    """The answer that came with the reading, if it is the one wanted now; used once."""
    reading = _s["host"].reading
    if reading is None or reading.blank or not reading.inside:
        return None
    wanted = dict(arguments)
    wanted["model"] = model
    same = json.loads(reading.asked) == [name, wanted] and reading.chosen == reading.latest
    answer, reading.inside = reading.inside, False
    return answer if same else None


def _placed(model: str) -> str:
    """Bring a layer that this model lacks back to the whole; gives the sentence that says so."""
    names, aliases = [row.name for row in _s["network"].rows], _s["network"].aliases
    layer = _s["layer"]
    if layer in ("logits", "probabilities") and layer not in names:
        _s["layer"] = layer = getattr(aliases, layer)
    if layer and layer not in names:
        _s["refused"] = f"{model} has no layer called {layer}: here is the whole network."
        _s["layer"], _s["cell"] = "", []
        _s["certificate"].path = []
        return _s["refused"]
    row = _row()
    if row is not None:  # a cell beyond this layer's edges comes back inside
        sizes = [int(n) for n in row.shape]
        cell = _s["cell"][: len(sizes)]
        if len(cell) == 2:
            cell = cell[:1]
        _s["cell"] = [min(at, sizes[k] - 1) for k, at in enumerate(cell)]
    return ""


def _wanted(row, whole: bool) -> tuple:
    """The question of this page, about the place looked at."""
    page = _s["page"]
    if _s["tab"]:
        return page.question()
    if row is None:
        return "maps", {}
    if whole:
        page.index, page.channel = list(_s["cell"]), _s["channel"]
    else:
        page.number = _s["cell"][0] if _s["cell"] else 0
    return page.question()


def _leave() -> None:
    if _s["page"] is not None and hasattr(_s["page"], "leave"):
        _s["page"].leave()


def _build(row, whole: bool) -> None:
    """A new page in place of the one before."""
    _leave()
    _s["body"].replaceChildren()
    network = _s["network"]
    host = _s["host"]
    if _s["tab"] == "why":
        _s["page"] = Why(host, network, want, go)
    elif _s["tab"] == "table":
        _s["page"] = Operate(host, network, want, lambda: _look(True), _s["laid"], _marks)
    elif row is None:
        _s["page"] = Overview(go, network, lambda page: dom.run(_times(page)))
    elif not whole:
        _s["page"] = Layer(go, row, network, host)
    elif row.kind in WINDOWS:
        _s["page"] = Lens(go, slide, ask, row)
    else:
        _s["page"] = Steps(go, slide, ask, row, network)
    _s["page"].build(_s["body"])
    if _s["tab"] and _s["pick"]:
        _s["page"].pick(_s["pick"])
        _s["pick"] = ""
    _crumbs(row, whole)


async def _times(page) -> None:
    """How long each layer takes, measured when somebody looks."""
    host = _s["host"]
    try:
        page.show_times(await host.ask("times", model=_s["network"].model))
    except (EngineError, EngineGoneError) as error:
        print("times:", error)


def _outline(answer) -> None:
    """The receptive field of what is shown, on the drawing itself."""
    field = _s["field"]
    found = list(answer.footprint) if answer is not None else []
    field.hidden = not found
    if found:
        left, top, right, bottom = [100 * float(edge) for edge in found[0]]
        style = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
        field.setAttribute("style", style)


# -- the frame -----------------------------------------------------------------------------------------------
def _marks() -> None:
    """Which way of looking is open, and whether at the changed copy."""
    for name, button in _s["tabs"].items():
        if name == _s["tab"]:
            button.setAttribute("aria-current", "page")
        else:
            button.removeAttribute("aria-current")
    _s["copy"].hidden = not (_s["star"] or laid.changed(_s["laid"], _s["host"].reader.model))
    _s["copy"].setAttribute("aria-pressed", "true" if _s["star"] else "false")


def _models(chosen: str) -> None:
    """The models one can look into."""
    rows = _s["host"].models.rows
    if _s["model"].children.length != len(rows):
        _s["model"].replaceChildren()
        for row in rows:
            dom.make("option", row["name"], _s["model"], value=row["name"])
    _s["model"].value = chosen


def _places(reading) -> None:
    """Where several digits are drawn: which of them is looked at."""
    places = reading.places if reading is not None and len(reading.places) > 1 else []
    box = _s["places"]
    said = " ".join([place.text() for place in places]) + f" {reading.chosen if places else ''}"
    if box.getAttribute("data-said") == said:
        return
    box.setAttribute("data-said", said)
    box.replaceChildren()
    box.hidden = not places
    for number, place in enumerate(places):
        button = dom.make("button", place.text(), box, type="button", class_="place")
        button.setAttribute("data-testid", f"inside-place-{number}")
        button.setAttribute("aria-label", f"Digit {number + 1} of {len(places)}: {place.text()}")
        button.setAttribute("aria-pressed", "true" if number == reading.chosen else "false")
        dom.listen(button, "click", _place_chooser(number))


def _place_chooser(number: int):
    return lambda event: _s["host"].look_at(number)


def _crumbs(row, whole: bool) -> None:
    """The way from the whole to what is shown, and the layers before and after."""
    box = _s["crumbs"]
    box.replaceChildren()
    names = [one.name for one in _s["network"].rows]
    box.hidden = row is None
    if row is None:
        return
    dom.make("button", "The whole network", box, type="button", class_="crumb", data_to="", data_testid="crumb-all")
    dom.make("span", "\u203a", box, aria_hidden="true")
    if whole:
        dom.make("button", row.name, box, type="button", class_="crumb", data_to=row.name, data_testid="crumb-layer")
        dom.make("span", "\u203a", box, aria_hidden="true")
        dom.make("b", "one number", box, aria_current="page")
    else:
        dom.make("b", row.name, box, aria_current="page")
    at = names.index(row.name)
    for name, words in (
        (names[at - 1] if at else "", "\u2190 {}"),
        (names[at + 1] if at + 1 < len(names) else "", "{} \u2192"),
    ):
        if name:
            text = words.format(name)
            dom.make(
                "button",
                text,
                box,
                type="button",
                class_="crumb near",
                data_to=name,
                data_whole="yes" if whole else "no",
            )


def _crumb(event) -> None:
    button = event.target.closest("button")
    if not button:
        return
    name = button.getAttribute("data-to")
    cell = _s["cell"][:1] if name == _s["layer"] and not _short() else []
    if button.getAttribute("data-whole") == "yes":  # from number to number, in the neighbouring layer
        other = next(row for row in _s["network"].rows if row.name == name)
        cell = _s["cell"] if other.shape.length == len(_s["cell"]) else [0] * other.shape.length
    go(name, cell)
