"""What all pictures of numbers share: how a number is written, small matrices, maps, scales and their legend."""

from ui import dom
from ui.inside.figures import MINUS, number, table

TIMES = "\u00d7"
SCALES = (("map", "each map"), ("layer", "each layer"), ("network", "the whole network"))

scale: dict = {"of": "layer"}


def reason(error) -> str:
    """What the core says, without the exception's name."""
    text = str(error)
    return text.split(": ", 1)[1] if text.startswith("handlens.") and ": " in text else text


def signed(value: float, digits: int = 2) -> str:
    """With its sign, plus included."""
    return ("+" if value >= 0 else "") + number(value, digits)


def size(shape) -> str:
    """A shape in words: "16 maps of 24 x 24", "10 numbers"."""
    shape = [int(n) for n in shape]
    if len(shape) == 1:
        return f"{shape[0]} numbers"
    return f"{shape[0]} {'map' if shape[0] == 1 else 'maps'} of {shape[1]} {TIMES} {shape[2]}"


def count(value) -> str:
    """A whole number for reading."""
    return dom.thousands(value)


def many(value: int, one: str) -> str:
    """ "1 map", "5 maps"."""
    return f"{dom.thousands(value)} {one}{'' if value == 1 else 's'}"


def size_of(byte_count: int) -> str:
    """Bytes for reading."""
    return f"{byte_count} B" if byte_count < 1000 else f"{byte_count / 1000:.1f} kB"


def address(layer: str, index) -> str:
    """A cell as the address and `data-cell` write it: "conv1:3.4.5"."""
    return layer + ":" + ".".join([str(int(k)) for k in index])


def parsed(text: str) -> list:
    """The index of "3.4.5"; an empty list where it is none."""
    parts = text.split(".") if text else []
    return [int(part) for part in parts] if all(part.isdigit() for part in parts) else []


def place(index) -> str:
    """A cell in words, counted from 1: "map 4, row 5, column 6"."""
    index = [int(k) + 1 for k in index]
    if len(index) == 1:
        return f"number {index[0]}"
    return f"map {index[0]}, row {index[1]}, column {index[2]}"


# -- matrices ------------------------------------------------------------------------------------------------
def tone(share: float, kind: str) -> str:
    """Which text stands out by 4.5:1 from a cell: "a" as on paper, "c" as on ink, "b" depends on the theme."""
    first, second = {"n": (0.69, 0.87), "p": (0.62, 2.0), "k": (0.435, 0.595)}[kind]
    return "a" if share < first else "b" if share < second else "c"


def painted(value: float, peak: float, is_signed: bool) -> str:
    """Attributes of a cell in the colour of its value."""
    kind = "n" if value < 0 else "p" if is_signed else "k"
    share = min(1.0, abs(value) / peak) if peak else 0.0
    return f'class="{kind}{tone(share, kind)}" style="--s:{share:.2f}"'


def matrix(values, rows, columns, first=0, peak=1.0, is_signed=True, label="", marks=None, cells=None, outside=None):
    """Mark-up of a small matrix of numbers.

    `first`: where it begins in `values`; `marks`: by place, a word for cells that stand out; `cells(place)`: the
    address of the number, which can then be asked where it comes from; `outside`: by place, 1 for padding.
    """
    lines = []
    for row in range(rows):
        texts = []
        for column in range(columns):
            at = row * columns + column
            value = float(values[first + at])
            extra = f' data-cell="{cells(at)}"' if cells and not (outside and outside[at]) else ""
            if marks and marks.get(at):
                extra += f' data-mark="{marks[at]}"'
            if outside and outside[at]:
                extra += ' data-outside="yes"'
            if cells:  # one stop of the tab key, from which the arrow keys lead on
                extra += f' tabindex="{-1 if texts or lines else 0}"'
            texts.append(f"<td {painted(value, peak, is_signed)}{extra}>{number(value)}</td>")
        lines.append("<tr>" + "".join(texts) + "</tr>")
    kind = (" small" if columns > 5 else {3: " three", 5: " five"}.get(columns, "")) + ('" role="grid' if cells else "")
    return f'<table class="matrix{kind}" aria-label="{label}"><tbody>{"".join(lines)}</tbody></table>'


# -- pictures ------------------------------------------------------------------------------------------------
def peak_of(row, whole, map_number: int = -1) -> float:
    """The value of full colour, by the visitor's choice of scale."""
    if scale["of"] == "network":
        return whole.peak
    if scale["of"] == "map" and map_number >= 0:
        return float(row.peaks.values[map_number])
    return max(-row.low, row.high)


def full(picture) -> float:
    """The same for a picture that came with the largest sizes of its map, of its layer and of the network."""
    return float(getattr(picture.scales, scale["of"]))


LEGEND = (
    f'<span class="legend-plain">0<i class="plain"></i>largest</span><span>{MINUS}<i class="signed"></i>+ '
    "(below 0 also hatched, from 2 px a cell)</span>"
)


def legend(into, changed) -> None:
    """The two scales, and the choice of what they reach over; `changed()` after each choice."""
    line = dom.make("div", "", into, class_="legend")
    dom.make("span", "", line, class_="legend-scales").innerHTML = LEGEND
    label = dom.make("label", "Full colour: the largest of ", line)
    choice = dom.make("select", "", label, data_testid="scale")
    for name, words in SCALES:
        dom.make("option", words, choice, value=name)
    choice.value = scale["of"]

    def chosen(event) -> None:
        scale["of"] = choice.value
        changed()

    dom.listen(choice, "change", chosen)
