"""How the ink becomes the 28 x 28 that the network sees: four small steps, each of which can be opened."""

from pyscript import window
from ui import dom, sheet

# For each step: its name, its title, the stage of the preparation that can be switched off at it, and the words of the
# open step. They stand in index.html in this order.
STEPS = (
    (
        "ink",
        "Ink",
        "re-ink",
        "The strokes as they stand on the pad; the frame is the box of the digit's ink. Whatever the pen's width, the "
        "network's image is drawn anew along their paths with a line 2.5 cells wide, about that of MNIST's digits. "
        "Switched off, the line keeps the width it has on the pad.",
    ),
    (
        "crop",
        "Crop",
        "crop",
        "Only the box around the ink counts: where on the pad you draw, and how large, makes no difference. "
        "Switched off, the whole pad is scaled down, as simple digit readers do.",
    ),
    (
        "fitted",
        "20 \u00d7 20",
        "aspect",
        "The crop is scaled, keeping its shape, until its longer side is 20 cells. "
        "Each cell is the mean of the ink in it. Switched off, the box is stretched to a square.",
    ),
    (
        "image",
        "28 \u00d7 28",
        "centre",
        "The 20 \u00d7 20 is placed so that its centre of mass lies in the centre of 28 \u00d7 28, "
        "as the digits of MNIST were. Switched off, it stays in the middle, wherever its ink is. "
        "These 784 numbers, 0 for paper and 1 for ink, are all the network gets.",
    ),
)
NO_STEP = "This picture came as 28 \u00d7 28 numbers: there is no such step."

_canvases: dict = {}
_shown: dict = {}
_frame_box: list = []
_switches: dict = {}
_costs: dict = {}


def setup(switched) -> None:
    """Bring the four steps to life; `switched()` is called after each turn of a switch."""
    figures = dom.find("stages").children
    for k, (name, title, stage, words) in enumerate(STEPS):
        button, switch = figures[k].querySelector("button"), figures[k].querySelector("input")
        button.disabled = switch.disabled = False
        _canvases[name], _switches[stage], _costs[stage] = button.firstElementChild, switch, dom.find("cost-" + stage)
        dom.listen(button, "click", _opener(name, title, words))
        dom.listen(switch, "change", lambda event: switched())


def without() -> str:
    """The stages that are switched off, with commas between, as the engine takes them."""
    return ",".join([stage for _, _, stage, _ in STEPS if not _switches[stage].checked])


def switch_off(stages: str) -> None:
    """Switch these stages off and all others on; words that name no stage are passed over."""
    for stage, switch in _switches.items():
        switch.checked = stage not in stages.split(",")


def show_costs(drawn) -> None:
    """What each stage is worth, as measured for the chosen model; nothing where nothing was measured."""
    stages = drawn.get("stages") if drawn else None
    for stage, line in _costs.items():
        line.textContent = ""
        if stages and stages["off"].get(stage) is not None:
            points = f"{100 * (stages['off'][stage] - stages['on']):+.1f}".replace("-", "\u2212")
            line.innerHTML = f"<span>off: </span>{points}"


def _opener(name: str, title: str, words: str):
    def opened(event) -> None:
        body = sheet.opened(title)
        dom.make("p", words, body)
        raster = _shown.get(name)
        if raster is None:
            dom.make("p", NO_STEP if _shown else "Nothing here yet: draw a digit first.", body)
            return
        size = f"{title}, {raster.width} by {raster.height}"
        large = dom.make("canvas", "", body, class_="large", role="img", aria_label=size)
        window.pixels.paint(large, raster.values, raster.width, raster.height)

    return opened


def _paint(name: str, raster) -> None:
    canvas = _canvases[name]
    _shown[name] = raster
    window.pixels.paint(canvas, raster.values, raster.width, raster.height)


def _blank(name: str) -> None:
    _shown.pop(name, None)
    canvas = _canvases[name]
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height)


def show(reading) -> None:
    """The 28 x 28 follows every answer; it is that of the digit looked at."""
    for switch in _switches.values():  # a picture that came as 28 x 28 has not gone this way
        switch.disabled = window.pad.kind() == "picture"
    if reading.blank:
        for name in _canvases:
            _blank(name)
        _canvases["image"].setAttribute("aria-label", "Nothing yet")
        return
    dom.find("stages").setAttribute("data-without", reading.without)
    raster = window.JSON.parse('{"width": 28, "height": 28}')
    raster.values = reading.seen
    _paint("image", raster)
    _canvases["image"].setAttribute("aria-label", "28 by 28, as the network sees it")


def show_steps(steps) -> None:
    """The steps before it come when the drawing has rested. None: a picture that was 28 x 28 from the start."""
    if steps is None:
        for name in ("ink", "crop", "fitted"):
            _blank(name)
        return
    for name in ("ink", "crop", "fitted"):
        _paint(name, getattr(steps, name))
    _frame_box[:] = [float(edge) for edge in steps.box]
    _frame()


def _frame() -> None:
    """The box of the digit's ink, on the step that shows all ink."""
    left, top, right, bottom = _frame_box
    context = _canvases["ink"].getContext("2d")
    context.strokeStyle = window.getComputedStyle(dom.root).getPropertyValue("--accent")
    context.lineWidth = max(1, _canvases["ink"].width / 56)
    context.strokeRect(left, top, right - left, bottom - top)


def repaint() -> None:
    """After a change of theme."""
    for name, canvas in _canvases.items():
        raster = _shown.get(name)
        if raster is not None:
            window.pixels.paint(canvas, raster.values, raster.width, raster.height)
    if _shown.get("ink") is not None:
        _frame()
