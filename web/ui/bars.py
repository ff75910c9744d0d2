"""Ten probabilities and the share of "none of them", as bars and numbers; together 100 %."""

from ui import asked, dom

NONE = 10  # the eleventh meter: the share of the class that the network keeps for what is no digit
KEYS = (("Arrow keys", "choose a probability"), ("Enter", "shows how it was made"))
STEPS = {"ArrowDown": 1, "ArrowRight": 1, "ArrowUp": -1, "ArrowLeft": -1}

_lines: list = []
# The number that the tab key comes to: that of the first, until the arrow keys choose another.
_state: dict = {"first": None, "stop": -1}


def setup() -> None:
    """Find the eleven meters, which stand in index.html: there may be an answer before there is Python."""
    box = dom.find("bars")
    for k in range(NONE + 1):
        meter, number = box.children[k].children
        _lines.append((meter, number))
        asked.setup(number)
    dom.listen(box, "keydown", _key)


def _key(event) -> None:
    """The arrow keys go from number to number: one tab stop is enough for all of them."""
    links = [number for _, number in _lines if number.hasAttribute("href")]
    if not links or event.ctrlKey or event.altKey or event.metaKey:
        return
    at = _state["stop"]
    if event.key in STEPS:
        at = (at + STEPS[event.key]) % len(links)
    elif event.key in ("Home", "End"):
        at = 0 if event.key == "Home" else len(links) - 1
    else:
        return
    event.preventDefault()
    _stop(at)
    links[at].focus()


def _stop(at: int) -> None:
    """Let the tab key come to this number alone."""
    _state["stop"] = at
    for k, (_, number) in enumerate(_lines):
        number.setAttribute("tabindex", "0" if k == at else "-1")


def show(reading) -> None:
    """Set the bars; a blank pad leaves them empty, which is not the same as ten zeros."""
    place = reading.place()
    shares = place.probabilities + [place.none] if place else [0.0] * (NONE + 1)  # noqa: RUF005  (not in MicroPython)
    first = -1 if place is None else NONE if place.verdict == "none" else place.digit
    for k, (meter, number) in enumerate(_lines):
        share = shares[k]
        known = place is not None and (k < NONE or reading.rejects)
        text = dom.percent(share) if known else ""
        asked.show(number, reading.model, k, text)
        meter.style.setProperty("--share", f"{share:.4f}")
        meter.setAttribute("aria-valuenow", f"{100 * share:.2f}")
        without = "this model has no such class" if place is not None else "no reading"
        meter.setAttribute("aria-valuetext", text or without)
        meter.setAttribute("data-first", "yes" if k == first else "no")
    if first != _state["first"]:
        _state["first"] = first
        _stop(first)
