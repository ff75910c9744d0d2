"""Your hand: the digits that the visitor corrected, what the network has been taught with them, and the way back.

The digits and what was taught are kept in this browser alone (store.js) and never sent anywhere.
"""

import asyncio
import json

from pyscript import document, window
from ui import actions, backend, dom, meant
from ui.actions import Action
from ui.worker import EngineError, EngineGoneError

EMPTY = (
    "When an answer is wrong, say \u201cI meant \u2026\u201d beside it. Your digits stay in this browser, "
    "and teach the network your hand whenever you like."
)
STAGES = {
    "samples": "Fetching samples of MNIST",
    "features": "Looking once at the samples of MNIST",
    "before": "Measuring before",
    "teaching": "Teaching",
    "after": "Measuring after",
}
SETS = {  # what is measured, in the order of the table: for several, and for one
    "own": ("Your {} {}, those it was taught", "Your {} {}, the one it was taught"),
    "test": ("{} test digits of MNIST",),
    "none": ("{} drawings that are no digit",),
}
LEAST = 0.3  # s: a teaching is asked about this often

_box = dom.find("hand")
_parts: dict = {}
_state: dict = {"engine": None, "table": None, "changed": None, "count": 0, "busy": False, "lessons": {}, "model": ""}


# -- the panel ---------------------------------------------------------------------------------------------------------
def setup(engine, table, changed) -> None:
    """Fill the panel. `changed()` is called when a model answers otherwise from now on."""
    _state.update({"engine": engine, "table": table, "changed": changed})
    table.after_load = put_back
    body = dom.find("hand-body")
    _parts["words"] = dom.make("p", EMPTY, body, class_="words", data_testid="hand-words")
    _parts["counts"] = _counts(body)
    row = dom.make("div", "", body, class_="hand-actions")
    Action("teach", "Teach", teach, ("h",), "", _can_teach).button(row)
    Action("stop", "Stop", lambda: dom.run(_stop()), (), "", lambda: _state["busy"]).button(row)
    Action("back", "Back to the shipped weights", lambda: dom.run(back()), (), "", _is_taught).button(row)
    Action("export", "Export", lambda: dom.run(_export()), (), "", _has_digits).button(row)
    Action("import", "Import", lambda: _parts["chooser"].click(), (), "", _ready).button(row)
    delete = Action("delete", "Delete all", _ask, (), "", lambda: _has_digits() or _is_taught())
    _parts["delete"] = delete.button(row)
    _parts["sure"] = _question(body)
    _parts["chooser"] = dom.make("input", "", body, type="file", accept=".json,application/json", hidden="")
    _parts["chooser"].setAttribute("data-testid", "hand-file")
    dom.listen(_parts["chooser"], "change", lambda event: _chosen())
    line = _parts["line"] = dom.make("p", "", body, class_="hand-line", hidden="")
    _parts["stage"] = dom.make("span", "", line, data_testid="hand-stage")
    _parts["progress"] = dom.make("progress", "", line, max=1, value=0, aria_label="Progress of the teaching")
    _parts["note"] = dom.make("p", "", body, class_="words", role="status", data_testid="hand-note")
    _parts["lesson"] = dom.make("div", "", body, data_testid="hand-lesson")
    meant.setup(keep, take_back, teach)
    dom.run(_count())


def _counts(body):
    """A column a digit: how many of it are kept."""
    table = dom.make("table", "", body, class_="hand-counts")
    dom.make("caption", "How many of each digit are kept", table, class_="visually-hidden")
    head, cells = dom.make("tr", "", table), dom.make("tr", "", table)
    for digit in range(10):
        dom.make("th", str(digit), head, scope="col")
    return [dom.make("td", "0", cells, data_testid=f"hand-count-{digit}") for digit in range(10)]


def _question(body):
    """Asked before everything is deleted."""
    box = dom.make("div", "", body, class_="hand-actions", role="group", aria_labelledby="hand-sure", hidden="")
    dom.make("p", "Delete your digits, and what was taught with them?", box, id="hand-sure")
    yes = dom.make("button", "Delete", box, type="button", class_="button", data_testid="delete-yes")
    no = dom.make("button", "Keep", box, type="button", class_="button", data_testid="delete-no")
    dom.listen(yes, "click", lambda event: dom.run(_delete()))
    dom.listen(no, "click", lambda event: _answered())
    return box


def _ready() -> bool:
    return _state["engine"].state == "ready"


def _has_digits() -> bool:
    return _state["count"] > 0 and not _state["busy"]


def _is_taught() -> bool:
    return _state["model"] in _state["lessons"] and not _state["busy"]


def _can_teach() -> bool:
    return _has_digits() and _ready() and bool(_state["model"])


