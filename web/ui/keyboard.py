"""Drawing by keyboard: a cell cursor on the 28 x 28 grid of the pad."""

from pyscript import window
from ui import dom

SIDE = 28
MOVES = {"ArrowRight": (1, 0), "ArrowLeft": (-1, 0), "ArrowDown": (0, 1), "ArrowUp": (0, -1)}
KEYS = (
    ("Arrow keys", "move the cell cursor on the pad"),
    ("Space", "inks the cell"),
    ("Shift + arrow key", "draws a line of ink to the next cell"),
    ("Backspace", "erases the cell"),
)

pad = window.pad
_cell = dom.find("cell")
_at = {"column": 13, "row": 13}


def _centre(column: int, row: int) -> list:
    unit = pad.extent / SIDE
    return [(column + 0.5) * unit, (row + 0.5) * unit]


def _place() -> None:
    _cell.style.left = f"{100 * _at['column'] / SIDE:.4f}%"
    _cell.style.top = f"{100 * _at['row'] / SIDE:.4f}%"
    _cell.hidden = False


def _spoken(did: str = "") -> None:
    dom.speak(f"Row {_at['row'] + 1}, column {_at['column'] + 1}{did}", 120)


def _on_key(event) -> None:
    if event.ctrlKey or event.metaKey or event.altKey:
        return
    key = event.key
    if key in MOVES:
        across, down = MOVES[key]
        before = _centre(_at["column"], _at["row"])
        _at["column"] = min(SIDE - 1, max(0, _at["column"] + across))
        _at["row"] = min(SIDE - 1, max(0, _at["row"] + down))
        if event.shiftKey:
            pad.add(before + _centre(_at["column"], _at["row"]), pad.width(), False)
        _spoken()
    elif key == " ":
        pad.add(_centre(_at["column"], _at["row"]), pad.width(), False)
        _spoken(", inked")
    elif key == "Backspace":
        pad.add(_centre(_at["column"], _at["row"]), pad.extent / SIDE, True)
        _spoken(", erased")
    else:
        return
    event.preventDefault()
    _place()


def setup() -> None:
    """Listen on the pad; the cursor shows while the pad has the focus and keys are used."""
    dom.listen(pad.canvas, "keydown", _on_key)
    dom.listen(pad.canvas, "focus", lambda event: _place() if pad.canvas.matches(":focus-visible") else None)

    def gone(event) -> None:
        _cell.hidden = True

    dom.listen(pad.canvas, "blur", gone)
    dom.listen(pad.canvas, "pointerdown", gone)
