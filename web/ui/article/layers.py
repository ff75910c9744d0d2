"""The article's figures about deeper layers: receptive fields, pooling, flatten, the whole network."""

from ui import dom
from ui.article import kit
from ui.article.kit import NETWORKS, Figure, Map, Timed
from ui.inside.figures import Grid, Lines


class Fields(Figure):
    """What the cells behind one pixel see."""

    follows = True

    def build(self) -> None:
        row = self.controls()
        self.slider(row, "Pixel row", "row", 0, 27, 14)
        self.slider(row, "Pixel column", "column", 0, 27, 12)
        self.switch(row, "with pooling", "pooled", True)
        line = dom.make("div", "", self.body, class_="live-row")
        self.map = Map(line, "Your drawing", 224)
        self.box = dom.make("div", "", line, class_="scroll", tabindex="0", role="group", aria_label="Receptive fields")
        self.legend("1, full ink")
        self.figures = self.tables("This picture as numbers")

    def show(self, data) -> None:
        self.map.paint(data.image, False, 1, 0, "Your drawing, with the fields")
        boxes, rows = [], []
        for k, one in enumerate(data.rows):
            top, left, bottom, right = list(one.box)
            boxes.append((top, left, bottom, right, f"field field-{k}"))
            kind = "convolution" if one.layer.startswith("conv") else "pooling"
            rows.append(
                [
                    f'<i class="swatch field field-{k}"></i>{one.layer}, {kind}',
                    f"{one.size} × {one.size}",
                    str(one.jump),
                    f"{one.cells} × {one.cells}",
                ]
            )
        self.map.boxes(boxes, 28)
        self.box.innerHTML = kit.table(["layer", "a cell sees", "apart by", "map"], rows)
        self.figures.update()

    def spoken(self) -> str:
        """What each layer's cell sees, and where on the drawing."""
        said = []
        for one in self.data.rows:
            top, left, bottom, right = list(one.box)
            said.append(f"{one.layer} sees rows {top + 1} to {bottom}, columns {left + 1} to {right}")
        return "; ".join(said)

    def pictures(self) -> list:
        """The drawing as a table."""
        return [kit.numbers_of("Your drawing", self.data.image)]


class Pooling(Timed):
    """A picture that moves, under both kinds of pooling."""

    def build(self) -> None:
        self.args.update({"right": 0, "down": 0})
        row = self.controls()
        dom.make("span", "Move it", row)
        for words, label, right, down in (
            ("←", "Left", -1, 0),
            ("→", "Right", 1, 0),
            ("↑", "Up", 0, -1),
            ("↓", "Down", 0, 1),
        ):
            self.button(row, words, self.mover(right, down), label).classList.add("small")
        self.button(row, "Back", self.back)
        line = dom.make("div", "", self.body, class_="live-row pooling")
        self.boxes = []
        for words in ("Picture", "Max pooling", "Average pooling"):
            part = dom.make("div", "", line)
            dom.make("p", words, part, class_="cap")
            self.boxes.append(dom.make("div", "", part, class_="windows" if words == "Picture" else ""))
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.timer("Time the next layer here")

    def mover(self, right: int, down: int):
        def move() -> None:
            self.args["right"] = max(-5, min(5, self.args["right"] + right))
            self.args["down"] = max(-5, min(5, self.args["down"] + down))
            self.ask()

        return move

    def back(self) -> None:
        self.args.update({"right": 0, "down": 0})
        self.ask()

    def show(self, data) -> None:
        winners = [value > 0 for value in kit.floats(data.winners)]
        picture = kit.floats(data.picture)
        shown = [won and value > 0 for won, value in zip(winners, picture)]  # noqa: B905
        self.boxes[0].innerHTML = kit.grid(picture, 6, 1, False, shown, "Picture; winners are framed", 1)
        self.boxes[1].innerHTML = kit.grid(kit.floats(data.max), 3, 1, False, None, "Max pooling")
        self.boxes[2].innerHTML = kit.grid(kit.floats(data.average), 3, 1, False, None, "Average pooling")
        moved = f"Moved by {moved_by(data.right, data.down)}" if data.right or data.down else "Not moved"
        self.line.textContent = (
            f"{moved}: {data.max_changed} of {data.outputs} maxima changed, "
            f"{data.average_changed} of {data.outputs} averages.{tied(data.ties)}"
        )
        if data.timed:
            saves = data.saves
            self.times.textContent = (
                f"{saves.kernels} kernels over {saves.maps} maps, one image, on NumPy: "
                f"{dom.milliseconds(saves.ms)} over {saves.side} × {saves.side} cells, "
                f"{dom.milliseconds(saves.pooled_ms)} over the {saves.pooled_side} × {saves.pooled_side} of a pooling."
            )


