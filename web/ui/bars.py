"""Ten probabilities and the share of "none of them", as bars and numbers; together 100 %."""

from ui import dom

NONE = 10  # the eleventh meter: the share of the class that the network keeps for what is no digit

_meters: list = []


def setup() -> None:
    """Make the eleven meters."""
    box = dom.find("bars")
    for k in range(NONE + 1):
        meter = dom.make(
            "div",
            "",
            box,
            class_="bar",
            role="meter",
            aria_label=f"Digit {k}" if k < NONE else "Not one digit",
            aria_valuemin=0,
            aria_valuemax=100,
            aria_valuenow=0,
            aria_valuetext="no reading",
            data_testid=f"prob-{k}" if k < NONE else "prob-none",
        )
        dom.make("span", str(k) if k < NONE else "none", meter, class_="bar-digit")
        dom.make("i", "", dom.make("span", "", meter, class_="bar-track"))
        number = dom.make("span", "", meter, class_="bar-number")
        _meters.append((meter, number))


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
