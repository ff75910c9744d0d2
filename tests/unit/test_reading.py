"""handlens.reading: one rule from shares to an answer, a refusal and a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from handlens import Dense, Flatten, Sequential
from handlens.errors import DataError
from handlens.reading import Rules, judge, rules_of
from hypothesis import given
from hypothesis import strategies as st


def shares(none: float | None = None, **given_shares: float) -> np.ndarray:
    """Shares by digit ("d4=.5"); what is missing to 1 is spread over the digits not named."""
    found = np.zeros(10 if none is None else 11)
    for name, share in given_shares.items():
        found[int(name[1])] = share
    if none is not None:
        found[10] = none
    free = [k for k in range(10) if f"d{k}" not in given_shares]
    found[free] = (1 - found.sum()) / len(free)
    return found


CASES = [
    (shares(d7=0.97), "sure", 7, "Sure: a 7."),
    (shares(d8=0.99), "sure", 8, "Sure: an 8."),
    (shares(d4=0.85, d9=0.12), "likely", 4, "Likely a 4, else a 9 (12 %)."),
    (shares(d3=0.85, d8=0.14, none=0.003), "likely", 3, "Likely a 3, else an 8 (14 %)."),
    (shares(d4=0.85, d9=0.02, none=0.12), "likely", 4, "Likely a 4, else not a digit (12 %)."),
    (shares(d4=0.52, d9=0.44), "unsure", None, "4 (52 %) or 9 (44 %)."),
    (shares(d8=0.7, d9=0.04, none=0.25), "unsure", None, "8 (70 %) or not a digit (25 %)."),
    (shares(d8=0.3, d9=0.04, none=0.6), "none", None, "Not one digit."),
    (shares(none=0.99), "none", None, "Not one digit."),
]


@pytest.mark.parametrize(("given_shares", "verdict", "digit", "sentence"), CASES)
def test_verdict_digit_and_sentence(given_shares: np.ndarray, verdict: str, digit: int | None, sentence: str) -> None:
    reading = judge(given_shares, Rules(0.8, 0.95))
    assert (reading.verdict, reading.digit, reading.sentence) == (verdict, digit, sentence)


def test_best_and_second_are_digits_and_the_smaller_wins_a_tie() -> None:
    reading = judge(shares(none=0.9, d5=0.06, d2=0.03))
    assert (reading.best, reading.second, reading.none) == (5, 2, pytest.approx(0.9))
    level = judge(np.full(10, 0.1))
    assert (level.best, level.second, level.verdict) == (0, 1, "unsure")


def test_the_thresholds_themselves_are_inside() -> None:
    rules = Rules(0.75, 0.875)
    assert judge(shares(d1=0.75), rules).verdict == "likely"
    assert judge(shares(d1=0.7499), rules).verdict == "unsure"
    assert judge(shares(d1=0.875), rules).verdict == "sure"
    assert judge(shares(d1=0.5, none=0.5), rules).verdict == "unsure"  # none must outweigh the digit
    assert judge(shares(d1=0.5), Rules(0.5)).digit == 1


@given(st.lists(st.floats(0, 1), min_size=10, max_size=11).filter(lambda v: sum(v) > 0.1), st.floats(0, 1))
def test_the_rule_holds_for_every_share(values: list[float], answer: float) -> None:
    given_shares = np.array(values) / np.sum(values)
    reading = judge(given_shares.astype(np.float32), Rules(answer, 1.0))
    top = np.float32(given_shares[:10].max())
    assert (reading.digit is None) == (float(np.max(reading.probabilities)) < answer)
    assert (reading.digit is None) == (reading.verdict in ("unsure", "none"))
    assert reading.probabilities[reading.best] == top >= reading.probabilities[reading.second]
    assert reading.best != reading.second
    assert reading.probabilities.shape == (10,) and reading.none + reading.probabilities.sum() == pytest.approx(1)
    assert reading.sentence.endswith(".")


@pytest.mark.parametrize(
    "bad", [np.full(12, 1 / 12), np.full((1, 10), 0.1), np.full(10, np.nan), np.full(10, 2.0), [-1, 2, *[0] * 8]]
)
def test_what_are_no_shares_is_refused(bad: object) -> None:
    with pytest.raises(DataError, match="shares"):
        judge(bad)  # type: ignore[arg-type]


def test_rules_come_from_the_metadata() -> None:
    model = Sequential([Flatten(), Dense(11)], (1, 2, 2))
    assert rules_of(model) == Rules(0.80, 0.95)
    model.metadata["refusal"] = {"answer": 0.62}
    assert rules_of(model) == Rules(0.62, 0.95)
    model.metadata["refusal"] = {"answer": 0.97}
    assert rules_of(model) == Rules(0.97, 0.97)
    for damaged in ("0.8", {"answer": "x"}, {"answer": 2.0}, {"answer": float("nan")}, {"answer": None}):
        model.metadata["refusal"] = damaged
        with pytest.raises(DataError):
            rules_of(model)
    with pytest.raises(DataError, match="answer <= sure"):
        Rules(0.9, 0.8)
