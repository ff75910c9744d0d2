"""One number of the layers without a window: batch norm, activations, flatten, dropout, dense neurons, softmax."""

from pyscript import window
from ui import dom
from ui.inside import parts
from ui.inside.arrow import Arrow
from ui.inside.figures import WEIGHTS, Figures, Grid, Lines
from ui.inside.lens import result
from ui.inside.plate import ARROWS, Plate
from ui.inside.terms import Terms

# Kinds whose cells keep their place: of maps, one is chosen on either of the two.
IN_PLACE = ("batch_norm", "relu", "leaky_relu", "sigmoid", "tanh", "dropout", "identity")


class Steps:
    """As `Lens`, for what reads one cell or all of them."""

    def __init__(self, go, slide, ask, row, network) -> None:
        self.go, self.slide, self.ask, self.row, self.network = go, slide, ask, row, network
        self.index, self.channel, self.answer, self.playing = [0] * row.shape.length, -1, None, False
        self.plates = {}

    def question(self) -> tuple:
        """What to ask for each drawing and each step."""
        return "cell", {"layer": self.row.name, "index": self.index}

    def build(self, into) -> None:
        """The frame of the page; what is in it depends on the kind."""
        self.words = dom.make("p", "", into, class_="words")
        self.rule = dom.make("p", "", into, class_="rule")
        self.hold = dom.make("div", "", into, class_="mover", tabindex="0", role="application", data_testid="mover")
        self.hold.setAttribute("aria-roledescription", "number")
        dom.listen(self.hold, "keydown", self._key)
        self.where = dom.make("b", "", self.hold)
        self.equation = dom.make("div", "", into, class_="equation", data_testid="equation")
        self.chain = dom.make("p", "", into, class_="chain", data_testid="chain")
        self.note = dom.make("p", "", into, class_="words", data_testid="step-note", hidden="")
        self.pictures = dom.make("div", "", into, class_="plates")
        self.placed = self.row.kind in IN_PLACE and self.row.shape.length == 3
        self.arrow = Arrow(self.pictures) if self.placed or self.row.kind == "flatten" else None
        self.list = dom.make("div", "", into, class_="scroll terms", tabindex="0", role="group", aria_label="Terms")
        self.terms = Terms(into, self.list, self.network, self.row) if self.row.kind == "dense" else None
        self.figures = None
        if self.row.kind in NUMBERS:
            self.figures = Figures(into, NUMBERS[self.row.kind][0], self._numbers, "step-figures")

    def focus(self) -> None:
        """Where the keyboard goes when the page opens."""
        window.early.focus(self.hold)

    def leave(self) -> None:
        """The page goes away."""

    def _key(self, event) -> None:
        if event.key in ARROWS and not (event.ctrlKey or event.metaKey or event.altKey):
            event.preventDefault()
            down, right = ARROWS[event.key]
            index = list(self.index)
            if len(index) == 1:
                index[0] += down + right
            else:
                index[1] += down
                index[2] += right
            if all(0 <= at < int(n) for at, n in zip(index, self.row.shape)):  # noqa: B905
                self.slide(index, False)
        elif event.key == "Enter":
            event.preventDefault()
            self.ask(self.row.name, self.index)

    def update(self, answer, spoken: bool) -> None:
        """Show what the core says."""
        first = self.answer is None
        self.answer, self.index = answer, [int(k) for k in answer.index]
        self.rule.textContent = answer.rule
        name = self.row.name
        self.words.innerHTML = f"<b>{name}</b>, {parts.place(self.index)}{self._class()}: {WORDS[answer.kind]}"
        self.where.textContent = f"{parts.place(self.index)}{self._class()}"
        self.hold.setAttribute("aria-label", answer.spoken)
        if self.placed:
            self._maps(answer)
        SHOWN[answer.kind](self, answer)
        if self.figures is not None:
            if first:  # whether there are pictures is the layer's matter, not the drawing's
                self.figures.box.hidden = not self._numbers()
            self.figures.update()
        texts = []
        for entry in answer.onward:
            index = [int(k) for k in entry.index]
            texts.append(f"<span>\u2192</span>{result(entry.title, entry.value, parts.address(entry.name, index))}")
        self.chain.innerHTML = "".join(texts)
        self.chain.hidden = not texts

    def _class(self) -> str:
        """What an output stands for."""
        classes = self.network.classes
        if len(self.index) == 1 and self.row.shape[0] == classes.length:
            return f" ({classes[self.index[0]]})"
        return ""

    def _own(self, value: float) -> str:
        return result(self.row.name, value, parts.address(self.row.name, self.index))

    def _from(self, value: float) -> str:
        """The same place in the layer before."""
        return result(self.answer.source, value, parts.address(self.answer.source, self.index))

    def _plate(self, name: str, side: int = 336, pointed=None):
        if name not in self.plates:
            self.plates[name] = Plate(self.pictures, name, None, pointed, None, side)
        return self.plates[name]

    def _numbers(self):
        """The pictures of this page, as tables."""
        return NUMBERS[self.row.kind][1](self, self.answer) if self.answer is not None else ""

    def _maps(self, answer) -> None:
        """The map it reads and the map it makes: a click or a touch chooses the cell, in either."""
        number, row, column = self.index
        plates = []
        for name, picture, words, end in (
            ("lens-source", answer.source_map, answer.source, "read"),
            ("lens-target", answer.target_map, self.row.name, "written"),
        ):
            plate = self._plate(name, 264, lambda row, column: self.slide([self.index[0], row, column], False))
            plate.paint(picture, parts.full(picture))
            plate.frame("lens", row, column, 1, 1)
            here = f"map {number + 1}, {end}: a click or touch chooses the cell"
            plate.label(f"{words}, {here}", f"{words} <span>map {number + 1}, {end}</span>")
            plates.append(plate)
        self.arrow.between(plates[0], (row, column, 1, 1), plates[1], (row, column))

    def _both(self, answer):
        """Both maps as tables."""
        if not self.placed:
            return []
        found, number = [], self.index[0] + 1
        for words, picture in ((answer.source, answer.source_map), (self.row.name, answer.target_map)):
            shape = picture.values.shape
            found.append(Grid(f"{words}, map {number}", picture.values.values, shape[1], shape[2]))
        return found

    # -- kinds -----------------------------------------------------------------------------------------------
    def normalisation(self, answer) -> None:
        """Batch norm as its own step."""
        sign = '<span class="sign">{}</span>'
        self.equation.innerHTML = (
            self._from(answer.x)
            + sign.format(parts.MINUS)
            + result("mean", answer.mean)
            + sign.format("=")
            + result("centred", answer.centred)
            + sign.format("\u00f7")
            + result("deviation", answer.deviation)
            + sign.format("=")
            + result("normalised", answer.normalised)
            + sign.format(parts.TIMES)
            + result("gamma", answer.gamma)
            + sign.format("+")
            + result("beta", answer.beta)
            + sign.format("=")
            + self._own(answer.value)
        )

    def activation(self, answer) -> None:
        """The curve, with this map's own values on it."""
        self.equation.innerHTML = self._from(answer.x) + '<span class="sign">\u2192</span>' + self._own(answer.value)
        plate = self._plate("curve")
        window.pixels.curve(
            plate.canvas,
            answer.curve_x.values,
            answer.curve_y.values,
            answer.met_x.values,
            answer.met_y.values,
            answer.x,
            answer.value,
            answer.reach,
        )
        plate.box.setAttribute("style", "width:448px;aspect-ratio:4/3")
        plate.canvas.setAttribute("style", "left:0;top:0;width:100%;height:100%")
        text = (
            f"{answer.below} of this map's {answer.count} values are below 0, slope here {parts.number(answer.slope)}"
        )
        plate.label(f"{answer.title}, {text}", f"{answer.title} <span>{text}</span>")

    def _curve(self, answer):
        """What lies on the curve, and the curve itself."""
        points = (("x", answer.curve_x.values), ("f(x)", answer.curve_y.values))
        curve = Lines("The curve, point by point", points, "Points of the function itself, for any drawing.")
        met = (("x", answer.met_x.values, answer.source), ("f(x)", answer.met_y.values, self.row.name))
        if self.row.shape.length == 1:
            return [curve, Lines(f"The layer's own {answer.count} values", met)]
        height, width, number = self.row.shape[1], self.row.shape[2], self.index[0]
        found = [curve]
        for name, values, layer in met:
            found.append(Grid(f"{name} of map {number + 1}", values, height, width, of=f"{layer}:{number}"))
        return found

    def copy(self, answer) -> None:
        """Flatten and dropout: the same number, elsewhere."""
        place = [int(k) for k in answer.origin]
        source = result(parts.place(place), answer.value, parts.address(answer.source, place))
        self.equation.innerHTML = source + '<span class="sign">\u2192</span>' + self._own(answer.value)
        if answer.kind != "flatten" or len(place) != 3:
            return
        name = '<span class="name">its index, counted from 0</span>'
        self.equation.innerHTML += f'<span class="named">{name}<b>{answer.formula}</b></span>'
        self.note.textContent, self.note.hidden = answer.counted, False
        height, width = int(answer.source_shape[1]), int(answer.source_shape[2])
        plate = self._plate("lens-source", 240, lambda row, column: self._flat_to(place[0], row, column, height, width))
        plate.paint(answer.source_map, parts.full(answer.source_map))
        plate.frame("lens", place[1], place[2], 1, 1)
        title = f"{answer.source} <span>map {place[0] + 1}: a click finds its number in the list</span>"
        plate.label(f"{answer.source}, map {place[0] + 1}", title)
        vector = answer.vector
        count = vector.values.shape[2]
        wide = height * width if height * width <= 64 else width
        lines = count // wide
        self.folded = (lines, wide)
        target = self._plate("lens-target", 336, lambda row, column: self.slide([row * wide + column], False))
        zoom = max(3, min(16, 448 // max(wide, lines)))
        window.pixels.maps(
            target.canvas,
            vector.values.values,
            wide,
            lines,
            1,
            1,
            parts.full(vector),
            vector.low < 0,
            0,
            zoom,
        )
        target.size = (lines, wide)
        target.box.setAttribute("style", f"width:{wide * zoom}px;aspect-ratio:{wide}/{lines}")
        target.canvas.setAttribute("style", "left:0;top:0;width:100%;height:100%")
        at = divmod(self.index[0], wide)
        target.frame("lens", at[0], at[1], 1, 1)
        self.arrow.between(plate, (place[1], place[2], 1, 1), target, at)
        each = "one line for each map" if wide == height * width else "row by row"
        target.label(f"The list, {each}", f"{self.row.name} <span>the list, {each}; a click finds its cell</span>")

    def _copied(self, answer):
        """The map and the list, as they are painted."""
        place = [int(k) for k in answer.origin]
        if len(place) != 3:
            return []
        shape = answer.source_map.values.shape
        words, of = f"{answer.source}, map {place[0] + 1}", f"{answer.source}:{place[0]}"
        source = Grid(words, answer.source_map.values.values, shape[1], shape[2], of=of)
        lines, wide = self.folded
        name = self.row.name
        return [source, Grid(f"{name}, the list", answer.vector.values.values, lines, wide, of=name)]

    def _flat_to(self, map_number: int, row: int, column: int, height: int, width: int) -> None:
        self.slide([(map_number * height + row) * width + column], False)

    def neuron(self, answer) -> None:
        """All terms of a dense neuron, the largest first."""
        bias = f'<span class="sign">+</span>{result("bias", answer.bias)}' if answer.has_bias else ""
        self.equation.innerHTML = (
            result("terms above 0", answer.positive)
            + '<span class="sign">+</span>'
            + result("terms below 0", answer.negative)
            + f'<span class="sign">=</span>{result("sum", answer.sum)}{bias}<span class="sign">=</span>'
            + self._own(answer.value)
        )
        if answer.weight_image:
            self._images(answer)
        self.terms.show(answer)

    def _images(self, answer) -> None:
        """Weights and products where they lie on maps."""
        for name, picture, title in (
            ("weights", answer.weight_image, "its weights"),
            ("products", answer.product_image, "value \u00d7 weight"),
        ):
            shape = picture.values.shape
            plate = self._plate(name, 336, self._pointed(answer, shape))
            peak = max(-picture.low, picture.high)
            title = f"{title} <span>over {answer.behind}</span>"
            if shape[0] == 1:
                plate.paint(picture, peak, 0, True)
            else:
                columns = next(k for k in range(1, 65) if k * k >= shape[0])
                plate.paint_all(picture, picture.peaks.values if parts.scale["of"] == "map" else peak, columns)
            plate.label(title.replace("<span>", "").replace("</span>", ""), title)

    def _pointed(self, answer, shape):
        if shape[0] != 1:
            return None
        return lambda row, column: self.ask(answer.behind, [0, row, column])

    def _weighed(self, answer):
        """Weights and products over every map."""
        if not answer.weight_image:
            return []
        found, shape = [], answer.weight_image.values.shape
        for k in range(shape[0]):
            over = f"{answer.behind}, map {k + 1}" if shape[0] > 1 else answer.behind
            for words, picture, note in (
                ("Weights", answer.weight_image, WEIGHTS),
                ("Value \u00d7 weight", answer.product_image, ""),
            ):
                found.append(Grid(f"{words} over {over}", picture.values.values, shape[1], shape[2], k, note=note))
        return found

    def shares(self, answer) -> None:
        """Softmax step by step."""
        classes, rows = self.network.classes, []
        named = classes.length == answer.scores.values.length
        for k in range(answer.scores.values.length):
            mark = "<b>{}</b>" if k == self.index[-1] else "{}"
            score = f'<button type="button" class="num" data-cell="{parts.address(answer.source, [k])}">{{}}</button>'
            share = answer.shares.values[k]
            rows.append(
                (
                    mark.format(classes[k] if named else str(k)),
                    score.format(parts.signed(answer.scores.values[k])),
                    parts.number(answer.shifted.values[k]),
                    _fine(answer.exponentials.values[k]),
                    dom.percent(share, 2),
                    f'<i class="k" style="--s:{share:.3f}"></i>',
                )
            )
        rows.append(("all", "", "", _fine(answer.sum), "", ""))
        heads = (
            "",
            "score",
            f"{parts.MINUS}\u00a0largest ({parts.number(answer.largest)})",
            "exponential",
            "\u00f7 their sum",
            "",
        )
        self.list.innerHTML = parts.table(heads, rows, "Softmax, step by step")
        own = result(self.row.name, answer.value, parts.address(self.row.name, self.index), 4)
        self.equation.innerHTML = (
            result("exponential", answer.exponentials.values[self.index[-1]], "", 4)
            + '<span class="sign">\u00f7</span>'
            + result("sum of all", answer.sum, "", 4)
            + f'<span class="sign">=</span>{own}'
        )

    def mean(self, answer) -> None:
        """Global average pooling."""
        self.equation.innerHTML = (
            result("sum of the map", answer.sum)
            + f'<span class="sign">\u00f7</span>{result("cells", answer.count)}<span class="sign">=</span>'
            + self._own(answer.value)
        )
        self._map(answer)

    def pixel(self, answer) -> None:
        """A pixel of the 28 x 28."""
        self.equation.innerHTML = self._own(answer.value)
        self._map(answer)

    def _map(self, answer) -> None:
        pointed = None
        if self.row.kind == "input":
            pointed = lambda row, column: self.slide([0, row, column], False)  # noqa: E731
        plate, picture = self._plate("lens-source", 336, pointed), answer.source_map
        plate.paint(picture, parts.full(picture))
        if self.row.kind == "input":
            plate.frame("lens", self.index[1], self.index[2], 1, 1)
        plate.label(f"{self.row.name}: the map", self.row.name)

    def _one(self, answer):
        """The map of the picture."""
        shape = answer.source_map.values.shape
        words, of = self.row.name, f"{self.row.name}:0"
        if self.row.kind != "input":
            words, of = f"{answer.source}, map {self.index[0] + 1}", f"{answer.source}:{self.index[0]}"
        return [Grid(words, answer.source_map.values.values, shape[1], shape[2], of=of)]


def _fine(value: float) -> str:
    """Exponentials span many sizes."""
    return f"{value:.4f}" if value >= 0.0001 or value == 0 else f"{value:.1e}".replace("-", parts.MINUS)


WORDS = {
    "input": "ink, 0 for paper and 1 for full ink.",
    "batch_norm": "the kernel's own mean and deviation, met while training, bring its numbers to one size.",
    "relu": "what is below 0 becomes 0, everything else stays.",
    "leaky_relu": "what is below 0 is made small, everything else stays.",
    "sigmoid": "every number is bent into 0 to 1.",
    "tanh": "every number is bent into \u22121 to 1.",
    "flatten": "the maps' cells become one list, map by map, row by row; nothing is computed.",
    "dropout": "while training, some numbers are left out at random; now all pass unchanged.",
    "identity": "the number passes unchanged.",
    "dense": "every number of the layer before, times a weight of its own, summed.",
    "softmax": "scores become shares that add up to 1.",
    "global_avg_pool": "the mean of a whole map.",
}
SHOWN = {
    "input": Steps.pixel,
    "batch_norm": Steps.normalisation,
    "relu": Steps.activation,
    "leaky_relu": Steps.activation,
    "sigmoid": Steps.activation,
    "tanh": Steps.activation,
    "flatten": Steps.copy,
    "dropout": Steps.copy,
    "identity": Steps.copy,
    "dense": Steps.neuron,
    "softmax": Steps.shares,
    "global_avg_pool": Steps.mean,
}
_CURVE = ("The curve as numbers", Steps._curve)
_MAPS = ("These maps as numbers", Steps._both)
NUMBERS = {
    "batch_norm": _MAPS,
    "dropout": _MAPS,
    "identity": _MAPS,
    "input": ("This picture as numbers", Steps._one),
    "global_avg_pool": ("This picture as numbers", Steps._one),
    "relu": _CURVE,
    "leaky_relu": _CURVE,
    "sigmoid": _CURVE,
    "tanh": _CURVE,
    "flatten": ("These pictures as numbers", Steps._copied),
    "dense": ("These pictures as numbers", Steps._weighed),
}
