"""The whole network, left to right as the numbers flow: every map of every layer, down to the probabilities."""

from pyscript import window
from ui import dom
from ui.inside import parts
from ui.inside.figures import Figures, Grid

FEW = 16  # numbers of a vector that are written out; more are painted as cells
HEADS = ("Layer", "What it does", "Output", "Parameters", "Multiply-adds", "Weights", "Values", "Time")
NONE = "\u2013"
STARTS = ("conv2d", "flatten", "dense", "input", "global_avg_pool")  # kinds that begin a new group


class Overview:
    """`go(layer, index)` opens a layer, at a map of it where the index has one; `opened(self)`: the costs are unfolded,
    and want the milliseconds."""

    def __init__(self, go, network, opened) -> None:
        self.go, self.network, self.canvases, self.lists = go, network, {}, {}
        self.opened, self.said, self.heads, self.answer = opened, {}, {}, None

    def build(self, into) -> None:
        """Everything that does not change with the drawing."""
        network = self.network
        self.kinds = {row.name: row.kind for row in network.rows}
        flow = dom.make("ol", "", into, class_="flow", data_testid="flow")
        group = None
        for row in network.rows:
            if group is None or row.kind in STARTS:
                group = dom.make("ol", "", dom.make("li", "", flow, class_="group"))
            self._step(dom.make("li", "", group, class_="step"), row)
        self._figures(into)
        box = dom.make("details", "", into, class_="costs")
        dom.make("summary", "What each layer costs", box)
        self.costs = dom.make("div", "", box, class_="scroll", tabindex="0", role="group", aria_label="Costs")
        self.times_note = dom.make("p", "", box, class_="words")
        self._costs(None)
        dom.listen(box, "toggle", lambda event: self.opened(self) if box.open else None)

    def _figures(self, into) -> None:
        """The maps as numbers: a layer is chosen, and a map of it."""
        self.figures = Figures(into, "These pictures as numbers", self._numbers, "whole-figures")
        label = dom.make("label", "Layer ", None, class_="which")
        self.chosen = dom.make("select", "", label, data_testid="whole-figures-layer")
        for row in self.network.rows:
            dom.make("option", row.name, self.chosen, value=row.name)
        self.figures.label.before(label)
        dom.listen(self.chosen, "change", lambda event: self.figures.update())

    def _numbers(self):
        """The maps of the chosen layer; a vector as it is painted, or as one line."""
        name = self.chosen.value
        row = next((row for row in self.answer.rows if row.name == name), None) if self.answer is not None else None
        if row is None:
            return ""
        count, height, width = [int(n) for n in row.values.shape]
        if height == 1:
            tall, wide = self.canvases[name][1][1:3] if name in self.canvases else (1, width)
            return [Grid(f"{name}, all numbers", row.values.values, tall, wide)]
        return [Grid(f"{name}, map {k + 1}", row.values.values, height, width, k) for k in range(count)]

    def below(self, answer) -> None:
        """What stands under the maps."""
        self.answer = answer
        self.figures.update()

    def focus(self, layer: str) -> None:
        """The keyboard comes back to the layer that one has looked at."""
        if layer in self.heads:
            window.early.focus(self.heads[layer])

    def _step(self, into, row) -> None:
        head = self.heads[row.name] = dom.make(
            "button", row.name, into, type="button", class_="step-name", data_testid="step-" + row.name
        )
        dom.listen(head, "click", lambda event: self.go(row.name, []))
        dom.make("span", f"{row.title}, {parts.size(row.shape)}", into, class_="step-shape")
        if row.shape.length == 1 and row.shape[0] <= FEW:
            self.lists[row.name] = dom.make("div", "", into, class_="vector")
            return
        canvas = dom.make("canvas", "", into, role="img", class_="maps")
        layout = _layout(self.network, row)
        self.canvases[row.name] = (canvas, layout)
        wide = _cells(layout, row.shape[0])[0] * layout[4]
        canvas.style.width = f"{wide}px"
        into.style.setProperty("--wide", f"{wide}px")  # else the step is as narrow as its words, and cells are dropped
        dom.listen(canvas, "click", lambda event: self.go(row.name, self._map_at(event, row)))

    def _map_at(self, event, row) -> list:
        """The map under the pointer."""
        columns, height, width, gap, _ = layout = self.canvases[row.name][1]
        canvas, (across, down) = event.target, _cells(layout, row.shape[0])
        x = int(event.offsetX * across / canvas.clientWidth) // (width + gap)
        y = int(event.offsetY * down / canvas.clientHeight) // (height + gap)
        at = y * columns + x
        return [at] if row.shape.length == 3 and at < row.shape[0] else []

    def update(self, answer, spoken: bool) -> None:
        """Paint all values; `answer` is that of the question "maps"."""
        for row in answer.rows:
            name = row.name
            if name in self.lists:
                self.lists[name].innerHTML = self._vector(row, answer)
                continue
            canvas, layout = self.canvases[name]
            _paint(canvas, row, answer, layout)
            text = f"{name}: values {parts.number(row.low)} to {parts.number(row.high)}"
            if self.said.get(name) != text:
                self.said[name] = text
                canvas.setAttribute("aria-label", text)

    def _vector(self, row, answer) -> str:
        """A short vector written out, each number a bar and a text that can be asked where it comes from."""
        classes, lines = self.network.classes, []
        peak = parts.peak_of(row, answer)
        named = classes.length == row.values.values.length
        for k, value in enumerate(row.values.values):
            share = min(1.0, abs(value) / peak) if peak else 0.0
            kind = "n" if value < 0 else "p" if row.low < 0 else "k"
            label = classes[k] if named else str(k)
            text = dom.percent(value) if self.kinds[row.name] == "softmax" else parts.number(value)
            lines.append(
                f'<li><span>{label}</span><i class="{kind}" style="--s:{share:.2f}"></i>'
                f'<button type="button" data-cell="{parts.address(row.name, [k])}">{text}</button></li>'
            )
        return "<ul>" + "".join(lines) + "</ul>"

    def show_times(self, told) -> None:
        """Milliseconds by layer, as measured on what computes the model."""
        times = {row.name: f"in {row.held}" if row.held else _taken(row.ms) for row in told.rows}
        times[""] = _taken(told.total)
        self._costs(times)
        why = told.why or f"Medians of {parts.many(told.rounds, 'run')} on {told.backend}, one image."
        self.times_note.textContent = why

    def _costs(self, times) -> None:
        rows, network = [], self.network
        for row in network.rows:
            rows.append(
                (
                    row.name,
                    row.title,
                    parts.size(row.shape),
                    parts.count(row.parameters),
                    parts.count(row.multiply_adds),
                    parts.size_of(row.weight_bytes),
                    parts.size_of(row.bytes),
                    times.get(row.name, NONE) if times else NONE,
                )
            )
        whole = (parts.count(network.parameters), parts.count(network.multiply_adds), parts.size_of(network.bytes))
        rows.append(("all", "", "", whole[0], whole[1], whole[2], "", times[""] if times else NONE))
        self.costs.innerHTML = parts.table(HEADS, rows, "What each layer costs, for one image")


