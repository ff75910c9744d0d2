"""Test images of each digit, plain and hard, to try without drawing."""

from pyscript import document, fetch, window
from ui import dom

WORDS = "Digits of the MNIST test set, which no model here was trained on. Those in the last rows are hard."

_box = dom.find("gallery")
_state: dict = {"bytes": None, "list": [], "buttons": [], "at": 0}


def is_open() -> bool:
    """Whether it is shown."""
    return not _box.hidden


def toggle() -> None:
    """Show it or put it away."""
    _box.hidden = not _box.hidden


async def load() -> None:
    """Fetch the images, once."""
    if _state["bytes"] is not None:
        return
    listed = await (await fetch("gallery/index.json")).json()
    buffer = await (await window.fetch("gallery/" + listed["file"])).arrayBuffer()
    _state["list"], _state["bytes"] = listed["images"], window.Uint8Array.new(buffer)


def build(choose) -> None:
    """Make a button for every image; `choose(number)` gets the image's number in the test set."""
    if _state["buttons"]:
        return
    dom.make("p", WORDS, _box, class_="gallery-words")
    grid = dom.make(
        "div", "", _box, class_="gallery-grid", role="group", aria_label="Test images, moved between by arrow keys"
    )
    for i, image in enumerate(_state["list"]):
        words = f"A{' hard' if image['hard'] else ''} {image['label']}, test image {image['number']}"
        button = dom.make(
            "button",
            "",
            grid,
            type="button",
            class_="gallery-image",
            tabindex="-1" if i else "0",
            title=words,
            aria_label=words,
            data_testid=f"sample-{image['number']}",
        )
        dom.make("canvas", "", button, width=28, height=28)
        dom.listen(button, "click", _chooser(choose, image["number"]))
        _state["buttons"].append(button)
    dom.listen(grid, "keydown", _on_key)
    repaint()


def _chooser(choose, number: int):
    return lambda event: choose(number)


def repaint() -> None:
    """Paint all images; again after a change of theme."""
    for i, button in enumerate(_state["buttons"]):
        window.pixels.paint(button.firstElementChild, window.pixels.sample(_state["bytes"], i), 28, 28)


def values(number: int):
    """The 784 numbers of a test image and what it is, or (None, "") for one the gallery does not hold."""
    for i, image in enumerate(_state["list"]):
        if image["number"] == number:
            return window.pixels.sample(_state["bytes"], i), f"sample {number}"
    return None, ""


def _on_key(event) -> None:
    """One stop in the tab order; the arrows move within, ten images to a row."""
    step = {"ArrowRight": 1, "ArrowLeft": -1, "ArrowDown": 10, "ArrowUp": -10}.get(event.key)
    buttons = _state["buttons"]
    if step is None or event.ctrlKey or event.metaKey:
        return
    event.preventDefault()
    for i, button in enumerate(buttons):
        if button == document.activeElement or button.isSameNode(document.activeElement):
            _state["at"] = i
    to = _state["at"] + step
    if 0 <= to < len(buttons):
        buttons[_state["at"]].setAttribute("tabindex", "-1")
        buttons[to].setAttribute("tabindex", "0")
        buttons[to].focus()
        _state["at"] = to
