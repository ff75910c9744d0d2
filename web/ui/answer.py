"""The answer: one large numeral, how sure, and the sentence beside it."""

from pyscript import window
from ui import dom
from ui.worker import TITLES

SURE, LIKELY = 0.95, 0.80
BLANK = "Draw a digit, 0 to 9."

_numeral, _share, _note = dom.find("answer"), dom.find("share"), dom.find("answer-note")
_origin, _arrival, _again = dom.find("origin"), dom.find("arrival"), dom.find("again")


def verdict(share: float) -> str:
    """The word for a probability."""
    return "sure" if share >= SURE else "likely" if share >= LIKELY else "unsure"


def _whole(share: float) -> str:
    return dom.percent(share, 0)


def sentence(reading) -> str:
    """What there is to say about a reading."""
    if reading.blank:
        return BLANK
    first, second = reading.probabilities[reading.digit], reading.probabilities[reading.second]
    word = verdict(first)
    if word == "sure":
        return f"Sure: a {reading.digit}."
    if word == "likely":
        return f"Likely a {reading.digit}, else a {reading.second} ({_whole(second)})."
    return f"{reading.digit} ({_whole(first)}) or {reading.second} ({_whole(second)})."


def show(reading, backend: str) -> None:
    """Put a reading on the page."""
    first = reading.probabilities[reading.digit] if not reading.blank else 0.0
    word = "blank" if reading.blank else verdict(first)
    words = sentence(reading)
    _numeral.textContent = "?" if word in ("blank", "unsure") else str(reading.digit)
    _numeral.setAttribute("data-verdict", word)
    _numeral.setAttribute("data-digit", "" if reading.blank else str(reading.digit))
    _numeral.setAttribute("data-version", str(reading.version))
    _share.innerHTML = "" if reading.blank else f"{dom.percent(first)} <span>{word}</span>"
    _note.textContent = words
    _origin.textContent = (
        "" if reading.blank else f"{reading.model} on {TITLES[backend]}, {dom.milliseconds(reading.ms)}"
    )


def waiting(engine) -> None:
    """While the engine is on its way, has stopped, or has just come: the same place says so."""
    report = window.engineReport
    _arrival.hidden = engine.state != "loading"
    _again.hidden = engine.state != "failed"
    if engine.state == "loading":
        _note.textContent = _progress(report.bytes, report.total)
        _arrival.value = min(1, report.bytes / report.total) if report.total else 0
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


def _progress(done: int, total: int) -> str:
    if not total:
        return f"Python is on its way: {done / 1e6:.1f} MB so far. You can draw already."
    if done < total:
        return f"Python is on its way: {done / 1e6:.1f} of {total / 1e6:.1f} MB. You can draw already."
    return "Python has arrived and is starting. You can draw already."
