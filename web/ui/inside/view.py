"""Look inside: the network as a whole, one layer of it, one number; always of the drawing as it stands."""

from pyscript import document
from ui import dom
from ui.inside import parts
from ui.inside.overview import Overview
from ui.worker import EngineError, EngineGoneError

_s: dict = {
    "host": None,
    "root": None,
    "network": None,  # what the core says of the chosen model
    "layer": "",
    "cell": [],
    "page": None,  # what is built now, and for what
    "built": None,
    "wanted": 0,
    "done": 0,
    "running": False,
}


def setup(host) -> None:
    """Make the view's frame, once."""
    root = dom.make("section", "", None, class_="view inside", id="inside", aria_labelledby="inside-title")
    root.hidden = True
    document.querySelector("main").append(root)
    _s["host"], _s["root"] = host, root
    head = dom.make("div", "", root, class_="view-head")
    dom.make("h2", "Look inside", head, id="inside-title", class_="visually-hidden")
    _s["crumbs"] = dom.make("nav", "", head, class_="crumbs", aria_label="Where you are", data_testid="crumbs")
    label = dom.make("label", "", head, class_="choose-model")
    dom.make("span", "Model ", label)
    _s["model"] = dom.make("select", "", label, data_testid="inside-model")
    dom.listen(_s["model"], "change", lambda event: host.choose_model(_s["model"].value))
    parts.legend(root, want)
    _s["note"] = dom.make("p", "", root, class_="view-note", data_testid="inside-note")
    _s["body"] = dom.make("div", "", root, class_="view-body", data_testid="inside-body")


def open(said: dict) -> None:
    """Show what the address says."""
    _s["root"].hidden = False
    _s["layer"], _s["cell"] = said.get("layer", ""), parts.parsed(said.get("cell", ""))
    want()


def close() -> None:
    """Another view is shown."""
    _s["root"].hidden = True


def state() -> dict:
    """What the address remembers."""
    return {"layer": _s["layer"], "cell": ".".join([str(k) for k in _s["cell"]])}


def changed(reading) -> None:
    """The drawing has been read anew."""
    if reading is not None:
        want()


def engine_changed() -> None:
    """Python is on its way, here, or gone."""
    want()


def repaint() -> None:
    """After a change of theme."""
    want()


def go(layer: str, index) -> None:
    """Another place, which Back leads away from again."""
    _s["layer"], _s["cell"] = layer, list(index)
    _s["host"].remember(True)
    want()


def want() -> None:
    """Bring the view up to date: at once, or when the question in flight is answered; the latest wish wins."""
    _s["wanted"] += 1
    if not _s["running"]:
        _s["running"] = True
        dom.run(_follow())


async def _follow() -> None:
    try:
        while _s["done"] != _s["wanted"]:
            _s["done"] = _s["wanted"]
            await _show()
    except EngineGoneError:
        _say("The engine has stopped. Your drawing is kept.")
    except EngineError as error:
        _say(str(error))
    finally:
        _s["running"] = False


def _say(sentence: str) -> None:
    _s["note"].textContent = sentence
    _s["note"].hidden = not sentence


async def _show() -> None:
    host = _s["host"]
    if not host.ready():
        _say("Python is on its way. You can draw already." if host.engine.state == "loading" else "")
        return
    model = host.reader.model
    blank = host.reading is None or host.reading.blank
    if _s["network"] is None or _s["network"].model != model:
        _s["network"] = await host.ask("network", model=model)
        _s["built"] = None
        _models()
    names = [row.name for row in _s["network"].rows]
    if _s["layer"] in ("logits", "probabilities") and _s["layer"] not in names:
        _s["layer"] = getattr(_s["network"].aliases, _s["layer"])
    if _s["layer"] and _s["layer"] not in names:
        _say(f"{model} has no layer {_s['layer']}.")
        _s["layer"], _s["cell"] = "", []
    else:
        _say("Nothing is drawn: the network sees 784 zeros." if blank else "")
    key = f"{model} {_s['layer']}"
    if key != _s["built"]:
        _s["built"] = key
        _s["body"].replaceChildren()
        _s["page"] = Overview(go)
        _s["page"].build(_s["body"], _s["network"])
        _crumbs()
    answer = await host.ask("maps", model=model, blank=blank)
    _s["page"].update(answer)
    _s["root"].setAttribute("data-version", str(host.pad.version()))


def _models() -> None:
    """The models one can look into."""
    rows = _s["host"].models.rows
    if _s["model"].children.length != len(rows):
        _s["model"].replaceChildren()
        for row in rows:
            dom.make("option", row["name"], _s["model"], value=row["name"])
    _s["model"].value = _s["network"].model


def _crumbs() -> None:
    """The way from the whole to what is shown."""
    _s["crumbs"].replaceChildren()
    dom.make("b", "The whole network", _s["crumbs"])