def tied(count: int) -> str:
    """The rule for ties, where it has been needed."""
    if not count:
        return ""
    where = "1 window with ink" if count == 1 else f"{count} windows with ink"
    return f" In {where} the largest stands more than once: the first, row by row, is the winner."


class Shifts(Figure):
    """The drawing at every small shift, and networks that never saw a shift on test images."""

    follows = True

    def build(self) -> None:
        row = self.controls()
        self.sliders = {
            "right": self.slider(row, "To the right", "right", -8, 8, 2),
            "down": self.slider(row, "Down", "down", -8, 8, 0),
        }
        line = dom.make("div", "", self.body, class_="live-row")
        self.moved = Map(line, "Your drawing, moved", 136)
        self.maps = [Map(line, "", 136) for _ in range(3)]
        for one in self.maps:
            one.holder.classList.add("pointable")
            dom.listen(one.canvas, "click", self.pointed)
        self.box = dom.make("div", "", self.body, class_="scroll", tabindex="0", role="group", aria_label="Answers")
        self.words = dom.make("p", "", self.body, class_="cap")
        line = dom.make("div", "", self.body, class_="live-row")
        self.trained = [Map(line, "", 104) for _ in range(6)]
        self.legend("1, certain, or all right")
        self.figures = self.tables("These pictures as numbers")
        self.reach = 8

    def pointed(self, event) -> None:
        """A click on a map: that shift."""
        canvas, side = event.target, 2 * self.reach + 1
        places = (("right", event.offsetX / canvas.clientWidth), ("down", event.offsetY / canvas.clientHeight))
        for name, share in places:
            self.sliders[name].value = min(self.reach, max(-self.reach, int(share * side) - self.reach))
            self.sliders[name].dispatchEvent(kit.window.Event.new("input"))

    def show(self, data) -> None:
        self.reach, side = data.reach, 2 * data.reach + 1
        right, down = int(data.right), int(data.down)
        place = [(down + self.reach, right + self.reach, down + self.reach + 1, right + self.reach + 1, "lens")]
        self.moved.paint(data.moved, False, 1, 0, f"Moved: {moved_by(right, down)}")
        rows = []
        for one, part in zip(data.rows, self.maps):  # noqa: B905
            words = f"{NETWORKS[one.name]}: its share of {one.digit}"
            part.paint(one.shares, False, 1, 0, words)
            part.boxes(place, side)
            rows.append([NETWORKS[one.name], str(one.digit), kit.answer(one.said), f"{one.kept} of {data.count}"])
        self.box.innerHTML = kit.table(["", "unmoved", f"moved: {moved_by(right, down)}", "the same at"], rows)
        self.words.textContent = (
            f"Below: the share of {data.images} test images read right at every shift, by networks that learned from "
            f"images that never moved. Then unmoved, and within {data.near} pixels."
        )
        for one, part in zip(data.trained, self.trained):  # noqa: B905
            words = f"{kit.capital(one.words)}: {dom.percent(one.still, 0)}, {dom.percent(one.near, 0)}"
            part.paint(one.map, False, 1, 0, words)
        self.figures.update()

    def spoken(self) -> str:
        """What the networks read there."""
        data = self.data
        said = [f"{NETWORKS[one.name]} {kit.answer(one.said)}" for one in data.rows]
        return f"Moved: {moved_by(int(data.right), int(data.down))}: {'; '.join(said)}"

    def pictures(self) -> list:
        """The drawing moved, and a table of every shift for each network."""
        data = self.data
        found = [kit.numbers_of("Your drawing, moved", data.moved)]
        for one in data.rows:
            found.append(kit.numbers_of(f"{NETWORKS[one.name]}: its share of {one.digit}", one.shares))
        for one in data.trained:
            found.append(kit.numbers_of(f"Trained, {one.words}: share read right", one.map))
        return found


