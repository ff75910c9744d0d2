"""The article's figures about kernels: the Hadamard product, sliding, several kernels, channels."""

import asyncio

from pyscript import window
from pyscript.ffi import create_proxy
from ui import dom
from ui.article import kit
from ui.article.kit import Figure, Map, number

_still = window.matchMedia("(prefers-reduced-motion: reduce)")


class Hadamard(Figure):
    """Patch, kernel and product, cell by cell."""

    def build(self) -> None:
        row = self.controls()
        starts = (
            ("article", "the article’s example"),
            ("line", "a line and its kernel"),
            ("corner", "a corner and its kernel"),
            ("spot", "a spot and its kernel"),
            ("spot under corner", "a spot under the corner’s kernel"),
            ("faint", "a faint line, a perfect match"),
            ("bright", "a bright patch, no match"),
        )
        self.choice(row, "Show", starts, self.begin)
        self.switch(row, "turn the kernel by half a turn", "flip")
        box = dom.make("div", "", self.body, class_="hadamard")
        self.patch = self.part(box, "Patch")
        dom.make("span", "⊙", box, class_="sign", aria_hidden="true")
        self.kernel = self.part(box, "Kernel")
        dom.make("span", "=", box, class_="sign", aria_hidden="true")
        part = dom.make("div", "", box)
        dom.make("p", "Product", part, class_="cap")
        self.product = dom.make("div", "", part)
        label = dom.make("label", "", self.controls(), class_="live-choice")
        dom.make("span", "Bias", label)
        self.bias = self.field(label, 0)
        self.bias.classList.add("one")
        self.line = dom.make("p", "", self.body, class_="live-total")

    def part(self, box, words: str) -> list:
        part = dom.make("div", "", box)
        dom.make("p", words, part, class_="cap")
        return self.fields(part, 3, 3, words, [0] * 9)

    def begin(self, name: str) -> None:
        self.args = {"flip": self.args["flip"], "start": name}
        self.fresh = True
        self.ask()

    def typed(self) -> None:
        patch, kernel, bias = self.numbers(self.patch), self.numbers(self.kernel), self.numbers([self.bias])
        if patch and kernel and bias:
            self.args = {"flip": self.args["flip"], "patch": patch, "kernel": kernel, "bias": bias[0]}
            self.ask()

    def show(self, data) -> None:
        kit.fill(self.patch, kit.floats(data.patch))
        kit.fill(self.kernel, kit.floats(data.kernel))
        kit.fill([self.bias], [data.bias])
        products = kit.floats(data.product)
        self.product.innerHTML = kit.grid(products, 3, words="Product")
        turned = ", with the kernel turned" if data.flip else ""
        self.line.textContent = (
            f"Sum of the product{turned}: {number(data.sum)}. With the bias {number(data.bias)}: {number(data.value)}. "
            f"Cosine of patch and kernel: {number(data.cosine)}."
        )


