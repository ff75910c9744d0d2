"""The article's figures about images in dense networks: counts, shuffled pixels, exchanged ink, other sizes."""

from ui import dom
from ui.article import kit
from ui.article.kit import Figure, Map, number


class Counts(Figure):
    """What a first layer costs."""

    def build(self) -> None:
        row = self.controls()
        self.slider(row, "Pixels across", "side", 8, 512, 224, 4)
        self.slider(row, "Dense neurons", "hidden", 1, 1000, 100)
        self.slider(row, "Kernels", "kernels", 1, 64, 3)
        self.slider(row, "Kernel size", "kernel", 1, 7, 3)
        self.switch(row, "in colour", "colour")
        self.args.pop("colour")
        self.box = dom.make("div", "", self.body, class_="scroll", tabindex="0", role="group", aria_label="Costs")
        self.line = dom.make("p", "", self.body, class_="live-total")
        row = self.controls()
        self.button(row, "Time both here", self.time)
        self.times = dom.make("span", "", row, role="status")

    def time(self) -> None:
        """Ask once with a measurement; the next change of a number goes without."""
        self.args["timed"] = True
        self.times.textContent = "Timing …"
        super().ask()

    def ask(self, aloud: bool = True) -> None:
        """Any other change: counted only."""
        self.args["timed"] = False
        self.times.textContent = ""
        self.args["channels"] = 3 if self.args.pop("colour", self.args.get("channels") == 3) else 1
        super().ask(aloud)

    def say(self, sentence: str) -> None:
        """A refusal takes the word of the timing away."""
        super().say(sentence)
        if sentence:
            self.times.textContent = ""

    def show(self, data) -> None:
        rows = []
        for words, one in (
            (f"{dom.thousands(data.hidden)} dense neurons", data.dense),
            (f"{data.kernels} kernels {data.kernel} × {data.kernel}", data.conv),
            (f"dense, {dom.thousands(data.outputs)} outputs like the kernels", data.same_outputs),
        ):
            one = kit.integers(one)
            numbers = [dom.thousands(one[n]) for n in ("weights", "biases", "parameters", "multiply_adds")]
            sizes = [kit.bytes_of(one[n]) for n in ("bytes", "training_bytes")]
            rows.append([words, numbers[0], numbers[1], numbers[2], numbers[3], sizes[0], sizes[1]])
        heads = ["", "weights", "biases", "parameters", "multiplications", "memory", "while Adam trains"]
        self.box.innerHTML = kit.table(heads, rows)
        if data.timed:
            dense, conv = dom.milliseconds(data.dense_ms), dom.milliseconds(data.conv_ms)
            self.times.textContent = f"One image, on NumPy: dense {dense}, kernels {conv}."
        self.line.textContent = (
            f"{dom.thousands(data.inputs)} inputs: as many weights into one dense neuron. "
            f"Each weight of a kernel is used {dom.thousands(data.reused)} times on an image."
        )


class Polarity(Figure):
    """The drawing in three kinds of ink."""

    follows = True

    def build(self) -> None:
        row = dom.make("div", "", self.body, class_="live-row")
        self.maps = [Map(row, words, 128) for words in ("As drawn", "Black and white", "Exchanged")]
        self.figures = self.tables("These pictures as numbers")

    def show(self, data) -> None:
        for k, part in enumerate(self.maps):
            row = data.rows[k]
            words = row.name[0].upper() + row.name[1:]
            part.paint(row.image, False, 1, 0, f"{words}: {kit.answer(row)}")
        self.figures.update()

    def pictures(self) -> list:
        """Each kind of ink as a table."""
        return [kit.numbers_of(row.name[0].upper() + row.name[1:], row.image) for row in self.data.rows]


class Permuted(Figure):
    """The drawing with its pixels in another order."""

    follows = True

    def build(self) -> None:
        self.args["seed"] = 1989
        row = dom.make("div", "", self.body, class_="live-row")
        self.maps = [Map(row, "Your drawing", 160), Map(row, "The same pixels, shuffled", 160)]
        self.box = dom.make("div", "", self.body, class_="scroll", tabindex="0", role="group", aria_label="Answers")
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.button(self.controls(), "Shuffle in another way", self.another)

    def another(self) -> None:
        self.args["seed"] += 1
        self.ask()

    def show(self, data) -> None:
        self.maps[0].paint(data.image, False, 1)
        self.maps[1].paint(data.shuffled, False, 1)
        self.box.innerHTML = kit.table(
            ["", "as drawn", "shuffled"],
            [
                ["dense network", kit.answer(data.ann), kit.answer(data.ann_shuffled)],
                ["CNN", kit.answer(data.cnn), kit.answer(data.cnn_shuffled)],
            ],
        )
        size = kit.power(data.difference) if data.difference < 1e-4 else number(data.difference, 4)
        self.line.textContent = f"Largest difference between the dense network’s ten shares: {size}."


TITLES = {"ann": "Dense network", "flatten": "CNN with flatten", "average": "The same CNN, averaging"}


class Sizes(Figure):
    """The drawing on a larger sheet."""

    follows = True

    def build(self) -> None:
        self.slider(self.controls(), "Sheet, pixels across", "side", 28, 64, 40, 4)
        row = dom.make("div", "", self.body, class_="live-row")
        self.map = Map(row, "The sheet", 160)
        self.list = dom.make("dl", "", row, class_="said")
        self.figures = self.tables("The sheet as numbers")

    def show(self, data) -> None:
        self.map.paint(data.image, False, 1, 0, f"The sheet, {data.side} × {data.side} pixels")
        lines = []
        for row in data.rows:
            said = kit.escaped(row.refused) if row.refused else "reads " + kit.answer(row)
            kind = "refused" if row.refused else "read"
            lines.append(f'<dt>{TITLES[row.name]}</dt><dd class="{kind}">{said}</dd>')
        self.list.innerHTML = "".join(lines)
        self.figures.update()

    def pictures(self) -> list:
        """The sheet as a table."""
        return [kit.numbers_of("The sheet", self.data.image)]


FIGURES = {"counts": Counts, "polarity": Polarity, "permuted": Permuted, "sizes": Sizes}
