"""The network, live: the maps of every layer, left to right as the numbers flow."""

from pyscript import window
from ui import dom, views

_box = dom.find("strip-body")
_section = dom.find("strip")
GAP = 2  # pixels between two maps
_rows: dict = {"names": [], "parts": [], "layers": []}


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "\u2212")


LEGEND = (
    '<span>0<i class="plain"></i>the largest of its layer</span>'
    '<span>\u2212<i class="signed"></i>+, with 0 as paper, where a layer has values below 0</span>'
)


def _build(layers) -> None:
    _box.replaceChildren()
    dom.make("p", "", _box, class_="legend").innerHTML = LEGEND
    _rows["parts"] = []
    for layer in layers:
        figure = dom.make("figure", "", _box, class_="layer")
        head = dom.make("figcaption", "", figure)
        dom.make("b", layer.name, head)
        dom.make("span", _shape(layer), head, class_="shape")
        span = dom.make("span", "", head, class_="range")
        holder = dom.make(
            "div", "", figure, class_="layer-scroll", tabindex="0", role="group", aria_label=f"Maps of {layer.name}"
        )
        canvas = dom.make("canvas", "", holder, role="img")
        _opens(layer, holder, canvas)
        _rows["parts"].append((canvas, span))


def _opens(layer, holder, canvas) -> None:
    """A click on a map, or Enter, opens "Look inside" there."""
    name, width, maps, vector = layer.name, layer.width, layer.maps, layer.height == 1

    def clicked(event) -> None:
        at = int(event.offsetX * canvas.width / canvas.clientWidth) // (width + GAP)
        views.navigate("inside", {"layer": name, "cell": "" if vector else str(min(at, maps - 1))})

    def pressed(event) -> None:
        if event.key == "Enter":
            views.navigate("inside", {"layer": name})

    dom.listen(canvas, "click", clicked)
    dom.listen(holder, "keydown", pressed)


def _shape(layer) -> str:
    if layer.height == 1:
        return f"{layer.width} numbers"
    return f"{layer.maps} {'map' if layer.maps == 1 else 'maps'} of {layer.height} \u00d7 {layer.width}"


def _cell_size(layer) -> tuple:
    """Width and height of one number, in px: the smaller the map, the larger its cells."""
    if layer.height == 1:
        return (16 if layer.width <= 16 else 4), 16
    size = 2 if layer.height > 8 else 4
    return size, size


def show(layers, version: int) -> None:
    """Paint every layer on its own scale: the largest size in the layer is full colour, zero is paper."""
    layers = list(layers)
    _section.hidden = not layers
    _section.setAttribute("data-version", str(version))
    names = [f"{layer.name} {layer.maps} {layer.height} {layer.width}" for layer in layers]
    if names != _rows["names"]:
        _build(layers)
        _rows["names"] = names
    _rows["layers"] = layers
    for layer, (canvas, span) in zip(layers, _rows["parts"]):  # noqa: B905  (not in MicroPython)
        scale = max(abs(layer.low), abs(layer.high))
        window.pixels.paint(canvas, layer.values, layer.width, layer.height, layer.maps, scale, layer.low < 0, GAP)
        across, down = _cell_size(layer)
        canvas.style.width, canvas.style.height = f"{canvas.width * across}px", f"{canvas.height * down}px"
        reach = f"{_number(layer.low)} to {_number(layer.high)}"
        span.textContent = reach
        canvas.setAttribute("aria-label", f"{layer.name}: {_shape(layer)}, values {reach}")


def clear() -> None:
    """Nothing is drawn."""
    _section.hidden = True


def repaint() -> None:
    """After a change of theme."""
    if _rows["layers"]:
        show(_rows["layers"], _section.getAttribute("data-version"))
