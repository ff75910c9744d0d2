"""Ten probabilities as bars and numbers, in digit order."""

from ui import dom

_meters: list = []


def setup() -> None:
    """Make the ten meters."""
    box = dom.find("bars")
    for digit in range(10):
        meter = dom.make(
            "div",
            "",
            box,
            class_="bar",
            role="meter",
            aria_label=f"Digit {digit}",
            aria_valuemin=0,
            aria_valuemax=100,
            aria_valuenow=0,
            aria_valuetext="no reading",
            data_testid=f"prob-{digit}",
        )
        dom.make("span", str(digit), meter, class_="bar-digit")
        dom.make("i", "", dom.make("span", "", meter, class_="bar-track"))
        number = dom.make("span", "", meter, class_="bar-number")
        _meters.append((meter, number))


def show(reading) -> None:
    """Set the bars; a blank pad leaves them empty, which is not the same as ten zeros."""
    for digit, (meter, number) in enumerate(_meters):
        share = reading.probabilities[digit]
        text = "" if reading.blank else dom.percent(share)
        number.innerHTML = text.replace(" %", "<span> %</span>")  # slim columns have the unit in their heading
        meter.style.setProperty("--share", f"{share:.4f}")
        meter.setAttribute("aria-valuenow", f"{100 * share:.2f}")
        meter.setAttribute("aria-valuetext", text or "no reading")
        meter.setAttribute("data-first", "yes" if digit == reading.digit else "no")
