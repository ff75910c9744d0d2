"""The article's figures about deeper layers: receptive fields, pooling, flatten, the whole network."""

from ui import dom
from ui.article import kit
from ui.article.kit import Figure, Map
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


class Pooling(Figure):
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
            f"{data.average_changed} of {data.outputs} averages."
        )


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
            name = one.words[0].upper() + one.words[1:]
            part.paint(one.map, False, 1, 0, f"{name}: {dom.percent(one.still, 0)}, {dom.percent(one.near, 0)}")


NETWORKS = {"cnn-small": "CNN", "ann": "Dense network", "linear": "Linear model"}


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
            field = dom.make("input", "", label, type="number", min="1", step="1", value="1", class_="one")
            dom.listen(field, "input", lambda event: self.typed())
            self.cell.append(field)
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
        self.list = dom.make("div", "", self.body, class_="whole")
        self.parts, self.names = [], ""
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.figures = self.tables("These pictures as numbers")

    def show(self, data) -> None:
        names = " ".join([row.layer for row in data.rows])
        if names != self.names:
            self.names, self.parts = names, []
            self.list.replaceChildren()
            for row in data.rows:
                part = dom.make("div", "", self.list, class_="stage-part")
                shape = kit.TIMES.join([str(n) for n in row.shape])
                head = dom.make("p", "", part, class_="cap")
                dom.make("b", row.layer, head)
                cost = f"{shape}; {dom.thousands(row.parameters)} parameters, "
                dom.make("span", f" {cost}{dom.thousands(row.multiply_adds)} multiplications", head)
                count = row.shape[0] if row.shape.length == 3 else 1
                box = dom.make(
                    "div",
                    "",
                    part,
                    class_="scroll maps-row",
                    tabindex="0",
                    role="group",
                    aria_label=f"Maps of {row.layer}",
                )
                self.parts.append([dom.make("canvas", "", box, role="img") for _ in range(count)])
        for row, canvases in zip(data.rows, self.parts):  # noqa: B905
            self.paint(row, canvases)
        self.figures.update()
        self.line.textContent = f"The answer: {kit.answer(data)}."

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
        scale = max(abs(row.low), abs(row.high)) or 1
        size = height * width
        for k, canvas in enumerate(canvases):
            part = row.values.values.slice(k * size, (k + 1) * size)
            kit.window.pixels.paint(canvas, part, width, height, 1, scale, row.low < 0, 0)
            across = min(width * (16 if width <= 16 else 3), 640) if flat else 56
            canvas.style.width = f"{across}px"
            canvas.style.height = "16px" if flat else f"{across}px"
            words = f"{row.layer}, map {k + 1}" if not flat else f"{row.layer}, {width} numbers"
            canvas.setAttribute("aria-label", f"{words}, from {kit.number(row.low)} to {kit.number(row.high)}")


FIGURES = {"fields": Fields, "pooling": Pooling, "shifts": Shifts, "flatten": Flatten, "whole": Whole}
