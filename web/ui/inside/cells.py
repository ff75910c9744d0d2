"""The numbers of matrices and tables, under pointer and keyboard: a click or Enter asks how one was made, the arrow
keys go from one to the next."""

from pyscript import window
from ui.inside import parts
from ui.inside.figures import stand
from ui.inside.plate import ARROWS


def asked(event):
    """What a click asks about, or Enter on a number of a table: (layer, index, whether of the network on the operating
    table); None for anything else."""
    found = event.target.closest("[data-cell]")
    if not found:
        return None
    if found.tagName == "TD":  # the keyboard goes on from there, and comes back to it
        stand(found)
        window.early.focus(found)
    layer, _, index = found.getAttribute("data-cell").partition(":")
    return layer, parts.parsed(index), bool(found.closest('[data-on="table"]'))


def key(event):
    """The same for a key; arrow keys, Home and End move within the table."""
    cell = event.target
    if cell.tagName != "TD" or not cell.hasAttribute("tabindex") or event.ctrlKey or event.metaKey or event.altKey:
        return None
    if event.key == "Enter":
        event.preventDefault()
        return asked(event)
    line = cell.parentElement
    if event.key in ARROWS:
        down, right = ARROWS[event.key]
        _go(cell, line.rowIndex + down, cell.cellIndex + right)
    elif event.key == "Home":
        _go(cell, line.rowIndex, 0 if line.cells[0].hasAttribute("tabindex") else 1)
    elif event.key == "End":
        _go(cell, line.rowIndex, line.cells.length - 1)
    else:
        return None
    event.preventDefault()
    return None


def _go(cell, row: int, column: int) -> None:
    """To another number of the table, if there is one: names of rows and columns are none."""
    rows = cell.closest("table").rows
    if 0 <= row < rows.length and 0 <= column < rows[row].cells.length:
        other = rows[row].cells[column]
        if other.hasAttribute("data-cell") or other.hasAttribute("data-outside"):
            stand(other)
            other.focus()


class Place:
    """Where the keyboard stands in a part of the page that is written anew: `Place(root)` before, `regain()` after."""

    def __init__(self, root) -> None:
        active = window.document.activeElement
        self.box = None
        if active and active.hasAttribute("data-cell") and root.contains(active):
            self.box, self.active = active.closest("[data-testid]") or root, active
            self.at = getattr(window.Array, "from")(self.box.querySelectorAll("[data-cell]")).indexOf(active)

    def regain(self) -> None:
        """On the number in the same place, where the one that had the keyboard is gone."""
        if self.box is None or self.active.isConnected or not self.box.isConnected:
            return
        found = self.box.querySelectorAll("[data-cell]")
        if self.at < found.length:
            if found[self.at].tagName == "TD":
                stand(found[self.at])
            window.early.focus(found[self.at])


def like(element, address: str, root):
    """What has the keyboard's place of before: the element itself, or the number of that address in a table or list of
    the same kind which has been written anew."""
    if element is None or element.isConnected or not address:
        return element
    kind = _kind(element)
    found = list(root.querySelectorAll(f'[data-cell="{address}"]'))
    found = [one for one in found if _kind(one) == kind] or found
    if found and found[0].tagName == "TD":
        stand(found[0])
    return found[0] if found else element


def _kind(element) -> str:
    table = element.closest("table")
    return table.className if table else element.tagName
