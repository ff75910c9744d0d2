"""Light and dark: the system's choice until the visitor makes one, which is then kept."""

from pyscript import window
from ui import dom

_dark = window.matchMedia("(prefers-color-scheme: dark)")
_repaint: list = []


def is_dark() -> bool:
    """What is shown now."""
    chosen = dom.root.getAttribute("data-theme")
    return chosen == "dark" if chosen else bool(_dark.matches)


def toggle() -> None:
    """To the other one."""
    chosen = "light" if is_dark() else "dark"
    dom.root.setAttribute("data-theme", chosen)
    dom.keep("theme", chosen)
    _changed()


def _changed() -> None:
    window.pad.repaint()
    for repaint in _repaint:
        repaint()


def setup(repaint) -> None:
    """Call `repaint` functions whenever the colours have changed: pictures do not follow by themselves."""
    _repaint.extend(repaint)
    dom.listen(_dark, "change", lambda event: _changed())
