"""Several digits on one pad: a frame around each, and a button for each that chooses what the views are about."""

from ui import dom

_frames, _row = dom.find("places"), dom.find("place-row")
_state: dict = {"choose": None, "buttons": [], "frames": []}


def setup(choose) -> None:
    """`choose(number)` is called with the place, from 0, whose digit the visitor wants to look at."""
    _state["choose"] = choose


def _build(count: int) -> None:
    """As many frames and buttons as there are digits; one digit needs none."""
    while len(_state["buttons"]) > count:
        _state["buttons"].pop().remove()
        _state["frames"].pop().remove()
    while len(_state["buttons"]) < count:
        number = len(_state["buttons"])
        button = dom.make("button", "", _row, type="button", class_="place", data_testid=f"place-{number}")
        dom.listen(button, "click", _chooser(number))
        frame = dom.make("div", "", _frames, class_="place-frame", data_testid=f"frame-{number}")
        dom.make("b", "", frame)
        _state["buttons"].append(button)
        _state["frames"].append(frame)
    _row.hidden = count == 0


def _chooser(number: int):
    return lambda event: _state["choose"](number)


def show(reading) -> None:
    """Follow a reading. A single digit that is answered has no frame: the pad stays clean."""
    places = reading.places if len(reading.places) > 1 else []
    _build(len(places))
    for number, place in enumerate(places):
        chosen = number == reading.chosen
        share = dom.percent(place.share(), 0)
        button, frame = _state["buttons"][number], _state["frames"][number]
        button.textContent = place.text()
        button.setAttribute("aria-pressed", "true" if chosen else "false")
        words = f"{place.text()}, {share}" if place.answered else place.sentence
        button.setAttribute("aria-label", f"Place {number + 1} of {len(places)}: {words}")
        frame.setAttribute("data-verdict", place.verdict)
        frame.setAttribute("data-chosen", "yes" if chosen else "no")
        frame.hidden = not place.box
        if place.box:
            left, top, right, bottom = [100 * edge for edge in place.box]
            style = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
            frame.setAttribute("style", style)
            frame.setAttribute("data-below", "yes" if bottom < 90 else "no")
        label = frame.firstElementChild
        label.textContent = place.text() if place.answered else "?"
        if place.answered:  # beside the small pad the digit alone has room
            dom.make("span", f" {share}", label)