class Slide(Figure):
    """A kernel on its way over the drawing."""

    follows = True

    def build(self) -> None:
        row = self.controls()
        self.slider(row, "Kernel", "kernel", 1, 5, 3)
        self.slider(row, "Stride", "stride", 1, 4, 1)
        self.slider(row, "Padding", "padding", 0, 2, 0)
        row = self.controls()
        self.button(row, "‹", lambda: self.step(-1), "One step back")
        self.play = self.button(row, "Play", self.toggle)
        self.button(row, "›", lambda: self.step(1), "One step on")
        self.button(row, "Next row", lambda: self.step(0))
        self.switch(row, "Tell it as a story", "story")
        self.maps = dom.make("div", "", self.body, class_="live-row slide-maps")
        self.image, self.map = Map(self.maps, "Your drawing", 224), Map(self.maps, "The map", 224)
        self.arrow = dom.make("div", "", self.maps, class_="arrow", aria_hidden="true")
        self.legend("1, full ink", True)
        self.row = dom.make("div", "", self.body, class_="hadamard")
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.tale = dom.make("p", "", self.body, class_="tale", data_testid="tale")
        self.figures = self.tables("These pictures as numbers")
        self.args["step"], self.running, self.walking, self.out = -1, False, False, 1
        self.watch = window.ResizeObserver.new(create_proxy(lambda *_: self.point()))
        self.watch.observe(self.maps)

    def step(self, by: int) -> None:
        """So many steps on, or the next row."""
        self.args["step"] = max(0, self.args["step"] + (by or self.out))
        self.ask()

    def toggle(self) -> None:
        """Play or pause; where motion is not wanted each press is a step, as under the lens of Look inside."""
        if _still.matches:
            self.plays(False)
            self.step(1)
            return
        self.plays(not self.running)
        if not self.running:
            self.ask()  # to hear where it stands
        elif not self.walking:  # else the loop of the Play before still waits for its next step, and goes on
            self.walking = True
            dom.run(self.walk())

    def plays(self, yes: bool) -> None:
        """What the button says."""
        self.running = yes
        self.play.textContent = "Pause" if yes else "Play"

    async def walk(self) -> None:
        """A step at a time, for as long as somebody looks; nobody could listen so fast."""
        try:
            while self.running and self.visible:
                self.args["step"] = max(0, self.args["step"] + 1)
                self.ask(False)
                await asyncio.sleep_ms(250)
        finally:
            self.walking = False
            self.plays(False)

    def show(self, data) -> None:
        self.out = data.out
        self.args["step"] = data.step
        size, pad, side = data.size, data.padding, data.image.shape[0]
        bordered = f", with a border of {pad}" if pad else ""
        self.image.paint(data.image, False, 1, 0, f"Your drawing, {size} × {size}{bordered}")
        boxes = [(pad, pad, pad + size, pad + size, "paper-edge")] if pad else []
        for first, behind in data.gaps:
            boxes.append((pad + first, pad, pad + behind, pad + size, "left-over"))
            boxes.append((pad, pad + first, pad + size, pad + behind, "left-over"))
        top, left = pad + data.top, pad + data.left
        boxes.append((top, left, top + data.kernel, left + data.kernel, "lens"))
        self.image.boxes(boxes, side)
        self.map.paint(data.map, True, 1, 0, f"The map, {data.out} × {data.out}")
        self.map.boxes([(data.row, data.column, data.row + 1, data.column + 1, "lens")], data.out)
        k = data.kernel
        parts = []
        for name, words in (("patch", "Patch"), ("weights", "Kernel"), ("product", "Product")):
            values = kit.floats(getattr(data, name))
            parts.append(f'<div><p class="cap">{words}</p>{kit.grid(values, k, 1, name != "patch", None, words)}</div>')
        signs = ('<span class="sign" aria-hidden="true">⊙</span>', '<span class="sign" aria-hidden="true">=</span>')
        self.row.innerHTML = parts[0] + signs[0] + parts[1] + signs[1] + parts[2]
        self.tale.textContent, self.tale.hidden = data.told, not data.told
        left = f" {dom.thousands(data.left_over)} pixels are never covered." if data.left_over else ""
        self.line.textContent = (
            f"Step {data.step + 1} of {data.steps}: {number(data.value)}, written to row {data.row + 1}, "
            f"column {data.column + 1}. Size of the map: {data.formula}.{left}"
        )
        self.point()
        self.figures.update()

    def spoken(self) -> str:
        """The step as the lens of Look inside says it; as a story, the story."""
        return self.data.told or self.data.spoken

    def pictures(self) -> list:
        """What the kernel reads and what it writes."""
        return [kit.numbers_of("Your drawing", self.data.image), kit.numbers_of("The map", self.data.map)]

    def point(self) -> None:
        """An arrow from the patch to the cell of the map, wherever the two pictures stand on this screen."""
        marks = [part.over.querySelector(".lens") for part in (self.image, self.map)]
        frame = self.maps.getBoundingClientRect()
        if not frame.width or marks[0] is None or marks[1] is None:
            return
        patch, cell = [mark.getBoundingClientRect() for mark in marks]
        beside = self.map.holder.getBoundingClientRect().left > self.image.holder.getBoundingClientRect().right
        if beside:
            begin = (patch.right, patch.top + patch.height / 2)
            end = (cell.left - 2, cell.top + cell.height / 2)
        else:
            begin = (patch.left + patch.width / 2, patch.bottom)
            end = (cell.left + cell.width / 2, cell.top - 2)
        x, y, u, v = begin[0] - frame.left, begin[1] - frame.top, end[0] - frame.left, end[1] - frame.top
        head = f"M{u - 8:.1f} {v - 4:.1f}L{u:.1f} {v:.1f}L{u - 8:.1f} {v + 4:.1f}"
        way = f"M{x:.1f} {y:.1f}C{(x + u) / 2:.1f} {y:.1f} {(x + u) / 2:.1f} {v:.1f} {u:.1f} {v:.1f}"
        if not beside:
            head = f"M{u - 4:.1f} {v - 8:.1f}L{u:.1f} {v:.1f}L{u + 4:.1f} {v - 8:.1f}"
            way = f"M{x:.1f} {y:.1f}C{x:.1f} {(y + v) / 2:.1f} {u:.1f} {(y + v) / 2:.1f} {u:.1f} {v:.1f}"
        paths = "".join([f'<path class="{kind}" d="{d}"/>' for kind, d in (("halo", way), ("way", way), ("way", head))])
        self.arrow.innerHTML = f"<svg>{paths}</svg>"


