"""The answer: one large numeral or a whole number, how sure, and the core's sentence beside it."""

from pyscript import window
from ui import asked, dom
from ui.worker import TITLES

BLANK = "Draw a digit, 0 to 9."
WORDS = {"sure": "sure", "likely": "likely", "unsure": "unsure", "none": "no digit"}

_numeral, _share, _note = dom.find("answer"), dom.find("share"), dom.find("answer-note")
_origin, _arrival, _again = dom.find("origin"), dom.find("arrival"), dom.find("again")
_of, _word = _share.children
_state: dict = {"reading": None}


def setup(look_at) -> None:
    """`look_at(number)`: a number's share is that of the digit it hangs on, which is then looked at."""

    def before() -> None:
        reading = _state["reading"]
        if reading is not None and reading.weakest != reading.chosen:
            look_at(reading.weakest)

    asked.setup(_of, before)


def sentence(reading) -> str:
    """What there is to say about a reading."""
    return BLANK if reading.blank else reading.sentence


def _certainty(reading) -> None:
    """The share behind the verdict and its word; of a number that of the digit it hangs on."""
    place = reading.places[reading.weakest]
    where = ""
    if len(reading.places) > 1 and place.verdict != "sure":
        where = f"<i> in place {reading.weakest + 1}</i>"
    asked.show(_of, reading.model, 10 if place.verdict == "none" else place.digit, dom.percent(place.share()))
    _word.innerHTML = WORDS[place.verdict] + where


def _no_share() -> None:
    asked.show(_of, "", 0, "")
    _word.textContent = _origin.textContent = ""


def show(reading, backend: str) -> None:
    """Put a reading on the page."""
    _state["reading"] = None if reading.blank else reading
    _numeral.textContent = reading.text
    _numeral.setAttribute("data-verdict", reading.verdict)
    _numeral.setAttribute("data-count", str(min(6, len(reading.places))))
    _numeral.setAttribute("data-digit", reading.digits())
    _numeral.setAttribute("data-version", str(reading.version))
    _numeral.setAttribute("data-early", "yes" if reading.early and not reading.blank else "no")
    _note.textContent = sentence(reading)
    if reading.blank:
        _no_share()
        return
    _certainty(reading)
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
    _no_share()


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
