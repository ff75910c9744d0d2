"""Pictures as tables of numbers, unfolded on demand. The article's figures use it, too."""

from pyscript import window
from ui import dom

MINUS = "\u2212"
A_TURN = 300  # numbers written between two chances for pen and keys
ASKABLE = (
    "A click on a number, or Enter, unfolds how it was made. One Tab leads into the table, arrow keys from number to "
    "number."
)
WEIGHTS = "These are weights: learned in training, not made of anything on this drawing."


def number(value: float, digits: int = 2) -> str:
    """With a minus sign proper; fewer decimals where the number is long."""
    size = abs(value)
    if size >= 1000:
        digits = 0
    elif size >= 100:
        digits = 1
    text = f"{value:.{digits}f}"
    if text[0] == "-" and not text.strip("-0."):  # nothing is left of it: no sign either
        text = text[1:]
    return text.replace("-", MINUS)


def table(heads, rows, caption="") -> str:
    """Mark-up of a table of numbers: the words of the columns, and rows of texts."""
    head = "".join([f'<th scope="col">{text}</th>' if text else "<td></td>" for text in heads])
    lines = [line(row) for row in rows]
    title = f'<caption class="visually-hidden">{caption}</caption>' if caption else ""
    return f'<table class="figures">{title}<thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def line(texts) -> str:
    """Mark-up of a row of texts."""
    return "<tr>" + "".join([f"<td>{text}</td>" for text in texts]) + "</tr>"


async def pour(box, heads, lines, caption: str, wanted) -> None:
    """Write a table a piece a turn, as laying out thousands of cells at once would hold up the pen. One with the same
    columns stays, and its pieces are exchanged: nothing jumps, and the keyboard stays where it is. `lines`: mark-up of
    the rows; `wanted()`: whether there is nothing newer to write."""
    key = " ".join(heads)
    if box.getAttribute("data-heads") != key:
        box.innerHTML = table(heads, [], caption)
        box.setAttribute("data-heads", key)
    grid, place, piece, cells = box.querySelector("table"), 0, [], 0
    grid.caption.textContent = caption
    box.removeAttribute("data-full")
    for one in lines:
        piece.append(one)
        cells += len(heads)
        if cells >= A_TURN:
            _put(grid, place, piece)
            place, piece, cells = place + 1, [], 0
            await dom.turn()
            if not wanted():
                return
    _put(grid, place, piece)
    while grid.tBodies.length > place + 1:
        last = grid.tBodies[grid.tBodies.length - 1]
        if last.contains(window.document.activeElement):
            window.early.focus(box)
        last.remove()
    box.setAttribute("data-full", "yes")


def _put(grid, place: int, piece: list) -> None:
    """Exchange a piece. Its place under the keyboard, and its stop of the tab key, are those of the piece before."""
    body = grid.tBodies[place] if place < grid.tBodies.length else dom.make("tbody", "", grid)
    active = window.document.activeElement
    focused = active.closest("td") if active and body.contains(active) else None
    stop = focused or body.querySelector('td[tabindex="0"]')
    at = (stop.parentElement.sectionRowIndex, stop.cellIndex) if stop else None
    body.innerHTML = "".join(piece)
    if at and at[0] < body.rows.length and at[1] < body.rows[at[0]].cells.length:
        cell = body.rows[at[0]].cells[at[1]]
        asks = cell.hasAttribute("data-cell")
        if asks:
            stand(cell)
        if focused:
            window.early.focus(cell if asks else cell.querySelector("button") or grid.parentElement)
    elif focused:
        window.early.focus(grid.parentElement)
    if place == 0:
        _enterable(grid)


def _enterable(grid) -> None:
    """A table whose numbers can be asked about is a grid with one stop of the tab key; any other has none."""
    first = grid.querySelector("td[data-cell]")
    if not first:
        grid.removeAttribute("role")
        return
    grid.setAttribute("role", "grid")
    if not grid.querySelector('td[tabindex="0"]'):
        first.setAttribute("tabindex", "0")


def stand(cell) -> None:
    """Make a cell its table's stop of the tab key."""
    for other in list(cell.closest("table").querySelectorAll('td[tabindex="0"]')):
        other.setAttribute("tabindex", "-1")
    cell.setAttribute("tabindex", "0")


def _read(values, first: int, count: int) -> tuple:
    """Numbers of a packed array, which cross in one go, and the decimals that show the largest of them."""
    text = values.slice(first, first + count).join(" ")
    found = [float(word) for word in text.split()]
    peak, digits = max([abs(value) for value in found] + [0.0]), 2
    while peak and digits < 6 and peak < 10.0 ** (2 - digits):
        digits += 1
    return found, digits


