"""Seeds: what all random numbers follow from."""

from __future__ import annotations

from .errors import DataError


def checked_seed(seed: int) -> int:
    """A seed that PCG64 takes: a whole number, not negative."""
    if isinstance(seed, bool) or int(seed) != seed or seed < 0:
        raise DataError(f"seed must be a whole number of at least 0; got {seed!r}")
    return int(seed)