def show(reading) -> None:
    """Every answer: the panel is about the model that gave it."""
    meant.show(reading)
    model = reading.model or _state["table"].chosen
    if model != _state["model"]:
        _state["model"] = model
        _show_lesson()
    if not reading.blank and model in _state["lessons"]:
        dom.find("origin").append(", taught your hand")


async def _count() -> None:
    """Bring the counts up to date with what is stored."""
    counts, digits = [0] * 10, await window.store.all()
    for i in range(digits.length):
        counts[int(digits[i].label)] += 1
    for cell, count in zip(_parts["counts"], counts):  # noqa: B905  (not in MicroPython)
        cell.textContent = str(count)
        cell.setAttribute("data-some", "yes" if count else "no")
    total = _state["count"] = sum(counts)
    dom.find("hand-total").textContent = f", {total} {_digits(total)}" if total else ""
    words = f"{total} {_digits(total)} of yours, kept in this browser only."
    if total and not await window.store.lasting():
        words = (
            f"{total} {_digits(total)} of yours. This browser keeps nothing: they last as long as this page is open."
        )
    _parts["words"].textContent = words if total else EMPTY
    actions.refresh()


def _digits(count: int) -> str:
    return "digit" if count == 1 else "digits"


def say(sentence: str) -> None:
    """A sentence that stays until the next one."""
    _parts["note"].textContent = sentence


async def _quietly(method: str, *arguments):
    """Call the engine where it does not matter whether it can: None then."""
    try:
        return await _state["engine"].call(method, *arguments)
    except (EngineError, EngineGoneError):
        return None


# -- corrections -------------------------------------------------------------------------------------------------------
async def keep(digit: int, reading, earlier):
    """Keep the drawing as this digit, in place of what was said of it earlier; gives its key, and the number kept."""
    pad = window.pad
    # A picture has no strokes, and of a number only the digit that is looked at is meant.
    as_seen = pad.kind() == "picture" or len(reading.places) > 1
    flat, values = (None, reading.seen) if as_seen else (pad.flat(), None)
    if earlier is not None:
        await window.store.remove(earlier)
    key = await window.store.add(digit, flat, values, pad.extent, reading.text, reading.model)
    _box.open = True
    await _count()
    if _ready() and reading.model:
        await _quietly("teach_ahead", reading.model, _samples())  # the teaching itself will say what is wrong
    return key, _state["count"]


async def take_back(key) -> None:
    """Remove one correction."""
    await window.store.remove(key)
    await _count()


def _samples() -> str:
    return window.URL.new("samples/", document.baseURI).href


# -- teaching ----------------------------------------------------------------------------------------------------------
def teach() -> None:
    """Teach the model that answers."""
    if _can_teach():
        dom.run(_teach(_state["model"]))


async def _teach(model: str) -> None:
    engine = _state["engine"]
    _state["busy"], _box.open = True, True
    _parts["line"].hidden = False
    say("")
    actions.refresh()
    dom.speak("Teaching has begun.")
    try:
        await engine.call("teach_start", model, await window.store.all(), _samples(), seconds=60)
        status = await _followed(engine)
        if status.state == "done":
            await _taught(model)
        elif status.state == "stopped":
            say("Stopped. The network is as it was before.")
        else:
            say(f"The teaching failed: {status.error}. The network is as it was before.")
    except EngineError as error:
        say(f"The teaching failed: {error}. The network is as it was before.")
    except EngineGoneError:
        say("The engine stopped while it was teaching. Your digits are kept.")
    finally:
        _state["busy"] = False
        _parts["line"].hidden = True
        actions.refresh()


async def _followed(engine):
    """Show the progress until there is an end to it."""
    status = await engine.call("teach_status")
    while status.state == "running":
        said = f"{STAGES[status.stage]}: {int(100 * status.share)} %"
        if status.compiled < status.of:  # the teaching waits until they are
            said = backend.warming(status.compiled, status.of)
        _parts["stage"].textContent = said
        _parts["progress"].value = status.share
        await asyncio.sleep(LEAST)
        status = await engine.call("teach_status")
    backend.trained(status.judged)
    return status


async def _stop() -> None:
    await _quietly("teach_stop")


async def _taught(model: str) -> None:
    """Keep what the model has learnt, show it, and let it answer."""
    result = await _state["engine"].call("teach_taught", model)
    _state["lessons"][model] = json.loads(result.lesson)
    await window.store.keepTaught(model, result.data)
    lesson = _state["lessons"][model]
    before, after = [dom.percent(lesson[when]["own"], 0) for when in ("before", "after")]
    _show_lesson()
    say(f"{model} has learnt your hand: it reads {after} of your digits, {before} before.")
    _state["changed"]()


