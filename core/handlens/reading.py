"""From shares to words: what a network's probabilities say of one drawing, and whether it should be answered at all.

One rule for the page, the command line and every measurement. A digit is answered where its share reaches
`Rules.answer`, a threshold that was chosen on the choosing writers (`handlens.calibration.threshold`) and stands in the
model's metadata. Below it the drawing is refused: as "none" where the network's reject class outweighs every digit,
else as "unsure", with the two digits it hesitates between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError

if TYPE_CHECKING:
    from .model import Sequential

__all__ = ["DIGITS", "Reading", "Rules", "judge", "rules_of"]

Verdict = Literal["sure", "likely", "unsure", "none"]

DIGITS = 10  # the first ten classes; an eleventh is "none": no digit
_SUM = 1e-2  # how far from 1 the shares may add up, float32 and rounding included


@dataclass(frozen=True)
class Rules:
    """When to answer: the best digit's share from which it is given, and from which it is called sure.

    ``beside`` is the share from which a digit is given that stands among others, where it is less likely to be no
    digit; None for that of a digit alone.

    Raises:
        DataError: not 0 <= answer <= sure <= 1, or ``beside`` not from 0 to ``answer``.
    """

    answer: float = 0.80
    sure: float = 0.95
    beside: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.answer <= self.sure <= 1.0:
            raise DataError(f"rules answer {self.answer}, sure {self.sure}: give 0 <= answer <= sure <= 1")
        if self.beside is not None and not 0.0 <= self.beside <= self.answer:
            raise DataError(f"rules answer {self.answer}, beside {self.beside}: give 0 <= beside <= answer")

    def among_others(self) -> Rules:
        """The rules for a digit of a number."""
        return self if self.beside is None else Rules(self.beside, self.sure)


@dataclass(frozen=True, eq=False)
class Reading:
    """What one drawing was read as.

    verdict: "sure" and "likely" are answered, "unsure" and "none" are not (the page shows "?"). digit: the answer, or
    None. best, second: the two digits with the largest shares. probabilities: float64 (10,), the digits' shares; none:
    the share of the reject class, 0 where the network has none; together they add up to 1. sentence: one line to show.
    """

    verdict: Verdict
    digit: int | None
    best: int
    second: int
    probabilities: NDArray[np.float64]
    none: float
    sentence: str


def rules_of(model: Sequential) -> Rules:
    """The rules that a model's metadata states under "refusal"; the defaults where it states none.

    Raises:
        DataError: the metadata's thresholds are not numbers from 0 to 1.
    """
    stated: Any = model.metadata.get("refusal")
    if stated is None:
        return Rules()
    try:
        answer = float(stated.get("answer", Rules.answer))
        sure = float(stated.get("sure", max(Rules.sure, answer)))
        beside = None if stated.get("beside") is None else float(stated["beside"])
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"the model's refusal rules are damaged: {error}") from None
    return Rules(answer, sure, beside)


def judge(probabilities: ArrayLike, rules: Rules | None = None) -> Reading:
    """Judge the shares of one drawing.

    Args:
        probabilities: (10,) a share for each digit, or (11,) with the reject class last. rules: `Rules()` if left out.
    Raises:
        DataError: another shape, or shares that are not numbers from 0 to 1 adding up to 1.
    """
    rules = rules or Rules()
    shares = np.asarray(probabilities, np.float64)
    if shares.shape not in ((DIGITS,), (DIGITS + 1,)):
        raise DataError(f"shares of shape {shares.shape}; give (10,), or (11,) with a reject class")
    if not ((shares >= 0).all() and abs(float(shares.sum()) - 1) <= _SUM):  # false for NaN too
        raise DataError("shares must be at least 0 and add up to 1; give probabilities, not scores")
    digits, none = shares[:DIGITS], float(shares[DIGITS:].sum())
    best, second = (int(k) for k in np.argsort(-digits, kind="stable")[:2])  # of equal shares the smaller digit first
    top = float(digits[best])
    verdict: Verdict
    if top >= rules.answer:
        verdict = "sure" if top >= rules.sure else "likely"
    else:
        verdict = "none" if none > top else "unsure"
    digit = best if verdict in ("sure", "likely") else None
    return Reading(verdict, digit, best, second, digits, none, _sentence(verdict, best, second, digits, none))


def _sentence(verdict: Verdict, best: int, second: int, digits: NDArray[np.float64], none: float) -> str:
    """One line in plain English; what stands beside the best digit is the next share, which may be "not a digit"."""
    if verdict == "none":
        return "Not one digit."
    if verdict == "sure":
        return f"Sure: {_a(best)}."
    other, share = (_a(second), float(digits[second])) if digits[second] >= none else ("not a digit", none)
    if verdict == "likely":
        return f"Likely {_a(best)}, else {other} ({_percent(share)})."
    other = str(second) if digits[second] >= none else other
    return f"{best} ({_percent(float(digits[best]))}) or {other} ({_percent(share)})."


def _a(digit: int) -> str:
    return f"an {digit}" if digit == 8 else f"a {digit}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %" if share >= 0.005 else "under 1 %"