def moved_by(right: int, down: int) -> str:
    """ "2 to the right and 1 up"; "not at all"."""
    where = []
    if right:
        where.append(f"{abs(right)} to the {'right' if right > 0 else 'left'}")
    if down:
        where.append(f"{abs(down)} {'down' if down > 0 else 'up'}")
    return " and ".join(where) or "not at all"


class Flatten(Figure):
    """From maps to a list."""

    def build(self) -> None:
        row = self.controls()
        self.slider(row, "Kernels", "filters", 1, 16, 3)
        self.slider(row, "Kernel size", "kernel", 1, 7, 5)
        self.slider(row, "Poolings", "pools", 0, 3, 1)
        self.chain = dom.make("p", "", self.body, class_="chain")
        row = self.controls()
        dom.make("span", "Cell", row)
        self.cell = []
        for words in ("map", "row", "column"):
            label = dom.make("label", "", row, class_="live-choice")
            dom.make("span", words, label)
            self.cell.append(self.field(label, 1, 1))
            self.cell[-1].classList.add("one")
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.box = dom.make("div", "", self.body, class_="scroll", tabindex="0", role="group", aria_label="Costs")

    def typed(self) -> None:
        found = self.numbers(self.cell)
        if found is not None:
            self.args["cell"] = [int(at) - 1 for at in found]
            self.ask()

    def show(self, data) -> None:
        shapes = [kit.TIMES.join([str(n) for n in one.shape]) for one in data.chain]
        self.chain.textContent = f"{data.side}{kit.TIMES}{data.side} → " + " → ".join(shapes)
        kit.fill(self.cell, [at + 1 for at in data.cell])
        self.line.textContent = (
            f"{data.maps} maps of {data.rows} × {data.columns} are {dom.thousands(data.length)} numbers. "
            f"This cell is number {dom.thousands(data.index)} of the list, counted from 0."
        )
        self.box.innerHTML = kit.table(
            ["", "parameters"],
            [
                ["flatten", dom.thousands(data.flatten_parameters)],
                [f"dense, {dom.thousands(data.length)} to {data.half}", dom.thousands(data.half_parameters)],
                [f"dense, {data.half} to {data.classes}", dom.thousands(data.class_parameters)],
                ["share of the dense layers", dom.percent(data.head_share)],
            ],
        )


class Whole(Figure):
    """Every layer of the small network."""

    follows = True

    def build(self) -> None:
        self.field = self.choice(self.controls(), "Show", [("", "all layers")], self.chosen)
        self.list = dom.make("div", "", self.body, class_="whole")
        self.parts, self.names, self.only = [], "", ""
        self.legend("the largest of its layer", True)
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.figures = self.tables("These pictures as numbers")

    def chosen(self, value: str) -> None:
        """One layer large, or all of them: nothing is asked, what is here is shown otherwise."""
        self.only = value
        self.show(self.data)
        row = next((row for row in self.data.rows if row.layer == value), None)
        dom.speak(f"{value}, {shape_of(row)}" if row else "all layers")

    def show(self, data) -> None:
        names = " ".join([row.layer for row in data.rows])
        if names != self.names:
            self.names = names
            self.make(data)
        for row, (part, canvases) in zip(data.rows, self.parts):  # noqa: B905
            part.hidden = bool(self.only) and row.layer != self.only
            if not part.hidden:
                self.paint(row, canvases)
        self.figures.update()
        self.line.textContent = f"The answer: {kit.answer(data)}."

    def make(self, data) -> None:
        """A line for each layer, with a canvas a map."""
        self.parts = []
        self.list.replaceChildren()
        for row in data.rows:
            dom.make("option", f"{row.layer}, {shape_of(row)}", self.field, value=row.layer)
            part = dom.make("div", "", self.list, class_="stage-part")
            head = dom.make("p", "", part, class_="cap")
            dom.make("b", row.layer, head)
            cost = f"{shape_of(row)}; {dom.thousands(row.parameters)} parameters, "
            dom.make("span", f" {cost}{dom.thousands(row.multiply_adds)} multiplications", head)
            words = f"Maps of {row.layer}"
            box = dom.make("div", "", part, class_="scroll maps-row", tabindex="0", role="group", aria_label=words)
            count = row.shape[0] if row.shape.length == 3 else 1
            self.parts.append((part, [dom.make("canvas", "", box, role="img") for _ in range(count)]))

    def pictures(self) -> list:
        """Every map of every layer as a table, a vector as a list."""
        found = []
        for row in self.data.rows:
            shape, values = row.shape, row.values.values
            if shape.length == 1:
                found.append(Lines(f"{row.layer}, {shape[0]} numbers", (("value", values),)))
                continue
            for k in range(shape[0]):
                words = f"{row.layer}, map {k + 1}" if shape[0] > 1 else row.layer
                found.append(Grid(words, values, shape[1], shape[2], k))
        return found

    def paint(self, row, canvases) -> None:
        flat = row.shape.length == 1
        height, width = (1, row.shape[0]) if flat else (row.shape[1], row.shape[2])
        peak = max(abs(row.low), abs(row.high))
        large = 144 if self.only else 56
        across = min(width * (16 if width <= 16 else 3), 640) if flat else large
        for k, canvas in enumerate(canvases):
            kit.paint(canvas, row.values.values, width, height, peak, row.low < 0, k, across)
            canvas.style.width = f"{across}px"
            canvas.style.height = "16px" if flat else f"{across}px"
            words = f"{row.layer}, map {k + 1}" if not flat else f"{row.layer}, {width} numbers"
            canvas.setAttribute("aria-label", f"{words}, from {kit.number(row.low)} to {kit.number(row.high)}")


