"""How the ink becomes the 28 x 28 that the network sees: four small steps, each of which can be opened."""

from pyscript import window
from ui import dom, sheet

STEPS = (
    ("ink", "Ink", "The strokes, as grey values. The frame is the bounding box of the ink."),
    (
        "crop",
        "Crop",
        "Only the box around the ink counts: where on the pad you draw, and how large, makes no difference.",
    ),
    (
        "fitted",
        "20 \u00d7 20",
        "The crop is scaled, keeping its shape, until its longer side is 20 cells. "
        "Each cell is the mean of the ink in it.",
    ),
    (
        "image",
        "28 \u00d7 28",
        "The 20 \u00d7 20 is placed so that its centre of mass lies in the centre of 28 \u00d7 28, "
        "as the digits of MNIST were. These 784 numbers, 0 for paper and 1 for ink, are all the network gets.",
    ),
)
NO_STEP = "This picture came as 28 \u00d7 28 numbers: there is no such step."

_canvases: dict = {}
_shown: dict = {}


def setup() -> None:
    """Make the four pictures."""
    box = dom.find("stages")
    for name, title, words in STEPS:
        figure = dom.make("figure", "", box, class_="stage")
        button = dom.make("button", "", figure, type="button", class_="stage-open", aria_label=f"Open the step {title}")
        mark = "seen" if name == "image" else "step-" + name
        _canvases[name] = dom.make("canvas", "", button, width=28, height=28, data_testid=mark)
        dom.make("figcaption", title, figure)
        dom.listen(button, "click", _opener(name, title, words))
    _canvases["image"].setAttribute("role", "img")


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
    """The 28 x 28 follows every answer."""
    if reading.blank:
        for name in _canvases:
            _blank(name)
        _canvases["image"].setAttribute("aria-label", "Nothing yet")
        return
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
    left, top, right, bottom = [float(edge) for edge in steps.box]
    context = _canvases["ink"].getContext("2d")
    context.strokeStyle = window.getComputedStyle(dom.root).getPropertyValue("--accent")
    context.lineWidth = max(1, steps.ink.width / 56)
    context.strokeRect(left, top, right - left, bottom - top)


def repaint() -> None:
    """After a change of theme."""
    for name, raster in _shown.items():
        window.pixels.paint(_canvases[name], raster.values, raster.width, raster.height)
