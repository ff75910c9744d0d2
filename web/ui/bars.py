"""Ten probabilities and the share of "none of them", as bars and numbers; together 100 %."""

from ui import dom

NONE = 10  # the eleventh meter: the share of the class that the network keeps for what is no digit

_meters: list = []


def setup() -> None:
    """Find the eleven meters, which stand in index.html: there may be an answer before there is Python."""
    meters = dom.find("bars").children
    for k in range(NONE + 1):
        _meters.append((meters[k], meters[k].lastElementChild))


def show(reading) -> None:
    """Set the bars; a blank pad leaves them empty, which is not the same as ten zeros."""
    place = reading.place()
    shares = place.probabilities + [place.none] if place else [0.0] * (NONE + 1)  # noqa: RUF005  (not in MicroPython)
    first = -1 if place is None else NONE if place.verdict == "none" else place.digit
    for k, (meter, number) in enumerate(_meters):
        share = shares[k]
        known = place is not None and (k < NONE or reading.rejects)
        text = dom.percent(share) if known else ""
        number.innerHTML = text.replace(" %", "<span> %</span>")  # slim columns have the unit in their heading
        meter.style.setProperty("--share", f"{share:.4f}")
        meter.setAttribute("aria-valuenow", f"{100 * share:.2f}")
        without = "this model has no such class" if place is not None else "no reading"
        meter.setAttribute("aria-valuetext", text or without)
        meter.setAttribute("data-first", "yes" if k == first else "no")
