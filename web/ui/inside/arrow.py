"""From the lens to the cell that it writes: an arrow over two plates that stand side by side, at whatever width."""

from pyscript import window
from pyscript.ffi import create_proxy
from ui import dom

_shown: dict = {"arrow": None}
# One observer for all pages: what it is told of comes after the layout, so that no plate is measured in between.
_observer = window.ResizeObserver.new(create_proxy(lambda *_: _shown["arrow"].measure()))


class Arrow:
    """In `plates`, a box whose children are the figures of plates. Where they stand one below the other there is none:
    it would cross the words between."""

    def __init__(self, plates) -> None:
        self.plates, self.ends, self.boxes, self.path = plates, None, None, ""
        plates.classList.add("joined")
        over = dom.make("div", "", plates, class_="arrow", aria_hidden="true", data_testid="lens-arrow")
        over.innerHTML = '<svg><path class="halo"/><path class="line"/></svg>'
        self.over, self.lines = over, list(over.querySelectorAll("path"))
        _observer.disconnect()
        _shown["arrow"] = self

    def between(self, source, block, target, cell) -> None:
        """From a block (row, column, rows, columns) of one plate to a cell (row, column) of another."""
        first = self.ends is None
        self.ends = source, block, target, cell
        if first:
            for element in (self.plates, source.figure, target.figure):
                _observer.observe(element)
        self._draw()

    def measure(self) -> None:
        """Something has another size, or stands for the first time."""
        if self.ends is None:
            return
        self.boxes = []
        for plate in (self.ends[0], self.ends[2]):
            box = plate.box
            self.boxes.append((box.offsetLeft, box.offsetTop, box.offsetWidth, box.offsetHeight))
        self._draw()

    def _draw(self) -> None:
        if self.boxes is None:
            return
        source, block, target, cell = self.ends
        _, top, right, bottom = source.place(self.boxes[0], *block)
        goal = target.place(self.boxes[1], cell[0], cell[1], 1, 1)
        beside = self.boxes[1][0] >= self.boxes[0][0] + self.boxes[0][2]
        self.over.hidden = not beside
        if not beside:
            return
        # 3 px: the frames reach that far beyond their cells
        x, y, to_x, to_y = right + 3, (top + bottom) / 2, goal[0] - 4, (goal[1] + goal[3]) / 2
        half = (to_x - x) / 2
        path = f"M{x:.1f} {y:.1f}C{x + half:.1f} {y:.1f} {to_x - half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        path += f"M{to_x - 8:.1f} {to_y - 5:.1f}L{to_x:.1f} {to_y:.1f}L{to_x - 8:.1f} {to_y + 5:.1f}"
        if path != self.path:
            self.path = path
            for line in self.lines:
                line.setAttribute("d", path)
