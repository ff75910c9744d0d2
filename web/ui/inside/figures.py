"""Pictures as tables of numbers, unfolded on demand. The article's figures use it, too."""

from ui import dom

MINUS = "\u2212"
A_TURN = 300  # numbers written between two chances for pen and keys


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
    lines = ["<tr>" + "".join([f"<td>{text}</td>" for text in row]) + "</tr>" for row in rows]
    title = f'<caption class="visually-hidden">{caption}</caption>' if caption else ""
    return f'<table class="figures">{title}<thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


async def pour(box, heads, rows, caption: str, wanted) -> None:
    """Write a table a piece a turn, as laying out thousands of cells at once would hold up the pen. One with the same
    columns stays, and its pieces are exchanged: nothing jumps. `wanted()`: whether there is nothing newer to write."""
    key = " ".join(heads)
    if box.getAttribute("data-heads") != key:
        box.innerHTML = table(heads, [], caption)
        box.setAttribute("data-heads", key)
    grid, place, piece, cells = box.querySelector("table"), 0, [], 0
    grid.caption.textContent = caption
    box.removeAttribute("data-full")
    for row in rows:
        piece.append("<tr>" + "".join([f"<td>{text}</td>" for text in row]) + "</tr>")
        cells += len(row)
        if cells >= A_TURN:
            _put(grid, place, piece)
            place, piece, cells = place + 1, [], 0
            await dom.turn()
            if not wanted():
                return
    _put(grid, place, piece)
    while grid.tBodies.length > place + 1:
        grid.tBodies[grid.tBodies.length - 1].remove()
    box.setAttribute("data-full", "yes")


def _put(grid, place: int, piece: list) -> None:
    body = grid.tBodies[place] if place < grid.tBodies.length else dom.make("tbody", "", grid)
    body.innerHTML = "".join(piece)


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
    the last row is not full."""

    long = False

    def __init__(self, words: str, values, height, width, place: int = 0, count: int = 0) -> None:
        self.words, self.values, self.height, self.width = words, values, int(height), int(width)
        self.first, self.count = place * self.height * self.width, count or self.height * self.width

    def heads(self) -> list:
        """The columns, counted from 1."""
        return ["row"] + [str(k + 1) for k in range(self.width)]

    def rows(self):
        """One after the other: there may be thousands of cells."""
        found, digits = _read(self.values, self.first, self.count)
        for k in range(self.height):
            yield [str(k + 1)] + [number(value, digits) for value in found[k * self.width : (k + 1) * self.width]]


class Lines:
    """Numbers side by side, a line for each: `columns` are (words, values)."""

    long = True

    def __init__(self, words: str, columns) -> None:
        self.words, self.columns = words, columns

    def heads(self) -> list:
        """The place, then the columns' words."""
        return ["number"] + [words for words, _ in self.columns]

    def rows(self):
        """One after the other."""
        read = [_read(values, 0, values.length) for _, values in self.columns]
        for k in range(len(read[0][0])):
            yield [str(k + 1)] + [number(found[k], digits) for found, digits in read]


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
            self.label.hidden = True
            self.body.textContent = found or ""
            self.body.removeAttribute("data-heads")
            return
        self._offer([one.words for one in found])
        chosen = next((one for one in found if one.words == self.choice.value), found[0])
        version = self.version
        self.body.setAttribute("data-long", "yes" if chosen.long else "no")
        self.body.setAttribute("aria-label", f"Numbers: {chosen.words}")
        dom.run(pour(self.body, chosen.heads(), chosen.rows(), chosen.words, lambda: version == self.version))

    def _offer(self, names: list) -> None:
        """The choice, which stays where it can."""
        self.label.hidden = len(names) < 2
        if names != self.names:
            before, self.names = self.choice.value, names
            self.choice.innerHTML = "".join([f"<option>{name}</option>" for name in names])
            self.choice.value = before if before in names else names[0]
