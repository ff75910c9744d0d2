"""The answer: one large numeral or a whole number, how sure, and the core's sentence beside it."""

from pyscript import window
from ui import dom
from ui.worker import TITLES

BLANK = "Draw a digit, 0 to 9."
WORDS = {"sure": "sure", "likely": "likely", "unsure": "unsure", "none": "no digit"}

_numeral, _share, _note = dom.find("answer"), dom.find("share"), dom.find("answer-note")
_origin, _arrival, _again = dom.find("origin"), dom.find("arrival"), dom.find("again")


def sentence(reading) -> str:
    """What there is to say about a reading."""
    return BLANK if reading.blank else reading.sentence


def _certainty(reading) -> str:
    """The share behind the verdict and its word; of a number that of the digit it hangs on."""
    place = reading.places[reading.weakest]
    where = ""
    if len(reading.places) > 1 and place.verdict != "sure":
        where = f"<i> in place {reading.weakest + 1}</i>"
    return f"{dom.percent(place.share())} <span>{WORDS[place.verdict]}{where}</span>"


def show(reading, backend: str) -> None:
    """Put a reading on the page."""
    _numeral.textContent = reading.text
    _numeral.setAttribute("data-verdict", reading.verdict)
    _numeral.setAttribute("data-count", str(min(6, len(reading.places))))
    _numeral.setAttribute("data-digit", reading.digits())
    _numeral.setAttribute("data-version", str(reading.version))
    _numeral.setAttribute("data-early", "yes" if reading.early and not reading.blank else "no")
    _note.textContent = sentence(reading)
    if reading.blank:
        _share.innerHTML = _origin.textContent = ""
        return
    _share.innerHTML = _certainty(reading)
    off = f", without {reading.without.replace(',', ', ')}" if reading.without else ""
    off += ", before Python has loaded" if reading.early else ""
    _origin.textContent = f"{reading.model} on {TITLES[backend]}, {dom.milliseconds(reading.ms)}{off}"


def waiting(engine, standing: bool = False) -> None:
    """While the engine is on its way, has stopped, or has just come: the same place says so.

    `standing`: an answer from before Python stays, and the header alone says how far Python is.
    """
    report = window.engineReport
    _arrival.hidden = engine.state != "loading"
    _again.hidden = engine.state != "failed"
    if engine.state == "loading":
        _arrival.value = min(1, report.bytes / report.total) if report.total else 0
    if standing and engine.state != "failed":
        return
    if engine.state == "loading":
        _note.textContent = progress(report.bytes, report.total) + " You can draw already."
    elif engine.state == "failed":
        _clear()
        _note.textContent = f"The engine stopped: {engine.error}. Your drawing is kept."
    elif window.pad.kind() == "blank":
        _note.textContent = BLANK
    else:
        _note.textContent = "Python is ready. The weights are on their way."


def _clear() -> None:
    _numeral.textContent = "?"
    for name in ("data-digit", "data-version"):
        _numeral.setAttribute(name, "")
    _share.textContent = _origin.textContent = ""


def progress(done: int, total: int) -> str:
    """How far Python is."""
    if not total:
        return f"Python is on its way: {done / 1e6:.1f} MB so far."
    if done < total:
        return f"Python is on its way: {done / 1e6:.1f} of {total / 1e6:.1f} MB."
    return "Python has arrived and is starting."


def unread() -> None:
    """There is ink, but nobody to read it yet."""
    _clear()
    _numeral.setAttribute("data-verdict", "blank")
    _numeral.setAttribute("data-early", "no")
