"""From readings to one answer: what is said of a whole drawing, be it one digit or a number of several.

A number is answered where each of its digits is; where one is not, a question mark stands in its place. How sure a
number is follows its weakest digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import DataError
from .reading import Reading, Verdict

__all__ = ["Answer", "whole"]


@dataclass(frozen=True)
class Answer:
    """What a drawing was read as.

    text: the digits from left to right, "?" for each that is not answered. answered: whether all are. verdict: the
    weakest digit's, as in `Reading`. weakest: its place, from 0. sentence: one line to show.
    """

    text: str
    answered: bool
    verdict: Verdict
    weakest: int
    sentence: str


def whole(readings: Sequence[Reading]) -> Answer:
    """Put the readings of a drawing's digits, left to right, into one answer.

    Raises:
        DataError: no reading.
    """
    if not readings:
        raise DataError("a drawing without ink has no reading; give one or more")
    text = "".join("?" if reading.digit is None else str(reading.digit) for reading in readings)
    # A digit that is not answered is weaker than any that is; among equals the one further left stands for them.
    strength = [(reading.digit is not None, float(reading.probabilities[reading.best])) for reading in readings]
    weakest = strength.index(min(strength))
    reading = readings[weakest]
    sentence = reading.sentence
    if len(readings) > 1 and reading.verdict == "sure":
        sentence = f"Sure: {text}."
    elif len(readings) > 1:
        start = f"Likely {text}" if reading.verdict == "likely" else text
        sentence = f"{start}. Place {weakest + 1}: {sentence[0].lower()}{sentence[1:]}"
    return Answer(text, all(answered for answered, _ in strength), reading.verdict, weakest, sentence)