class Grid:
    """A map's numbers where they lie. `values` holds maps of that size, of which it is number `place`; `count`: where
    the last row is not full. `of`: the layer whose values they are, with the map ("conv1:3") where it is none of
    numbers alone ("dense1"): each then leads to how it was made, in the network on the operating table where `on` is
    "table". `note`: a sentence about them."""

    long = False

    def __init__(self, words: str, values, height, width, place=0, count=0, of="", note="", on="") -> None:
        self.words, self.values, self.height, self.width = words, values, int(height), int(width)
        self.of, self.on, self.note = of, on, note or (ASKABLE if of else "")
        self.first, self.count = place * self.height * self.width, count or self.height * self.width

    def heads(self) -> list:
        """The columns, counted from 1."""
        return ["row"] + [str(k + 1) for k in range(self.width)]

    def lines(self):
        """One after the other: there may be thousands of cells."""
        found, digits = _read(self.values, self.first, self.count)
        for k in range(self.height):
            texts, first = [f"<tr><td>{k + 1}</td>"], k * self.width
            row = found[first : first + self.width]
            if not self.of:
                texts += [f"<td>{number(value, digits)}</td>" for value in row]
            elif ":" in self.of:
                begin = f'<td data-cell="{self.of}.{k}.'
                texts += [f'{begin}{j}">{number(value, digits)}</td>' for j, value in enumerate(row)]
            else:
                begin = f'<td data-cell="{self.of}:'
                texts += [f'{begin}{first + j}">{number(value, digits)}</td>' for j, value in enumerate(row)]
            yield "".join(texts)


class Lines:
    """Numbers side by side, a line for each: `columns` are (words, values), or (words, values, the layer whose values
    they are); `note`: a sentence about them."""

    long, on = True, ""

    def __init__(self, words: str, columns, note: str = "") -> None:
        self.words, self.columns = words, columns
        self.note = note or (ASKABLE if any(len(column) > 2 for column in columns) else "")

    def heads(self) -> list:
        """The place, then the columns' words."""
        return ["number"] + [column[0] for column in self.columns]

    def lines(self):
        """One after the other."""
        read = []
        for column in self.columns:
            values = column[1]
            found, digits = _read(values, 0, values.length)
            read.append((found, digits, column[2] if len(column) > 2 else ""))
        for k in range(len(read[0][0])):
            texts = [f"<tr><td>{k + 1}</td>"]
            for found, digits, of in read:
                address = f' data-cell="{of}:{k}"' if of else ""
                texts.append(f"<td{address}>{number(found[k], digits)}</td>")
            yield "".join(texts)


class Figures:
    """A folded panel with the numbers of a picture, or of one of several to choose from.

    `pictures()`: a `Grid` or `Lines` for each, or a sentence why there are none; asked while it is unfolded only.
    `update()` after every answer.
    """

    def __init__(self, into, title: str, pictures, testid: str) -> None:
        self.pictures, self.names, self.version = pictures, [], 0
        self.box = dom.make("details", "", into, class_="costs", data_testid=testid)
        dom.make("summary", title, self.box)
        self.label = dom.make("label", "Of ", self.box, class_="which")
        self.choice = dom.make("select", "", self.label, data_testid=testid + "-choice")
        self.note = dom.make("p", "", self.box, class_="words", data_testid=testid + "-note")
        self.body = dom.make("div", "", self.box, class_="scroll", tabindex="0", role="group", aria_label=title)
        for element, event in ((self.box, "toggle"), (self.choice, "change")):
            dom.listen(element, event, lambda event: self.update())

    def update(self) -> None:
        """Write the table anew, if it is unfolded."""
        self.version += 1
        if not self.box.open:
            return
        found = self.pictures()
        if not found or isinstance(found, str):
            self.label.hidden = self.note.hidden = True
            self.body.textContent = found or ""
            self.body.removeAttribute("data-heads")
            return
        self._offer([one.words for one in found])
        chosen = next((one for one in found if one.words == self.choice.value), found[0])
        version = self.version
        self.note.textContent, self.note.hidden = chosen.note, not chosen.note
        self.body.setAttribute("data-on", chosen.on)
        self.body.setAttribute("data-long", "yes" if chosen.long else "no")
        self.body.setAttribute("aria-label", f"Numbers: {chosen.words}")
        dom.run(pour(self.body, chosen.heads(), chosen.lines(), chosen.words, lambda: version == self.version))

    def _offer(self, names: list) -> None:
        """The choice, which stays where it can."""
        self.label.hidden = len(names) < 2
        if names != self.names:
            before, self.names = self.choice.value, names
            self.choice.innerHTML = "".join([f"<option>{name}</option>" for name in names])
            self.choice.value = before if before in names else names[0]
