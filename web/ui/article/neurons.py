"""The article's figures about neurons: a dense layer, activations, layers that collapse, a curve to approximate."""

from ui import dom
from ui.article import kit
from ui.article.kit import Figure, exact, number
from ui.inside.figures import Lines


class Neuron(Figure):
    """Two neurons over three inputs."""

    def build(self) -> None:
        box = dom.make("div", "", self.body, class_="neuron")
        dom.make("span", "Inputs", box, class_="row-name")
        self.inputs = self.fields(box, 1, 3, "Inputs", (1, 0.5, -1))
        dom.make("span", "Bias", box, class_="cap")
        dom.make("span", "z", box, class_="cap")
        self.weights, self.biases, self.lines, self.sums = [], [], [], []
        for j, values in enumerate(((0.8, -0.4, 0.3), (-0.5, 1, 0.6))):
            dom.make("span", f"Weights of neuron {j + 1}", box, class_="row-name")
            self.weights += self.fields(box, 1, 3, f"Weights of neuron {j + 1}", values, 0.1)
            self.biases += self.fields(box, 1, 1, f"Bias of neuron {j + 1}", ((0.1,), (-0.2,))[j], 0.1)
            self.sums.append(dom.make("output", "", box, class_="sum"))
            self.lines.append(dom.make("p", "", box, class_="line"))
        self.total = dom.make("p", "", self.body, class_="live-total")

    def typed(self) -> None:
        rows = [self.numbers(part) for part in (self.inputs, self.weights, self.biases)]
        if None not in rows:
            self.args = {"inputs": rows[0], "weights": rows[1], "biases": rows[2]}
            self.ask()

    def show(self, data) -> None:
        inputs, weights, z = kit.floats(data.inputs), kit.floats(data.weights), kit.floats(data.z)
        products, biases, after = kit.floats(data.products), kit.floats(data.biases), kit.floats(data.activated)
        for j in range(2):
            terms = [f"{exact(weights[3 * j + i], 1)}·{exact(inputs[i], 1)}" for i in range(3)]
            made = f"{kit.added(products[3 * j : 3 * j + 3], biases[j], exact)} = {exact(z[j])}"
            terms.append(exact(biases[j], 1))
            given = " + ".join(terms).replace("+ " + kit.MINUS, kit.MINUS + " ")
            self.lines[j].textContent = f"{given}\n= {made}; ReLU gives {exact(after[j])}"
            self.sums[j].textContent = exact(z[j])
        self.total.textContent = f"{data.weight_count} weights, {data.bias_count} biases: one for each neuron."

    def spoken(self) -> str:
        """Both sums."""
        z, after = kit.floats(self.data.z), kit.floats(self.data.activated)
        return "; ".join([f"neuron {j + 1}: z is {exact(z[j])}, ReLU gives {exact(after[j])}" for j in range(2)])


class Activations(Figure):
    """Three curves and a point on each."""

    def build(self) -> None:
        self.slider(self.controls(), "z", "z", -4, 4, 0.8, 0.1)
        self.row = dom.make("div", "", self.body, class_="live-row")
        self.parts = []
        for _ in range(3):
            part = dom.make("div", "", self.row, class_="curve-part")
            self.parts.append((dom.make("div", "", part, class_="curve"), dom.make("p", "", part, class_="line")))
        self.figures = self.tables("These curves as numbers")

    def show(self, data) -> None:
        xs = kit.floats(data.x)
        for k in range(3):
            curve, (box, line) = data.curves[k], self.parts[k]
            ys = kit.floats(curve.values)
            low, high = (-1.2, 4) if curve.name == "relu" else (-1.2, 1.2)
            across, up = (data.z + 4) / 8 * 160, 100 - (min(high, max(low, curve.value)) - low) / (high - low) * 100
            zero = 100 + low / (high - low) * 100
            box.innerHTML = (
                '<svg viewBox="-4 -4 168 108" aria-hidden="true">'
                f'<path class="axis" d="M0 {zero:.1f}H160M80 0V100"/><path class="plot" '
                f'd="{kit.path(xs, ys, low, high, 160, 100)}"/><circle r="4" cx="{across:.1f}" cy="{up:.1f}"/></svg>'
            )
            line.innerHTML = (
                f"<b>{'ReLU' if curve.name == 'relu' else curve.name}</b>({number(data.z, 1)}) = "
                f"{number(curve.value, 3)}<br>slope by rule {number(curve.slope, 3)}, "
                f"measured {number(curve.measured, 3)}"
            )
        self.figures.update()

    def spoken(self) -> str:
        """The three values."""
        said = [f"{curve.name} {number(curve.value, 3)}, slope {number(curve.slope, 3)}" for curve in self.data.curves]
        return f"z {number(self.data.z, 1)}: {'; '.join(said)}"

    def pictures(self) -> list:
        """The points of the curves."""
        columns = [("z", self.data.x.values)] + [(curve.name, curve.values.values) for curve in self.data.curves]
        return [Lines("The three functions", columns)]


