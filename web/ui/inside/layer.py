"""One layer: all its maps; of a kernel its matrices, what each channel adds, their sum, the bias and what follows."""

from pyscript import window
from ui import dom, theme
from ui.inside import parts
from ui.inside.figures import WEIGHTS, Figures, Grid
from ui.inside.kernels import Beside
from ui.inside.plate import Plate, reach

STRONGEST = 6  # channels shown at first


class Layer:
    """`go(layer, index)` leads on; `row` is what the network says of this layer."""

    def __init__(self, go, row, network, host) -> None:
        self.go, self.row, self.network, self.host = go, row, network, host
        self.number, self.answer, self.all, self.lines, self.columns = 0, None, False, {}, 1
        self.painted = ""  # what the picture of all weights shows

    def question(self) -> tuple:
        """What to ask for each drawing."""
        return "layer", {"layer": self.row.name, "number": self.number}

    def build(self, into) -> None:
        """The frame of the page."""
        row = self.row
        words = f"{row.title}: {parts.size(row.shape)}"
        if row.parameters:
            words += f", {parts.many(row.parameters, 'parameter')}, {parts.many(row.multiply_adds, 'multiply-add')}"
        dom.make("p", words + ".", into, class_="words")
        self.rule = dom.make("p", "", into, class_="rule")
        self.vector = row.shape.length == 1
        side_by_side = dom.make("div", "", into, class_="plates")
        self.gallery = Plate(side_by_side, "gallery", self._move, self._point, self._enter)
        self.names = dom.make("div", "", self.gallery.figure, class_="cell-names", aria_hidden="true")
        self.tiles = Plate(side_by_side, "kernels", None, self._point_kernel) if row.kind == "conv2d" else None
        self.caption = dom.make("p", "", into, class_="words")
        self.weights = dom.make("div", "", into)
        self.weight_plate = None
        self.kernel = dom.make("div", "", into, class_="kernel", data_testid="kernel")
        self.beside = Beside(into, self.host, self.network, row, self.go) if row.kind == "conv2d" else None
        titles = {"conv2d": "These maps as numbers", "dense": "These pictures as numbers"}
        title = titles.get(row.kind, f"The numbers of this {'list' if self.vector else 'map'}")
        self.figures = Figures(into, title, self._numbers, "layer-figures")

    def focus(self) -> None:
        """Where the keyboard goes when the page opens."""
        self.gallery.focus()

    # -- choosing a map --------------------------------------------------------------------------------------
    def _move(self, rows: int, columns: int) -> None:
        self._choose(self.number + rows * self.columns + columns)

    def _point(self, row: int, column: int) -> None:
        number = row * self.columns + column
        if self.row.kind == "conv2d" and number != self.number:
            self._choose(number)
        else:
            self.number = min(number, self.row.shape[0] - 1)
            self.wanted = True
            self._enter()

    def _point_kernel(self, row: int, column: int) -> None:
        self._choose(row * self.columns + column)

    def _choose(self, number: int) -> None:
        if 0 <= number < self.row.shape[0]:
            self.number = number
            self.go(self.row.name, [number])

    def _enter(self) -> None:
        """Down to one number: where this map is farthest from 0."""
        if self.vector:
            self.go(self.row.name, [self.number])
        elif self.answer is not None and self.answer.number == self.number:
            self.go(self.row.name, [self.number, int(self.answer.cell[0]), int(self.answer.cell[1])])
        else:
            self.go(self.row.name, [self.number, 0, 0])

    # -- following the drawing -------------------------------------------------------------------------------
    def update(self, answer, spoken: bool) -> None:
        """Show what the core says."""
        self.answer = answer
        self.rule.textContent = answer.rule
        outputs = answer.outputs
        shape = outputs.values.shape
        if self.vector:
            self._vector(outputs, list(answer.names))
        else:
            self.columns = next(k for k in range(1, 65) if k * k >= shape[0])
            if shape[1] * self.columns > 400:
                self.columns = max(1, 480 // shape[2])
            self.gallery.paint_all(outputs, reach(outputs.full), self.columns)
        at = divmod(self.number, self.columns)
        self.gallery.frame("lens", at[0], at[1], 1, 1)
        thing = "Number" if self.vector else "Map"
        words = f"{thing} {self.number + 1} of {shape[2] if self.vector else shape[0]}"
        value = f", {parts.number(outputs.values.values[self.number])}" if self.vector else ""
        names = list(answer.names)
        if names:
            value = f", class {names[self.number]}{value}"
        title = f"All maps of {self.row.name}" if self.row.kind == "conv2d" else f"All of {self.row.name}"
        self.gallery.label(f"{self.row.name}: {words}{value}", title)
        on = "Enter or a click opens it" if self.row.kind != "conv2d" else "Enter, or a second click, opens its numbers"
        self.caption.textContent = f"{words}{value}. Arrow keys choose, {on}."

    def below(self, answer) -> None:
        """Show what stands under the maps: by itself, since it is as long a task as they are."""
        if self.row.kind == "conv2d":
            self._kernels(answer)
            self._kernel(answer)
            self.beside.update(self.number)
        if self.row.kind == "dense" and answer.weights:
            self._neurons(answer)
        self.figures.update()

    def _vector(self, outputs, names: list) -> None:
        count = outputs.values.shape[2]
        self.columns = next((k for k in range(int(count**0.5), 0, -1) if count % k == 0), 1)
        self.columns = count // self.columns
        if names:  # a line, with the class of each number under it
            self.columns = count
        if self.columns > 64:
            self.columns = 32
        peak = _one(outputs.full)
        lines = (count + self.columns - 1) // self.columns
        zoom = max(6, min(36 if names else 24, 448 // self.columns))
        picture = self.gallery
        window.pixels.maps(
            picture.canvas, outputs.values.values, self.columns, lines, 1, 1, peak, outputs.low < 0, 0, zoom
        )
        picture.size = (lines, self.columns)
        picture.box.style.width = f"{picture.canvas.width}px"
        picture.box.style.aspectRatio = f"{self.columns} / {lines}"
        picture.canvas.setAttribute("style", "left:0;top:0;width:100%;height:100%")
        if self.names.children.length != len(names):
            self.names.innerHTML = "".join([f"<span>{name}</span>" for name in names])
            self.names.style.width = picture.box.style.width

    def _neurons(self, answer) -> None:
        """The weights of every neuron as an image: where they are above 0 ink speaks for it, below against."""
        if self.weight_plate is None:
            self.weights.replaceChildren()
            text = "The weights of every neuron, each an image: ink on orange cells raises it, on blue ones lowers it."
            dom.make("p", text, self.weights, class_="words")
            self.weight_plate = Plate(self.weights, "neuron-weights", None, self._point_weight)
        shape = answer.weights.shape
        self.weight_columns = next(k for k in range(1, 65) if k * k >= shape[0])
        plate = self.weight_plate
        lines = (shape[0] + self.weight_columns - 1) // self.weight_columns
        if self._weights_changed(answer):
            scales, zoom = reach(answer.weight_full), 2  # the least that can be hatched
            values, columns = answer.weights.values, self.weight_columns
            window.pixels.maps(plate.canvas, values, shape[2], shape[1], shape[0], columns, scales, True, 1, zoom)
            plate.size = (lines, self.weight_columns)
            plate.box.style.width = f"{plate.canvas.width}px"
            plate.box.style.aspectRatio = f"{plate.canvas.width} / {plate.canvas.height}"
            plate.canvas.setAttribute("style", "left:0;top:0;width:100%;height:100%")
        plate.label(f"Weights of the {shape[0]} neurons of {self.row.name}, each {shape[1]} by {shape[2]}")
        plate.frame("lens", self.number // self.weight_columns, self.number % self.weight_columns, 1, 1)

    def _point_weight(self, row: int, column: int) -> None:
        number = row * self.weight_columns + column
        if number < self.row.shape[0]:
            self.go(self.row.name, [number])

    # -- the kernels -----------------------------------------------------------------------------------------
    def _kernels(self, answer) -> None:
        """Every kernel beside the maps, in the place of the map that it makes."""
        kernels, tiles = answer.kernels, self.tiles
        if self._weights_changed(answer):
            tiles.paint_kernels(kernels, reach(answer.kernel_full), self.columns)
        tiles.frame("lens", self.number // self.columns, self.number % self.columns, 1, 1)
        count, channels, height, width = [int(n) for n in kernels.shape]
        words = f"each {channels} {'matrix' if channels == 1 else 'matrices'} of {height} {parts.TIMES} {width}"
        tiles.label(f"The {count} kernels, {words}; a click chooses one", f"Their kernels <span>{words}</span>")

    def _weights_changed(self, answer) -> bool:
        """Whether the picture of all weights is to be painted anew: while one draws it stays, and is a large one."""
        before, self.painted = self.painted, f"{answer.state} {parts.scale['of']} {theme.is_dark()}"
        return before != self.painted

    # -- the kernel ------------------------------------------------------------------------------------------
    def _kernel(self, answer) -> None:
        shape = answer.kernels.shape
        order = [int(c) for c in answer.order]
        shown = order if self.all or len(order) <= STRONGEST else order[:STRONGEST]
        key = f"{self.number} {len(shown)} {len(order)}"
        if self.kernel.getAttribute("data-built") != key:
            self.kernel.setAttribute("data-built", key)
            self._build_kernel(answer, shape, len(shown), len(order))
        self._heading(answer, order)
        inputs = answer.inputs
        largest = max([abs(float(share)) for share in answer.shares.values] + [1e-9])
        for at, channel in enumerate(shown):
            name, source, matrix, between, bar, number = self.lines["channels"][at]
            name.textContent = f"{channel + 1}"
            source.paint(inputs, reach(inputs.full, channel), channel)
            source.label(f"Map {channel + 1} of {answer.source}")
            self._matrix(at, matrix, answer, channel)
            between.paint(_Picture(answer.between), reach(answer.between_full, channel), channel, True)
            between.label(f"What map {channel + 1} adds to every cell")
            share = float(answer.shares.values[channel])
            bar.className = "n" if share < 0 else "p"
            bar.style.setProperty("--s", f"{abs(share) / largest:.3f}")
            number.textContent = parts.signed(share)
        self._chain(answer)

    def _matrix(self, at: int, into, answer, channel: int) -> None:
        """One matrix of the kernel. It seldom changes while one draws, and is then left as it stands."""
        shape = answer.matrices.shape
        rows, columns = shape[1], shape[2]
        first = channel * rows * columns
        values = answer.matrices.values.subarray(first, first + rows * columns)
        peak = reach(answer.kernel_full, self.number)
        key = f"{self.number} {channel} {peak} {values.join(' ')}"
        if self.lines["matrices"][at] == key:
            return
        self.lines["matrices"][at] = key
        text = f"Kernel {self.number + 1}, matrix for map {channel + 1}"
        into.innerHTML = parts.matrix(values, rows, columns, 0, peak, True, text)

    def _heading(self, answer, order) -> None:
        row, column = int(answer.cell[0]) + 1, int(answer.cell[1]) + 1
        more = f", the {STRONGEST} that count most" if len(order) > STRONGEST and not self.all else ""
        count = parts.many(len(order), "map")
        each = f"one matrix for each of the {count} of" if len(order) > 1 else "its matrix for"
        text = f"Kernel {self.number + 1}: {each} {answer.source}{more}"
        self.lines["head"].textContent = text
        self.lines["share"].textContent = f"adds at row {row}, column {column}"

    def _build_kernel(self, answer, shape, shown: int, count: int) -> None:
        box = self.kernel
        box.replaceChildren()
        self.lines["head"] = dom.make("h3", "", box)
        scroll = dom.make(
            "div", "", box, class_="scroll", tabindex="0", role="group", aria_label="The kernel's matrices"
        )
        table = dom.make("table", "", scroll, class_="channels")
        head = dom.make("tr", "", dom.make("thead", "", table))
        for text in ("Map", answer.source, "matrix", "slid over it"):
            dom.make("th", text, head, scope="col")
        self.lines["share"] = dom.make("th", "", head, scope="col", colspan="2")
        body = dom.make("tbody", "", table)
        self.lines["channels"], self.lines["matrices"] = [], [""] * shown
        for _ in range(shown):
            line = dom.make("tr", "", body)
            name = dom.make("th", "", line, scope="row")
            source = Plate(dom.make("td", "", line), side=72)
            matrix = dom.make("td", "", line)
            between = Plate(dom.make("td", "", line), side=72)
            bar = dom.make("i", "", dom.make("td", "", line, class_="bar-cell"))
            number = dom.make("td", "", line, class_="mono")
            self.lines["channels"].append((name, source, matrix, between, bar, number))
        if count > STRONGEST:
            words = f"Show the {STRONGEST} strongest" if self.all else f"Show all {count} maps"
            button = dom.make("button", words, box, type="button", class_="button outlined", data_testid="all-channels")
            dom.listen(button, "click", lambda event: self._toggle_all())
        self.lines["chain"] = dom.make("div", "", box, class_="chain-maps")
        self.lines["plates"] = []
        for k in range(1 + answer.onward.length):
            if k == 1 and answer.has_bias:
                self.lines["bias"] = dom.make("p", "", self.lines["chain"], class_="chain-bias")
            plate = Plate(self.lines["chain"], f"chain-{k}", None, self._into(k, answer), None, 144)
            self.lines["plates"].append(plate)

    def _into(self, k: int, answer):
        """A click on a map of the chain opens that cell."""
        name = self.row.name if k == 0 else answer.onward[k - 1].name
        return lambda row, column: self.go(name, [self.number, row, column])

    def _toggle_all(self) -> None:
        self.all = not self.all
        self.kernel.setAttribute("data-built", "")
        self._kernel(self.answer)

    def _chain(self, answer) -> None:
        """Their sum, the bias, what follows."""
        plates = self.lines["plates"]
        total = answer.sum
        plates[0].paint(total, _one(total.full))
        plates[0].label("Sum of all channels", "\u03a3 sum of all channels")
        if answer.has_bias and "bias" in self.lines:
            self.lines["bias"].textContent = f"bias {parts.signed(answer.bias)}"
        for k, entry in enumerate(answer.onward):
            plate = plates[k + 1]
            plate.paint(entry, _one(entry.full))
            plate.label(f"{entry.title}, {entry.name}", f"\u2192 {entry.title} <span>{entry.name}</span>")
        for plate in plates:
            plate.frame("lens", int(answer.cell[0]), int(answer.cell[1]), 1, 1)

    # -- numbers ---------------------------------------------------------------------------------------------
    def _numbers(self):
        """The chosen map as a table, and all that it is made of."""
        answer, name = self.answer, self.row.name
        if answer is None:
            return ""
        values, shape = answer.outputs.values.values, answer.outputs.values.shape
        if self.vector:
            lines, columns = self.gallery.size
            found = [Grid(f"{name}, all numbers", values, lines, columns, 0, shape[2], name)]
            if self.row.kind == "dense" and answer.weights:
                shape = answer.weights.shape
                words = f"Weights of neuron {self.number + 1}"
                found.append(Grid(words, answer.weights.values, shape[1], shape[2], self.number, note=WEIGHTS))
            return found
        number = answer.number
        found = [Grid(f"{name}, map {number + 1}", values, shape[1], shape[2], number, of=f"{name}:{number}")]
        return found + self._made_of(answer) if self.row.kind == "conv2d" else found

    def _made_of(self, answer) -> list:
        """What follows the kernel's map, what it reads, and what the matrices make of that."""
        shape, read = answer.between.shape, answer.inputs.values.shape
        here, number = f"{self.row.name}:{answer.number}", answer.number
        note = f"A click on a number, or Enter, unfolds the cell of {self.row.name} that it goes into"
        bias = f"{note}, with the bias." if answer.has_bias else ""
        found = [Grid("Sum of all channels", answer.sum.values.values, shape[1], shape[2], of=here, note=bias)]
        for entry in answer.onward:
            words, of = f"{entry.title}, {entry.name}", f"{entry.name}:{number}"
            found.append(Grid(words, entry.values.values, shape[1], shape[2], of=of))
        for channel in range(read[0]):
            words = f"{answer.source}, map {channel + 1}"
            of = f"{answer.source}:{channel}"
            found.append(Grid(words, answer.inputs.values.values, read[1], read[2], channel, of=of))
            words = f"Slid over {words}"
            found.append(Grid(words, answer.between.values, shape[1], shape[2], channel, of=here, note=note + "."))
        kernels = answer.kernels
        count, channels, height, width = [int(n) for n in kernels.shape]
        for number in range(count):
            if channels == 1:
                found.append(Grid(f"Kernel {number + 1}", kernels.values, height, width, number, note=WEIGHTS))
            else:
                words = f"Kernel {number + 1}: its matrix for each map a line, row by row"
                found.append(Grid(words, kernels.values, channels, height * width, number, note=WEIGHTS))
        return found


def _one(full) -> float:
    """The value of full colour of a picture that is one map."""
    return reach(full, 0)


class _Picture:
    """An array of maps, as plates want it."""

    def __init__(self, packed) -> None:
        self.values, self.low = packed, -1.0
