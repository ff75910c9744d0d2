"""Checks that the finished site is complete and loads nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path


def check(site: Path) -> None:
    """Raise BuildError naming the first things that are wrong with the site."""
