"""The few things every view needs of the document.

A JavaScript function that throws stops MicroPython, whatever `try` stands around it: calls that may throw are in
early.js. A promise that is rejected, on the other hand, raises where it is awaited.
"""

import asyncio

from pyscript import document, window
from pyscript.ffi import create_proxy

root = document.documentElement
view = document.defaultView  # `window` cannot be listened to through its proxy: "Illegal invocation"


def find(name: str):
    """The element with this id."""
    return document.getElementById(name)


def listen(target, event: str, handler) -> None:
    """Call `handler(event)` for every such event on `target`."""
    target.addEventListener(event, create_proxy(handler))


_running: dict = {"last": None}


def run(coroutine) -> None:
    """Start a coroutine from where nothing can be awaited: a listener, or the end of a module."""
    _running["last"] = asyncio.create_task(coroutine)


async def turn() -> None:
    """Let the pen and the keys through. A sleep would not always: MicroPython runs all that is due in one task."""
    await window.early.turn()


def make(tag: str, text: str = "", into=None, **attributes):
    """A new element. `class_` and `for_` lose their underscore, other underscores become hyphens."""
    element = document.createElement(tag)
    for name, value in attributes.items():
        element.setAttribute(name.rstrip("_").replace("_", "-"), str(value))
    if text:
        element.textContent = text
    if into is not None:
        into.append(element)
    return element


def icon(name: str) -> str:
    """Mark-up of one of the icons drawn in index.html."""
    return f'<svg class="icon" aria-hidden="true"><use href="#i-{name}"/></svg>'


def percent(share: float, digits: int = 1) -> str:
    """A share as "97.3 %", rounded; but only certainty itself is shown as 100 %."""
    if share != share:
        return "not a number"
    scale = 10**digits
    shown = int(share * 100 * scale + 0.5)
    if shown >= 100 * scale and share < 1 - 1e-9:
        shown = 100 * scale - 1
    return f"{shown / scale:.{digits}f} %"


def milliseconds(value: float) -> str:
    """A duration, to the tenth of a millisecond that a browser's clock gives: "0.2 ms", "3.1 ms", "120 ms"."""
    return "<0.1 ms" if value < 0.1 else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def thousands(value: int) -> str:
    """An integer with thin spaces every three digits, as a textbook sets it."""
    digits, groups = str(int(value)), []
    while len(digits) > 3:
        digits, group = digits[:-3], digits[-3:]
        groups.insert(0, group)
    groups.insert(0, digits)
    return "\u202f".join(groups)


def keep(name: str, value: str) -> None:
    """Remember a choice on this device, where the browser allows it."""
    window.early.keep(name, value)


def kept(name: str) -> str:
    """The remembered choice, or an empty string."""
    return window.early.kept(name)


_speech = {"timer": None, "sentence": ""}


def _say(*_) -> None:
    _speech["timer"] = None
    find("live").textContent = _speech["sentence"]


_say_proxy = create_proxy(_say)  # one for all sentences: a proxy is never freed


def speak(sentence: str, after_ms: int = 0) -> None:
    """Let a screen reader say this once nothing newer has come for `after_ms`."""
    if _speech["timer"] is not None:
        window.clearTimeout(_speech["timer"])
    _speech["sentence"] = sentence
    _speech["timer"] = window.setTimeout(_say_proxy, after_ms)


_later: dict = {}  # by name: timer and what it does


def later(name: str, after_ms: int, do) -> None:
    """Do this once nothing newer of that name has come for so long."""
    if name not in _later:
        _later[name] = {"timer": None, "do": None, "proxy": create_proxy(lambda *_: _later[name]["do"]())}
    entry = _later[name]
    if entry["timer"] is not None:
        window.clearTimeout(entry["timer"])
    entry["do"] = do
    entry["timer"] = window.setTimeout(entry["proxy"], after_ms)
