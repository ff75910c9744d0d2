"""The article's figures about images in dense networks: counts, shuffled pixels, exchanged ink, other sizes."""

from ui import dom
from ui.article import kit
from ui.article.kit import Figure, Map, Timed, number


class Counts(Timed):
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
        self.timer("Time both here")

    def ask(self, aloud: bool = True) -> None:
        """The core wants the number of channels."""
        self.args["channels"] = 3 if self.args.pop("colour", self.args.get("channels") == 3) else 1
        super().ask(aloud)

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
        self.slider(self.controls(), "Black from", "threshold", 0.1, 1, 0.5, 0.1)
        row = dom.make("div", "", self.body, class_="live-row")
        self.maps = [Map(row, words, 128) for words in ("As drawn", "Black and white", "Exchanged")]
        self.legend("1, full ink")
        self.box = dom.make("div", "", self.body, class_="scroll", tabindex="0", role="group", aria_label="Answers")
        self.figures = self.tables("These pictures as numbers")

    def show(self, data) -> None:
        for k, part in enumerate(self.maps):
            row = data.rows[k]
            part.paint(row.image, False, 1, 0, f"{kit.capital(row.name)}: {kit.answer(row.answers[0])}")
        rows = []
        for k in range(data.rows[0].answers.length):
            answers = [row.answers[k] for row in data.rows]
            rows.append([kit.NETWORKS[answers[0].name]] + [kit.answer(one) for one in answers])
        self.box.innerHTML = kit.table([""] + [row.name for row in data.rows], rows)
        self.figures.update()

    def spoken(self) -> str:
        """What the small CNN reads in black and white, which is what the slider changes."""
        one = self.data.rows[1]
        said = [f"{kit.NETWORKS[answer.name]} {kit.answer(answer)}" for answer in one.answers]
        return f"Black from {number(self.data.threshold, 1)}: {'; '.join(said)}"

    def pictures(self) -> list:
        """Each kind of ink as a table."""
        return [kit.numbers_of(kit.capital(row.name), row.image) for row in self.data.rows]


class Permuted(Figure):
    """The drawing with its pixels in another order."""

    follows = True

    def build(self) -> None:
        self.args["seed"] = 1989
        row = dom.make("div", "", self.body, class_="live-row")
        self.maps = [Map(row, "Your drawing", 160), Map(row, "The same pixels, shuffled", 160)]
        self.legend("1, full ink")
        self.box = dom.make("div", "", self.body, class_="scroll", tabindex="0", role="group", aria_label="Answers")
        self.line = dom.make("p", "", self.body, class_="live-total")
        self.button(self.controls(), "Shuffle in another way", self.another)
        self.figures = self.tables("These pictures as numbers")

    def another(self) -> None:
        self.args["seed"] += 1
        self.ask()

    def show(self, data) -> None:
        self.maps[0].paint(data.image, False, 1)
        self.maps[1].paint(data.shuffled, False, 1)
        rows, apart = [], []
        for row in data.rows:
            name = kit.NETWORKS[row.name]
            rows.append([name, kit.answer(row.drawn), kit.answer(row.shuffled)])
            if row.name != "cnn-small":
                size = kit.power(row.difference) if row.difference < 1e-4 else number(row.difference, 4)
                apart.append(f"{name.lower()} {size}")
        self.box.innerHTML = kit.table(["", "as drawn", "shuffled"], rows)
        self.line.textContent = f"Largest difference between ten shares before and after: {', '.join(apart)}."
        self.figures.update()

    def spoken(self) -> str:
        """What each network reads now."""
        return "Shuffled anew: " + "; ".join(
            [f"{kit.NETWORKS[row.name]} {kit.answer(row.shuffled)}" for row in self.data.rows]
        )

    def pictures(self) -> list:
        """Both pictures as tables."""
        return [
            kit.numbers_of("Your drawing", self.data.image),
            kit.numbers_of("The same pixels, shuffled", self.data.shuffled),
        ]


TITLES = {
    "ann": "Dense network",
    "linear": "Linear model",
    "flatten": "CNN with flatten",
    "average": "The same CNN, averaging",
}
WAYS = {
    "as it is": "",
    "scaled": ", the sheet scaled to 28 × 28",
    "prepared": ", the ink cropped, scaled and centred",
}


class Sizes(Figure):
    """The drawing on a larger sheet."""

    follows = True

    def build(self) -> None:
        self.slider(self.controls(), "Sheet, pixels across", "side", 28, 64, 40, 4)
        row = dom.make("div", "", self.body, class_="live-row")
        words = ("The sheet", "Scaled to 28 × 28", "Cropped, scaled and centred")
        self.maps = [Map(row, one, 144) for one in words]
        self.legend("1, full ink")
        self.list = dom.make("dl", "", self.body, class_="said")
        self.figures = self.tables("These pictures as numbers")

    def show(self, data) -> None:
        self.maps[0].paint(data.image, False, 1, 0, f"The sheet, {data.side} × {data.side} pixels")
        self.maps[1].paint(data.scaled, False, 1)
        self.maps[2].paint(data.prepared, False, 1)
        lines = []
        for row in data.rows:
            said = kit.escaped(row.refused) if row.refused else "reads " + kit.answer(row)
            kind = "refused" if row.refused else "read"
            lines.append(f'<div><dt>{TITLES[row.name]}{WAYS[row.way]}</dt><dd class="{kind}">{said}</dd></div>')
        self.list.innerHTML = "".join(lines)
        self.figures.update()

    def spoken(self) -> str:
        """Who refuses and who reads, in short."""
        said = []
        for row in self.data.rows:
            answer = "refuses" if row.refused else f"reads {kit.answer(row)}"
            said.append(f"{TITLES[row.name]}{WAYS[row.way]} {answer}")
        return f"A sheet of {self.data.side} × {self.data.side}: {'; '.join(said)}"

    def pictures(self) -> list:
        """The sheet and what it is scaled to, as tables."""
        found = (("The sheet", "image"), ("Scaled to 28 × 28", "scaled"), ("Cropped, scaled and centred", "prepared"))
        return [kit.numbers_of(words, getattr(self.data, name)) for words, name in found]


FIGURES = {"counts": Counts, "polarity": Polarity, "permuted": Permuted, "sizes": Sizes}