class Several(Figure):
    """Four hand-made kernels over the drawing."""

    follows = True

    def build(self) -> None:
        self.args["changed"] = -1
        self.row = dom.make("div", "", self.body, class_="live-row detectives")
        self.parts = []
        for k in range(4):
            part = dom.make("div", "", self.row, class_="detective")
            title = dom.make("p", "", part, class_="cap")
            grid = dom.make("div", "", part)
            maps = Map(part, "before the ReLU", 156), Map(part, "after it", 156)
            button = self.button(part, "Turn its signs round", self.changer(k))
            button.classList.add("small")
            self.parts.append((title, grid, maps, part, button))
        self.legend("1, full ink", True)
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.figures = self.tables("These pictures as numbers")

    def changer(self, k: int):
        def change() -> None:
            self.args["changed"] = -1 if self.args["changed"] == k else k
            self.ask()

        return change

    def show(self, data) -> None:
        kernels = kit.floats(data.kernels)
        differs = []
        for k, (title, grid, maps, part, button) in enumerate(self.parts):
            title.textContent = kit.capital(data.names[k])
            grid.innerHTML = kit.grid(kernels[9 * k : 9 * k + 9], 3, 1, words=data.names[k])
            maps[0].paint(data.maps, True, 1, k, "before the ReLU")
            maps[1].paint(data.after, False, 1, k, f"after it: {dom.percent(data.zero[k], 0)} is zero")
            button.setAttribute("aria-pressed", "true" if data.differs[k] else "false")
            part.setAttribute("data-changed", "yes" if data.differs[k] else "no")
            if data.differs[k]:
                differs.append(data.names[k])
        self.line.textContent = (
            f"Changed: the kernel and the map of “{differs[0]}”, and no other."
            if differs
            else "Four kernels, four maps."
        )
        self.figures.update()

    def pictures(self) -> list:
        """Each map before the ReLU and after it."""
        found = []
        for k, name in enumerate(self.data.names):
            found.append(kit.numbers_of(f"{kit.capital(name)}, before the ReLU", self.data.maps, k))
            found.append(kit.numbers_of(f"{kit.capital(name)}, after it", self.data.after, k))
        return found