def shape_of(row) -> str:
    """ "8×26×26"."""
    return kit.TIMES.join([str(n) for n in row.shape])


POOLS = (("none", "none"), ("max", "max"), ("average", "average"))


class Builder(Figure):
    """A network of the visitor's own, counted."""

    def build(self) -> None:
        self.kinds = []
        for k, (kernels, size, pool) in enumerate(((8, 3, "max"), (16, 3, "max"), (0, 3, "none"))):
            row = self.controls()
            row.setAttribute("role", "group")
            row.setAttribute("aria-label", f"Round {k + 1}")
            dom.make("b", f"Round {k + 1}", row, class_="round")
            self.slider(row, "Kernels", f"kernels{k}", 0, 32, kernels)
            self.slider(row, "Kernel size", f"size{k}", 1, 9, size)
            self.kinds.append(self.choice(row, "Pooling", POOLS, lambda value: self.ask()))
            self.kinds[k].value = pool
        row = self.controls()
        self.slider(row, "Dense neurons", "hidden", 0, 256, 0, 8)
        self.box = dom.make("div", "", self.body, class_="scroll", tabindex="0", role="group", aria_label="Layers")
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.chosen, self.args = self.args, {}

    def ask(self, aloud: bool = True) -> None:
        """The core wants the rounds one after the other."""
        self.chosen.update({name: value for name, value in self.args.items() if name != "rounds"})
        rounds = [[self.chosen[f"kernels{k}"], self.chosen[f"size{k}"], self.kinds[k].value] for k in range(3)]
        self.args = {"rounds": rounds, "hidden": self.chosen["hidden"]}
        super().ask(aloud)

    def show(self, data) -> None:
        rows = []
        for row in data.rows:
            parameters, work = dom.thousands(row.parameters), dom.thousands(row.multiply_adds)
            rows.append([f"<b>{row.layer}</b> {row.words}", shape_of(row), parameters, dom.percent(row.share), work])
        heads = ["layer", "makes", "parameters", "of all", "multiplications"]
        self.box.innerHTML = kit.table(heads, rows) if rows else ""
        self.box.hidden = not rows
        self.line.setAttribute("data-refused", "yes" if data.refused else "no")
        self.line.textContent = data.refused or (
            f"{dom.thousands(data.parameters)} parameters, {dom.thousands(data.multiply_adds)} multiplications for an "
            f"image of {data.side} × {data.side}."
        )


FIGURES = {
    "fields": Fields,
    "pooling": Pooling,
    "shifts": Shifts,
    "flatten": Flatten,
    "whole": Whole,
    "builder": Builder,
}
