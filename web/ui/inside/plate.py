"""A picture of numbers with the lens over it: it can be pointed at, walked with the arrow keys, and entered."""

from pyscript import window
from ui import dom
from ui.inside import parts

ARROWS = {"ArrowRight": (0, 1), "ArrowLeft": (0, -1), "ArrowDown": (1, 0), "ArrowUp": (-1, 0)}
SIDE = 336  # px, at most
INKED = 0.5  # of full ink: where its edge is drawn


def reach(full, number: int = -1):
    """The value of full colour of a picture, by the legend's choice: of one map, or without `number` of all of them."""
    of = parts.scale["of"]
    if of != "map":
        return full.network if of == "network" else full.layer
    return float(full.map.values[number]) if number >= 0 else full.map.values


class Plate:
    """`moved(rows, columns)` for the arrow keys, `pointed(row, column)` for a click, `entered()` for Enter.

    Without `moved` it is a picture only.
    """

    def __init__(self, into, testid: str = "", moved=None, pointed=None, entered=None, side: int = SIDE) -> None:
        self.figure = dom.make("figure", "", into, class_="plate-figure")
        self.title = dom.make("figcaption", "", self.figure)
        self.box = dom.make("div", "", self.figure, class_="plate")
        if testid:
            self.box.setAttribute("data-testid", testid)
        self.canvas = dom.make("canvas", "", self.box)
        if moved:
            self.box.setAttribute("tabindex", "0")
            self.box.setAttribute("role", "application")
            self.box.setAttribute("aria-roledescription", "map under the lens")
            dom.listen(self.box, "keydown", self._key)
        else:
            self.canvas.setAttribute("role", "img")
        if pointed:
            self.box.classList.add("pointable")
            dom.listen(self.canvas, "click", self._click)
        self.moved, self.pointed, self.entered, self.side = moved, pointed, entered, side
        self.frames, self.styles, self.size, self.pads, self.tiles = {}, {}, (1, 1), (0, 0, 0, 0), None
        self.said = ""
        self.fitted = None

    def _key(self, event) -> None:
        if event.ctrlKey or event.metaKey or event.altKey:
            return
        if event.key in ARROWS:
            event.preventDefault()
            self.moved(*ARROWS[event.key])
        elif event.key == "Enter" and self.entered:
            event.preventDefault()
            self.entered()

    def _click(self, event) -> None:
        across, down = self.canvas.clientWidth, self.canvas.clientHeight
        rows, columns = self.size
        row, column = int(event.offsetY * rows / down), int(event.offsetX * columns / across)
        self.pointed(min(rows - 1, max(0, row)), min(columns - 1, max(0, column)))

    def label(self, text: str, title: str = "") -> None:
        """What it shows, for a screen reader and above it."""
        if text != self.said:
            self.said = text
            (self.box if self.moved else self.canvas).setAttribute("aria-label", text)
        if title and self.title.innerHTML != title:
            self.title.innerHTML = title

    def paint(self, picture, peak: float, number: int = 0, is_signed=None) -> None:
        """One map of a picture, each cell a square; what is below 0 is hatched."""
        shape = picture.values.shape
        height, width = shape[1], shape[2]
        zoom = max(2, min(24, self.side // max(height, width)))
        negative = picture.low < 0 if is_signed is None else is_signed
        window.pixels.maps(self.canvas, picture.values.values, width, height, 1, 1, peak, negative, 0, zoom, number)
        self._fit((height, width), self.pads)

    def paint_all(self, picture, peak, columns: int, gap: int = 1) -> None:
        """All maps side by side."""
        shape = picture.values.shape
        count, height, width = shape[0], shape[1], shape[2]
        lines = (count + columns - 1) // columns
        zoom = max(2, min(6, 480 // max(1, columns * (width + gap)), 400 // max(1, lines * (height + gap))))
        window.pixels.maps(
            self.canvas, picture.values.values, width, height, count, columns, peak, picture.low < 0, gap, zoom
        )
        self._fit_tiles(lines, columns)

    def paint_kernels(self, kernels, peak, columns: int) -> None:
        """All kernels of a convolution, each the square of its matrices."""
        count, channels, height, width = [int(n) for n in kernels.shape]
        inner = next(k for k in range(1, channels + 1) if k * k >= channels)
        zoom = max(2, min(12, 400 // (columns * inner * width)))
        window.pixels.maps(
            self.canvas, kernels.values, width, height, count * channels, columns, peak, True, 6, zoom, 0, channels
        )
        self._fit_tiles((count + columns - 1) // columns, columns)

    def _fit_tiles(self, lines: int, columns: int) -> None:
        """Size of the plate, of as many tiles."""
        self.tiles = self.size = (lines, columns)
        if self.fitted == (self.canvas.width, self.canvas.height):
            return
        self.fitted = (self.canvas.width, self.canvas.height)
        self.box.style.width = f"{self.canvas.width}px"
        self.box.style.aspectRatio = f"{self.canvas.width} / {self.canvas.height}"
        self.canvas.setAttribute("style", "left:0;top:0;width:100%;height:100%")

    def outline(self, values) -> None:
        """The edge of the ink over what is painted, of the same cells."""
        rows, columns = self.size
        window.pixels.outline(self.canvas, values, columns, rows, INKED)

    def _fit(self, size: tuple, pads: tuple) -> None:
        """Size of the plate, with a border for the padding."""
        self.size = size
        if self.fitted == (size, pads):  # as it was: a style that is set anew is laid out anew
            return
        self.fitted = (size, pads)
        top, left, bottom, right = pads
        rows, columns = size[0] + top + bottom, size[1] + left + right
        cell = max(2, min(24, self.side // max(size)))
        self.box.style.width = f"{cell * columns}px"
        self.box.style.aspectRatio = f"{columns} / {rows}"
        place = f"left:{100 * left / columns:.3f}%;top:{100 * top / rows:.3f}%"
        self.canvas.setAttribute(
            "style", f"{place};width:{100 * size[1] / columns:.3f}%;height:{100 * size[0] / rows:.3f}%"
        )

    def pad(self, pads) -> None:
        """Rows and columns of padding around the picture: top, left, bottom, right. Before `paint`."""
        self.pads = tuple(int(p) for p in pads)
        self.box.setAttribute("data-padded", "yes" if any(self.pads) else "no")

    def frame(self, name: str, row: float, column: float, rows: float, columns: float) -> None:
        """Lay a frame over cells: the lens, a winner, what a stride leaves over."""
        if name not in self.frames:
            self.frames[name] = dom.make("div", "", self.box, class_=f"frame {name}", aria_hidden="true")
        top, left, bottom, right = self.pads
        tall, wide = self.size[0] + top + bottom, self.size[1] + left + right
        style = f"top:{100 * (row + top) / tall:.3f}%;left:{100 * (column + left) / wide:.3f}%;"
        style += f"height:{100 * rows / tall:.3f}%;width:{100 * columns / wide:.3f}%"
        frame = self.frames[name]
        if self.styles.get(name) != style:
            self.styles[name] = style
            frame.setAttribute("style", style)
        frame.hidden = rows <= 0 or columns <= 0

    def place(self, box: tuple, row: float, column: float, rows: float, columns: float) -> tuple:
        """Where cells lie, as left, top, right, bottom, when the plate's own box is (left, top, width, height)."""
        top, left, bottom, right = self.pads
        tall, wide = box[3] / (self.size[0] + top + bottom), box[2] / (self.size[1] + left + right)
        x, y = box[0] + (column + left) * wide, box[1] + (row + top) * tall
        return x, y, x + columns * wide, y + rows * tall

    def hatch(self, name: str, rows, columns) -> None:
        """Hatch whole rows and columns, each a run (first, count): one area, so that crossings look as the rest."""
        height, width = self.size
        areas = [(int(first), 0, int(first) + int(count), width) for first, count in rows]
        areas += [(0, int(first), height, int(first) + int(count)) for first, count in columns]
        self.frame(name, 0, 0, height if areas else 0, width)
        corners = []
        for top, left, bottom, right in areas:  # each there and back to the corner: no line is left between them
            for y, x in ((0, 0), (top, left), (top, right), (bottom, right), (bottom, left), (top, left)):
                corners.append(f"{100 * x / width:.3f}% {100 * y / height:.3f}%")
        clip = f"polygon({','.join(corners)})" if corners else "none"
        if self.styles.get(name + " clip") != clip:
            self.styles[name + " clip"] = clip
            self.frames[name].style.clipPath = clip
            self.frames[name].setAttribute("data-areas", str(len(areas)))

    def hide(self, name: str) -> None:
        """Take a frame away."""
        if name in self.frames:
            self.frames[name].hidden = True

    def focus(self) -> None:
        """Give it the keyboard, without scrolling the page about."""
        window.early.focus(self.box)
