"""I meant ...: one tap beside the answer, one on the digit, and the drawing is kept as the visitor's own."""

from pyscript import window
from ui import actions, dom
from ui.actions import Action

ASKED = "Which digit did you mean?"

_verdict = dom.find("verdict")
_state: dict = {"reading": None, "kept": None, "buttons": [], "key": None}
_parts: dict = {}


def setup(kept, taken_back, teach) -> None:
    """Make the button and the row of ten. `kept(digit, reading)` stores a correction and returns its key,
    `taken_back(key)` removes it again (coroutines); `teach()` starts a teaching."""
    _state["kept"] = kept
    holder = dom.make("div", "", _verdict, class_="meant")
    action = Action("meant", "I meant \u2026", toggle, ("m",), "", _can)
    action.words = "I meant \u2026: say which digit a drawing was; it is kept to teach the network your hand"
    _parts["button"] = action.button(holder)
    _parts["button"].setAttribute("aria-expanded", "false")
    _parts["button"].setAttribute("aria-controls", "meant-row")
    row = _parts["row"] = dom.make("div", "", _verdict, id="meant-row", class_="meant-row", role="group", hidden="")
    row.setAttribute("aria-label", ASKED)
    for digit in range(10):
        button = dom.make("button", str(digit), row, type="button", class_="button", data_testid=f"meant-{digit}")
        button.setAttribute("aria-label", f"I meant {digit}")
        dom.listen(button, "click", _chooser(digit))
        _state["buttons"].append(button)
    said = _parts["said"] = dom.make("div", "", _verdict, class_="meant-row meant-said", hidden="")
    _parts["words"] = dom.make("p", "", said, data_testid="meant-note")
    teach_now = dom.make("button", "Teach", said, type="button", class_="button", data_testid="meant-teach")
    undo = dom.make("button", "Take back", said, type="button", class_="button", data_testid="meant-undo")
    dom.listen(teach_now, "click", lambda event: _teach(teach))
    dom.listen(undo, "click", lambda event: dom.run(_take_back(taken_back)))
    dom.listen(row, "keydown", _on_key)
    dom.listen(dom.root, "pointerdown", _outside)


def _can() -> bool:
    return _state["reading"] is not None and not _state["reading"].blank


def show(reading) -> None:
    """Every answer: another drawing closes what was about the one before."""
    before = _state["reading"]
    _state["reading"] = reading
    if before is None or before.version != reading.version:
        close()
        _parts["said"].hidden = True
        _state["key"] = None


def toggle() -> None:
    """Open the row of ten, with the focus on its first, or close it."""
    if not _parts["row"].hidden:
        close(True)
        return
    _parts["said"].hidden = True
    _parts["row"].hidden = False
    _parts["button"].setAttribute("aria-expanded", "true")
    _focus(0)
    dom.speak(f"{ASKED} Press its key, or choose with the arrow keys.", 300)


def close(focus: bool = False) -> None:
    """Put the row away; `focus` gives the focus back to the button."""
    if _parts["row"].hidden:
        return
    _parts["row"].hidden = True
    _parts["button"].setAttribute("aria-expanded", "false")
    if focus:
        _parts["button"].focus()


def _focus(at: int) -> None:
    at %= 10
    for digit, button in enumerate(_state["buttons"]):
        button.setAttribute("tabindex", "0" if digit == at else "-1")
    _state["buttons"][at].focus()
    _state["at"] = at


def _on_key(event) -> None:
    key = event.key
    if event.ctrlKey or event.metaKey or event.altKey:
        return
    if len(key) == 1 and key in "0123456789":
        dom.run(_choose(int(key)))
    elif key in ("ArrowRight", "ArrowDown"):
        _focus(_state["at"] + 1)
    elif key in ("ArrowLeft", "ArrowUp"):
        _focus(_state["at"] - 1)
    elif key in ("Home", "End"):
        _focus(0 if key == "Home" else 9)
    elif key == "Escape":
        close(True)
    else:
        return
    event.preventDefault()


def _outside(event) -> None:
    if not _parts["row"].hidden and not _verdict.contains(event.target):
        close()


def _chooser(digit: int):
    return lambda event: dom.run(_choose(digit))


async def _choose(digit: int) -> None:
    reading, earlier = _state["reading"], _state["key"]
    close(True)
    if not _can() or window.pad.version() != reading.version:
        return
    _state["key"] = None
    key, count = await _state["kept"](digit, reading, earlier)
    if _state["reading"].version == reading.version:
        _state["key"] = key
        say(f"Kept as a {digit}: your first." if count == 1 else f"Kept as a {digit}: {count} are yours.")


def say(sentence: str) -> None:
    """A sentence in the place of the row, until the next drawing."""
    _parts["words"].textContent = sentence
    _parts["said"].hidden = False
    dom.speak(sentence)


def _teach(teach) -> None:
    _parts["said"].hidden = True
    _parts["button"].focus()
    teach()


async def _take_back(taken_back) -> None:
    key, _state["key"] = _state["key"], None
    _parts["said"].hidden = True
    _parts["button"].focus()
    if key is not None:
        await taken_back(key)
        dom.speak("Taken back.")
