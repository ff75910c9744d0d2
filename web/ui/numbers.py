"""The 784 numbers as a table that can be read and edited, cell by cell."""

from pyscript import document, window
from ui import dom

SIDE = 28
WORDS = (
    "Ink in each cell of the 28 \u00d7 28, from 0 for paper to 1. Arrow keys move. Enter or a digit edits, Enter again "
    "keeps, Escape leaves the cell as it was. The answer follows."
)
GRID = '<table role="grid" aria-label="28 by 28 ink values" aria-rowcount="28" aria-colcount="28" data-testid="grid">'
CELL = '<td role="gridcell" tabindex="-1" aria-colindex="{}">0</td>'

_box, _details = dom.find("numbers-body"), dom.find("numbers")
_state: dict = {"cells": [], "texts": [], "values": None, "at": 0, "input": None}


def _text(value: float) -> str:
    text = f"{value:.2f}"
    return "0" if value == 0 else "1" if text == "1.00" else text[1:]


def is_open() -> bool:
    """Whether the table is unfolded."""
    return bool(_details.open)


def _build() -> None:
    if _state["cells"]:
        return
    dom.make("p", WORDS, _box, class_="words")
    wrap = dom.make("div", "", _box, class_="grid-scroll")
    rows = []
    for row in range(SIDE):
        cells = "".join([CELL.format(column + 1) for column in range(SIDE)])
        rows.append(f'<tr role="row" aria-rowindex="{row + 1}">{cells}</tr>')
    wrap.innerHTML = GRID + '<tbody role="rowgroup">' + "".join(rows) + "</tbody></table>"
    cells = wrap.querySelectorAll("td")
    _state["cells"] = [cells[i] for i in range(SIDE * SIDE)]
    _state["texts"] = ["0"] * (SIDE * SIDE)
    _state["cells"][0].setAttribute("tabindex", "0")
    dom.listen(wrap, "keydown", _on_key)
    dom.listen(wrap, "click", _on_click)
    dom.listen(wrap, "focusin", _on_focus)


def show(values) -> None:
    """Bring the table up to date; None: a blank pad. Only cells that differ are touched."""
    _state["values"] = values
    if not is_open() or _state["input"] is not None:
        return
    _build()
    numbers = [float(value) for value in values] if values is not None else [0.0] * (SIDE * SIDE)
    for i, value in enumerate(numbers):
        text = _text(value)
        if text != _state["texts"][i]:
            _state["texts"][i] = text
            cell = _state["cells"][i]
            cell.textContent = text
            cell.style.setProperty("--ink-share", f"{value:.2f}")
            cell.setAttribute(
                "data-tone", "none" if value == 0 else "low" if value < 0.435 else "mid" if value < 0.595 else "high"
            )


def _index(element) -> int:
    cell = element.closest("td") if element.closest else None
    if cell is None:
        return -1
    return (
        (int(cell.parentElement.getAttribute("aria-rowindex")) - 1) * SIDE + int(cell.getAttribute("aria-colindex")) - 1
    )


def _move(to: int) -> None:
    _state["cells"][_state["at"]].setAttribute("tabindex", "-1")
    _state["at"] = to
    _state["cells"][to].setAttribute("tabindex", "0")
    _state["cells"][to].focus()


def _on_focus(event) -> None:
    index = _index(event.target)
    if index >= 0 and index != _state["at"]:
        _state["cells"][_state["at"]].setAttribute("tabindex", "-1")
        _state["cells"][index].setAttribute("tabindex", "0")
        _state["at"] = index


def _on_click(event) -> None:
    index = _index(event.target)
    if index >= 0 and _state["input"] is None:
        _move(index)


def _edit(first: str = "") -> None:
    at = _state["at"]
    cell = _state["cells"][at]
    cell.textContent = ""
    field = dom.make(
        "input",
        "",
        cell,
        type="text",
        inputmode="decimal",
        maxlength="6",
        aria_label=f"Row {at // SIDE + 1}, column {at % SIDE + 1}",
    )
    field.value = first or _state["texts"][at]
    _state["input"] = field
    field.focus()
    if not first:
        field.select()
    dom.listen(field, "blur", lambda event: _done(True))


def _done(keep: bool) -> None:
    field = _state["input"]
    if field is None:
        return
    _state["input"] = None  # first: taking the field out of the table blurs it
    at = _state["at"]
    text = field.value.strip().replace(",", ".")
    _state["cells"][at].textContent = _state["texts"][at]
    if not keep or text == _state["texts"][at]:
        return
    try:
        value = min(1.0, max(0.0, float(text)))
    except ValueError:
        dom.speak(f"{text} is not a number. The cell keeps {_state['texts'][at]}.")
        return
    values = _state["values"] if _state["values"] is not None else window.Float32Array.new(SIDE * SIDE)
    window.pad.show(window.pixels.replaced(values, at, value), "edited numbers")


def _on_key(event) -> None:
    key, at = event.key, _state["at"]
    if _state["input"] is not None:
        if key in ("Enter", "Escape"):
            event.preventDefault()
            event.stopPropagation()
            _done(key == "Enter")
            _state["cells"][at].focus()
        return
    row, column = at // SIDE, at % SIDE
    places = {
        "ArrowRight": (row, column + 1),
        "ArrowLeft": (row, column - 1),
        "ArrowDown": (row + 1, column),
        "ArrowUp": (row - 1, column),
        "Home": (0 if event.ctrlKey else row, 0),
        "End": (SIDE - 1 if event.ctrlKey else row, SIDE - 1),
        "PageUp": (0, column),
        "PageDown": (SIDE - 1, column),
    }
    if key in places:
        event.preventDefault()
        row, column = places[key]
        _move(min(SIDE - 1, max(0, row)) * SIDE + min(SIDE - 1, max(0, column)))
    elif key in ("Enter", "F2"):
        event.preventDefault()
        _edit()
    elif len(key) == 1 and (key.isdigit() or key in ".,") and not event.ctrlKey and not event.metaKey:
        event.preventDefault()
        _edit("0." if key in ".," else key)


def setup(current) -> None:
    """Build the table when it is first unfolded; `current()` gives the values then."""
    dom.listen(_details, "toggle", lambda event: show(current()))


def unfold() -> None:
    """Open the table and go to it."""
    _details.open = True
    show(_state["values"])
    _details.scrollIntoView()
    if _state["cells"] and document.activeElement is not None:
        _state["cells"][_state["at"]].focus()