async def put_back(model: str) -> None:
    """After a model has been loaded: what it was taught before the page was loaded anew."""
    data = await window.store.taught(model)
    if data is None:
        return
    engine = _state["engine"]
    try:
        result = await engine.call("teach_apply", model, data)
    except EngineError as error:
        say(f"What {model} had learnt cannot be used: {error}.")
        return
    if result.error:
        await window.store.forgetTaught(model)
        say(f"What {model} had learnt cannot be used: {result.error}.")
        return
    _state["lessons"][model] = json.loads((await engine.call("teach_taught", model)).lesson)
    if model == (_state["model"] or _state["table"].chosen):
        _state["model"] = model
        _show_lesson()
        actions.refresh()


async def back() -> None:
    """Return the model that answers to its shipped weights."""
    model = _state["model"]
    await _forget(model)
    say(f"{model} is back at the shipped weights. Your digits are kept.")
    dom.speak("Back at the shipped weights.")


async def _forget(model: str) -> None:
    await window.store.forgetTaught(model)
    await _quietly("teach_back", model)  # an engine that has gone starts again with the shipped weights
    _state["lessons"].pop(model, None)
    _show_lesson()
    actions.refresh()
    _state["changed"]()


# -- what it did -------------------------------------------------------------------------------------------------------
def _show_lesson() -> None:
    """Before and after, and how far each kernel moved, of the model that answers."""
    box = _parts["lesson"]
    box.replaceChildren()
    lesson = _state["lessons"].get(_state["model"])
    if lesson is None:
        return
    box.append(_accuracies(lesson))
    for moved in lesson["moved"]:
        if moved["parameter"] == "weight" and len(moved["share"]) > 1:
            _kernels(box, moved)


def _accuracies(lesson):
    table = dom.make("table", "", None, class_="hand-table")
    dom.make("caption", f"{_state['model']}, taught in {lesson['seconds']:.1f} s: how many it reads right", table)
    head = dom.make("tr", "", dom.make("thead", "", table))
    for title in ("Read right", "Before", "After"):
        dom.make("th", title, head, scope="col")
    body = dom.make("tbody", "", table)
    for name in [name for name in SETS if name in lesson["counts"]]:
        count = lesson["counts"][name]
        line = dom.make("tr", "", body, data_testid=f"lesson-{name}")
        words = SETS[name][-1] if count == 1 else SETS[name][0]
        dom.make("th", words.format(dom.thousands(count), _digits(count)), line, scope="row")
        for when in ("before", "after"):
            dom.make("td", dom.percent(lesson[when][name]), line)
    return table


def _kernels(box, moved) -> None:
    """A bar a kernel: the distance it moved, against its own length."""
    dom.make("h3", f"How far each kernel of {moved['layer']} moved", box)
    note = "The distance between its weights now and as shipped, in percent of the length it was shipped with."
    dom.make("p", note, box, class_="words")
    most = max(moved["share"]) or 1
    items = dom.make("ol", "", box, class_="hand-kernels", data_testid=f"moved-{moved['layer']}")
    for kernel, share in enumerate(moved["share"]):
        item = dom.make("li", "", items)
        dom.make("span", "none" if kernel == 10 and len(moved["share"]) == 11 else str(kernel), item)
        bar = dom.make("i", "", dom.make("span", "", item, class_="hand-track", aria_hidden="true"))
        bar.style.setProperty("--share", f"{share / most:.4f}")
        dom.make("span", dom.percent(share, 2), item)


# -- taking along, deleting --------------------------------------------------------------------------------------------
async def _export() -> None:
    try:
        text = await _state["engine"].call("hand_write", await window.store.all(), seconds=60)
    except (EngineError, EngineGoneError):
        say("The engine has stopped. Please start it again to export.")
        return
    window.store.save("handlens-hand.json", text)
    say(f"{_state['count']} {_digits(_state['count'])} written to handlens-hand.json.")


def _chosen() -> None:
    files = _parts["chooser"].files
    if files.length:
        dom.run(_import(files[0]))


async def _import(file) -> None:
    name, text = file.name, await file.text()
    _parts["chooser"].value = ""  # so that the same file can be chosen again
    try:
        result = await _state["engine"].call("hand_read", text, seconds=60)
    except (EngineError, EngineGoneError):
        say("The engine has stopped. Please start it again to import.")
        return
    if result.error:
        say(f"{name}: {result.error}.")
        return
    for i in range(result.digits.length):
        await window.store.put(result.digits[i])
    await _count()
    say(f"{result.digits.length} {_digits(result.digits.length)} added from {name}.")


def _ask() -> None:
    _parts["sure"].hidden = False
    _parts["sure"].querySelector("[data-testid=delete-no]").focus()


def _answered() -> None:
    _parts["sure"].hidden = True
    _parts["delete"].focus()


async def _delete() -> None:
    """Digits, and what was taught with them to any model: nothing of the visitor's stays."""
    await window.store.clear()
    await window.store.forgetAllTaught()
    for model in list(_state["lessons"]):
        await _forget(model)
    _answered()
    await _count()
    say("Deleted. Every model is at its shipped weights.")
