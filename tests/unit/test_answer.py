"""One answer of several readings: text, weakest digit, sentence."""

from __future__ import annotations

import numpy as np
import pytest
from handlens.answer import whole
from handlens.errors import DataError
from handlens.reading import Reading, Rules, judge


def reading(best: int, share: float, second: int | None = None, none: float = 0.0) -> Reading:
    """A reading with this share for `best`; the rest goes to `second`, or evenly to all others."""
    shares = np.zeros(11)
    shares[10] = none
    left = 1.0 - share - none
    if second is None:
        shares[:10] = left / 9
    else:
        shares[second] = left
    shares[best] = share
    return judge(shares)


def test_one_digit_speaks_for_itself() -> None:
    for one in (reading(7, 0.97, 1), reading(7, 0.85, 1), reading(7, 0.55, 1), reading(7, 0.1, 1, 0.8)):
        answer = whole([one])
        assert (answer.sentence, answer.verdict, answer.weakest) == (one.sentence, one.verdict, 0)
        assert answer.text == ("?" if one.digit is None else "7")
        assert answer.answered == (one.digit is not None)


def test_a_number_is_as_sure_as_its_weakest_digit() -> None:
    four, nought, seven = reading(4, 0.999, 9), reading(0, 0.98, 6), reading(7, 0.96, 1)
    answer = whole([four, nought, seven])
    assert (answer.text, answer.answered, answer.verdict, answer.weakest) == ("407", True, "sure", 2)
    assert answer.sentence == "Sure: 407."
    answer = whole([four, reading(0, 0.88, 6), seven])
    assert (answer.text, answer.answered, answer.verdict, answer.weakest) == ("407", True, "likely", 1)
    assert answer.sentence == "Likely 407. Place 2: likely a 0, else a 6 (12 %)."


def test_a_digit_that_is_refused_leaves_a_gap() -> None:
    # a none whose best digit has more than the unsure one's: both are refused, the smaller share is the weaker
    answer = whole([reading(4, 0.999, 9), reading(0, 0.52, 6), reading(7, 0.99, 1)])
    assert (answer.text, answer.answered, answer.verdict, answer.weakest) == ("4?7", False, "unsure", 1)
    assert answer.sentence == "4?7. Place 2: 0 (52 %) or 6 (48 %)."
    answer = whole([reading(3, 0.02, 5, none=0.97), reading(0, 0.81, 6)])
    assert (answer.text, answer.verdict, answer.weakest) == ("?0", "none", 0)
    assert answer.sentence == "?0. Place 1: not one digit."


def test_refused_is_weaker_than_answered_whatever_the_shares() -> None:
    refused = judge(np.array([0.9, *[0.1 / 9] * 9]), Rules(answer=0.95, sure=0.99))
    answered = judge(np.array([0.1 / 9, 0.9, *[0.1 / 9] * 8]), Rules(answer=0.5, sure=0.95))
    assert whole([answered, refused]).weakest == 1
    assert whole([refused, answered]).weakest == 0


def test_equal_digits_are_told_from_the_left() -> None:
    assert whole([reading(1, 0.9, 7)] * 3).weakest == 0


def test_no_reading_is_no_answer() -> None:
    with pytest.raises(DataError, match="one or more"):
        whole([])