class Channels(Figure):
    """Three maps into five kernels."""

    follows = True

    def build(self) -> None:
        self.bank = Bank(self.body)
        row = self.controls()
        options = [(str(k), f"kernel {k + 1}") for k in range(5)]
        self.choice(row, "Show", options, self.chosen)
        self.args.update({"kernel": 0, "cell": [4, 4]})
        dom.make("span", "Cell", row)
        for words, label, down, right in (
            ("↑", "Cell up", -1, 0),
            ("↓", "Cell down", 1, 0),
            ("←", "Cell left", 0, -1),
            ("→", "Cell right", 0, 1),
        ):
            self.button(row, words, self.mover(down, right), label).classList.add("small")
        self.rows = []
        for k in range(3):
            line = dom.make("div", "", self.body, class_="channel")
            before = Map(line, f"map {k + 1}", 96)
            grid = dom.make("div", "", line)
            self.rows.append(
                (before, grid, Map(line, f"intermediate map {k + 1}", 96), dom.make("div", "", line, class_="counted"))
            )
        line = dom.make("div", "", self.body, class_="channel sum")
        self.sum, self.after = Map(line, "their sum and the bias", 96), Map(line, "after the ReLU", 96)
        self.legend("the largest of its map", True)
        self.total = dom.make("p", "", self.body, class_="live-total")
        self.figures = self.tables("These pictures as numbers")

    def chosen(self, value: str) -> None:
        self.args["kernel"] = int(value)
        self.ask()

    def mover(self, down: int, right: int):
        def move() -> None:
            row, column = self.args["cell"]
            self.args["cell"] = [max(0, row + down), max(0, column + right)]
            self.ask()

        return move

    def show(self, data) -> None:
        row, column = list(data.cell)
        self.args["cell"] = [row, column]
        kernels, k, side = kit.floats(data.kernels), data.kernel, data.total.shape[0]
        self.bank.paint(data.kernels, kernels, k)
        shares = list(data.shares)
        peak = max([abs(share) for share in shares] + [abs(data.bias), 1e-9])
        cell = [(row, column, row + 1, column + 1, "lens")]
        for c, (before, grid, made, share) in enumerate(self.rows):
            before.paint(data.maps, False, None, c)
            before.boxes([(row, column, row + 3, column + 3, "lens")], data.maps.shape[1])
            at = 9 * (3 * k + c)
            grid.innerHTML = kit.grid(kernels[at : at + 9], 3, None, True, None, f"Matrix for map {c + 1}")
            made.paint(data.intermediate, True, None, c)
            made.boxes(cell, side)
            share.innerHTML = bar(shares[c], peak, f"map {c + 1}")
        self.sum.paint(data.total, True)
        self.after.paint(data.after)
        for one in (self.sum, self.after):
            one.boxes(cell, side)
        terms = kit.added(shares, data.bias)
        self.total.textContent = (
            f"Cell in row {row + 1}, column {column + 1}: {terms} (the bias) = {number(data.value)}. "
            f"All {data.kernels.shape[0]} kernels: {data.matrices} matrices, {data.weights} weights, "
            f"{data.biases} biases."
        )
        self.figures.update()

    def pictures(self) -> list:
        """Every map and every matrix."""
        data, found = self.data, []
        for c in range(data.maps.shape[0]):
            found.append(kit.numbers_of(f"Map {c + 1}", data.maps, c))
        for c in range(data.maps.shape[0]):
            found.append(kit.numbers_of(f"Intermediate map {c + 1}", data.intermediate, c))
        found.append(kit.numbers_of("Their sum and the bias", data.total))
        found.append(kit.numbers_of("After the ReLU", data.after))
        count = data.kernels.shape[1]
        for at in range(data.kernels.shape[0] * count):
            words = f"Kernel {at // count + 1}, matrix for map {at % count + 1}"
            found.append(kit.numbers_of(words, data.kernels, at))
        return found


class Bank:
    """All matrices of five kernels over three maps, small: a row a kernel, a column a map."""

    def __init__(self, into) -> None:
        heads = "".join([f'<th scope="col">map {c + 1}</th>' for c in range(3)])
        self.table = dom.make("table", "", into, class_="bank", aria_label="All matrices, a row a kernel")
        self.table.innerHTML = f"<thead><tr><td></td>{heads}</tr></thead><tbody></tbody>"
        self.lines, self.canvases = [], []
        for k in range(5):
            line = dom.make("tr", "", self.table.tBodies[0])
            dom.make("th", f"kernel {k + 1}", line, scope="row")
            self.lines.append(line)
            for c in range(3):
                cell = dom.make("td", "", line)
                words = f"Kernel {k + 1}, matrix for map {c + 1}"
                self.canvases.append(dom.make("canvas", "", cell, role="img", aria_label=words))

    def paint(self, array, values, chosen: int) -> None:
        """One scale for all of them; the row of the kernel at work is marked."""
        peak = max([abs(value) for value in values])
        for at, canvas in enumerate(self.canvases):
            kit.paint(canvas, array.values, 3, 3, peak, True, at, 36)
        for k, line in enumerate(self.lines):
            line.setAttribute("data-mark", "yes" if k == chosen else "no")


def bar(value: float, peak: float, words: str) -> str:
    """How much one map counted in a cell: a bar from the middle, to the left where it is negative."""
    size = abs(value) / peak * 50
    side, kind = ("right:50%", "n") if value < 0 else ("left:50%", "p")
    track = f'<span class="track"><i class="{kind}" style="{side};width:{size:.1f}%"></i></span>'
    return f'<span class="words">{words}</span>{track}<span class="amount">{number(value)}</span>'


FIGURES = {"hadamard": Hadamard, "slide": Slide, "several": Several, "channels": Channels}