class Collapse(Figure):
    """Two layers and their product."""

    def build(self) -> None:
        row = self.controls()
        dom.make("span", "Input", row)
        self.inputs = self.fields(row, 1, 2, "Input", (1, -0.5))
        self.switch(row, "a ReLU between the layers", "relu")
        self.box = dom.make("div", "", self.body, class_="live-row matrices")
        self.line = dom.make("p", "", self.body, class_="line")
        self.total = dom.make("p", "", self.body, class_="live-total")

    def typed(self) -> None:
        found = self.numbers(self.inputs)
        if found is not None:
            self.args["inputs"] = found
            self.ask()

    def show(self, data) -> None:
        parts = []
        for name, words, columns in (
            ("first", "First layer", 2),
            ("second", "Second layer", 3),
            ("product", "Their product", 2),
        ):
            matrix, bias = getattr(data, name), getattr(data, name + "_bias")
            parts.append(
                f'<div><p class="cap">{words}, and its biases</p><div class="pair">'
                + kit.grid(kit.floats(matrix), columns, 2, words=words)
                + kit.grid(kit.floats(bias), 1, 2, words=words + ": biases")
                + "</div></div>"
            )
        self.box.innerHTML = "".join(parts)
        deep, flat = [", ".join([number(v) for v in kit.floats(row)]) for row in (data.deep, data.flat)]
        between = "with a ReLU between them" if data.relu else "one after the other"
        self.line.textContent = f"Two layers {between}: {deep}. The one layer of the product: {flat}."
        same = data.difference < 1e-4
        size = kit.power(data.difference) if same else number(data.difference)
        self.total.textContent = f"Largest difference over {data.tried} inputs: {size}" + (
            ", rounding." if same else ". They are not the same any more."
        )


class Approximate(Figure):
    """A curve to draw, and a hidden layer that follows it."""

    WIDTH, HEIGHT, PLACES = 320, 160, 41

    def build(self) -> None:
        row = self.controls()
        self.choice(
            row,
            "Begin with",
            (("wave", "two humps"), ("step", "a step"), ("tent", "a tent"), ("teeth", "teeth")),
            self.begin,
        )
        self.slider(row, "Neurons", "units", 1, 64, 8)
        self.box = dom.make(
            "div",
            "",
            self.body,
            class_="draw-curve",
            tabindex="0",
            role="application",
            aria_label="Your curve. Left and right choose a place, up and down move the curve there.",
        )
        lines = (("mine", "your curve, dashed"), ("plot", "the network’s, unbroken"))
        line = '<svg class="key" viewBox="0 0 32 8" aria-hidden="true"><path class="{}" d="M0 4H32"/></svg>'
        key = f"<span>{line}{{}}</span>"
        legend = "".join([key.format(kind, words) for kind, words in lines])
        dom.make("p", "", self.body, class_="legend").innerHTML = legend
        self.table = dom.make("div", "", self.body, class_="scroll", tabindex="0", role="group", aria_label="Errors")
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.figures = self.tables("These curves as numbers")
        self.curve, self.at, self.drawing, self.last, self.said = [], 20, False, None, ""
        dom.listen(self.box, "pointerdown", self.down)
        dom.listen(self.box, "pointermove", self.move)
        dom.listen(self.box, "pointerup", self.up)
        dom.listen(self.box, "pointercancel", self.up)
        dom.listen(self.box, "keydown", self.key)

    def begin(self, name: str) -> None:
        self.args.pop("curve", None)
        self.args["start"] = name
        self.ask()

    def own(self) -> list:
        """The curve at the places that can be moved."""
        if len(self.curve) != self.PLACES:
            last = len(self.curve) - 1
            self.curve = [self.curve[round(k * last / (self.PLACES - 1))] for k in range(self.PLACES)]
        return self.curve

    def put(self, place: int, value: float) -> None:
        curve = self.own()
        value = max(-1.0, min(1.0, value))
        before = self.last if self.last is not None and self.drawing else (place, value)
        steps = max(1, abs(place - before[0]))
        for k in range(steps + 1):
            at = before[0] + (place - before[0]) * k // steps
            curve[at] = before[1] + (value - before[1]) * k / steps
        self.last = (place, value)
        self.at = place
        self.args["curve"] = curve
        self.draw()
        self.ask()

    def pointed(self, event) -> None:
        box = self.box.getBoundingClientRect()
        across = (event.clientX - box.left) / (box.width or 1)
        down = (event.clientY - box.top) / (box.height or 1)
        self.put(min(self.PLACES - 1, max(0, round(across * (self.PLACES - 1)))), 1 - 2 * down)

    def down(self, event) -> None:
        self.box.setPointerCapture(event.pointerId)
        self.last, self.drawing = None, True
        self.pointed(event)

    def move(self, event) -> None:
        if self.drawing:
            self.pointed(event)

    def up(self, event) -> None:
        self.drawing, self.last = False, None

    def key(self, event) -> None:
        steps = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowUp": (0, 0.1), "ArrowDown": (0, -0.1)}
        if event.key not in steps or not self.curve:
            return
        event.preventDefault()
        across, up = steps[event.key]
        place = min(self.PLACES - 1, max(0, self.at + across))
        if across:
            self.own()
            self.at = place
            self.draw()
        else:
            self.put(place, self.own()[place] + up)
        self.said = f"Place {place + 1} of {self.PLACES}, {number(self.own()[place], 1)}. "
        if across:
            dom.speak(self.said, kit.SETTLED)  # nothing is asked, so nothing is answered

    def show(self, data) -> None:
        if not self.drawing and "curve" not in self.args:
            self.curve = kit.floats(data.curve)
        self.fitted = kit.floats(data.fitted)
        self.draw()
        sizes, errors = list(data.sizes), list(data.errors)
        heads = ["Neurons"] + [str(n) for n in sizes]
        self.table.innerHTML = kit.table(heads, [["Largest error"] + [number(e, 3) for e in errors]])
        self.say_error = f"{data.units} neurons, {data.parameters} parameters: largest error {number(data.error, 3)}"
        self.line.textContent = self.say_error + "."
        if data.jump:
            self.line.textContent += f" This curve jumps by {number(data.jump, 1)}; the theorem is not about such."
        self.figures.update()

    def spoken(self) -> str:
        """Where the visitor has put the curve, and what became of the error."""
        place, self.said = self.said, ""
        return place + self.line.textContent

    def pictures(self) -> list:
        """Both curves, point by point."""
        names = (("place", "x"), ("curve", "curve"), ("network", "fitted"))
        columns = [(words, getattr(self.data, name).values) for words, name in names]
        return [Lines("Your curve and the network’s", columns)]

    def draw(self) -> None:
        width, height = self.WIDTH, self.HEIGHT
        mine = kit.path(range(len(self.curve)), self.curve, -1, 1, width, height)
        made = kit.path(range(len(self.fitted)), self.fitted, -1, 1, width, height)
        own = len(self.curve) == self.PLACES
        mark = f'<path class="place" d="M{self.at / (self.PLACES - 1) * width:.1f} 0V{height}"/>' if own else ""
        self.box.innerHTML = (
            f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" aria-hidden="true">'
            f'<path class="axis" d="M0 {height / 2}H{width}"/>{mark}<path class="mine" d="{mine}"/>'
            f'<path class="plot" d="{made}"/></svg>'
        )


