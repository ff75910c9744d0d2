"""Learning-rate schedules: a rate for every step of a training of known length."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """The same rate at every step."""

    rate: float

    def __call__(self, step: int, total: int) -> float:
        """Rate of step ``step`` (0 for the first) of ``total``."""
        return self.rate


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from ``peak`` down to ``floor``, after ``warmup`` (share of the steps) of linear rise.

    Source: Loshchilov & Hutter, "SGDR", 2017.
    """

    peak: float
    floor: float = 0.0
    warmup: float = 0.0

    def __call__(self, step: int, total: int) -> float:
        """Rate of step ``step`` (0 for the first) of ``total``."""
        rise = round(self.warmup * total)
        if step < rise:
            return self.peak * (step + 1) / rise
        share = (step - rise) / max(total - rise - 1, 1)
        return self.floor + (self.peak - self.floor) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


@dataclass(frozen=True)
class OneCycle:
    """Up from ``peak / start_divisor`` to ``peak``, then down to ``peak / end_divisor``, both along half cosines.

    Source: Smith & Topin, "Super-convergence", 2018, in PyTorch's two-phase form.
    """

    peak: float
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e5

    def __call__(self, step: int, total: int) -> float:
        """Rate of step ``step`` (0 for the first) of ``total``."""
        top = max(self.rise * total - 1, 1e-9)
        if step <= top:
            return _half_cosine(self.peak / self.start_divisor, self.peak, step / top)
        share = (step - top) / max(total - 1 - top, 1e-9)
        return _half_cosine(self.peak, self.peak / self.end_divisor, min(share, 1.0))


def _half_cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2


Schedule = Constant | Cosine | OneCycle
