"""The one dialog: a title, a body that the caller fills, and a way to close it."""

from ui import dom

_sheet, _title, _body = dom.find("sheet"), dom.find("sheet-title"), dom.find("sheet-body")


def opened(title: str):
    """Empty the dialog, open it under this title and hand its body to the caller."""
    _title.textContent = title
    _body.replaceChildren()
    if not _sheet.open:
        _sheet.showModal()
    return _body


def close() -> None:
    """Close it; the browser gives the focus back to where it was."""
    _sheet.close()


def is_open() -> bool:
    """Whether it is open."""
    return bool(_sheet.open)


def _backdrop(event) -> None:
    if event.target.id == "sheet":  # the dialog itself is only hit outside its padding: on the backdrop
        close()


dom.listen(_sheet, "click", _backdrop)
