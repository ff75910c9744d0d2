"""A probability on the page leads to how it was made: Look inside, with its certificate unfolded.

They are links, which work before Python is here (first.js sets them, too); then they keep drawing and address as well.
"""

from ui import dom, views


def setup(link, before=None) -> None:
    """Follow a click. `before()`: what is to be done first, so that it is that digit's probability."""

    def clicked(event) -> None:
        if event.ctrlKey or event.metaKey or event.shiftKey or event.button or not link.hasAttribute("href"):
            return
        event.preventDefault()
        if before:
            before()
        k = link.getAttribute("href").rsplit(":", 1)[1]
        views.navigate("inside", {"layer": "probabilities", "cell": k, "of": f"probabilities:{k}"}, True)

    dom.listen(link, "click", clicked)


def show(link, model: str, k: int, text: str) -> None:
    """The probability of number `k`; without a text, nothing that leads anywhere."""
    link.innerHTML = text.replace(" %", "<span> %</span>")  # slim columns have the unit in their heading
    if not text:
        link.removeAttribute("href")
        link.removeAttribute("aria-label")
        return
    link.setAttribute("href", f"#inside?model={model}&layer=probabilities&cell={k}&of=probabilities:{k}")
    link.setAttribute("aria-label", f"How {text} for {k if k < 10 else 'none of them'} was made")