class Loss(Figure):
    """From scores to probabilities, and what each digit would cost."""

    follows = True

    def build(self) -> None:
        options = [("-1", "the digit that it reads")] + [(str(digit), str(digit)) for digit in range(10)]
        self.choice(self.controls(), "You meant", options, self.meant)
        self.box = dom.make("div", "", self.body, class_="scroll", tabindex="0", role="group", aria_label="Losses")
        self.line = dom.make("p", "", self.body, class_="live-total")

    def meant(self, value: str) -> None:
        self.args["label"] = int(value)
        self.ask()

    def show(self, data) -> None:
        scores, powers, shares, losses = [
            kit.floats(getattr(data, name)) for name in ("scores", "powers", "shares", "losses")
        ]
        rows = []
        for k in range(10):
            name = f"<b>{k}</b>, meant" if k == data.label else f"{k}, read" if k == data.digit else str(k)
            rows.append([name, number(scores[k]), small(powers[k]), dom.percent(shares[k], 2), number(losses[k])])
        heads = ["digit", "score", "power", "probability", "loss"]
        self.box.innerHTML = kit.table(heads, rows)
        self.line.textContent = (
            f"Had you meant {data.label}, the loss would be −log {share_of(data.share, data.loss)} = "
            f"{small(data.loss) if data.loss < 0.1 else number(data.loss)}. A power is e to the score less the largest "
            "score; divided by the sum of all powers, "
            f"{number(data.sum, decimals(losses[int(data.digit)]))}, it is a probability."
        )


def small(value) -> str:
    """A number that may be close to 0."""
    return kit.power(value) if value < 1e-4 else number(value, 4)


def decimals(loss) -> int:
    """How many show by how much a share, or the sum of the powers, of so small a loss differs from 1."""
    if not 0 < loss < 0.1:
        return 4
    return 6 if loss >= 1e-4 else -int(f"{loss:.0e}".split("e")[1])


def share_of(value, loss) -> str:
    """A probability with enough digits that minus its logarithm is the loss as shown."""
    if value >= 0.1:
        return number(value, decimals(loss))
    return number(value, 6) if value >= 1e-3 else kit.power(value, 3)


FIGURES = {"loss": Loss, "neuron": Neuron, "activations": Activations, "collapse": Collapse, "approximate": Approximate}