def _taken(ms) -> str:
    """Milliseconds for reading. A coarse clock may say 0 of what is too short for it."""
    if ms is None or ms is False:
        return NONE
    return f"{ms:.3f} ms" if ms >= 0.0005 else "&lt; 0.1 ms"


def _layout(network, row) -> tuple:
    """Maps side by side, rows and columns of a map, the gap, and the pixels of a cell."""
    shape = [int(n) for n in row.shape]
    if len(shape) == 1:  # a vector lists the maps before it, one in each line, or stands as a square
        before = next((r for r in network.rows if r.name == row.source), None)
        while before is not None and before.shape.length == 1:
            before = next((r for r in network.rows if r.name == before.source), None)
        wide = int(before.shape[1] * before.shape[2]) if before is not None else 0
        if not wide or shape[0] % wide or row.kind == "dense" or wide == shape[0]:
            wide = next((k for k in range(int(shape[0] ** 0.5), 0, -1) if shape[0] % k == 0), 1)
            wide = shape[0] // wide
        return 1, shape[0] // wide, wide, 0, 2 if shape[0] > 200 else 8
    columns = 1
    while columns * columns < shape[0]:
        columns += 1
    return columns, shape[1], shape[2], 1, 3 if shape[0] == 1 else 2


def _cells(layout: tuple, maps: int) -> tuple:
    """Columns and rows of cells of a whole picture, gaps included."""
    columns, height, width, gap, _ = layout
    lines = (int(maps) + columns - 1) // columns
    return columns * (width + gap) - gap, lines * (height + gap) - gap


def _paint(canvas, row, answer, layout: tuple) -> None:
    """All numbers of a row: one pixel a cell, which the page enlarges; as many as are seen where there is a sign to
    hatch."""
    columns, height, width, gap, size = layout
    shape, signed = row.values.shape, row.low < 0
    vector = shape[1] == 1
    peak = row.peaks.values if parts.scale["of"] == "map" and not vector else parts.peak_of(row, answer)
    zoom = size if signed else 1
    count = 1 if vector else shape[0]
    window.pixels.maps(canvas, row.values.values, width, height, count, columns, peak, signed, gap * zoom, zoom)
